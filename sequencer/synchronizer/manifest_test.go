package synchronizer

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/replica"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// twoPieces is a snapshot whose topology takes two pieces, with a machine of three chunks.
func twoPieces() *snapshot {
	s := &snapshot{topology: bytes.Repeat([]byte{7}, replica.MaxPiece+1)}
	s.manifest = manifest{
		sequencing: sequencing.Manifest{Height: 3, Members: []sequencing.Digest{{1}, {2}}, InFlight: []sequencing.Digest{{3}}},
		topology:   topology.Digest{9},
		pieces:     []bft.Digest{sha256.Sum256(s.topology[:replica.MaxPiece]), sha256.Sum256(s.topology[replica.MaxPiece:])},
	}
	return s
}

func TestManifestListsThePiecesOfBoth(t *testing.T) {
	s := twoPieces()
	m, err := decodeManifest(s.encode())
	if err != nil || !bytes.Equal(m.encode(), s.encode()) || m.topology != s.manifest.topology {
		t.Fatalf("after its way: %+v, %v", m, err)
	}
	ids := []bft.Digest{s.pieces[0], s.pieces[1], {1}, {2}, {3}}
	if m.Count() != len(ids) {
		t.Fatalf("%d pieces", m.Count())
	}
	for i, id := range ids {
		if m.ID(i) != id {
			t.Errorf("piece %d is %x, want %x", i, m.ID(i), id)
		}
	}
	var whole []byte
	for i := range s.pieces {
		piece, err := s.Piece(i)
		if err != nil || m.Check(i, piece) != nil || m.Check(1-i, piece) == nil {
			t.Errorf("piece %d of the topology, of %d bytes: %v", i, len(piece), err)
		}
		whole = append(whole, piece...)
	}
	if !bytes.Equal(whole, s.topology) {
		t.Errorf("the pieces are %d bytes, want %d", len(whole), len(s.topology))
	}
	if m.Check(2, whole) == nil {
		t.Error("the topology passes for a chunk of the machine")
	}
}

func TestManifestsThatAreNoneAreRefused(t *testing.T) {
	good := twoPieces().encode()
	for n := range good {
		if _, err := decodeManifest(good[:n]); err == nil {
			t.Errorf("the first %d bytes of %d", n, len(good))
		}
	}
	long := bytes.Clone(good)
	for i := range 4 { // the number of pieces
		long[len(tagState)+len(topology.Digest{})+i] = 0xff
	}
	wrong := bytes.Clone(good)
	wrong[0] ^= 1
	for name, data := range map[string][]byte{"a byte more": append(bytes.Clone(good), 0), "more pieces than bytes": long, "another tag": wrong} {
		if _, err := decodeManifest(data); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestWhatLiesBesideASnapshotIsTakenApart(t *testing.T) {
	manifest, encoded := twoPieces().encode(), []byte("topology")
	kept := joinBeside(manifest, encoded)
	m, rest, err := splitBeside(kept)
	if err != nil || !bytes.Equal(m.encode(), manifest) || !bytes.Equal(rest, encoded) {
		t.Errorf("%+v, %q, %v", m, rest, err)
	}
	for n := range 4 + len(manifest) {
		if _, _, err := splitBeside(kept[:n]); !errors.Is(err, errSnapshot) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
}

// The topology of an hour is kept, from an epoch's end on; that is also what is handed over.
func TestTheEndOfAnEpochForgetsOldTopology(t *testing.T) {
	n := membertest.Found(t, membertest.Plan{})
	s, err := Open(Config{Dir: t.TempDir(), Founding: n.Genesis, Network: n.ID, Verify: func([]sequencing.SignedDigest) []bool { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	const hour = 60 * sequencing.Minute
	began := sequencing.Time(membertest.Began)
	for i, c := range []struct{ at, floor sequencing.Time }{{began + 1, began}, {began + hour, began}, {began + hour + 5, began + 5}, {began + 3*hour, began + 2*hour}} {
		if err := s.Apply(ordering.Block{Height: ordering.Height(i + 1), Time: int64(c.at), Payloads: []ordering.Payload{ordering.Pack([]byte("nothing"))}}); err != nil {
			t.Fatal(err)
		}
		encoded, digest, _, err := s.EncodeTopology()
		if err != nil {
			t.Fatal(err)
		}
		handed, err := topology.DecodeState(encoded, digest)
		if err != nil || handed.Floor() != topology.Time(c.floor) {
			t.Errorf("at %d: handed over from %d on, want %d: %v", c.at-began, handed.Floor(), c.floor, err)
		}
		if _, err := s.EndEpoch(); err != nil {
			t.Fatal(err)
		}
		if got := s.members.State().Floor(); got != topology.Time(c.floor) {
			t.Errorf("at %d: kept from %d on, want %d", c.at-began, got, c.floor)
		}
	}
}
