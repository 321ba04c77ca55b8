package client

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/synod-network/synod/sequencer/sequencing"
)

// FuzzHear lets three sequencers say anything: nothing crashes, and what is released is a chain of rising times.
func FuzzHear(f *testing.F) {
	f.Add([]byte{0, 30, 2, 10, 20, 1, 30, 2, 10, 20})
	f.Add([]byte{0, 30, 1, 10, 1, 30, 1, 11, 2, 30, 1, 10, 0, 5, 0, 3, 200, 0})
	f.Add([]byte{4, 255, 1, 128, 5, 255, 1, 128, 6, 1, 3, 1, 1, 1})
	f.Fuzz(func(t *testing.T, script []byte) { hearAnything(t, script) })
}

// TestHearAnything is FuzzHear for every run of the tests.
func TestHearAnything(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) { hearAnything(rt, rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(rt, "script")) })
}

func hearAnything(t interface{ Fatalf(string, ...any) }, script []byte) {
	a := newAgreement(2, Position{}, 3)
	next := func() (b byte) {
		if len(script) > 0 {
			b, script = script[0], script[1:]
		}
		return b
	}
	last := sequencing.Time(0)
	for len(script) > 0 {
		who := next()
		id := sequencing.MemberID([]string{"s1", "s2", "s3"}[who%3])
		if a.voices[id] == nil || who >= 128 {
			a.open(id)
		}
		v := a.voices[id]
		s := &Statement{Sequencer: id, After: v.known, Known: v.known + sequencing.Time(int8(next()))}
		previous := v.last
		for range next() % 4 {
			step := next()
			d := sequencing.Delivery{Time: v.known + sequencing.Time(int8(step)), Previous: previous, Kind: sequencing.Contributed, Receipt: true, Message: "m"}
			encoded := d.Encode()
			if step == 99 {
				encoded = encoded[:len(encoded)/2]
			}
			s.Events, previous = append(s.Events, encoded), d.Time
		}
		if who%7 == 6 {
			s.Known = 1<<63 - 1
		}
		if lie := a.hear(s); lie != nil {
			a.expel(id)
		}
		events, lies, err := a.advance(2)
		for _, e := range events {
			if e.previous != last || e.time <= last || len(e.by) < 2 {
				t.Fatalf("released %d after %d, behind %d, by %v", e.time, e.previous, last, e.by)
			}
			last = e.time
		}
		if err != nil || a.position.Event != last || a.position.Known < last {
			t.Fatalf("at %+v behind the event at %d: %v", a.position, last, err)
		}
		for _, lie := range lies {
			if lie.Error() == "" || a.voices[lie.Sequencer] != nil {
				t.Fatalf("%v", lie)
			}
		}
		a.disputed([]sequencing.MemberID{"s1", "s2", "s3"})
		a.behind(id)
	}
}
