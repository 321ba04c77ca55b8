package topology

import (
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// A table over another is a map of its own, and the one below stays what it was.
func TestATableOverAnotherIsACopy(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		key := rapid.IntRange(0, 5)
		below, model := newTable[int, int](), map[int]int{}
		for range rapid.IntRange(0, 6).Draw(rt, "below") {
			k := key.Draw(rt, "key")
			below.set(k, 10+k)
			model[k] = 10 + k
		}
		was, over := maps.Clone(below.rows), below.over()
		for range rapid.IntRange(0, 12).Draw(rt, "changes") {
			k := key.Draw(rt, "key")
			if v := rapid.IntRange(0, 9).Draw(rt, "value"); v < 5 {
				over.set(k, v)
				model[k] = v
			} else {
				over.delete(k)
				delete(model, k)
			}
			for k := range 6 {
				got, ok := over.get(k)
				if want, wantOK := model[k]; got != want || ok != wantOK || over.at(k) != want {
					rt.Fatalf("row %d is %d (%v), want %d (%v)", k, got, ok, want, wantOK)
				}
			}
		}
		if !maps.Equal(below.rows, was) {
			rt.Fatal("the table below changed")
		}
	})
}
