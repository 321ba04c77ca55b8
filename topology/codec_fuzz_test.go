package topology

import (
	"bytes"
	"runtime"
	"testing"
)

// Decoders see what strangers send. On whatever bytes they never panic, never allocate much more than they were given, and
// accept one encoding only: what they accept encodes to the same bytes.

// bounded runs a decoder and fails if it allocates more than a small multiple of its input.
func bounded(t *testing.T, input []byte, decode func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	decode()
	runtime.ReadMemStats(&after)
	if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(1<<16+64*len(input)); got > limit {
		t.Errorf("decoding %d bytes allocated %d, limit %d", len(input), got, limit)
	}
}

func sameBytes(t *testing.T, input, encoded []byte) {
	t.Helper()
	if !bytes.Equal(input, encoded) {
		t.Errorf("accepted %x, which encodes to %x", input, encoded)
	}
}

func FuzzDecodeTransaction(f *testing.F) {
	for _, m := range samples() {
		f.Add(signed(Add(7, m), "alice", "bob").Encode())
		f.Add(signed(Removal(7, m)).Encode())
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		var u UnverifiedTransaction
		var err error
		bounded(t, input, func() { u, err = DecodeTransaction(input) })
		if err != nil {
			return
		}
		believed := SignedTransaction{network: network, content: u.Transaction, digest: u.Digest(), signatures: u.Signatures}
		sameBytes(t, input, believed.Encode())
		if u.check() != nil {
			return
		}
		// No statement, however absurd, upsets the rules; even if its signatures are believed.
		s := newFounded(t, rules{})
		if _, r := s.Apply(began+5, believed); r == nil {
			_, _ = s.Encode(began)
		}
	})
}

func FuzzDecodeGenesis(f *testing.F) {
	whole := newGenesis(f).Encode()
	f.Add(whole)
	countAt := sizeUID + len(synchronizer.Name) + 8
	f.Add(append(whole[:countAt:countAt], 0x10, 0)) // says that 4096 transactions follow
	f.Fuzz(func(t *testing.T, input []byte) {
		var u UnverifiedGenesis
		var err error
		bounded(t, input, func() { u, err = DecodeGenesis(input) })
		if err != nil {
			return
		}
		g := Genesis{charter: u.Charter()}
		for _, tx := range u.transactions {
			g.transactions = append(g.transactions, SignedTransaction{content: tx.Transaction, signatures: tx.Signatures})
		}
		sameBytes(t, input, g.Encode())
		_, _ = u.Verify(network)
	})
}

func FuzzDecodeState(f *testing.F) {
	s := newFounded(f, rules{})
	for i, m := range []Mapping{root("dora"), delegate("alice", "x", KindOwnerToKeys), trust(seq1)} {
		s.accept(began+Time(i), began+Time(i)+5, began+Time(i), Add(1, m))
	}
	s.accept(began+9, began+20, 0, Add(2, delay(9*ms)))
	s.accept(began+9, began+20, began+9, Removal(2, trust(seq1)))
	for _, from := range []Time{began, began + 7, began + 20} {
		b, err := s.Encode(from)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		var s *State
		var err error
		bounded(t, input, func() { s, err = decodeState(input) })
		if err != nil {
			return
		}
		back, err := s.Encode(s.floor)
		if err != nil {
			t.Fatal(err)
		}
		sameBytes(t, input, back)
		_, _ = s.Apply(s.effective, signed(Add(2, delay(9*ms)), "alice", "bob"))
	})
}
