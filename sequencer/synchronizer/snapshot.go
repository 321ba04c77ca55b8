package synchronizer

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/replica"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// errSnapshot says that a manifest or a piece is not what it should be.
var errSnapshot = errors.New("it is not that of the state that was agreed on")

// tagState begins what the digest of a hand-over stands for.
const tagState = "synod/synchronizer/state/1\x00"

// manifest lists what a state consists of.
type manifest struct {
	sequencing sequencing.Manifest
	// topology is the digest of the topology, pieces are the digests of its encoding,
	// cut into pieces of replica.MaxPiece bytes.
	topology topology.Digest
	pieces   []bft.Digest
}

func (m manifest) encode() []byte {
	b := []byte(tagState)
	b = append(b, m.topology[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.pieces)))
	for _, p := range m.pieces {
		b = append(b, p[:]...)
	}
	return append(b, m.sequencing.Encode()...)
}

func decodeManifest(data []byte) (m manifest, err error) {
	rest, ok := bytes.CutPrefix(data, []byte(tagState))
	if !ok || len(rest) < len(m.topology)+4 {
		return m, errSnapshot
	}
	rest = rest[copy(m.topology[:], rest):]
	n := int(binary.BigEndian.Uint32(rest))
	if rest = rest[4:]; n > len(rest)/len(bft.Digest{}) {
		return m, errSnapshot
	}
	for range n {
		m.pieces = append(m.pieces, bft.Digest(rest[:32]))
		rest = rest[32:]
	}
	m.sequencing, err = sequencing.DecodeManifest(rest)
	return m, err
}

// Count implements [replica.Pieces]: first those of the topology.
func (m manifest) Count() int { return len(m.pieces) + m.sequencing.Chunks() }

// ID implements [replica.Pieces].
func (m manifest) ID(i int) bft.Digest {
	if i < len(m.pieces) {
		return m.pieces[i]
	}
	return bft.Digest(m.sequencing.ID(i - len(m.pieces)))
}

// Check implements [replica.Pieces].
func (m manifest) Check(i int, data []byte) error {
	if i >= len(m.pieces) {
		return m.sequencing.Check(i-len(m.pieces), data)
	}
	if sha256.Sum256(data) != m.pieces[i] {
		return fmt.Errorf("piece %d of the topology: %w", i, errSnapshot)
	}
	return nil
}

// snapshot is a state at one moment; see [replica.Snapshot].
type snapshot struct {
	manifest
	encoded  []byte // of the manifest
	topology []byte // the encoding
	machine  *sequencing.Snapshot
}

var _ replica.Snapshot = (*snapshot)(nil)

// snapshot takes one of the state as it is. The caller holds the state.
func (s *State) snapshot() (*snapshot, error) {
	encoded, err := s.members.State().Encode(s.horizon())
	if err != nil {
		return nil, fmt.Errorf("encode the topology: %w", err)
	}
	shot := &snapshot{topology: encoded, machine: s.machine.Snapshot()}
	shot.manifest = manifest{sequencing: shot.machine.Manifest, topology: s.members.State().Digest()}
	for rest := encoded; len(rest) > 0; {
		piece := rest[:min(len(rest), replica.MaxPiece)]
		rest = rest[len(piece):]
		shot.pieces = append(shot.pieces, sha256.Sum256(piece))
	}
	shot.encoded = shot.manifest.encode()
	return shot, nil
}

// Manifest implements [replica.Snapshot].
func (s *snapshot) Manifest() []byte { return s.encoded }

// Piece implements [replica.Snapshot].
func (s *snapshot) Piece(i int) ([]byte, error) {
	if i >= len(s.pieces) {
		return s.machine.Chunk(i - len(s.pieces)), nil
	}
	return s.topology[i*replica.MaxPiece : min(len(s.topology), (i+1)*replica.MaxPiece)], nil
}

// digest is what a hand-over binds.
func (s *snapshot) digest() bft.Digest { return digestOf(s.encoded) }

func digestOf(manifest []byte) bft.Digest { return sha256.Sum256(manifest) }
