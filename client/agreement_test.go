package client

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/synod-network/synod/sequencer/sequencing"
)

// event encodes an event as sequencers do.
func event(at, previous sequencing.Time, text string) []byte {
	d := sequencing.Delivery{Time: at, Previous: previous, Kind: sequencing.Delivered, Receipt: true, Message: sequencing.MessageID(text)}
	return d.Encode()
}

// story drives an agreement by words. Each line is one response: "s1 0-30: 10=a 20=b" tells the events a at 10 and b at 20, and
// that there is nothing else up to 30. A previous time is that of the event before on the line or the stream, unless given as
// 20<5=b. "s1 open" begins a new stream. The result is what is released and who is caught.
func story(t *testing.T, planted fault, script string) string {
	t.Helper()
	a := newAgreement(2, Position{}, 100)
	a.fault = planted
	var out []string
	note := func(l *Lie) {
		out = append(out, fmt.Sprintf("%s %s@%d", l.Sequencer, l.Kind, l.Time))
		a.expel(l.Sequencer)
	}
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		id := sequencing.MemberID(name)
		if rest == "open" {
			a.open(id)
			continue
		}
		if a.voices[id] == nil {
			a.open(id)
		}
		s := &Statement{Sequencer: id}
		span, told, _ := strings.Cut(rest, ":")
		if _, err := fmt.Sscanf(span, "%d-%d", &s.After, &s.Known); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		previous := a.voices[id].last
		for _, word := range strings.Fields(told) {
			place, text, _ := strings.Cut(word, "=")
			var at sequencing.Time
			if n, _ := fmt.Sscanf(place, "%d<%d", &at, &previous); n == 0 {
				t.Fatalf("%q", word)
			}
			s.Events = append(s.Events, event(at, previous, text))
			previous = at
		}
		before := a.position.Known
		if lie := a.hear(s); lie != nil {
			note(lie)
		}
		events, lies, err := a.advance(1000)
		for _, e := range events {
			d, _ := sequencing.DecodeDelivery(e.encoded)
			out = append(out, fmt.Sprintf("%s@%d", d.Message, d.Time))
		}
		for _, l := range lies {
			note(l)
		}
		if err != nil {
			out = append(out, err.Error())
		}
		if known := a.position.Known; known > before && known > a.position.Event {
			out = append(out, fmt.Sprintf("known %d", known))
		}
	}
	return strings.Join(out, ", ")
}

