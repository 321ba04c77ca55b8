package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/synod-network/synod/bft"
)

// whispering is a world in which one member sees that another one lies, and no honest block will ever refer to what proves it.
func whispering(seed uint64, nodes int, faults ...Fault) *World {
	o := Options{Seed: seed, Nodes: nodes, Load: 20, Params: quick(3*bft.Second, 300, 100), Duration: 20 * time.Second, Faults: append(Faults{ByzWhisper}, faults...)}
	w := newWorld(o.resolve())
	w.chooseLiars()
	for _, m := range w.members {
		w.later(w.between(0, 200*bft.Millisecond), m.start)
		w.startClients(m)
	}
	if len(faults) > 0 {
		w.startChaos()
	}
	return w
}

// proving counts the honest members that have stored evidence against a liar, and fails if one has two pieces for an epoch.
func (w *World) proving(t *testing.T) (n int) {
	t.Helper()
	w.honest(func(m *member) bool {
		seen := map[string]bool{}
		for _, v := range m.disk.image.evidence {
			key := fmt.Sprint(v.Member, v.Epoch)
			if liar := w.byKey[v.Member]; liar == nil || liar.liar == nil || seen[key] {
				t.Errorf("seed %d: member %s has evidence of epoch %d against %v, twice or against an honest one", w.opts.Seed, m.name, v.Epoch, v.Member)
			}
			seen[key] = true
		}
		if len(seen) > 0 {
			n++
		}
		return true
	})
	return n
}

func (w *World) honestCount() (n int) {
	w.honest(func(*member) bool { n++; return true })
	return n
}

// TestWhatOneCanProveAllCan: evidence that only one member can find reaches all within the time of a few messages, or, where
// messages are lost, by the beginning of the next epoch; once it has, nobody talks about it, and restarts change nothing.
func TestWhatOneCanProveAllCan(t *testing.T) {
	for _, world := range []struct {
		nodes  int
		within bft.Time
		faults []Fault
	}{
		{4, 500 * bft.Millisecond, nil},
		{7, 500 * bft.Millisecond, nil},
		{4, 9 * bft.Second, []Fault{Drop}},
	} {
		t.Run(fmt.Sprintf("%d members %v", world.nodes, Faults(world.faults)), func(t *testing.T) {
			for seed := range uint64(3) {
				w := whispering(seed+1, world.nodes, world.faults...)
				w.run(20*bft.Second, func() bool { return w.proving(t) > 0 })
				found := w.now
				w.run(found+world.within, func() bool { return w.proving(t) == w.honestCount() })
				if n := w.proving(t); n != w.honestCount() || w.failure != nil {
					t.Fatalf("seed %d: %v after the first, %d of %d honest members have evidence; %v", seed+1, virtual(w.now-found), n, w.honestCount(), w.failure)
				}
				// All stop at once and come back: what is stored is passed on, known and not stored again.
				for _, m := range w.members {
					m.stop(0)
					w.later(w.between(0, 300*bft.Millisecond), m.start)
				}
				w.run(w.now+2*bft.Second, nil)
				if n := w.proving(t); n != w.honestCount() || w.failure != nil {
					t.Errorf("seed %d: after a restart %d of %d; %v", seed+1, n, w.honestCount(), w.failure)
				}
			}
		})
	}
}

// TestEvidenceThatIsKeptIsNoticed plants the bug that the test above looks for.
func TestEvidenceThatIsKeptIsNoticed(t *testing.T) {
	w := whispering(1, 4)
	w.opts.Rules.KeepEvidence = true
	w.run(4*bft.Second, nil)
	if n := w.proving(t); n != 1 {
		t.Errorf("%d members have evidence, want the one that saw both blocks", n)
	}
}
