package membership_test

import (
	"fmt"
	"testing"

	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// A change of the topology, and then what telling every member of it asks.
func BenchmarkAChangeAmongManyMembers(b *testing.B) {
	for _, count := range []int{100, 1000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			n, m := found(b, membertest.Plan{})
			for i := range count {
				var list []topology.SignedTransaction
				list = append(list, n.Registration(b, membertest.Participant(fmt.Sprint("p", i)))...)
				m.Change(now, encode(list...))
			}
			disabled := topology.MemberDisabled{Synchronizer: n.Synchronizer, Member: membertest.Participant("p1")}
			at := now + sequencing.Second
			var changes [][]byte
			for i := range b.N {
				tx := topology.Add(topology.Serial(i+1), disabled)
				if i%2 == 1 {
					tx = topology.Removal(topology.Serial(i+1), disabled)
				}
				changes = append(changes, encode(n.Sign(b, tx, "owner")))
			}
			b.ResetTimer()
			for _, change := range changes {
				at += sequencing.Millisecond
				if !m.Change(at, change) {
					b.Fatal("refused")
				}
				for _, id := range m.Group(sequencing.Recipient{Kind: sequencing.ToAll}, at) {
					m.Member(id, at)
				}
			}
		})
	}
}
