package synchronizer_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/history"
	"github.com/synod-network/synod/sequencer/membership"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/sequencer/synchronizer"
	"github.com/synod-network/synod/topology"
)

const hour = 60 * sequencing.Minute

// delay is after how long a change is in force here.
const delay = 250 * sequencing.Millisecond

// alone is one sequencer of a network, and what shows its clock.
func alone(t *testing.T) (w *world, s *synchronizer.State, clock *sequencing.Time) {
	t.Helper()
	clock = new(sequencing.Time)
	w = newWorld(t, t, 0)
	w.clock = func() time.Time { return time.UnixMicro(int64(*clock)) }
	node := &sequencer{dir: t.TempDir()}
	w.nodes = append(w.nodes, node)
	w.open(node)
	t.Cleanup(w.close)
	return w, node.state, clock
}

// apply orders requests and applies them.
func (w *world) apply(requests ...[]byte) {
	w.t.Helper()
	w.block(requests...)
	w.follow(w.nodes[0], len(w.order))
}

func ordered(signed ...topology.SignedTransaction) (change, request []byte) {
	var encoded [][]byte
	for _, s := range signed {
		encoded = append(encoded, s.Encode())
	}
	change = membership.Encode(encoded...)
	return change, sequencing.Request{Body: &sequencing.TopologyChange{Transactions: change}}.Encode()
}

// refusal is the code by which a submission would be refused, 0 for none.
func refusal(s *synchronizer.State, submission *sequencing.Submission, key keys.PrivateKey) sequencing.Code {
	_, err := s.Check(submission, sequencing.Key(key.Public()))
	var r sequencing.Refusal
	errors.As(err, &r)
	return r.Code
}

// Between the order's time and the clock a change may come into force: who may send must hold by both.
func TestWhoMaySendHoldsByTheOrderAndByTheClock(t *testing.T) {
	w, s, clock := alone(t)
	w.apply(w.send(1, 2))
	w.apply(w.rekey(0))
	inForce := w.now - 1 + delay // the change is the last that was ordered
	for _, c := range []struct {
		name          string
		clock         sequencing.Time
		passes        sequencing.Time // of the order
		before, after sequencing.Code // by the key of before and of after
	}{
		{"the clock is behind", 0, 0, 0, sequencing.UnknownKey},
		{"just before", inForce - 1, 0, 0, sequencing.UnknownKey},
		{"by the clock alone", inForce, 0, sequencing.UnknownKey, sequencing.UnknownKey},
		{"by both", inForce, delay, sequencing.UnknownKey, 0},
		{"by the order alone", 0, 0, sequencing.UnknownKey, 0},
	} {
		if *clock = c.clock; c.passes > 0 {
			w.now += c.passes
			w.apply(w.send(1, 2))
		}
		for changes, want := range []sequencing.Code{c.before, c.after} {
			if got := refusal(s, w.submission(0, 1), membertest.Key(w.protocol(0, changes))); got != want {
				t.Errorf("%s, key %d: %v, want %v", c.name, changes, got, want)
			}
		}
	}
}

// What is right either by the order's time or by the clock is taken.
func TestAllElseHoldsByTheOrderOrByTheClock(t *testing.T) {
	w, s, clock := alone(t)
	w.apply(w.send(0, 1))
	late, early := w.submission(0, 1), w.submission(0, 1)
	late.MaxTime, early.MaxTime = w.now+sequencing.Second, w.now+hour
	stranger := *late
	stranger.Sender = membertest.ID(membertest.Participant("stranger"))
	key := membertest.Key(w.protocol(0, 0))
	for _, changing := range []bool{false, true} {
		if changing {
			w.apply(w.rekey(1))
		}
		*clock = w.now + hour - sequencing.Minute
		hopeless := *late
		hopeless.MaxTime = w.now - hour
		for name, try := range map[string]struct {
			submission *sequencing.Submission
			want       sequencing.Code
		}{
			"expired by the clock": {late, 0}, "too far ahead by the order": {early, 0},
			"expired by both": {&hopeless, sequencing.Expired}, "a stranger's": {&stranger, sequencing.UnknownMember},
		} {
			if got := refusal(s, try.submission, key); got != try.want {
				t.Errorf("%s, while a change is under way (%v): %v, want %v", name, changing, got, try.want)
			}
		}
	}
}