var agreementStories = []struct{ name, script, want string }{
	{"two agree", `
			s1 0-30: 10=a 20=b
			s2 0-20: 10=a 20=b`, "a@10, b@20"},
	{"one is not enough", "s1 0-30: 10=a 20=b", ""},
	{"time needs two", `
			s1 0-30:
			s2 0-20:
			s2 20-50:`, "known 20, known 30"},
	{"time ends before an event that one tells", `
			s1 0-30: 20=a
			s2 0-25:`, "known 19"},
	{"dropped", `
			s1 0-30: 10=a 20=b
			s3 0-30: 20=b
			s2 0-30: 10=a 20=b`, "known 9, a@10, b@20, s3 dropped@10, known 30"},
	{"dropped, as a tick alone shows", `
			s1 0-30: 10=a
			s3 0-10:
			s2 0-30: 10=a`, "known 9, a@10, s3 dropped@10, known 30"},
	{"altered", `
			s3 0-30: 10=x
			s1 0-30: 10=a
			s2 0-30: 10=a`, "known 9, a@10, s3 altered@10, known 30"},
	{"forged before", `
			s3 0-30: 5=x 10=a
			s1 0-30: 10=a
			s2 0-30: 10=a`, "known 4, a@10, s3 forged@10, known 30"},
	{"forged where there is nothing", `
			s3 0-30: 5=x
			s1 0-30:
			s2 0-30:`, "known 4, s3 forged@5, known 30"},
	{"late and altered", `
			s1 0-30: 10=a 20=b
			s2 0-30: 10=a 20=b
			s3 open`, "a@10, b@20, known 30"},
	{"late, honest", `
			s3 open
			s1 0-30: 10=a 20=b
			s2 0-30: 10=a 20=b
			s3 0-10: 10=a
			s3 10-30: 20=b`, "a@10, b@20, known 30"},
	{"late, altered", `
			s3 open
			s1 0-30: 10=a 20=b
			s2 0-30: 10=a 20=b
			s3 0-10: 10=x`, "a@10, b@20, known 30, s3 altered@10"},
	{"late, dropped", `
			s3 open
			s1 0-30: 10=a 20=b
			s2 0-30: 10=a 20=b
			s3 0-20: 20=b`, "a@10, b@20, known 30, s3 dropped@10"},
	{"late, dropped at the end", `
			s3 open
			s1 0-30: 10=a 20=b
			s2 0-30: 10=a 20=b
			s3 0-20: 10=a`, "a@10, b@20, known 30, s3 dropped@20"},
	{"late, forged", `
			s3 open
			s1 0-30: 10=a 20=b
			s2 0-30: 10=a 20=b
			s3 0-15: 10=a 15=x`, "a@10, b@20, known 30, s3 forged@15"},
	{"late, forged behind the last", `
			s3 open
			s1 0-30: 10=a 20=b
			s2 0-30: 10=a 20=b
			s3 0-35: 10=a 20=b 25=x`, "a@10, b@20, known 30, s3 forged@25"},
	{"a gap in the chain", "s1 0-30: 10=a 25<20=b", "s1 broken_chain@25"},
	{"times that fall", "s1 0-30: 20=a 10<5=b", "s1 reordered@10"},
	{"nothing, not even the time", "s1 0-30: 10=a\ns1 30-30:", "s1 malformed@30"},
	{"beyond what it knows", "s1 0-15: 10=a 20=b", "s1 malformed@20"},
	{"a sequencer that comes back repeats itself", `
			s1 0-30: 10=a 20=b
			s1 open
			s1 0-20: 10=a 20=b
			s1 20-40: 35=c
			s2 0-40: 10=a 20=b 35=c`, "a@10, b@20, c@35, known 40"},
	{"a sequencer that comes back with something else", `
			s1 0-30: 10=a
			s1 open
			s1 0-30: 10=b`, "s1 contradiction@10"},
	{"a sequencer that comes back with nothing", `
			s1 0-30: 10=a
			s1 open
			s1 0-30:`, "s1 contradiction@10"},
	{"a sequencer that comes back with more", `
			s1 0-30: 10=a
			s1 open
			s1 0-30: 10=a 25=b`, "s1 contradiction@25"},
	{"what a dead sequencer signed counts", `
			s1 0-30: 10=a
			s1 open
			s2 0-30: 10=a`, "a@10, known 30"},
	{"two lies agree beyond the threshold", `
			s1 0-30: 10=a
			s3 0-30: 10=x
			s4 0-30: 10=x`, "known 9, x@10, s1 altered@10, known 30"},
}

