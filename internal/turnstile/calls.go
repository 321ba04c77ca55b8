package turnstile

import "sync"

// Calls counts what is open of strangers, such as calls of whoever need not say who they are: of everybody and of each host. Its methods may
// be called from any number of goroutines.
type Calls struct {
	limits Limits

	mu     sync.Mutex
	open   int
	byHost map[string]int
}

// NewCalls returns a count of nothing.
func NewCalls(limits Limits) *Calls { return &Calls{limits: limits, byHost: map[string]int{}} }

// Enter counts one more of a host, and reports whether that is within the limits; if so, Leave must follow.
func (c *Calls) Enter(host string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limits.Total > 0 && c.open >= c.limits.Total || c.limits.Host > 0 && c.byHost[host] >= c.limits.Host {
		return false
	}
	c.open++
	c.byHost[host]++
	return true
}

// Leave counts one less.
func (c *Calls) Leave(host string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if c.byHost[host]--; c.byHost[host] == 0 {
		delete(c.byHost, host)
	}
}
