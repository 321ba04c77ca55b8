package historytest

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/synod-network/synod/sequencer/sequencing"
)

// T is the part of [testing.TB] that the suite needs, so that a test of the suite
// can stand in and see it fail.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
	Cleanup(func())
}

// Subject makes the histories that are held to the promise.
type Subject struct {
	// Open returns one that begins before the first block. t.Cleanup ends it.
	Open func(t T) sequencing.History
	// Restart ends one in good order and opens what it stored; nil if it stores
	// nothing.
	Restart func(t T, h sequencing.History) sequencing.History
}

// Case is one part of the promise.
type Case struct {
	Name  string
	Check func(t T, s Subject)
}

// Cases lists the whole promise, case by case.
func Cases() []Case {
	return []Case{
		{"each member reads its events in pages of any size", checkReading},
		{"a page ends by its bytes", checkLargePages},
		{"a page ends by the bytes that were asked for", checkSmallPages},
		{"who got an event is told to whom it concerns", checkRecipients},
		{"a block counts once and none is left out", checkOrder},
		{"what is pruned is refused and the rest is kept", checkPruning},
		{"a history begins after any state", checkBegin},
		{"nothing of another order is left at the beginning", checkBeginEarlier},
		{"a restart changes nothing", checkRestart},
		{"any course of things", checkWalks},
	}
}

// Run holds a kind of histories to the promise.
func Run(t *testing.T, s Subject) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) { c.Check(t, s) })
	}
}

// tell appends blocks of a story.
func tell(t T, h sequencing.History, s *Story, m *Model, blocks int) (outs []*sequencing.Output) {
	t.Helper()
	for range blocks {
		out := s.Next()
		add(t, h, m, out)
		outs = append(outs, out)
	}
	return outs
}

func add(t T, h sequencing.History, m *Model, out *sequencing.Output) {
	t.Helper()
	if err := h.Append(out); err != nil {
		t.Fatalf("append block %d: %v", out.Height, err)
	}
	m.Append(out)
}

func must(t T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
}

func checkReading(t T, s Subject) {
	h, story, m := s.Open(t), NewStory(1), &Model{}
	must(t, m.CheckAll(h, 0, 10))
	tell(t, h, story, m, 60)
	for _, limit := range []int{0, 1, 7, 1 << 20} {
		for after := sequencing.Time(0); after < story.now; after += max(after/20, Start-2) {
			must(t, m.CheckAll(h, after, limit))
		}
	}
	for member, stream := range m.streams { // just before, at, and just after events
		for i := 0; i < len(stream); i += 3 {
			e := stream[i]
			for d := range sequencing.Time(3) {
				must(t, m.Check(h, sequencing.Index(member), e.time+d-1, 3))
			}
		}
	}
}

func checkSmallPages(t T, s Subject) {
	h, story, m := s.Open(t), NewStory(2), &Model{}
	tell(t, h, story, m, 40)
	for member := range m.streams {
		for _, bytes := range []int{-1, 1, 100, 1_000, 10 * sequencing.MaxPage} {
			must(t, m.CheckPages(h, sequencing.Index(member), 0, sequencing.Limit{Events: 1 << 20, Bytes: bytes}))
		}
	}
}

func checkLargePages(t T, s Subject) {
	h, story, m := s.Open(t), NewStory(2), &Model{}
	for i := range 9 {
		size := []int{sequencing.MaxPage / 3, 2 * sequencing.MaxPage, 10}[i%3]
		b := &sequencing.Submission{Sender: Name(0), Message: sequencing.MessageID(rune('a' + i)), MaxTime: story.now + sequencing.Minute,
			Sets:      []sequencing.RecipientSet{{{Kind: sequencing.ToMember, Member: Name(1)}}},
			Envelopes: []sequencing.Envelope{{Payload: make([]byte, size)}}}
		add(t, h, m, story.Apply(Send(b)))
	}
	must(t, m.CheckAll(h, 0, 100))
}

func checkRecipients(t T, s Subject) {
	h, story, m := s.Open(t), NewStory(7), &Model{}
	must(t, m.CheckRecipients(h))
	outs := tell(t, h, story, m, 40)
	must(t, m.CheckRecipients(h))
	h = restarted(t, s, h)
	must(t, m.CheckRecipients(h))
	upTo := outs[20].Time
	must(t, h.Prune(upTo, upTo))
	m.Prune(upTo)
	must(t, m.CheckRecipients(h))
}

func checkOrder(t T, s Subject) {
	h, story, m := s.Open(t), NewStory(3), &Model{}
	outs := tell(t, h, story, m, 20)
	for _, out := range outs { // as after a restart of the machine
		add(t, h, m, out)
	}
	must(t, m.CheckAll(h, 0, 5))
	other, skipped := *outs[len(outs)-1], story.Next()
	other.Chain[0]++
	gap, early := story.Next(), *skipped
	early.Time = m.position.Time
	for what, out := range map[string]*sequencing.Output{"another block at the same height": &other, "a block after a gap": gap, "a block of an old time": &early} {
		if err := h.Append(out); !errors.Is(err, sequencing.ErrBrokenOrder) {
			t.Fatalf("append %s: %v", what, err)
		}
		must(t, m.CheckAll(h, 0, 5))
	}
	add(t, h, m, skipped)
	add(t, h, m, gap)
	must(t, m.CheckAll(h, 0, 5))
}

