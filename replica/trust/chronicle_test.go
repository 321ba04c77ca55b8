package trust_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/replica/trust"
)

var update = flag.Bool("update", false, "rewrite testdata/chronicle.txt")

const (
	second = trust.Instant(trust.Second)
	hour   = trust.Instant(trust.Hour)
	day    = trust.Instant(trust.Day)
)

// chapter is one thing that happens, a while after the one before.
type chapter struct {
	after trust.Instant
	what  string
	do    func(l *trust.Ledger, now trust.Instant) error
}

func record(p int, a trust.Action, times int) func(*trust.Ledger, trust.Instant) error {
	return func(l *trust.Ledger, now trust.Instant) error {
		for i := range times {
			l.Record(now, peer(p), a, fmt.Sprintf("seen %d of %d", i+1, times))
		}
		return nil
	}
}

func linked(p int, up bool) func(*trust.Ledger, trust.Instant) error {
	return func(l *trust.Ledger, now trust.Instant) error { l.SetLinked(now, peer(p), up); return nil }
}

func prove(p int, proof []byte) func(*trust.Ledger, trust.Instant) error {
	return func(l *trust.Ledger, now trust.Instant) error {
		l.Prove(now, peer(p), trust.Equivocation, "two blocks", proof)
		return nil
	}
}

func ban(p int, length trust.Duration) func(*trust.Ledger, trust.Instant) error {
	return func(l *trust.Ledger, now trust.Instant) error { return l.Ban(now, peer(p), length, "by hand") }
}

func protect(p int, on bool) func(*trust.Ledger, trust.Instant) error {
	return func(l *trust.Ledger, now trust.Instant) error { return l.Protect(now, peer(p), on) }
}

func unban(p int) func(*trust.Ledger, trust.Instant) error {
	return func(l *trust.Ledger, now trust.Instant) error { l.Unban(now, peer(p)); return nil }
}

func told(by int, lasts int64) func(*trust.Ledger, trust.Instant) error {
	return func(l *trust.Ledger, now trust.Instant) error {
		l.Told(now, trust.Notice{By: peer(by), To: self, Issued: 5, Until: 5 + lasts, Reason: "junk_frame", Detail: "told so"}, keys.Signature{9})
		return nil
	}
}

func pass(l *trust.Ledger, now trust.Instant) error { l.Tick(now); return nil }