func TestAgreement(t *testing.T) {
	for _, c := range agreementStories {
		t.Run(c.name, func(t *testing.T) {
			if got := story(t, faultNone, c.script); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// teller is a sequencer of the property: its history, which is false in one place if it lies, told in pieces and with
// reconnects.
type teller struct {
	id     sequencing.MemberID
	events [][]byte
	known  sequencing.Time
	told   sequencing.Time
	open   bool
}

// TestAgreementReleasesTheTruth lets sequencers, a minority of which has a false history, tell it in any order, piece by piece
// and with reconnects: what is released is the truth, no honest sequencer is accused, and the liars are in the end.
func TestAgreementReleasesTheTruth(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) { checkTruth(rt, faultNone) })
}

func checkTruth(rt *rapid.T, planted fault) {
	lying := rapid.IntRange(0, 2).Draw(rt, "liars")
	threshold := lying + 1
	honest := rapid.IntRange(threshold, threshold+2).Draw(rt, "honest")
	var times []sequencing.Time
	at := sequencing.Time(0)
	for range rapid.IntRange(1, 12).Draw(rt, "events") {
		at += sequencing.Time(rapid.IntRange(2, 9).Draw(rt, "gap"))
		times = append(times, at)
	}
	end := at + 20
	history := func(times []sequencing.Time, text string, odd int) (events [][]byte) {
		previous := sequencing.Time(0)
		for i, at := range times {
			name := fmt.Sprintf("e%d", at)
			if i == odd {
				name = text
			}
			events, previous = append(events, event(at, previous, name)), at
		}
		return events
	}
	truth := history(times, "", -1)
	var tellers []*teller
	for i := range honest + lying {
		s := &teller{id: sequencing.MemberID(fmt.Sprintf("s%d", i)), events: truth, known: end}
		if i < lying {
			k := rapid.IntRange(0, len(times)-1).Draw(rt, "where")
			switch rapid.SampledFrom([]string{"drop", "alter", "forge", "ahead"}).Draw(rt, "lie") {
			case "drop":
				s.events = history(slices.Delete(slices.Clone(times), k, k+1), "", -1)
			case "alter":
				s.events = history(times, "other", k)
			case "forge":
				s.events = history(slices.Insert(slices.Clone(times), k+1, times[k]+1), "forged", k+1)
			case "ahead":
				s.events, s.known = history(times[:k], "", -1), end
			}
		}
		tellers = append(tellers, s)
	}
	a := newAgreement(threshold, Position{}, rapid.IntRange(1, 20).Draw(rt, "remember"))
	a.fault = planted
	var got [][]byte
	accused := map[sequencing.MemberID]bool{}
	accuse := func(l *Lie) {
		if slices.IndexFunc(tellers, func(s *teller) bool { return s.id == l.Sequencer }) >= lying {
			rt.Fatalf("an honest sequencer is accused: %v", l)
		}
		accused[l.Sequencer] = true
		a.expel(l.Sequencer)
	}
	step := func(s *teller, until sequencing.Time) {
		if accused[s.id] {
			return
		}
		if !s.open || a.voices[s.id] == nil {
			s.told, s.open = a.open(s.id).Known, true
		}
		until = max(until, s.told)
		statement := &Statement{Sequencer: s.id, After: s.told, Known: until}
		for _, e := range s.events {
			if at, _, _ := sequencing.DeliveryTimes(e); at > s.told && at <= until {
				statement.Events = append(statement.Events, e)
			}
		}
		if until > s.told { // the honest do not say that there is nothing to say
			if lie := a.hear(statement); lie != nil {
				accuse(lie)
			}
		}
		s.told = until
		events, lies, err := a.advance(1 + int(until)%3)
		if err != nil {
			rt.Fatalf("%v", err)
		}
		for _, e := range events {
			got = append(got, e.encoded)
		}
		for _, l := range lies {
			accuse(l)
		}
		for _, e := range truth {
			if at, _, _ := sequencing.DeliveryTimes(e); at <= a.position.Known && at > a.position.Event {
				rt.Fatalf("everything is known up to %d, but the event at %d was not released", a.position.Known, at)
			}
		}
	}
	for range rapid.IntRange(0, 60).Draw(rt, "steps") {
		s := rapid.SampledFrom(tellers).Draw(rt, "who")
		if s.open && rapid.IntRange(0, 9).Draw(rt, "reconnect") == 0 {
			a.close(s.id)
			s.open = false
		}
		step(s, min(s.known, s.told+sequencing.Time(rapid.IntRange(0, 20).Draw(rt, "by"))))
	}
	for range 30 { // in the end everybody tells everything
		for _, s := range tellers {
			step(s, s.known)
		}
	}
	if !slices.EqualFunc(got, truth, func(x, y []byte) bool { return string(x) == string(y) }) {
		rt.Fatalf("released %d events, not the %d true ones", len(got), len(truth))
	}
	if a.position.Known != end {
		rt.Fatalf("known up to %d, not %d", a.position.Known, end)
	}
	if disputed, hopeless := a.disputed([]sequencing.MemberID{"s0", "s1", "s2", "s3", "s4", "s5", "s6"}); disputed || hopeless {
		rt.Fatalf("disputed %v, hopeless %v when all is said", disputed, hopeless)
	}
}