func checkPruning(t T, s Subject) {
	h, story, m := s.Open(t), NewStory(4), &Model{}
	var times []sequencing.Time
	for _, out := range tell(t, h, story, m, 60) {
		times = append(times, out.Time)
		for i := range out.Records {
			times = append(times, out.Records[i].Time)
		}
	}
	if err := h.Prune(times[9], times[8]); !errors.Is(err, sequencing.ErrNeeded) {
		t.Fatalf("pruned above the pruning point: %v", err)
	}
	for i := 3; i < len(times); i += 37 {
		must(t, h.Prune(times[i], times[i]))
		m.Prune(times[i])
		must(t, h.Prune(times[i]-1, times[i])) // nothing left to do
		for after := sequencing.Time(0); after < story.now; after += max(after/20, Start-2) {
			must(t, m.CheckAll(h, after, 4))
		}
		for member, stream := range m.streams {
			for _, e := range stream {
				must(t, m.Check(h, sequencing.Index(member), e.time, 3))
			}
		}
		tell(t, h, story, m, 3)
	}
	must(t, h.Prune(m.position.Time, m.position.Time)) // all of it
	m.Prune(m.position.Time)
	must(t, m.CheckAll(h, Start, 4))
	tell(t, h, story, m, 10)
	must(t, m.CheckAll(h, Start, 4))
	must(t, m.CheckAll(h, m.pruned, 4))
}

func checkBegin(t T, s Subject) {
	h, story, m := s.Open(t), NewStory(5), &Model{}
	tell(t, h, story, m, 20)
	for range 10 { // blocks that this sequencer missed
		m.Append(story.Next())
	}
	must(t, h.Begin(story.Machine))
	m.Begin()
	must(t, m.CheckAll(h, 0, 4))
	must(t, m.CheckAll(h, m.pruned, 4))
	tell(t, h, story, m, 20)
	must(t, m.CheckAll(h, Start, 4))
	must(t, m.CheckAll(h, m.pruned, 4))
	must(t, m.CheckAll(restarted(t, s, h), m.pruned, 4))
}

func checkBeginEarlier(t T, s Subject) {
	h, other := s.Open(t), NewStory(5)
	tell(t, h, other, &Model{}, 30)
	story, m := NewStory(6), &Model{} // its blocks have the same times, but other content
	for range 3 {
		m.Append(story.Next())
	}
	must(t, h.Begin(story.Machine))
	m.Begin()
	must(t, m.CheckAll(h, m.pruned, 4))
	tell(t, h, story, m, 10)
	must(t, m.CheckAll(h, m.pruned, 4))
}

// restarted is the history after a restart, if it can.
func restarted(t T, s Subject, h sequencing.History) sequencing.History {
	if s.Restart == nil {
		return h
	}
	return s.Restart(t, h)
}

func checkRestart(t T, s Subject) {
	if s.Restart == nil {
		t.Skipf("nothing is stored")
	}
	h, story, m := s.Open(t), NewStory(6), &Model{}
	for range 8 {
		tell(t, h, story, m, 10)
		h = s.Restart(t, h)
		must(t, m.CheckAll(h, 0, 4))
		must(t, m.CheckAll(h, story.now-20*sequencing.Second, 4))
	}
	must(t, h.Prune(m.position.Time-5*sequencing.Second, m.position.Time))
	m.Prune(m.position.Time - 5*sequencing.Second)
	h = s.Restart(t, h)
	must(t, m.CheckAll(h, 0, 4))
	must(t, m.CheckAll(h, m.pruned, 4))
}

func checkWalks(t T, s Subject) {
	for seed := range uint64(3) {
		rng := rand.New(rand.NewPCG(seed, 9))
		h, story, m := s.Open(t), NewStory(100+seed), &Model{}
		for range 120 {
			switch rng.IntN(30) {
			case 0:
				upTo := m.position.Time - sequencing.Time(rng.IntN(20))*sequencing.Second
				must(t, h.Prune(upTo, m.position.Time))
				m.Prune(upTo)
			case 1:
				h = restarted(t, s, h)
			case 2:
				for range rng.IntN(4) {
					m.Append(story.Next())
				}
				must(t, h.Begin(story.Machine))
				m.Begin()
			default:
				tell(t, h, story, m, 1)
			}
			after := max(0, m.position.Time-sequencing.Time(rng.IntN(60))*sequencing.Second)
			must(t, m.CheckAll(h, after, 1+rng.IntN(6)))
		}
	}
}
