package membership

import (
	"slices"

	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// roster is everybody who is active at a time, and whom changes concern that come into force after it. Every change of the
// topology is told to everybody: to ask about all members for each would cost newcomers the square of their number.
//
// Only [Topology.Change] moves it on. A question about a later time follows it there and forgets the result, so that
// questions may run beside each other and come in any order of times.
type roster struct {
	at      topology.Time
	members []topology.Member     // ascending
	ids     []sequencing.MemberID // their names; handed out, so never modified
	coming  []coming              // by time
}

// coming is a change that was accepted.
type coming struct {
	inForce   topology.Time
	concerned []topology.Member
}

// newRoster asks about all members.
func newRoster(view topology.Snapshot) *roster {
	r := &roster{at: view.At()}
	for _, m := range view.Members() {
		if view.Status(m) == topology.Active {
			r.members, r.ids = append(r.members, m), append(r.ids, sequencing.MemberID(m.String()))
		}
	}
	return r
}

// expect notes an accepted change. No later one comes into force earlier.
func (r *roster) expect(inForce topology.Time, concerned []topology.Member) {
	if len(concerned) > 0 {
		r.coming = append(r.coming, coming{inForce, concerned})
	}
}

// follow returns the roster at the time of a view, which is not before its own; it asks only about members that changes
// concern which came into force since.
func (r *roster) follow(view topology.Snapshot) *roster {
	next := &roster{at: view.At(), members: r.members, ids: r.ids, coming: r.coming}
	for own := false; len(next.coming) > 0 && next.coming[0].inForce <= next.at; next.coming = next.coming[1:] {
		for _, m := range next.coming[0].concerned {
			i, listed := slices.BinarySearchFunc(next.members, m, topology.Member.Compare)
			active := view.Status(m) == topology.Active
			if active == listed {
				continue
			}
			if !own {
				next.members, next.ids, own = slices.Clone(next.members), slices.Clone(next.ids), true
			}
			if active {
				next.members, next.ids = slices.Insert(next.members, i, m), slices.Insert(next.ids, i, sequencing.MemberID(m.String()))
			} else {
				next.members, next.ids = slices.Delete(next.members, i, i+1), slices.Delete(next.ids, i, i+1)
			}
		}
	}
	return next
}
