package sidecar

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// arrival is one event as a client got it.
type arrival struct {
	id   uint64
	what string // tells events apart: a digest of the data, or more than that
}

// compare says what is wrong with what a client got, and nil if nothing is: numbers rise, and everything that was sent is there, once
// and in its order. The same may have been sent several times.
func compare(got []arrival, want []string) error {
	if err := numbersRise(got); err != nil {
		return err
	}
	for i := range min(len(got), len(want)) {
		if got[i].what != want[i] {
			return fmt.Errorf("event %d of %d, number %d: %w", i, len(want), got[i].id, difference(got[i].what, want, i))
		}
	}
	switch {
	case len(got) < len(want):
		return fmt.Errorf("gap: %d of %d events came, the next should be %.100q", len(got), len(want), want[len(got)])
	case len(got) > len(want):
		extra := got[len(want)]
		if slices.Contains(want, extra.what) {
			return fmt.Errorf("duplicate: number %d after the end is %.100q again", extra.id, extra.what)
		}
		return fmt.Errorf("number %d after the end is %.100q, which was never sent", extra.id, extra.what)
	}
	return nil
}

func numbersRise(got []arrival) error {
	for i := 1; i < len(got); i++ {
		switch before, now := got[i-1], got[i]; {
		case now.id > before.id:
		case slices.Contains(got[:i], now):
			return fmt.Errorf("duplicate: number %d came again after %d", now.id, before.id)
		case slices.ContainsFunc(got[:i], func(a arrival) bool { return a.id == now.id }):
			return fmt.Errorf("reused number: %d was given to another event before", now.id)
		default:
			return fmt.Errorf("number %d comes after %d", now.id, before.id)
		}
	}
	return nil
}

// difference tells why what came at place i is not what should.
func difference(what string, want []string, i int) error {
	if next := slices.Index(want[i:], what); next > 0 {
		return fmt.Errorf("gap: %d events are missing, the first is %.100q", next, want[i])
	}
	if slices.Contains(want[:i], what) {
		return fmt.Errorf("duplicate: %.100q came again", what)
	}
	return fmt.Errorf("it is %.150q, which was never sent; %.150q was", what, want[i])
}

// numbers is what each number of a sidecar means, over all its lives and all its clients.
type numbers map[uint64]string

// note adds what a client got, and says which number means two things.
func (n numbers) note(got []arrival) error {
	for _, a := range got {
		known, found := n[a.id]
		if found && known != a.what {
			return fmt.Errorf("reused number: %d is %.100q for one client and %.100q for another", a.id, known, a.what)
		}
		n[a.id] = a.what
	}
	return nil
}

// TestCompareFindsWhatIsWrong: the judge of all stories is judged.
func TestCompareFindsWhatIsWrong(t *testing.T) {
	want := []string{"a", "b", "c", "b", "d"} // b was sent twice
	for name, c := range map[string]struct {
		got   []arrival
		fault string // empty if nothing is wrong
	}{
		"all":                       {[]arrival{{1, "a"}, {2, "b"}, {5, "c"}, {6, "b"}, {9, "d"}}, ""},
		"nothing":                   {nil, "gap: 0 of 5"},
		"end is missing":            {[]arrival{{1, "a"}, {2, "b"}, {5, "c"}, {6, "b"}}, "gap: 4 of 5"},
		"beginning is missing":      {[]arrival{{2, "b"}, {5, "c"}, {6, "b"}, {9, "d"}}, "gap: 1 events"},
		"gap":                       {[]arrival{{1, "a"}, {6, "b"}, {9, "d"}}, "gap: 2 events"},
		"gap, numbers hide it":      {[]arrival{{1, "a"}, {2, "b"}, {3, "b"}, {4, "d"}}, "gap: 1 events"},
		"duplicate":                 {[]arrival{{1, "a"}, {2, "b"}, {2, "b"}, {5, "c"}, {6, "b"}, {9, "d"}}, "duplicate: number 2"},
		"duplicate under a new one": {[]arrival{{1, "a"}, {2, "b"}, {3, "a"}, {5, "c"}, {6, "b"}, {9, "d"}}, "duplicate: \"a\""},
		"replay":                    {[]arrival{{1, "a"}, {2, "b"}, {5, "c"}, {1, "a"}, {2, "b"}}, "duplicate: number 1"},
		"duplicate at the end":      {[]arrival{{1, "a"}, {2, "b"}, {5, "c"}, {6, "b"}, {9, "d"}, {10, "d"}}, "duplicate: number 10"},
		"number used again":         {[]arrival{{1, "a"}, {2, "b"}, {2, "c"}, {6, "b"}, {9, "d"}}, "reused number: 2"},
		"number used again later":   {[]arrival{{1, "a"}, {2, "b"}, {5, "c"}, {1, "b"}, {9, "d"}}, "reused number: 1"},
		"numbers fall":              {[]arrival{{7, "a"}, {8, "b"}, {5, "c"}, {6, "b"}, {9, "d"}}, "number 5 comes after 8"},
		"two in the wrong order":    {[]arrival{{1, "a"}, {2, "c"}, {5, "b"}, {6, "b"}, {9, "d"}}, "gap: 1 events"},
		"changed":                   {[]arrival{{1, "a"}, {2, "x"}, {5, "c"}, {6, "b"}, {9, "d"}}, "never sent"},
		"invented at the end":       {[]arrival{{1, "a"}, {2, "b"}, {5, "c"}, {6, "b"}, {9, "d"}, {10, "x"}}, "never sent"},
	} {
		t.Run(name, func(t *testing.T) {
			err := compare(c.got, want)
			if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
				t.Errorf("%v, want %q", err, c.fault)
			}
		})
	}
}

// TestNumbersMeanOneThing: a number that means something else to a second client is found, though each of both saw nothing wrong.
func TestNumbersMeanOneThing(t *testing.T) {
	known := numbers{}
	if err := known.note([]arrival{{1, "a"}, {3, "c"}}); err != nil {
		t.Fatal(err)
	}
	if err := known.note([]arrival{{1, "a"}, {2, "b"}, {3, "c"}, {4, "d"}}); err != nil {
		t.Fatal(err)
	}
	if err := known.note([]arrival{{4, "e"}}); err == nil || !strings.Contains(err.Error(), "reused number: 4") {
		t.Error(err)
	}
}
