package historytest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/synod-network/synod/sequencer/sequencing"
)

// altered is a history that breaks the promise on purpose.
type altered struct {
	*sequencing.MemoryHistory
	page   func(h *altered, p *page) // changes what Read returns
	append func(h *altered, out *sequencing.Output) error
	prune  func(h *altered, upTo, point sequencing.Time) error
	begin  func(h *altered, m *sequencing.Machine) error
	asked  func(h *altered, member sequencing.Index, at sequencing.Time, set sequencing.Digest) ([]byte, error)
	names  func(member sequencing.Index) (sequencing.MemberID, bool, error)
}

type page struct {
	member  sequencing.Index
	after   sequencing.Time
	limit   sequencing.Limit
	events  []sequencing.Delivery
	through sequencing.Time
	err     error
}

func (h *altered) Read(member sequencing.Index, after sequencing.Time, limit sequencing.Limit) ([]sequencing.Delivery, sequencing.Time, error) {
	p := page{member: member, after: after, limit: limit}
	p.events, p.through, p.err = h.MemoryHistory.Read(member, after, limit)
	if h.page != nil {
		h.page(h, &p)
	}
	return p.events, p.through, p.err
}

func (h *altered) Append(out *sequencing.Output) error {
	if h.append != nil {
		return h.append(h, out)
	}
	return h.MemoryHistory.Append(out)
}

func (h *altered) Prune(upTo, point sequencing.Time) error {
	if h.prune != nil {
		return h.prune(h, upTo, point)
	}
	return h.MemoryHistory.Prune(upTo, point)
}

func (h *altered) Begin(m *sequencing.Machine) error {
	if h.begin != nil {
		return h.begin(h, m)
	}
	return h.MemoryHistory.Begin(m)
}

func (h *altered) Recipients(member sequencing.Index, at sequencing.Time, set sequencing.Digest) ([]byte, error) {
	if h.asked != nil {
		return h.asked(h, member, at, set)
	}
	return h.MemoryHistory.Recipients(member, at, set)
}

func (h *altered) MemberID(member sequencing.Index) (sequencing.MemberID, bool, error) {
	if h.names != nil {
		return h.names(member)
	}
	return h.MemoryHistory.MemberID(member)
}

// each changes the events of a page that has some.
func each(change func(d *sequencing.Delivery)) altered {
	return altered{page: func(_ *altered, p *page) {
		for i := range p.events {
			change(&p.events[i])
		}
	}}
}

