package members

import (
	"sync"

	"github.com/synod-network/synod/keys"
)

// combiner checks the signatures of concurrent calls in batches: while one call
// checks, those that come meanwhile gather and are checked together. A call that is
// alone waits for nobody.
type combiner struct {
	verify func([]keys.Signed) []bool

	mu      sync.Mutex
	busy    bool
	waiting []*check
}

type check struct {
	signed []keys.Signed
	valid  []bool
	turn   chan bool // true: lead; false: it was done
}

// check reports for each signature whether it is valid.
func (c *combiner) check(signed []keys.Signed) []bool {
	own := &check{signed: signed, turn: make(chan bool, 1)}
	c.mu.Lock()
	c.waiting = append(c.waiting, own) // no more than there are calls
	lead := !c.busy
	c.busy = true
	c.mu.Unlock()
	if !lead && !<-own.turn {
		return own.valid
	}
	c.lead(own)
	return own.valid
}

// lead checks all that gathered, the leader's own among them, and then hands on.
func (c *combiner) lead(own *check) {
	c.mu.Lock()
	group := c.waiting
	c.waiting = nil
	c.mu.Unlock()

	all := own.signed
	if len(group) > 1 {
		all = nil
		for _, one := range group {
			all = append(all, one.signed...)
		}
	}
	valid := c.verify(all)
	for _, one := range group {
		one.valid, valid = valid[:len(one.signed):len(one.signed)], valid[len(one.signed):]
		if one != own {
			one.turn <- false
		}
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy = len(c.waiting) > 0; c.busy {
		c.waiting[0].turn <- true
	}
}