func TestWhoWaitsForAChangeIsToldOnce(t *testing.T) {
	w, s, _ := alone(t)
	change, request := ordered(w.network.Registration(t, membertest.Participant("dave"))...)
	other, _ := ordered(w.network.Registration(t, membertest.Participant("emil"))...)
	first, _ := s.AwaitChange(change)
	second, _ := s.AwaitChange(change)
	left, stop := s.AwaitChange(change)
	elsewhere, _ := s.AwaitChange(other)
	stop()
	at := w.now + sequencing.Millisecond
	w.apply(request)
	w.apply(request, request) // nobody has read yet, and nobody is waited for
	for name, c := range map[string]<-chan membership.Judgement{"the first": first, "the second": second} {
		if len(c) != 1 {
			t.Fatalf("%s was told %d times", name, len(c))
		}
		if j := <-c; j.At != at || j.InForce != at+delay || !slices.Equal(j.Rejections, []*topology.Rejection{nil, nil, nil}) || string(j.Change) != string(change) {
			t.Errorf("%s was told %+v", name, j)
		}
	}
	if len(left)+len(elsewhere) != 0 {
		t.Error("one was told who had left, or waits for another")
	}
	w.apply(request)
	if j := <-second; len(j.Rejections) != 3 || j.Rejections[0] == nil || j.Rejections[0].Code != topology.CodeAlreadyApplied {
		t.Errorf("of the repetition it was told %+v", j)
	}
}

func TestWatchersAreWokenByWhatConcernsThem(t *testing.T) {
	w, s, _ := alone(t)
	joins, _ := s.Watch(sequencing.Nobody)
	woken := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	w.apply(w.send(0, 1)) // alice and bob join by it
	if !woken(joins) {
		t.Error("who watches for newcomers sleeps")
	}
	var watches []<-chan struct{}
	var stops []func()
	for i := range 2 {
		m, _ := s.Member(membertest.ID(w.members[i]))
		for range 2 {
			c, stop := s.Watch(m.Index)
			watches, stops = append(watches, c), append(stops, stop)
		}
	}
	stops[3]()
	for _, c := range []struct {
		name  string
		apply func()
		want  []bool // of alice twice, bob, and bob who left; then of newcomers
	}{
		{"alice to herself", func() { w.apply(w.send(0, 0)) }, []bool{true, true, false, false, false}},
		{"nothing", func() { w.apply() }, []bool{false, false, false, false, false}},
		{"bob to alice, twice", func() { w.apply(w.send(1, 0), w.send(1, 0)); w.apply(w.send(1, 0)) }, []bool{true, true, true, false, false}},
		{"bob to carol, who joins", func() { w.apply(w.send(1, 2)) }, []bool{false, false, true, false, true}},
		{"to everybody; the sequencer joins", func() { w.apply(w.send(2, 3)) }, []bool{true, true, true, false, true}},
	} {
		c.apply()
		for i, watch := range append(watches, joins) {
			if got := woken(watch); got != c.want[i] {
				t.Errorf("%s: watch %d woken %v", c.name, i, got)
			}
			if woken(watch) {
				t.Errorf("%s: watch %d has two signals", c.name, i)
			}
		}
	}
}

