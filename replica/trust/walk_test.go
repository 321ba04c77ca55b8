package trust_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/synod-network/synod/bft/quorum"
	"github.com/synod-network/synod/replica/trust"
)

func peer(i int) trust.Peer { return trust.Peer{byte(i >> 8), byte(i), 7} }

var self = peer(0)

// chooser is where a walk takes its choices from: rapid, which shrinks what fails, or a seed.
type chooser interface{ below(n int) int }

type seeded struct{ *rand.Rand }

func (s seeded) below(n int) int { return s.IntN(n) }

type shrinking struct{ *rapid.T }

func (s shrinking) below(n int) int { return rapid.IntRange(0, n-1).Draw(s.T, "choice") }

// world is a ledger under a random walk, with what the walk knows of it.
type world struct {
	chooser
	params  trust.Params
	planted trust.Planted
	ledger  *trust.Ledger
	now     trust.Instant
	members []trust.Peer
	linked  map[trust.Peer]bool
	// lacking is since when a quorum of unbanned members lacks, by the walk's own count; 0 if it does not.
	lacking trust.Instant
	// blamed is what blame cost each member, and when.
	blamed []blamed
	// suspects is whether this node suspected itself after the last step.
	suspects bool
	started  map[trust.Peer]trust.Instant // automatic bans of members, by their start
}

type blamed struct {
	peer trust.Peer
	at   trust.Instant
	cost float64
}

func newWorld(c chooser, planted trust.Planted) *world {
	w := &world{chooser: c, planted: planted, params: trust.DefaultParams(), linked: map[trust.Peer]bool{}, started: map[trust.Peer]trust.Instant{}, now: 1}
	w.params.Peers = 12
	w.ledger = trust.New(w.params, self, w.now)
	w.ledger.Plant(planted)
	w.setMembers(1 + w.below(10))
	return w
}

func (w *world) setMembers(n int) {
	w.members = nil
	for i := range n {
		w.members = append(w.members, peer(i))
	}
	w.ledger.SetMembers(w.now, w.members)
}

func (w *world) somebody() trust.Peer { return peer(1 + w.below(16)) }

// pause is mostly short, now and then longer than any window.
func (w *world) pause() trust.Duration {
	return [...]trust.Duration{0, 1, trust.Second, 9 * trust.Second, trust.Minute, 10 * trust.Minute, 3 * trust.Hour, 40 * trust.Day}[w.below(8)]
}

func (w *world) step() {
	switch w.below(12) {
	default:
		w.act(w.somebody(), trust.Actions()[w.below(len(trust.Actions()))], 1+w.below(12))
	case 5:
		w.now += trust.Instant(w.pause())
		w.ledger.Tick(w.now)
	case 6:
		w.setMembers(1 + w.below(10))
	case 7:
		_ = w.ledger.Ban(w.now, w.somebody(), trust.Duration(w.below(3))*trust.Hour, "by hand")
	case 8:
		w.ledger.Unban(w.now, w.somebody())
	case 9:
		_ = w.ledger.Protect(w.now, w.somebody(), w.below(3) == 0)
	case 10, 11:
		p, up := w.somebody(), w.below(4) > 0
		w.linked[p] = up
		w.ledger.SetLinked(w.now, p, up)
	}
}

func (w *world) act(p trust.Peer, a trust.Action, times int) {
	effect, _ := trust.EffectOf(a)
	for range times {
		if effect.Class == trust.Provable {
			w.ledger.Prove(w.now, p, a, "proven", []byte("proof"))
			continue
		}
		if effect.Class == trust.Blame {
			w.blamed = append(w.blamed, blamed{p, w.now, -effect.Step})
		}
		w.ledger.Record(w.now, p, a, "seen")
	}
}

// check returns what is wrong with the ledger now.
func (w *world) check() error {
	defer func() { _, w.suspects = w.ledger.SelfSuspect(w.now) }()
	opinions := w.ledger.Opinions(w.now)
	kept, reach := 0, map[trust.Peer]bool{self: true}
	for _, m := range w.members {
		if w.linked[m] {
			reach[m] = true
		}
	}
	_, suspects := w.ledger.SelfSuspect(w.now)
	for _, o := range opinions {
		if !(o.Score >= -1 && o.Score <= 1) {
			return fmt.Errorf("%s has score %g", o.Peer, o.Score)
		}
		if o.Protected && (o.Standing != trust.Welcome || o.Ban != nil) {
			return fmt.Errorf("protected %s is %s", o.Peer, o.Standing)
		}
		if o.Ban != nil {
			delete(reach, o.Peer)
		}
		if o.Standing == trust.Banned && o.Member {
			kept++
		}
		if o.Ban != nil && o.Ban.Origin == trust.Automatic && o.Ban.From == w.now && w.started[o.Peer] != o.Ban.From {
			if suspects && w.suspects {
				return fmt.Errorf("%s was banned by a node that suspects itself", o.Peer)
			}
			w.started[o.Peer] = o.Ban.From
		}
	}
	if f := quorum.Faults(len(w.members)); kept > f {
		return fmt.Errorf("%d of %d members are kept out, at most %d may be", kept, len(w.members), f)
	}
	if w.ledger.State().Now > 0 && len(w.ledger.State().Peers) > w.params.Peers {
		return fmt.Errorf("%d peers are remembered, at most %d", len(w.ledger.State().Peers), w.params.Peers)
	}
	switch lacks := len(reach) < quorum.Size(len(w.members)); {
	case !lacks:
		w.lacking = 0
	case w.lacking == 0:
		w.lacking = w.now
	case w.now-w.lacking > trust.Instant(w.params.QuorumGrace) && kept > 0:
		return fmt.Errorf("%d members are kept out while %d of %d are in reach", kept, len(reach), len(w.members))
	}
	return nil
}

