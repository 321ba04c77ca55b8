package members_test

import (
	"sync"
	"testing"

	"github.com/synod-network/synod/sequencer/members"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// between is a state in which something happens right after it was said that a member never took part.
type between struct {
	members.State
	member sequencing.MemberID
	happen func()
}

func (b *between) Member(id sequencing.MemberID) (sequencing.Member, bool) {
	m, ok := b.State.Member(id)
	if id == b.member && !ok {
		b.happen()
	}
	return m, ok
}

// A member was told that it knew everything up to a time, though its first event, which came while it was looked
// up, lay before that.
func TestTheFirstEventOfAMemberIsNotSkipped(t *testing.T) {
	var wrapped *between
	s := start(t, options{config: func(c *members.Config) {
		wrapped = &between{State: c.State, happen: func() {}}
		c.State = wrapped
	}})
	n := s.nodes[0]
	asBob := n.as(bob)
	request := s.request(alice, "first", bob)
	once := sync.OnceFunc(func() {
		if err := s.memory.Node(0).Submit(patience(t), request); err != nil {
			t.Error(err)
		}
		s.until("the first event", func() bool { _, ok := n.state.Member(membertest.ID(bob)); return ok && n.state.Time() > 0 })
	})
	asked := 0
	wrapped.happen = func() {
		if asked++; asked > 8 { // where a subscription looks it up that owes a tick
			once()
		}
	}
	wrapped.member = membertest.ID(bob)
	if d := n.subscribe(asBob, bob, 0).next(); string(d.Envelopes[0].Payload) != "sealed first" {
		t.Errorf("%+v", d)
	}
}