// What was accepted and is not in force yet can be told from what is.
func TestWhatIsComing(t *testing.T) {
	w, s, clock := alone(t)
	restrict := topology.DefaultParameters(w.network.Synchronizer)
	restrict.Traffic, restrict.Onboarding.Mode = topology.Traffic{Window: restrict.Traffic.Window}, topology.Restricted
	_, request := ordered(w.network.Sign(t, topology.Add(2, restrict), "owner"))
	newcomer := w.network.Registration(t, membertest.Participant("dave"))
	at := w.now + sequencing.Millisecond
	mode := func(of func(func(topology.Snapshot))) (m topology.Mode) {
		of(func(view topology.Snapshot) { m = view.Parameters().Onboarding.Mode })
		return m
	}
	check := func(say string, settled sequencing.Time, now, coming topology.Mode, serial topology.Serial) {
		t.Helper()
		if got := s.Settled(); got != settled {
			t.Errorf("%s: settled at %d, want %d", say, got, settled)
		}
		if mode(s.Topology) != now || mode(s.ComingTopology) != coming || s.TopologySerial(restrict.Key()) != serial {
			t.Errorf("%s: now %s, coming %s, serial %d", say, mode(s.Topology), mode(s.ComingTopology), s.TopologySerial(restrict.Key()))
		}
	}
	founded := sequencing.Time(membertest.Began)
	check("founded", founded, topology.Unrestricted, topology.Unrestricted, 1)
	w.apply(request)
	check("accepted", 0, topology.Unrestricted, topology.Restricted, 2)
	if s.TopologyChanged() != at {
		t.Errorf("changed at %d, want %d", s.TopologyChanged(), at)
	}
	if rejections, _ := s.CheckTopology(newcomer...); rejections[0] != nil {
		t.Errorf("before it is in force: %v", rejections)
	}
	w.now += delay
	w.apply()
	check("in force", at+delay, topology.Restricted, topology.Restricted, 2)
	if rejections, again := s.CheckTopology(newcomer...); rejections[0] == nil || again != 0 {
		t.Errorf("in force: %v, again at %d", rejections, again)
	}

	open := restrict
	open.Onboarding.Mode = topology.Unrestricted
	_, request = ordered(w.network.Sign(t, topology.Add(3, open), "owner"))
	at = w.now + sequencing.Millisecond
	w.apply(request)
	*clock = at + delay - 1
	if rejections, again := s.CheckTopology(newcomer...); rejections[0] == nil || again != at+delay {
		t.Errorf("opening: %v, again at %d, want %d", rejections, again, at+delay)
	}
	bad := w.network.Sign(t, topology.Add(9, open), "owner") // refused whenever it comes
	if rejections, again := s.CheckTopology(bad); rejections[0] == nil || again != 0 {
		t.Errorf("bad: %v, again at %d", rejections, again)
	}
	*clock = at + delay
	if rejections, again := s.CheckTopology(newcomer...); rejections[0] != nil || again != 0 {
		t.Errorf("open by the clock: %v, again at %d", rejections, again)
	}
}

// What the owners set for the engine goes into the hand-over once it is in force, and not before.
func TestTheNextEpochHasWhatTheOwnersSet(t *testing.T) {
	w, s, _ := alone(t)
	set := topology.DefaultParameters(w.network.Synchronizer)
	set.Ordering.EpochDuration, set.Ordering.LeaderTimeout = 7*bft.Second, 300*bft.Millisecond
	set.Traffic = topology.Traffic{Window: set.Traffic.Window}
	_, request := ordered(w.network.Sign(t, topology.Add(2, set), "owner"))
	w.apply(request)
	ends := func(say string, want bft.Params) {
		t.Helper()
		ended, err := s.EndEpoch()
		if err != nil || ended.Params != want {
			t.Errorf("%s: next come %+v, %v; want %+v", say, ended.Params, err, want)
		}
	}
	ends("accepted", bft.DefaultParams())
	w.now += delay
	w.apply()
	ends("in force", set.Ordering)
}

func TestDecidersAreCountedByTheirKeys(t *testing.T) {
	w, s, _ := alone(t)
	key := sequencing.Key(membertest.Protocol(w.network.Sequencers[0]).Public())
	for name, c := range map[string]struct {
		by   []sequencing.Key
		have int
	}{"nobody": {nil, 0}, "the sequencer": {[]sequencing.Key{{1}, key}, 1}, "twice": {[]sequencing.Key{key, key}, 1}, "another": {[]sequencing.Key{{1}}, 0}} {
		if have, needed := s.Deciders(c.by); have != c.have || needed != 1 {
			t.Errorf("%s: %d of %d", name, have, needed)
		}
	}
	w.apply()
	for name, want := range map[string]bool{"alice": true, "dave": false} {
		if got := s.Active(membertest.ID(membertest.Participant(name))); got != want {
			t.Errorf("%s is active: %v", name, got)
		}
	}
}

// A folder of one network is not taken for that of another, whatever it keeps.
func TestAnotherNetworksFolderIsRefused(t *testing.T) {
	w, s, _ := alone(t)
	w.end()
	w.follow(w.nodes[0], len(w.order))
	if err := s.Keep(w.nodes[0].snapshot); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	other := membertest.Found(t, membertest.Plan{Participants: []string{"mallory"}})
	config := synchronizer.Config{Dir: w.nodes[0].dir, Founding: other.Genesis, Network: w.network.ID, Verify: verifier()}
	if _, err := synchronizer.Open(config); err == nil || !strings.Contains(err.Error(), "another network") {
		t.Errorf("founded otherwise: %v", err)
	}
	config.Founding, config.Network = w.network.Genesis, sequencing.NetworkID{99}
	if _, err := synchronizer.Open(config); !errors.Is(err, history.ErrNetwork) {
		t.Errorf("another network id: %v", err)
	}
	w.open(w.nodes[0])
	if w.nodes[0].applied != len(w.order) {
		t.Errorf("what was kept is of block %d, want %d", w.nodes[0].applied, len(w.order))
	}
}

