package replica

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/synod-network/synod/bft"
)

// Keys of small values in the store.
const (
	snapshotKey    = "application/snapshot"
	proposeFromKey = "engine/propose-from"
)

// chunkKey is where a piece of a snapshot is kept until the snapshot is whole.
func chunkKey(d bft.Digest) string { return "application/snapshot-chunk/" + hex.EncodeToString(d[:]) }

// SnapshotChunk is the size of the pieces in which snapshots travel.
const SnapshotChunk = 1 << 20

// maxSnapshot bounds a snapshot that a peer may announce.
const maxSnapshot = 64 << 30

// Manifest describes a snapshot so that every piece can be verified when it
// arrives.
type Manifest struct {
	Size   uint64
	Chunks []bft.Digest
}

// NewManifest returns the manifest of a snapshot.
func NewManifest(snapshot []byte) Manifest {
	m := Manifest{Size: uint64(len(snapshot))}
	for at := 0; at < len(snapshot); at += SnapshotChunk {
		m.Chunks = append(m.Chunks, sha256.Sum256(snapshot[at:min(at+SnapshotChunk, len(snapshot))]))
	}
	return m
}

// Digest is what a hand-over binds as the state's digest.
func (m Manifest) Digest() bft.Digest {
	return sha256.Sum256(append([]byte("synod/replica/snapshot/1\x00"), m.encode()...))
}

func (m Manifest) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, m.Size)
	for _, c := range m.Chunks {
		b = append(b, c[:]...)
	}
	return b
}

var errManifest = errors.New("manifest is malformed")

func decodeManifest(b []byte) (m Manifest, err error) {
	if len(b) < 8 || (len(b)-8)%32 != 0 {
		return m, errManifest
	}
	m.Size = binary.BigEndian.Uint64(b)
	if m.Size > maxSnapshot || uint64(len(b)-8)/32 != (m.Size+SnapshotChunk-1)/SnapshotChunk {
		return m, errManifest
	}
	for b = b[8:]; len(b) > 0; b = b[32:] {
		m.Chunks = append(m.Chunks, bft.Digest(b[:32]))
	}
	return m, nil
}

// snapshot is the application's state after the last commit of an epoch.
type snapshot struct {
	epoch bft.Epoch
	index bft.CommitIndex
	data  []byte
	// pieces are those in which it came, kept until it is stored whole.
	pieces []bft.Digest
}

func (s *snapshot) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(s.epoch))
	b = binary.BigEndian.AppendUint64(b, uint64(s.index))
	return append(b, s.data...)
}

func decodeSnapshot(b []byte) (*snapshot, error) {
	if len(b) < 16 {
		return nil, fmt.Errorf("stored snapshot has %d bytes", len(b))
	}
	return &snapshot{
		epoch: bft.Epoch(binary.BigEndian.Uint64(b)), index: bft.CommitIndex(binary.BigEndian.Uint64(b[8:])), data: b[16:],
	}, nil
}

func encodeEpoch(e bft.Epoch) []byte { return binary.BigEndian.AppendUint64(nil, uint64(e)) }

func decodeEpoch(b []byte) (bft.Epoch, error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("stored epoch has %d bytes", len(b))
	}
	return bft.Epoch(binary.BigEndian.Uint64(b)), nil
}

// Kinds of the replica's own messages, beyond those of the engine.
const (
	kindManifestRequest = bft.FirstForeignKind + iota
	kindManifest
	kindChunkRequest
	kindChunk
)

// transfer fetches a snapshot from peers: the manifest first, which the
// hand-over's state digest proves, then each piece, which the manifest proves.
// The loop owns it.
type transfer struct {
	handover *bft.Handover
	manifest *Manifest
	chunks   [][]byte
	missing  int
	next     int // peer to ask next
	asked    time.Time
	attempts int // since the last progress
}

func (t *transfer) takeManifest(m Manifest) bool {
	if t.manifest != nil || m.Digest() != t.handover.State {
		return false
	}
	t.manifest = &m
	t.chunks = make([][]byte, len(m.Chunks))
	t.missing = len(m.Chunks)
	return true
}

func (t *transfer) takeChunk(i uint32, data []byte) bool {
	if t.manifest == nil || int(i) >= len(t.chunks) || t.chunks[i] != nil || sha256.Sum256(data) != t.manifest.Chunks[i] {
		return false
	}
	t.chunks[i] = data
	t.missing--
	return true
}

func (t *transfer) complete() bool { return t.manifest != nil && t.missing == 0 }

func (t *transfer) bytes() []byte {
	b := make([]byte, 0, t.manifest.Size)
	for _, c := range t.chunks {
		b = append(b, c...)
	}
	return b
}
