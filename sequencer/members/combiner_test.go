package members

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/synod-network/synod/keys"
)

// Calls whose signatures are checked together each get the verdicts on their own, whoever of them leads.
func TestCallsCheckedTogetherGetTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var groups []int
		release := make(chan struct{})
		c := &combiner{verify: func(list []keys.Signed) []bool {
			mu.Lock()
			groups = append(groups, len(list))
			mu.Unlock()
			<-release
			valid := make([]bool, len(list))
			for i := range list {
				valid[i] = list[i].Message[0] == 1
			}
			return valid
		}}
		// Call i has i signatures of which the last but i%3 is not genuine.
		of := func(i int) (list []keys.Signed, want []bool) {
			for k := range i {
				genuine := k != i-1-i%3
				want = append(want, genuine)
				list = append(list, keys.Signed{Message: []byte{map[bool]byte{true: 1}[genuine]}})
			}
			return list, want
		}
		var calls sync.WaitGroup
		begin := func(i int) {
			calls.Go(func() {
				list, want := of(i)
				if got := c.check(list); !slices.Equal(got, want) {
					t.Errorf("the call with %d signatures got %v, want %v", i, got, want)
				}
			})
			synctest.Wait() // until it is checked, or waits
		}
		begin(1)
		for i := 2; i < 6; i++ {
			begin(i)
		}
		release <- struct{}{} // the first one is done, and the second leads the rest
		synctest.Wait()
		begin(6)
		release <- struct{}{}
		synctest.Wait()
		release <- struct{}{}
		calls.Wait()
		if want := []int{1, 2 + 3 + 4 + 5, 6}; !slices.Equal(groups, want) {
			t.Errorf("checked in groups of %v signatures, want %v", groups, want)
		}
		if c.busy || len(c.waiting) > 0 {
			t.Errorf("somebody is still expected: %v", c.waiting)
		}
	})
}

// A map that is full forgets what was used least recently, and only that.
func TestRecentForgetsWhatWasUsedLeast(t *testing.T) {
	r := newRecent[string, int](3)
	for i := range 3 {
		r.put(fmt.Sprint(i), i)
	}
	if v, ok := r.get("0"); !ok || v != 0 {
		t.Fatalf("0 is %d, %v", v, ok)
	}
	if got := r.put("1", 100); got != 1 {
		t.Errorf("1 was replaced by %d", got)
	}
	r.put("3", 3) // 2 goes
	for key, want := range map[string]bool{"0": true, "1": true, "2": false, "3": true} {
		if _, ok := r.get(key); ok != want {
			t.Errorf("%s is there: %v", key, ok)
		}
	}
	if r.len() != 3 || len(r.items) != 3 {
		t.Errorf("%d and %d are kept", r.len(), len(r.items))
	}
}