// chronicle is a long life in a network of four, of which peer 5 is no member.
var chronicle = []chapter{
	{second, "peer 3 is useful", record(3, trust.Useful, 2)},
	{second, "peer 1 sends junk", record(1, trust.JunkFrame, 5)},
	{second, "peer 1 sends more", record(1, trust.JunkFrame, 6)},
	{4 * minute, "its ban lasts", pass},
	{2 * minute, "its ban is over", pass},
	{second, "it sends junk again", record(1, trust.JunkFrame, 5)},
	{second, "the link to 3 breaks", linked(3, false)},
	{10 * second, "for as long as a quorum may lack", pass},
	{second, "it is back", linked(3, true)},
	{10 * second, "and stays", pass},
	{11 * minute, "the second ban is over", pass},
	{30*day - 2*minute, "nearly a month without a strike", pass},
	{10 * minute, "a month without a strike", pass},
	{day, "the link to 3 breaks", linked(3, false)},
	{second, "peer 2 sends junk, and is needed", record(2, trust.JunkFrame, 10)},
	{second, "still more of it", record(2, trust.JunkFrame, 1)},
	{second, "an operator may not either", ban(2, trust.Hour)},
	{second, "it is needed no more", linked(3, true)},
	{second, "an operator clears it", unban(2)},
	{second, "nothing is known of 3 to clear", unban(3)},
	{second, "protect 2", protect(2, true)},
	{second, "protect 2 again", protect(2, true)},
	{second, "2 sends junk", record(2, trust.BadAnswer, 20)},
	{second, "nobody bans it", ban(2, trust.Hour)},
	{second, "protect 2 no more", protect(2, false)},
	{2 * hour, "it fades", pass},
	{second, "1 loses links", record(1, trust.LostLink, 3)},
	{second, "1 is caught lying", prove(1, []byte("proof"))},
	{second, "1 is caught lying again, at length", prove(1, make([]byte, 64<<10+1))},
	{second, "protecting 1 lets it in", protect(1, true)},
	{second, "no longer", protect(1, false)},
	{second, "clear 1", unban(1)},
	{second, "ban this node", func(l *trust.Ledger, now trust.Instant) error { return l.Ban(now, self, 1, "") }},
	{second, "ban for too long", ban(5, 367*trust.Day)},
	{second, "ban for less than nothing", ban(5, -1)},
	{second, "ban 5 for the longest", ban(5, 366*trust.Day)},
	{second, "ban 3 for as long as it deserves", ban(3, 0)},
	{second, "two at once are too many", ban(1, 0)},
	{second, "the network has three members", func(l *trust.Ledger, now trust.Instant) error {
		l.SetMembers(now, []trust.Peer{self, peer(1), peer(3)})
		return nil
	}},
	{second, "and four again", func(l *trust.Ledger, now trust.Instant) error {
		l.SetMembers(now, []trust.Peer{self, peer(1), peer(2), peer(3)})
		return nil
	}},
	{second, "clear 3", unban(3)},
	{second, "1 sends junk", record(1, trust.InvalidBlock, 10)},
	{10 * second, "2 looks bad too: it is this node", record(2, trust.InvalidBlock, 2)},
	{second, "3 sends junk", record(3, trust.InvalidBlock, 9)},
	{4 * minute, "still suspects itself", pass},
	{61 * second, "no more", pass},
	{second, "1 sends junk, and its strike of before does not count", record(1, trust.InvalidBlock, 10)},
	{second, "clear 1", unban(1)},
	{second, "the link to 3 breaks", linked(3, false)},
	{second, "3 bans this node", told(3, int64(trust.Minute))},
	{10 * second, "and says so again", told(3, int64(trust.Minute))},
	{59 * second, "it lasts", pass},
	{second, "it is over", pass},
	{second, "it bans this node for nothing", told(3, 0)},
	{second, "it bans this node again", told(3, int64(trust.Hour))},
	{second, "it lets this node in", linked(3, true)},
	{day, "what faded is forgotten", pass},
	{90 * day, "5 is still out", pass},
}

// telling runs the chronicle and tells what came of it, step by step. After each step the ledger may restart.
func telling(t *testing.T, restarts bool) string {
	t.Helper()
	var b strings.Builder
	l, now := net4(trust.Planted{}), trust.Instant(1)
	before, shown := l.Counters(), map[trust.Peer]string{}
	for _, c := range chronicle {
		now += c.after
		fmt.Fprintf(&b, "%s %s\n", clock(now), c.what)
		if err := c.do(l, now); err != nil {
			fmt.Fprintf(&b, "  refused: %v\n", err)
		}
		for _, e := range l.Take() {
			fmt.Fprintf(&b, "  event %s %s %s %q until %s\n", e.Kind, who(e.Peer), e.Reason, e.Detail, clock(e.Until))
		}
		after := l.Counters()
		for _, line := range moved(before, after) {
			fmt.Fprintf(&b, "  %s\n", line)
		}
		before = after
		if until, suspects := l.SelfSuspect(now); suspects {
			fmt.Fprintf(&b, "  suspects itself until %s\n", clock(until))
		}
		opinions := map[trust.Peer]string{}
		for _, o := range l.Opinions(now) {
			opinions[o.Peer] = opinion(o)
		}
		for i := range 6 {
			switch was, is := shown[peer(i)], opinions[peer(i)]; {
			case is == "" && was != "":
				fmt.Fprintf(&b, "  %s is forgotten\n", who(peer(i)))
			case is != was:
				b.WriteString(is)
			}
		}
		shown = opinions
		if restarts {
			l = restarted(t, l, now)
			before = l.Counters()
		}
	}
	return b.String()
}

// restarted is what a restart leaves, with the links as they were.
func restarted(t *testing.T, l *trust.Ledger, now trust.Instant) *trust.Ledger {
	t.Helper()
	encoded, err := json.Marshal(l.State())
	if err != nil {
		t.Fatal(err)
	}
	var s trust.State
	if err := json.Unmarshal(encoded, &s); err != nil {
		t.Fatal(err)
	}
	again, err := trust.Restore(trust.DefaultParams(), self, s, now)
	if err != nil {
		t.Fatal(err)
	}
	members := []trust.Peer{self}
	for _, o := range l.Opinions(now) {
		if o.Member {
			members = append(members, o.Peer)
		}
	}
	again.SetMembers(now, members)
	for _, o := range l.Opinions(now) {
		again.SetLinked(now, o.Peer, o.Linked)
	}
	again.Take() // whose standing this process has not told yet
	return again
}

