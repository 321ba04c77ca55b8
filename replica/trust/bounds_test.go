package trust_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/synod-network/synod/replica/trust"
)

// Whoever has least to be remembered for is forgotten first, and whom an operator protects last.
func TestWhoIsForgottenFirst(t *testing.T) {
	params := trust.DefaultParams()
	params.Peers = 7
	l := trust.New(params, self, 1)
	const protected, liar, banned, bannedShort, struck, bad, fair = 1, 2, 3, 4, 5, 6, 7
	now := minute
	junk(l, now, peer(struck), 10)
	now += 8 * minute // its ban is over, its strike is not
	l.Record(now, peer(fair), trust.Useful, "")
	junk(l, now, peer(bad), 2)
	l.Prove(now, peer(liar), trust.Equivocation, "two", []byte("proof"))
	for p, length := range map[int]trust.Duration{banned: 3 * trust.Hour, bannedShort: trust.Hour} {
		if err := l.Ban(now, peer(p), length, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Protect(now, peer(protected), true); err != nil {
		t.Fatal(err)
	}
	var order []int
	for newcomer := 100; len(order) < 7; newcomer++ {
		if err := l.Protect(now, peer(newcomer), true); err != nil {
			t.Fatal(err)
		}
		left := map[trust.Peer]bool{}
		for _, o := range l.Opinions(now) {
			left[o.Peer] = true
		}
		for p := protected; p <= fair; p++ {
			if !left[peer(p)] && !slices.Contains(order, p) {
				order = append(order, p)
			}
		}
		if len(left) != params.Peers {
			t.Fatalf("%d peers are remembered, want %d", len(left), params.Peers)
		}
	}
	if want := []int{fair, bad, struck, bannedShort, banned, liar, protected}; !slices.Equal(order, want) {
		t.Errorf("forgotten in the order %v, want %v", order, want)
	}
	if n := l.Counters().Unbans[trust.Forgotten]; n != 3 {
		t.Errorf("%d bans were forgotten, want 3", n)
	}
}

// A history keeps the last lines, and says each text short and harmless.
func TestHistoryIsBounded(t *testing.T) {
	l := net4(trust.Planted{})
	for i := range 50 {
		l.Record(1, peer(1), []trust.Action{trust.WrongEpoch, trust.EvictedBlock}[i%2], fmt.Sprintf("%d\x1b\u0085\xff%s", i, strings.Repeat("x", 300)))
	}
	history := l.Opinion(1, peer(1)).History
	if len(history) != 32 {
		t.Fatalf("%d lines", len(history))
	}
	for i, line := range history {
		if start := fmt.Sprintf("%d???xx", 18+i); !strings.HasPrefix(line.Detail, start) || !strings.HasSuffix(line.Detail, "xx...") || len(line.Detail) > 240 {
			t.Errorf("line %d has %d bytes and says %.8q, want %q", i, len(line.Detail), line.Detail, start)
		}
	}
}

// Every counter is there from the start, at 0, so that a rate over it is known at its first step.
func TestCountersBeginAtZero(t *testing.T) {
	c := net4(trust.Planted{}).Counters()
	for _, a := range trust.Actions() {
		effect, _ := trust.EffectOf(a)
		_, action := c.Actions[a]
		_, evidence := c.Evidence[a]
		_, bans := c.Bans[trust.BanKind{Reason: a, Origin: trust.Automatic}]
		if provable := effect.Class == trust.Provable; !action || evidence != provable || bans != (provable || effect.Class == trust.Blame) {
			t.Errorf("%s: counted %v, evidence %v, bans %v", a, action, evidence, bans)
		}
	}
	for _, u := range trust.UnbanCauses() {
		if _, there := c.Unbans[u]; !there {
			t.Errorf("no count of bans that ended by %s", u)
		}
	}
	for _, why := range []string{"protected", "self_suspect", "quorum_guard"} {
		if _, there := c.PutOff[why]; !there {
			t.Errorf("no count of bans put off by %s", why)
		}
	}
	if _, there := c.Bans[trust.BanKind{Reason: trust.Manual, Origin: trust.Operator}]; !there {
		t.Error("no count of bans by operators")
	}
}

// A stored state that no ledger can have is refused, whichever part of it was changed.
func TestImpossibleStatesAreRefused(t *testing.T) {
	l := net4(trust.Planted{})
	junk(l, minute, peer(1), 12)
	l.Prove(minute, peer(2), trust.Equivocation, "two", []byte("proof"))
	if err := told(3, int64(trust.Minute))(l, minute); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(l.State())
	if err != nil {
		t.Fatal(err)
	}
	const far = minute + trust.Instant(400*trust.Day)
	long := strings.Repeat("x", 241)
	for name, change := range map[string]func(s *trust.State){
		"a time before all":      func(s *trust.State) { s.Now = -1 },
		"a suspicion for long":   func(s *trust.State) { s.Suspect = s.Now + 5*minute + 1 },
		"a suspicion before all": func(s *trust.State) { s.Suspect = -1 },
		"a peer twice":           func(s *trust.State) { s.Peers[1].Peer, s.Peers[1].BannedBy = s.Peers[0].Peer, nil },
		"this node":              func(s *trust.State) { s.Peers[0].Peer = self },
		"a score below":          func(s *trust.State) { s.Peers[0].Score = -1.01 },
		"a score above":          func(s *trust.State) { s.Peers[0].Score = 1.01 },
		"scored ahead":           func(s *trust.State) { s.Peers[0].At = s.Now + 1 },
		"scored before all":      func(s *trust.State) { s.Peers[0].At = -1 },
		"lost ahead":             func(s *trust.State) { s.Peers[0].LossFrom = s.Now + 1 },
		"lost before all":        func(s *trust.State) { s.Peers[0].LossFrom = -1 },
		"lost less than nothing": func(s *trust.State) { s.Peers[0].Loss = -1 },
		"strikes below":          func(s *trust.State) { s.Peers[0].Strikes = -1 },
		"strikes above":          func(s *trust.State) { s.Peers[0].Strikes = 33 },
		"a strike far ahead":     func(s *trust.State) { s.Peers[0].StrikeEnd = far },
		"a strike before all":    func(s *trust.State) { s.Peers[0].StrikeEnd = -1 },
		"a ban from ahead":       func(s *trust.State) { s.Peers[0].Ban.From = s.Now + 1 },
		"a ban before all":       func(s *trust.State) { s.Peers[0].Ban.From = -1 },
		"a ban that ends first":  func(s *trust.State) { s.Peers[0].Ban.Until = s.Peers[0].Ban.From - 1 },
		"a ban for long":         func(s *trust.State) { s.Peers[0].Ban.Until = far },
		"a ban explained long":   func(s *trust.State) { s.Peers[0].Ban.Detail = long },
		"banned and protected":   func(s *trust.State) { s.Peers[0].Protected = true },
		"a long line":            func(s *trust.State) { s.Peers[0].History[0].Detail = long },
		"a long action":          func(s *trust.State) { s.Peers[0].History[0].Action = long },
		"many lines":             func(s *trust.State) { s.Peers[0].History = make([]trust.Line, 33) },
		"a long proof":           func(s *trust.State) { s.Peers[1].Evidence[0].Proof = make([]byte, 64<<10+1) },
		"a proof explained long": func(s *trust.State) { s.Peers[1].Evidence[0].Detail = long },
		"many proofs":            func(s *trust.State) { s.Peers[1].Evidence = make([]trust.Evidence, 5) },
		"told ahead":             func(s *trust.State) { s.Peers[2].BannedBy.At = s.Now + 1 },
		"told before all":        func(s *trust.State) { s.Peers[2].BannedBy.At = -1 },
		"told for no time":       func(s *trust.State) { s.Peers[2].BannedBy.Until = s.Peers[2].BannedBy.At - 1 },
		"told for long":          func(s *trust.State) { s.Peers[2].BannedBy.Until = far },
		"told by another":        func(s *trust.State) { s.Peers[2].BannedBy.Notice.By = peer(1) },
		"told no reason":         func(s *trust.State) { s.Peers[2].BannedBy.Notice.Reason = "" },
	} {
		var s trust.State
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatal(err)
		}
		if len(s.Peers) != 3 || s.Peers[0].Ban == nil || s.Peers[2].BannedBy == nil {
			t.Fatalf("the state lacks what is to be changed: %s", text)
		}
		if _, err := trust.Restore(trust.DefaultParams(), self, s, s.Now); err != nil {
			t.Fatalf("unchanged: %v", err)
		}
		change(&s)
		if _, err := trust.Restore(trust.DefaultParams(), self, s, s.Now); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
