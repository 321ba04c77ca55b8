package members

import (
	"testing"
	"testing/synctest"
	"time"
)

// settling is a run of members, each of which listens at one sequencer, that is no longer sending.
func settling(members int) *run {
	r := &run{config: Config{Recipients: 1, Listen: 1, Drain: time.Minute}, network: &network{sequencers: []*sequencer{{}}}}
	r.network.sequencers[0].up.Store(true)
	for i := range members {
		r.members = append(r.members, &member{number: i, flights: flights{open: map[uint64]*flight{}, room: make(chan struct{}, 1)}})
	}
	return r
}

// arrive lets a submission come out.
func (m *member) arrive(number uint64) {
	m.receipt(number, 0, false, 1)
	m.delivered(number, 0, 1)
}

// A submission whose answer is still under way when sending ends is no loss, whenever it is ordered: the answer is waited for, and then
// the submission.
func TestWhatIsUnderWayWhenSendingEndsIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := settling(2)
		first, second := r.members[0], r.members[1]
		first.begin(0, 0, 1)
		second.begin(0, 0, 1)
		second.accept(1)
		answered := make(chan struct{})
		go func() {
			time.Sleep(time.Second)
			second.arrive(1)
			time.Sleep(time.Second)
			first.accept(1)
			close(answered)
			time.Sleep(time.Second)
			first.arrive(1)
		}()
		began := time.Now()
		if lost, unknown := r.settle(t.Context(), answered); lost != 0 || unknown != 0 {
			t.Errorf("lost %d, unknown %d", lost, unknown)
		}
		if took := time.Since(began); took < 3*time.Second || took > 4*time.Second {
			t.Errorf("settled after %v", took)
		}
	})
}

// What was accepted and never comes is lost, what nobody answered for is unknown; both are waited for as long as the run may.
func TestWhatNeverComesIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := settling(1)
		m := r.members[0]
		for range 3 {
			m.begin(0, 0, 1)
		}
		m.accept(1)
		m.lose(2)
		if lost, unknown := r.settle(t.Context(), make(chan struct{})); lost != 1 || unknown != 2 {
			t.Errorf("lost %d, unknown %d; want 1 and 2", lost, unknown)
		}
		m.forsake(0) // the connection broke after all
		if lost, unknown := r.settle(t.Context(), make(chan struct{})); lost != 0 || unknown != 3 {
			t.Errorf("lost %d, unknown %d; want 0 and 3", lost, unknown)
		}
	})
}

// A flight that came out at one sequencer is missing where it did not, unless that sequencer is down.
func TestWhatCameOutSomewhereMustComeOutEverywhere(t *testing.T) {
	r := settling(1)
	r.config.Listen = 2
	r.network.sequencers = append(r.network.sequencers, &sequencer{})
	r.network.sequencers[1].up.Store(true)
	m := r.members[0]
	m.begin(0, 0, 2)
	m.lose(1)
	m.receipt(1, 0, false, 1)
	m.delivered(1, 0, 1)
	if lost, _ := m.remains(r); lost != 1 {
		t.Errorf("lost %d, want 1", lost)
	}
	for _, s := range r.network.sequencers {
		s.up.Store(s == r.network.sequencers[r.network.listening(m.home, 0)])
	}
	if lost, _ := m.remains(r); lost != 0 {
		t.Errorf("lost %d though the other sequencer is down", lost)
	}
}
