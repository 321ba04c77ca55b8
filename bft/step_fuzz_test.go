package bft

import (
	"encoding/binary"
	"testing"
)

// believing accepts every signature: whatever content a fuzzer finds reaches
// the code behind the checks, as if a member had signed it.
func believing(PublicKey, []byte, Signature) bool { return true }

// FuzzStep feeds an engine messages that other members might send, well formed
// and absurd, and blocks that pass validation. It must not panic, loop or act
// out of proportion.
func FuzzStep(f *testing.F) {
	frame := func(list ...Message) (b []byte) {
		for _, m := range list {
			e := encoded(m)
			b = binary.BigEndian.AppendUint16(b, uint16(len(e)))
			b = append(b, e...)
		}
		return b
	}
	c := testCommittee(4, nil)
	g := newGrid(c)
	var round []Message
	for _, b := range g.rounds(1, 3, membersOf(4)...) {
		round = append(round, &BlockMessage{Block: b})
	}
	f.Add(frame(round...))
	f.Add(frame(seedMessages()...))
	huge := ^uint64(0)
	chain := chainOf(c, Vote{}, 2)
	f.Add(frame(&Status{Epoch: 0, Round: Round(huge), Commit: CommitIndex(huge)}, &Status{Commit: CommitIndex(huge)},
		&ChainResponse{Commits: chain, Lowest: CommitIndex(huge)}, &ChainResponse{Commits: chain, Handover: handoverAt(c, Vote{Index: 2, Digest: chain[1].digest})},
		&DAGEnd{Through: Round(huge), More: true}))
	h := handoverAt(c, Vote{Index: CommitIndex(huge)})
	h.Schedule.LastTime = Time(1) << 62
	for i := range h.Schedule.Standings {
		h.Schedule.Standings[i] = Standing{Demoted: 65535, Term: 65535, Led: 1 << 31, Lost: 1 << 31}
	}
	f.Add(frame(&ChainResponse{Lowest: 5}, &HandoverMessage{Handovers: []*Handover{h}}, &HandoverVote{Content: h.HandoverContent, Author: 3}))
	f.Fuzz(func(t *testing.T, input []byte) {
		e, _ := New(Config{Self: testKey(0), Sign: testSign(testKey(0)), Verify: believing, Limits: DefaultLimits()},
			Recovered{Genesis: c}, Clock{Wall: c.Start + Second, Mono: Second})
		for a := range 4 {
			e.Step(e.now, PeerUp{Peer: testKey(a)})
		}
		for i := 0; len(input) >= 2 && i < 64; i++ {
			n := min(int(binary.BigEndian.Uint16(input)), len(input)-2)
			m, err := DecodeMessage(input[2:2+n], c.Network)
			input = input[2+n:]
			if err != nil {
				continue
			}
			from := testKey(1 + i%3)
			var in Input = MessageArrived{From: from, Message: m}
			if u, ok := m.(*UnverifiedBlockMessage); ok {
				b, err := u.Block.Verify(e.committee, believing)
				if err != nil {
					continue
				}
				in = BlockArrived{From: from, Block: b}
			}
			for _, in := range []Input{in, Tick{}} {
				now := e.now
				now.Mono += 100 * Millisecond
				now.Wall += 100 * Millisecond
				out := e.Step(now, in)
				if len(out) > 2000 {
					t.Fatalf("%T led to %d effects", in, len(out))
				}
				for _, f := range out {
					if s, ok := f.(InstallSnapshot); ok {
						e.Step(now, SnapshotInstalled(s))
					}
				}
			}
		}
	})
}