func clock(at trust.Instant) string {
	if at == 0 {
		return "-"
	}
	s := at / second
	return fmt.Sprintf("%dd%02d:%02d:%02d.%06d", s/86400, s/3600%24, s/60%60, s%60, at%second)
}

func who(p trust.Peer) string {
	if p == (trust.Peer{}) {
		return "this node"
	}
	return fmt.Sprintf("peer %d", p[1])
}

// moved lists the counters that moved.
func moved(before, after trust.Counters) (lines []string) {
	say := func(name string, was, is uint64) {
		if was != is {
			lines = append(lines, fmt.Sprintf("counted %s %+d", name, int64(is-was)))
		}
	}
	for a, n := range after.Actions {
		say("action "+string(a), before.Actions[a], n)
	}
	for k, n := range after.Bans {
		say(fmt.Sprintf("ban %s %s", k.Origin, k.Reason), before.Bans[k], n)
	}
	for u, n := range after.Unbans {
		say("unban "+string(u), before.Unbans[u], n)
	}
	for a, n := range after.Evidence {
		say("evidence "+string(a), before.Evidence[a], n)
	}
	for why, n := range after.PutOff {
		say("put off "+why, before.PutOff[why], n)
	}
	say("quorum guard", before.QuorumGuard, after.QuorumGuard)
	say("suspicion", before.Suspicions, after.Suspicions)
	slices.Sort(lines)
	return lines
}

// opinion tells what an operator is shown of a peer but for its score, which fades all the time; of its history the last two lines, with the
// score then; nothing of one that nothing is remembered of.
func opinion(o trust.Opinion) string {
	if o.Standing == trust.Welcome && len(o.History) == 0 && !o.Protected && o.BannedBy == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  %s %s, member %v, linked %v, protected %v, on hold %v, put off %q, strikes %d\n",
		who(o.Peer), o.Standing, o.Member, o.Linked, o.Protected, o.OnHold, o.PutOff, o.Strikes)
	if ban := o.Ban; ban != nil {
		fmt.Fprintf(&b, "    %s ban for %s %q from %s until %s\n", ban.Origin, ban.Reason, ban.Detail, clock(ban.From), clock(ban.Until))
	}
	if by := o.BannedBy; by != nil {
		fmt.Fprintf(&b, "    bans this node from %s until %s for %s %q signed %d\n", clock(by.At), clock(by.Until), by.Notice.Reason, by.Notice.Detail, by.Signature[0])
	}
	for _, v := range o.Evidence {
		fmt.Fprintf(&b, "    proof at %s of %s %q in %d bytes\n", clock(v.At), v.Kind, v.Detail, len(v.Proof))
	}
	for _, h := range o.History[max(0, len(o.History)-2):] {
		fmt.Fprintf(&b, "    %s to %s %d times %s %q %+.3f to %.4f\n", clock(h.From), clock(h.At), h.Count, h.Action, h.Detail, h.Change, h.Score)
	}
	return b.String()
}

// Every decision of a long life, with its event, its count and what an operator is then shown, is as it was reviewed.
func TestChronicle(t *testing.T) {
	const file = "testdata/chronicle.txt"
	got := telling(t, false)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, string(want), got, "see it with -update and git diff")
}

// A node that restarts after everything that happens decides, counts and shows the same.
func TestChronicleOverRestarts(t *testing.T) {
	compare(t, telling(t, false), telling(t, true), "with restarts")
}

func compare(t *testing.T, want, got, note string) {
	t.Helper()
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	chapter := ""
	for i := range min(len(a), len(b)) {
		if !strings.HasPrefix(a[i], " ") {
			chapter = a[i]
		}
		if a[i] != b[i] {
			t.Fatalf("%s, line %d, in %q:\n got %s\nwant %s", note, i+1, chapter, b[i], a[i])
		}
	}
	if len(a) != len(b) {
		t.Fatalf("%s: %d lines, want %d", note, len(b), len(a))
	}
}
