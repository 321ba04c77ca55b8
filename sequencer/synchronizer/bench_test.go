package synchronizer_test

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/sequencer/synchronizer"
	"github.com/synod-network/synod/topology"
)

// BenchmarkReplay is a sequencer that applies again what was ordered, to the real topology and a history on the disk: blocks of 200
// signed submissions of 1 KiB, each from one of 32 members to another, with their signatures checked, and without. An operation is
// a submission.
func BenchmarkReplay(b *testing.B) {
	const members, size, perBlock = 32, 1024, 200
	var plan membertest.Plan
	var all []topology.Member
	for i := range members {
		plan.Participants = append(plan.Participants, fmt.Sprint("member", i))
		all = append(all, membertest.Participant(plan.Participants[i]))
	}
	network := membertest.Found(b, plan)
	believe := func(signed []sequencing.SignedDigest) []bool {
		valid := make([]bool, len(signed))
		for i := range valid {
			valid[i] = true
		}
		return valid
	}
	for _, c := range []struct {
		name   string
		verify sequencing.Verifier
	}{{"signatures checked", verifier()}, {"signatures believed", believe}} {
		b.Run(c.name, func(b *testing.B) {
			now := sequencing.Time(membertest.Began) + sequencing.Minute
			var blocks []ordering.Block
			for sent := 0; sent < b.N; {
				var requests [][]byte
				for range perBlock {
					from, to := all[sent%members], all[(sent*7+1)%members]
					payload := make([]byte, size)
					copy(payload, fmt.Sprint(sent))
					requests = append(requests, network.Request(&sequencing.Submission{Sender: membertest.ID(from), Message: sequencing.MessageID(fmt.Sprint(sent)),
						MaxTime: now + sequencing.Second, Cost: 1 << 40,
						Sets:      []sequencing.RecipientSet{{{Kind: sequencing.ToMember, Member: membertest.ID(to)}}},
						Envelopes: []sequencing.Envelope{{Payload: payload}}}, from))
					sent++
				}
				blocks = append(blocks, ordering.Block{Height: ordering.Height(len(blocks) + 1), Time: int64(now), Payloads: []ordering.Payload{ordering.Pack(requests...)}})
				now += sequencing.Time(10_000)
			}
			state, err := synchronizer.Open(synchronizer.Config{Dir: b.TempDir(), Founding: network.Genesis, Network: network.ID, Verify: c.verify,
				Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = state.Close() }()
			b.ResetTimer()
			for _, block := range blocks {
				if err := state.Apply(block); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(blocks)*perBlock)/b.Elapsed().Seconds(), "submissions/s")
			if m, ok := state.Member(membertest.ID(all[0])); !ok {
				b.Fatalf("nothing was delivered: %v", m)
			}
		})
	}
}
