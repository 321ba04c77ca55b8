package bft

import (
	"bytes"
	"runtime"
	"testing"
)

// Decoders see what strangers send. On whatever bytes they never panic, never
// allocate much more than they were given, and accept one encoding only: what
// they accept encodes to the same bytes.

// bounded runs a decoder and fails if it allocates more than a small multiple
// of its input.
func bounded(t *testing.T, input []byte, decode func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	decode()
	runtime.ReadMemStats(&after)
	if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(1<<16+16*len(input)); got > limit {
		t.Errorf("decoding %d bytes allocated %d, limit %d", len(input), got, limit)
	}
}

func same(t *testing.T, input, encoded []byte) {
	t.Helper()
	if !bytes.Equal(input, encoded) {
		t.Errorf("accepted %x, which encodes to %x", input, encoded)
	}
}

// The seeds are small valid values of everything that is sent or stored.
func seedCommit() *Commit {
	c := testCommittee(1, nil)
	k := &Commit{Index: 7, Previous: Digest{7}, Epoch: 1, Leader: c.Root(0), Time: 5, Requests: 3, Blocks: []Ref{c.Root(0), c.Root(0)}}
	k.seal(c.Network)
	return k
}

func seedHandover() *Handover {
	c := testCommittee(2, nil)
	h := &Handover{HandoverContent: HandoverContent{Network: c.Network, Epoch: 3, End: 9, Schedule: newSchedule(2, 8), Members: c.Members, Params: c.Params}}
	h.Signatures = []MemberSignature{{Author: 1, Signature: Signature{1}}}
	return h
}

func seedBlock() *Block {
	c := testCommittee(4, nil)
	g := newGrid(c)
	b := g.rounds(1, 1, membersOf(4)...)[0]
	var w writer
	w.U32(2)
	w.Bytes([]byte("hi"))
	h := b.Header
	h.Requests, h.PayloadSize, h.Payload = 1, uint32(len(w.Buf)), PayloadDigest(w.Buf)
	return build(h, w.Buf, testSign(c.Members[0]))
}

func seedMessages() []Message {
	b, k, h := seedBlock(), seedCommit(), seedHandover()
	return []Message{
		&BlockMessage{Block: b},
		&BlockRequest{Epoch: 1, Refs: []Ref{b.Ref()}},
		&DAGRequest{Epoch: 1, Above: 2},
		&DAGEnd{Epoch: 1, Through: 3, More: true},
		&ChainRequest{From: 4},
		&ChainResponse{Commits: []*Commit{k}, Handover: h, Votes: []*UnverifiedBlock{{Header: b.Header, Signature: b.Signature}}, Lowest: 2},
		&HandoverRequest{From: 1},
		&HandoverVote{Content: h.HandoverContent, Author: 1},
		&HandoverMessage{Handovers: []*Handover{h}},
		&Status{Epoch: 1, Round: 2, Commit: 3},
		&RejoinQuery{Nonce: 1},
		&RejoinAnswer{Nonce: 1, Epoch: 2},
		&EvidenceMessage{Evidence: &Evidence{Kind: Equivocation, First: b.Head, Other: b.Head}},
	}
}

func encoded(m Message) []byte { return bytes.Join(EncodeMessage(m), nil) }

func FuzzDecodeMessage(f *testing.F) {
	for _, m := range seedMessages() {
		f.Add(encoded(m))
	}
	f.Add([]byte{kindChainResponse, 0, 0, 16, 0})
	f.Add([]byte{kindHandover, 0, 0, 1, 0})
	f.Fuzz(func(t *testing.T, input []byte) {
		var m Message
		var err error
		bounded(t, input, func() { m, err = DecodeMessage(input, NetworkID{1}) })
		if err == nil {
			same(t, input, encoded(m))
		}
	})
}

func FuzzDecodeBlock(f *testing.F) {
	head, payload := EncodeBlock(seedBlock())
	f.Add(append(head, payload...))
	f.Fuzz(func(t *testing.T, input []byte) {
		var u UnverifiedBlock
		var err error
		bounded(t, input, func() { u, err = DecodeBlock(input) })
		if err != nil {
			return
		}
		same(t, input, append(encodeUnverifiedHead(&u), u.Payload...))
		// No block, however absurd, upsets the checks.
		_, _ = u.Verify(testCommittee(4, nil), func(PublicKey, []byte, Signature) bool { return true })
	})
}

func FuzzDecodeCommit(f *testing.F) {
	f.Add(seedCommit().Encode())
	f.Fuzz(func(t *testing.T, input []byte) {
		var k *Commit
		var err error
		bounded(t, input, func() { k, err = DecodeCommit(input, NetworkID{1}) })
		if err == nil {
			same(t, input, k.Encode())
		}
	})
}

func FuzzDecodeCommitRecord(f *testing.F) {
	f.Add((&CommitRecord{Commit: seedCommit(), Schedule: newSchedule(2, 5)}).Encode())
	f.Fuzz(func(t *testing.T, input []byte) {
		var k *CommitRecord
		var err error
		bounded(t, input, func() { k, err = DecodeCommitRecord(input, NetworkID{1}) })
		if err == nil {
			same(t, input, k.Encode())
		}
	})
}

func FuzzDecodeHandover(f *testing.F) {
	f.Add(seedHandover().Encode())
	f.Fuzz(func(t *testing.T, input []byte) {
		var h *Handover
		var err error
		bounded(t, input, func() { h, err = DecodeHandover(input) })
		if err != nil {
			return
		}
		same(t, input, h.Encode())
		_ = h.Verify(testCommittee(2, nil), testVerify)
	})
}

// Every message is what it was after its way over the wire, and no part of it
// is a message.
func TestMessagesSurviveTheWire(t *testing.T) {
	for _, m := range seedMessages() {
		b := encoded(m)
		back, err := DecodeMessage(b, NetworkID{1})
		if err != nil {
			t.Errorf("%T: %v", m, err)
			continue
		}
		same(t, b, encoded(back))
		for n := range b {
			if _, err := DecodeMessage(b[:n], NetworkID{1}); err == nil {
				t.Errorf("%T: the first %d of %d bytes are accepted", m, n, len(b))
			}
		}
		if _, err := DecodeMessage(append(b, 0), NetworkID{1}); err == nil {
			t.Errorf("%T: a byte more is accepted", m)
		}
	}
}
