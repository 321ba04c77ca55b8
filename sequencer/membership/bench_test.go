package membership

import (
	"fmt"
	"testing"

	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// anew is a topology that asks about all members whenever they are named.
type anew struct{ *Topology }

func (a anew) Group(r sequencing.Recipient, at sequencing.Time) []sequencing.MemberID {
	view, _ := a.state.Snapshot(topology.Time(at))
	return group(view, r)
}

// What a sequencer does with one change among many members, which is told to each of them, with the roster and without.
func BenchmarkAChangeAmongManyMembers(b *testing.B) {
	for _, count := range []int{100, 1000} {
		for _, way := range []string{"followed", "anew"} {
			b.Run(fmt.Sprintf("members=%d/%s", count, way), func(b *testing.B) {
				var names []string
				for i := range count {
					names = append(names, fmt.Sprint("p", i))
				}
				n := membertest.Found(b, membertest.Plan{Participants: names, Parameters: func(p *topology.SynchronizerParameters) {
					p.TopologyChangeDelay = topology.Time(sequencing.Millisecond)
				}})
				state := &topology.State{}
				if r := state.Load(n.Genesis); r != nil {
					b.Fatal(r)
				}
				members := New(state)
				var answers sequencing.Topology = members
				if way == "anew" {
					answers = anew{members}
				}
				machine := sequencing.New(n.ID, answers)
				at := sequencing.Time(membertest.Began)
				var blocks []*sequencing.Block
				disabled := topology.MemberDisabled{Synchronizer: n.Synchronizer, Member: membertest.Participant("p1")}
				for i := range b.N + 1 {
					tx := topology.Add(topology.Serial(i+1), disabled)
					if i%2 == 1 {
						tx = topology.Removal(topology.Serial(i+1), disabled)
					}
					at += 2 * sequencing.Millisecond
					change := sequencing.Request{Body: &sequencing.TopologyChange{Transactions: Encode(n.Sign(b, tx, "owner").Encode())}}
					block := sequencing.Parse(n.ID, ordering.Block{Height: ordering.Height(i + 1), Time: int64(at), Payloads: []ordering.Payload{ordering.Pack(change.Encode())}})
					blocks = append(blocks, block.Verify(func([]sequencing.SignedDigest) []bool { return nil }))
				}
				apply := func(block *sequencing.Block) {
					if out, err := machine.Apply(block); err != nil || len(out.Records) != 1 || len(out.Records[0].Events) < count {
						b.Fatal(out, err)
					}
				}
				apply(blocks[0]) // everybody joins by it
				b.ReportAllocs()
				b.ResetTimer()
				for _, block := range blocks[1:] {
					apply(block)
				}
			})
		}
	}
}