// A state with one piece that is not what was agreed on is not taken over, whoever failed to check it.
func TestADamagedStateIsNotInstalled(t *testing.T) {
	w := newWorld(t, t, 2)
	defer w.close()
	w.block(w.send(0, 1), w.rekey(2))
	w.end()
	from, to := w.nodes[0], w.nodes[1]
	w.follow(from, len(w.order))
	pieces, err := to.state.Verify(from.digest, from.snapshot.Manifest())
	if err != nil {
		t.Fatal(err)
	}
	for damaged := range pieces.Count() {
		piece := func(i int) ([]byte, error) {
			data, err := from.snapshot.Piece(i)
			if err == nil && i == damaged {
				data = slices.Clone(data)
				data[len(data)-1] ^= 1
			}
			return data, err
		}
		if _, err := to.state.Install(from.snapshot.Manifest(), piece); err == nil {
			t.Errorf("piece %d of %d is damaged, and installed", damaged, pieces.Count())
		}
		gone := func(i int) ([]byte, error) {
			if i == damaged {
				return nil, errors.New("gone")
			}
			return from.snapshot.Piece(i)
		}
		if _, err := to.state.Install(from.snapshot.Manifest(), gone); err == nil {
			t.Errorf("piece %d of %d is gone, and installed", damaged, pieces.Count())
		}
	}
	if _, err := to.state.Install(from.snapshot.Manifest()[1:], from.snapshot.Piece); err == nil {
		t.Error("by a manifest that is none")
	}
	w.follow(to, len(w.order)) // as if nothing had been
	if to.state.Position() != from.state.Position() || to.digest != from.digest {
		t.Error("what was refused left something behind")
	}
}

// Every question lets go of the state: the order goes on.
func TestQuestionsDoNotHoldTheOrderUp(t *testing.T) {
	w, s, _ := alone(t)
	w.apply(w.send(0, 1))
	alice, sequencer := membertest.ID(w.members[0]), membertest.ID(w.network.Sequencers[0])
	for name, ask := range map[string]func() bool{
		"members": func() bool { n := 0; s.Members(func(sequencing.Member) bool { n++; return n < 2 }); return n == 2 },
		"member":  func() bool { m, ok := s.Member(alice); _, no := s.Member(sequencer); return ok && m.ID == alice && !no },
		"traffic": func() bool {
			_, at, ok := s.Traffic(alice)
			_, _, no := s.Traffic(sequencer)
			return ok && at == s.Time() && !no
		},
		"onboarding": func() bool {
			n := 0
			usage, at := s.Onboarding(func(topology.Holding) bool { n++; return true })
			return n == 4 && usage.Namespaces == 4 && at == s.Time() // of three members and the sequencer
		},
		"balances": func() bool {
			n := 0
			rules, at := s.Balances(func(_ sequencing.Member, _ sequencing.Traffic, free bool) bool { n++; return !free })
			return n == 2 && rules == (sequencing.TrafficRules{}) && at == s.Time()
		},
		"topology": func() bool { called := false; s.Topology(func(topology.Snapshot) { called = true }); return called },
		"what comes": func() bool {
			called := false
			s.ComingTopology(func(topology.Snapshot) { called = true })
			return called
		},
		"encoding":      func() bool { _, _, at, err := s.EncodeTopology(); return err == nil && at == s.Time() },
		"pruning point": func() bool { return s.PruningPoint() < s.Time() },
		"pruning": func() bool {
			return errors.Is(s.Prune(s.Time()), sequencing.ErrNeeded) && s.Pruned() == 0 && s.Prune(s.PruningPoint()) == nil && s.Pruned() == s.PruningPoint()
		},
	} {
		if !ask() {
			t.Errorf("%s: another answer", name)
		}
		w.apply(w.send(0, 1))
	}
}