// unbanned checks that nothing of a peer's past is left once it is cleared.
func (w *world) unbanned() error {
	p := w.somebody()
	w.ledger.Unban(w.now, p)
	o := w.ledger.Opinion(w.now, p)
	if o.Score != 0 || o.Standing != trust.Welcome || o.Ban != nil || o.Strikes != 0 || o.PutOff != "" || len(o.History) > 1 {
		return fmt.Errorf("after unban %s is %+v", p, o)
	}
	return nil
}

// restarted returns the world as a restart at this moment would leave it.
func (w *world) restarted() (*world, error) {
	text, err := json.Marshal(w.ledger.State())
	if err != nil {
		return nil, err
	}
	var s trust.State
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, err
	}
	again := *w
	if again.ledger, err = trust.Restore(w.params, self, s, w.now); err != nil {
		return nil, err
	}
	again.ledger.Plant(w.planted)
	again.linked = map[trust.Peer]bool{}
	return &again, nil
}

// walk takes a ledger through a random life and returns the first thing that is wrong.
func walk(c chooser, planted trust.Planted) error {
	w := newWorld(c, planted)
	for range 10 + w.below(60) {
		w.step()
		if err := w.check(); err != nil {
			return err
		}
		if w.below(8) == 0 {
			if err := w.unbanned(); err != nil {
				return err
			}
		}
		if w.below(8) == 0 {
			again, err := w.restarted()
			if err != nil {
				return fmt.Errorf("the state is refused: %w", err)
			}
			if got, want := text(again.ledger), plain(w); got != want {
				return fmt.Errorf("after a restart the state is\n%s\nwant\n%s", got, want)
			}
		}
	}
	return nil
}

// plain is the state of a world's ledger with all rules in force.
func plain(w *world) string {
	w.ledger.Plant(trust.Planted{})
	defer w.ledger.Plant(w.planted)
	return text(w.ledger)
}

func text(l *trust.Ledger) string {
	text, err := json.Marshal(l.State())
	if err != nil {
		panic(err)
	}
	return string(text)
}

func TestRandomLives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if err := walk(shrinking{t}, trust.Planted{}); err != nil {
			t.Fatal(err)
		}
	})
}

// A restart changes nothing of what happens afterwards.
func TestRestartIsNoRestart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(shrinking{t}, trust.Planted{})
		for range 40 {
			w.step()
		}
		w.setMembers(10)
		for _, m := range w.members {
			w.ledger.SetLinked(w.now, m, true)
		}
		w.now += trust.Instant(trust.Minute) // links are settled
		w.ledger.Tick(w.now)
		again, err := w.restarted()
		if err != nil {
			t.Fatal(err)
		}
		again.ledger.SetMembers(w.now, w.members)
		for _, m := range w.members {
			again.ledger.SetLinked(w.now, m, true)
		}
		for range 40 {
			p, a := w.somebody(), trust.Actions()[w.below(len(trust.Actions()))]
			w.now += trust.Instant(w.pause())
			for _, l := range []*trust.Ledger{w.ledger, again.ledger} {
				for range 6 {
					l.Record(w.now, p, a, "seen")
				}
			}
		}
		if got, want := text(again.ledger), text(w.ledger); got != want {
			t.Fatalf("with a restart the state is\n%s\nwithout\n%s", got, want)
		}
	})
}

// An action at the pace that is forgiven, or slower, never bans, however long it goes on.
func TestForgivenPaceNeverBans(t *testing.T) {
	params := trust.DefaultParams()
	rapid.Check(t, func(t *rapid.T) {
		action := rapid.SampledFrom(trust.Actions()).Draw(t, "action")
		effect, _ := trust.EffectOf(action)
		pause, ok := params.Forgiven(effect)
		if !ok {
			return
		}
		l := trust.New(params, self, 1)
		now := trust.Instant(1)
		extra := rapid.Int64Range(0, int64(trust.Hour)).Draw(t, "extra")
		for i := range 5000 {
			now += trust.Instant(pause)
			if i%3 == 0 {
				now += trust.Instant(extra)
			}
			l.Record(now, peer(1), action, "")
			if l.Standing(now, peer(1)) == trust.Banned {
				t.Fatalf("banned after %d times %s every %d µs", i+1, action, pause)
			}
		}
	})
	// And twice the pace of what only the bottom bounds does ban.
	for _, action := range trust.Actions() {
		effect, _ := trust.EffectOf(action)
		pause, ok := params.Forgiven(effect)
		if !ok || pause == 0 {
			continue
		}
		l, now := trust.New(params, self, 1), trust.Instant(1)
		for range 1000 {
			now += trust.Instant(pause / 2)
			l.Record(now, peer(1), action, "")
		}
		if l.Counters().Bans[trust.BanKind{Reason: action, Origin: trust.Automatic}] == 0 {
			t.Errorf("%s at twice the forgiven pace is not banned", action)
		}
	}
}

// Each rule that is left out is missed by a walk or by one of the stories.
func TestPlantedBugsAreFound(t *testing.T) {
	for name, planted := range trust.Plants() {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(4000) {
				if walk(seeded{rand.New(rand.NewPCG(seed, 1))}, planted) != nil || stories(planted) != nil {
					return
				}
			}
			t.Error("nothing notices")
		})
	}
	if err := stories(trust.Planted{}); err != nil {
		t.Errorf("with all rules in force: %v", err)
	}
}
