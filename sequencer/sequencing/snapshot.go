package sequencing

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/synod-network/synod/internal/canon"
	"github.com/synod-network/synod/ordering"
)

// MaxChunk is the largest chunk of a snapshot, in bytes.
const MaxChunk = 1 << 20

// ErrSnapshot says that a snapshot is not what its digest stands for.
var ErrSnapshot = errors.New("the snapshot does not match its digest")

// Manifest lists what a state consists of. Its digest is the state digest, and
// each chunk can be verified against it when it arrives.
type Manifest struct {
	Network NetworkID
	Height  ordering.Height
	Time    Time
	// Records is the digest of all records ever published.
	Records Digest
	// Members has a digest for each chunk of members, InFlight for each chunk of
	// remembered submissions. The chunks of a snapshot come in this order.
	Members, InFlight []Digest
}

// Chunks is the number of chunks.
func (f Manifest) Chunks() int { return len(f.Members) + len(f.InFlight) }

// ID names a chunk by its content.
func (f Manifest) ID(i int) Digest {
	if i < len(f.Members) {
		return f.Members[i]
	}
	return f.InFlight[i-len(f.Members)]
}

// Check says whether data is a chunk. The error matches [ErrSnapshot].
func (f Manifest) Check(i int, data []byte) error {
	err := ErrSnapshot
	switch {
	case len(data) > MaxChunk:
	case i < len(f.Members):
		err = New(f.Network, nil).restoreMembers(data, f.Members[i])
	case sha256.Sum256(data) == f.InFlight[i-len(f.Members)]:
		err = nil
	}
	if err != nil {
		return fmt.Errorf("chunk %d of %d bytes: %w", i, len(data), err)
	}
	return nil
}

// Digest stands for the whole state.
func (f Manifest) Digest() Digest { return sha256.Sum256(f.Encode()) }

// Encode returns the canonical encoding.
func (f Manifest) Encode() []byte {
	w := writer{}
	w.Raw(domainState)
	w.Bytes(f.Network[:])
	w.U64(uint64(f.Height))
	w.time(f.Time)
	w.Bytes(f.Records[:])
	for _, list := range [][]Digest{f.Members, f.InFlight} {
		w.U32(uint32(len(list)))
		for _, d := range list {
			w.Bytes(d[:])
		}
	}
	return w.Buf
}

// DecodeManifest reads a manifest, which may come from anybody.
func DecodeManifest(data []byte) (Manifest, error) {
	r := newReader(data)
	if string(r.Take(len(domainState))) != domainState {
		r.Fail(errKind)
	}
	f := Manifest{Network: NetworkID(r.digest()), Height: ordering.Height(r.U64()), Time: r.time(), Records: r.digest()}
	for _, list := range []*[]Digest{&f.Members, &f.InFlight} {
		n := int(r.U32())
		if r.Err == nil && n > len(r.Buf)/len(Digest{}) {
			r.Fail(canon.ErrTruncated)
		}
		for range n {
			if r.Err != nil {
				break
			}
			*list = append(*list, r.digest())
		}
	}
	if err := r.Done(); err != nil {
		return Manifest{}, fmt.Errorf("decode manifest of %d bytes: %w", len(data), err)
	}
	return f, nil
}

// Snapshot is a state at one moment. It shares memory with the machine, which
// copies a page of members before it changes one and never changes entries of
// the log: taking a snapshot copies nothing but a list of chunks. A snapshot is
// immutable and may be read from any goroutine while the machine goes on.
type Snapshot struct {
	Manifest
	pages [][]memberState
	log   [][]byte
}

// Snapshot returns the state as it is.
func (m *Machine) Snapshot() *Snapshot {
	s := &Snapshot{Manifest: m.manifest()}
	for _, p := range m.members.pages {
		p.shared = !m.broken(faultSnapshotAliases)
		s.pages = append(s.pages, p.entries)
	}
	for c := range m.inflight.all {
		s.log = append(s.log, c.data[:len(c.data):len(c.data)])
	}
	return s
}

// Chunk encodes one chunk, of at most [MaxChunk] bytes.
func (s *Snapshot) Chunk(i int) []byte {
	if i >= len(s.pages) {
		return s.log[i-len(s.pages)]
	}
	w := newWriter(make([]byte, 0, 128*len(s.pages[i])))
	for j := range s.pages[i] {
		s.pages[i][j].encode(&w)
	}
	return w.Buf
}

// Restore returns the machine with the state that a digest stands for. Manifest
// and chunks may come from anybody: they are checked against the digest, which
// must be one that the network agreed on. chunk is asked for each chunk in turn;
// its errors are returned as they are.
func Restore(agreed Digest, manifest Manifest, topology Topology, chunk func(int) ([]byte, error)) (*Machine, error) {
	if got := manifest.Digest(); got != agreed {
		return nil, fmt.Errorf("restore manifest %v as %v: %w", got, agreed, ErrSnapshot)
	}
	m := New(manifest.Network, topology)
	m.height, m.time, m.chain = manifest.Height, manifest.Time, manifest.Records
	for i := range manifest.Chunks() {
		data, err := chunk(i)
		if err != nil {
			return nil, err
		}
		if len(data) > MaxChunk {
			return nil, fmt.Errorf("restore chunk %d of %d bytes, limit %d: %w", i, len(data), MaxChunk, ErrSnapshot)
		}
		if i < len(manifest.Members) {
			err = m.restoreMembers(data, manifest.Members[i])
		} else {
			err = m.restoreInflight(data, manifest.InFlight[i-len(manifest.Members)])
		}
		if err != nil {
			return nil, fmt.Errorf("restore chunk %d of %d: %w", i, manifest.Chunks(), err)
		}
	}
	return m, nil
}

func (m *Machine) restoreMembers(data []byte, want Digest) error {
	if len(data) == 0 || m.members.count%pageMembers != 0 { // only the last page may be short
		return ErrSnapshot
	}
	for r, n := newReader(data), 0; len(r.Buf) > 0; n++ {
		s := decodeMember(&r)
		if _, twice := m.members.find(s.id); r.Err != nil || twice || n == pageMembers {
			return ErrSnapshot
		}
		m.members.add(s)
	}
	m.members.settle(true)
	if m.members.pages[len(m.members.pages)-1].tree.root() != want {
		return ErrSnapshot
	}
	return nil
}

func (m *Machine) restoreInflight(data []byte, want Digest) error {
	if Digest(sha256.Sum256(data)) != want {
		return ErrSnapshot
	}
	if !m.inflight.restore(data, m.members.count) {
		return ErrSnapshot
	}
	return nil
}
