package trust_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/synod-network/synod/replica/trust"
)

const minute = trust.Instant(trust.Minute)

// net4 is a ledger in a network of four in which all are connected.
func net4(planted trust.Planted) *trust.Ledger {
	l := trust.New(trust.DefaultParams(), self, 1)
	l.Plant(planted)
	l.SetMembers(1, []trust.Peer{peer(0), peer(1), peer(2), peer(3)})
	for i := 1; i < 4; i++ {
		l.SetLinked(1, peer(i), true)
	}
	return l
}

func junk(l *trust.Ledger, at trust.Instant, p trust.Peer, times int) {
	for range times {
		l.Record(at, p, trust.JunkFrame, "junk")
	}
}

// stories returns the first story that does not go as it should.
func stories(planted trust.Planted) error {
	for name, story := range map[string]func(trust.Planted) error{
		"self-suspicion": suspicion, "time that goes back": backwards,
	} {
		if err := story(planted); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// Two of three peers look bad within a minute: the ban of the first is taken back, the second is not banned.
func suspicion(planted trust.Planted) error {
	l := net4(planted)
	junk(l, 10, peer(1), 10)
	if l.Standing(10, peer(1)) != trust.Banned {
		return errors.New("ten junk frames do not ban")
	}
	junk(l, 20, peer(2), 10)
	if _, suspects := l.SelfSuspect(20); !suspects {
		return errors.New("this node does not suspect itself")
	}
	for i := 1; i < 3; i++ {
		if s := l.Standing(20, peer(i)); s == trust.Banned {
			return fmt.Errorf("peer %d is %s", i, s)
		}
	}
	junk(l, 30, peer(3), 50)
	if o := l.Opinion(30, peer(3)); o.Score != 0 || o.Standing != trust.Welcome {
		return fmt.Errorf("while this node suspects itself, a peer got %+v", o)
	}
	if _, suspects := l.SelfSuspect(30 + 6*minute); suspects {
		return errors.New("the suspicion does not end")
	}
	return nil
}

func backwards(planted trust.Planted) error {
	l := net4(planted)
	junk(l, 10*minute, peer(1), 5)
	before := l.Opinion(10*minute, peer(1)).Score
	l.Tick(0)
	if l.State().Now != 10*minute {
		return errors.New("the clock went back")
	}
	if after := l.Opinion(10*minute, peer(1)).Score; after != before {
		return fmt.Errorf("the score went from %g to %g", before, after)
	}
	return nil
}

// A sender of junk is limited, then banned, then on probation, and banned for twice as long the next time.
func TestLimitedThenBannedThenLonger(t *testing.T) {
	l := net4(trust.Planted{})
	now := trust.Instant(1)
	standings := []trust.Standing{}
	for range 10 {
		junk(l, now, peer(1), 1)
		standings = append(standings, l.Standing(now, peer(1)))
	}
	if got, want := fmt.Sprint(standings), "[welcome welcome welcome welcome limited limited limited limited limited banned]"; got != want {
		t.Errorf("standings %s, want %s", got, want)
	}
	first, second := length(t, l, now), trust.Instant(0)
	now += first
	if s := l.Standing(now, peer(1)); s != trust.Limited {
		t.Errorf("after the ban the peer is %s, want it on probation", s)
	}
	junk(l, now, peer(1), 5)
	second = length(t, l, now)
	if ratio := float64(second) / float64(first); ratio < 1.6 || ratio > 2.5 {
		t.Errorf("bans of %d and %d µs, want the second twice as long, give or take the jitter", first, second)
	}
	for range 20 {
		now += second
		junk(l, now, peer(1), 20)
		second = length(t, l, now)
	}
	if longest := trust.Instant(trust.DefaultParams().LongestBan); second > longest || second < longest*8/10 {
		t.Errorf("the longest ban takes %d µs, want about 30 days", second)
	}
	// A month without a strike, and it begins anew.
	now += second + trust.Instant(31*trust.Day)
	junk(l, now, peer(1), 20)
	if again := length(t, l, now); again > 6*minute {
		t.Errorf("after a month without strikes a ban takes %d µs", again)
	}
}

func length(t *testing.T, l *trust.Ledger, now trust.Instant) trust.Instant {
	t.Helper()
	b, ok := l.Banned(now, peer(1))
	if !ok {
		t.Fatalf("the peer is not banned: %+v", l.Opinion(now, peer(1)))
	}
	return b.Until - b.From
}

// What may be nobody's fault has no consequence, in whatever amount.
func TestAmbiguousNeverLimits(t *testing.T) {
	l := net4(trust.Planted{})
	for _, a := range []trust.Action{trust.LostLink, trust.LeaderTimeout, trust.EvictedBlock, trust.WrongEpoch} {
		for range 10_000 {
			l.Record(1, peer(1), a, "")
		}
	}
	if o := l.Opinion(1, peer(1)); o.Standing != trust.Welcome || o.Score < -0.31 {
		t.Errorf("the peer is %s with score %g", o.Standing, o.Score)
	}
}

// Credit is small, and does not make up for faults.
func TestCreditDoesNotBuyOff(t *testing.T) {
	l := net4(trust.Planted{})
	for range 1000 {
		l.Record(1, peer(1), trust.Useful, "")
	}
	if got := l.Opinion(1, peer(1)).Score; got != 0.25 {
		t.Errorf("credit of %g, want at most 0.25", got)
	}
	l.Record(1, peer(1), trust.JunkFrame, "")
	l.Record(1, peer(2), trust.JunkFrame, "")
	for range 1000 {
		l.Record(1, peer(2), trust.Useful, "")
	}
	if got := l.Opinion(1, peer(2)).Score; got != -0.1 {
		t.Errorf("a fault was bought off: %g", got)
	}
	l.Prove(1, peer(1), trust.Equivocation, "two blocks", nil)
	if got := l.Opinion(1, peer(1)); got.Score != -1 || got.Standing != trust.Banned {
		t.Errorf("a proven liar has %+v", got)
	}
}

// With one of four members down, a second one is not kept out, however bad, only slowed; and when one goes down after the
// ban, the ban is put on hold until it is back.
func TestQuorumGuard(t *testing.T) {
	l := net4(trust.Planted{})
	l.SetLinked(1, peer(3), false)
	junk(l, 1, peer(1), 20)
	if s := l.Standing(1, peer(1)); s != trust.Limited || l.Counters().QuorumGuard != 1 {
		t.Fatalf("the peer is %s, guarded %d times", s, l.Counters().QuorumGuard)
	}
	if err := l.Ban(1, peer(1), 0, "out"); !errors.Is(err, trust.ErrQuorumGuard) {
		t.Errorf("an operator's ban: %v", err)
	}
	l.SetLinked(2, peer(3), true)
	if s := l.Standing(2, peer(1)); s != trust.Banned {
		t.Fatalf("once all are back, the peer is %s", s)
	}
	if l.SetLinked(2, peer(1), false); l.Standing(2, peer(1)) != trust.Banned {
		t.Error("its own link does not matter")
	}
	now := minute
	l.Tick(now)
	l.SetLinked(now, peer(2), false)
	if l.Standing(now, peer(1)) != trust.Banned {
		t.Error("a link that breaks for a moment must change nothing")
	}
	now += 11e6
	if o := l.Opinion(now, peer(1)); o.Standing != trust.Limited || !o.OnHold {
		t.Errorf("while a quorum lacks the peer is %s", o.Standing)
	}
	l.SetLinked(now, peer(2), true)
	now += 11e6
	if s := l.Standing(now, peer(1)); s != trust.Banned {
		t.Errorf("with the quorum back the peer is %s", s)
	}
	l.SetMembers(now, []trust.Peer{peer(0), peer(1), peer(2)})
	if s := l.Standing(now, peer(1)); s == trust.Banned {
		t.Error("a committee of three bears no fault, and yet one is kept out")
	}
}

func TestProtectedPeerIsNotBanned(t *testing.T) {
	l := net4(trust.Planted{})
	junk(l, 1, peer(1), 20)
	if err := l.Protect(1, peer(1), true); err != nil {
		t.Fatal(err)
	}
	junk(l, 1, peer(1), 20)
	l.Prove(1, peer(1), trust.Equivocation, "", nil)
	if s := l.Standing(1, peer(1)); s != trust.Welcome {
		t.Errorf("the protected peer is %s", s)
	}
	if err := l.Ban(1, peer(1), 0, ""); !errors.Is(err, trust.ErrProtected) {
		t.Errorf("an operator's ban: %v", err)
	}
}

func TestNoticeIsCanonical(t *testing.T) {
	n := trust.Notice{By: peer(1), To: self, Issued: 5, Until: 10, Reason: "junk_frame", Detail: "because"}
	got, err := trust.DecodeNotice(n.Encode())
	if err != nil || got != n {
		t.Errorf("%+v became %+v, %v", n, got, err)
	}
	for _, bad := range []trust.Notice{
		{By: peer(1), Issued: 5, Until: 4, Reason: "x"}, {By: peer(1), Until: 1 << 60, Reason: "x"}, {By: peer(1)},
		{By: peer(1), Reason: strings.Repeat("x", 300)}, {By: peer(1), Reason: "x", Detail: "\x1b[2J"}, {By: peer(1), Reason: "\xff"},
	} {
		if _, err := trust.DecodeNotice(bad.Encode()); err == nil {
			t.Errorf("%+v is taken for a notice", bad)
		}
	}
}

func FuzzNotice(f *testing.F) {
	f.Add(trust.Notice{By: peer(1), To: self, Issued: 5, Until: 10, Reason: "junk_frame", Detail: "because"}.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := trust.DecodeNotice(b)
		if err == nil && string(n.Encode()) != string(b) {
			t.Errorf("%x has another encoding", b)
		}
	})
}

func FuzzState(f *testing.F) {
	l := net4(trust.Planted{})
	junk(l, 1, peer(1), 12)
	l.Prove(2, peer(2), trust.Equivocation, "two", []byte("proof"))
	text, err := json.Marshal(l.State())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"now":5,"peers":[{"peer":"0001070000000000000000000000000000000000000000000000000000000000","score":-1,"at":9}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var s trust.State
		if json.Unmarshal(text, &s) != nil {
			return
		}
		l, err := trust.Restore(trust.DefaultParams(), self, s, s.Now)
		if err != nil {
			return
		}
		l.SetMembers(s.Now, []trust.Peer{peer(0), peer(1), peer(2), peer(3)})
		kept := 0
		for _, o := range l.Opinions(s.Now) {
			if !(o.Score >= -1 && o.Score <= 1) {
				t.Errorf("score %g", o.Score)
			}
			if o.Member && o.Standing == trust.Banned {
				kept++
			}
		}
		if kept > 1 {
			t.Errorf("%d of four members are kept out", kept)
		}
	})
}