var plantedBugs = map[string]altered{
	"loses an event": {page: func(_ *altered, p *page) {
		if n := len(p.events); n > 1 {
			p.events = append(p.events[:n-2:n-2], p.events[n-1])
		}
	}},
	"loses the last event of a page": {page: func(_ *altered, p *page) { p.events = p.events[:max(0, len(p.events)-1)] }},
	"repeats an event": {page: func(h *altered, p *page) {
		p.events, p.through, p.err = h.MemoryHistory.Read(p.member, p.after-1, p.limit)
	}},
	"passes over pruned events": {page: func(_ *altered, p *page) {
		if errors.Is(p.err, sequencing.ErrPruned) {
			p.err = nil
		}
	}},
	"does not say where events begin": {page: func(_ *altered, p *page) {
		if errors.Is(p.err, sequencing.ErrPruned) {
			p.err = sequencing.ErrPruned
		}
	}},
	"says everything is known too early": {page: func(h *altered, p *page) { p.through = h.Position().Time }},
	"never ticks": {page: func(_ *altered, p *page) {
		if n := len(p.events); n > 0 {
			p.through = p.events[n-1].Time
		}
	}},
	"ignores the limit": {page: func(h *altered, p *page) {
		p.events, p.through, p.err = h.MemoryHistory.Read(p.member, p.after, sequencing.Limit{Events: p.limit.Events + 1, Bytes: p.limit.Bytes})
	}},
	"gives half of the limit": {page: func(h *altered, p *page) {
		p.events, p.through, p.err = h.MemoryHistory.Read(p.member, p.after, sequencing.Limit{Events: p.limit.Events / 2, Bytes: p.limit.Bytes})
	}},
	"gives large pages": {page: func(h *altered, p *page) {
		for len(p.events) < p.limit.Events && p.err == nil && p.through < h.Position().Time {
			var more []sequencing.Delivery
			more, p.through, p.err = h.MemoryHistory.Read(p.member, p.through, sequencing.Limit{Events: p.limit.Events - len(p.events)})
			p.events = append(p.events, more...)
		}
	}},
	"ignores the bytes that are wanted": {page: func(h *altered, p *page) {
		p.events, p.through, p.err = h.MemoryHistory.Read(p.member, p.after, sequencing.Limit{Events: p.limit.Events})
	}},
	"gives the events of another": {page: func(h *altered, p *page) {
		if p.member == 1 {
			p.events, p.through, p.err = h.MemoryHistory.Read(0, p.after, p.limit)
		}
	}},
	"breaks the chain":  each(func(d *sequencing.Delivery) { d.Previous = 0 }),
	"forgets receipts":  each(func(d *sequencing.Delivery) { d.Receipt = false }),
	"forgets refusals":  each(func(d *sequencing.Delivery) { d.Refusal = sequencing.Refusal{} }),
	"forgets proofs":    each(func(d *sequencing.Delivery) { d.Proof.Envelopes = nil }),
	"forgets signers":   each(func(d *sequencing.Delivery) { d.Signers = nil }),
	"forgets topology":  each(func(d *sequencing.Delivery) { d.Topology = nil }),
	"forgets envelopes": each(func(d *sequencing.Delivery) { d.Envelopes = d.Envelopes[:min(1, len(d.Envelopes))] }),
	"changes payloads": each(func(d *sequencing.Delivery) {
		for i := range d.Envelopes {
			d.Envelopes[i].Payload = append([]byte("x"), d.Envelopes[i].Payload...)
		}
	}),
	"takes any block": {append: func(h *altered, out *sequencing.Output) error {
		if err := h.MemoryHistory.Append(out); !errors.Is(err, sequencing.ErrBrokenOrder) {
			return err
		}
		return nil
	}},
	"refuses what it has": {append: func(h *altered, out *sequencing.Output) error {
		if out.Height <= h.Position().Height {
			return sequencing.ErrBrokenOrder
		}
		return h.MemoryHistory.Append(out)
	}},
	"prunes what is needed": {prune: func(h *altered, upTo, _ sequencing.Time) error { return h.MemoryHistory.Prune(upTo, upTo) }},
	"does not prune":        {prune: func(_ *altered, upTo, point sequencing.Time) error { return sequencing.CheckPrune(upTo, point) }},
	"prunes too much": {prune: func(h *altered, upTo, point sequencing.Time) error {
		if err := sequencing.CheckPrune(upTo, point); err != nil {
			return err
		}
		return h.MemoryHistory.Prune(upTo+sequencing.Second, point+sequencing.Second)
	}},
	"prunes too little": {prune: func(h *altered, upTo, point sequencing.Time) error { return h.MemoryHistory.Prune(upTo-1, point-1) }},
	"begins with what it had": {begin: func(h *altered, m *sequencing.Machine) error {
		if m.Height() == 0 {
			return h.MemoryHistory.Begin(m)
		}
		return nil
	}},
	"begins with nobody": {begin: func(h *altered, _ *sequencing.Machine) error {
		return h.MemoryHistory.Begin(sequencing.New(Network, world{}))
	}},
	"forgets recipients": {asked: func(*altered, sequencing.Index, sequencing.Time, sequencing.Digest) ([]byte, error) {
		return nil, sequencing.ErrNotShown
	}},
	"tells recipients to strangers": {asked: func(h *altered, member sequencing.Index, at sequencing.Time, set sequencing.Digest) (encoded []byte, err error) {
		for other := range member + 20 {
			if encoded, err = h.MemoryHistory.Recipients(other, at, set); err == nil {
				return encoded, nil
			}
		}
		return h.MemoryHistory.Recipients(member, at, set)
	}},
	"tells other recipients": {asked: func(h *altered, member sequencing.Index, at sequencing.Time, set sequencing.Digest) ([]byte, error) {
		encoded, err := h.MemoryHistory.Recipients(member, at, set)
		return append(encoded, 0), err
	}},
	"tells recipients that are pruned": {asked: func(h *altered, member sequencing.Index, at sequencing.Time, set sequencing.Digest) ([]byte, error) {
		encoded, err := h.MemoryHistory.Recipients(member, at, set)
		if errors.Is(err, sequencing.ErrPruned) {
			err = sequencing.ErrNotShown
		}
		return encoded, err
	}},
	"shows large sets whole": each(func(d *sequencing.Delivery) {
		for i := range d.Envelopes {
			if d.Envelopes[i].Recipients == nil {
				d.Envelopes[i].Recipients = large(0)
			}
		}
	}),
	"forgets small sets": each(func(d *sequencing.Delivery) {
		for i := range d.Envelopes {
			d.Envelopes[i].Recipients = nil
		}
	}),
	"forgets names": {names: func(sequencing.Index) (sequencing.MemberID, bool, error) { return "", false, nil }},
	"knows strangers": {names: func(member sequencing.Index) (sequencing.MemberID, bool, error) {
		return sequencing.MemberID(fmt.Sprint(member)), true, nil
	}},
}

// failed is how a recorder ends a case.
type failed string

// recorder is a T that notes the failure of a case.
type recorder struct{ *testing.T }

func (recorder) Fatalf(format string, args ...any) { panic(failed(fmt.Sprintf(format, args...))) }
func (recorder) Skipf(string, ...any)              { panic(failed("")) }

// caught runs the suite until a case fails, and returns with what.
func caught(t *testing.T, s Subject) (what string) {
	for _, c := range Cases() {
		func() {
			defer func() {
				if r := recover(); r != nil {
					text, ok := r.(failed)
					if !ok {
						text = failed(fmt.Sprint(r)) // a bug may as well upset the suite
					}
					what = string(text)
				}
			}()
			c.Check(recorder{t}, s)
		}()
		if what != "" {
			return c.Name + ": " + what
		}
	}
	return ""
}

func TestEveryPlantedBugIsCaught(t *testing.T) {
	for name, bug := range plantedBugs {
		t.Run(name, func(t *testing.T) {
			what := caught(t, Subject{Open: func(T) sequencing.History {
				h := bug
				h.MemoryHistory = sequencing.NewMemoryHistory(sequencing.New(Network, world{}))
				return &h
			}})
			if what == "" {
				t.Fatal("goes unnoticed")
			}
			t.Log(what[:min(200, len(what))])
		})
	}
}

// A restart that loses what was stored, and one that loses what was pruned.
func TestABadRestartIsCaught(t *testing.T) {
	for name, restart := range map[string]func(T, sequencing.History) sequencing.History{
		"loses all": func(t T, _ sequencing.History) sequencing.History { return memory.Open(t) },
		"loses where it was": func(_ T, h sequencing.History) sequencing.History {
			return &altered{MemoryHistory: h.(*sequencing.MemoryHistory), page: func(_ *altered, p *page) { p.through = 0 }}
		},
	} {
		if what := caught(t, Subject{Open: memory.Open, Restart: restart}); what == "" {
			t.Errorf("%s: goes unnoticed", name)
		}
	}
}
