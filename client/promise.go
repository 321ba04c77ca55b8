package client

import (
	"errors"
	"time"

	"github.com/synod-network/synod/sequencer/sequencing"
)

// promises is how a sequencer kept its word about sends. Whoever answers that a submission is queued promises that it will be
// sequenced. One that takes submissions and drops them signs nothing that shows it, and one that crashed broke its word as well;
// so this is a suspicion and not a [Lie]. A sequencer that breaks several promises in a row is passed over for a while: sends
// go through it only if nobody else can be asked. Then it gets another chance. Where patience is shorter than ordering takes, all
// are suspect, and asked like each other. The fields belong to the client's lock.
type promises struct {
	kept, broken uint64
	row          int       // broken since the last that was kept
	until        time.Time // when it is asked again like others
}

const (
	// promiseLimit is how many promises in a row a sequencer breaks before it is passed over.
	promiseLimit = 3
	// A sequencer is passed over for passMin at first, for twice as long with each further broken promise, and for at most passMax.
	passMin, passMax = time.Minute, time.Hour
)

func (p *promises) keep() { p.kept, p.row, p.until = p.kept+1, 0, time.Time{} }

// breach notes a broken promise, and reports whether the sequencer is passed over for it.
func (p *promises) breach(now time.Time) bool {
	p.broken, p.row = p.broken+1, p.row+1
	over := p.row - promiseLimit
	if over < 0 {
		return false
	}
	p.until = now.Add(min(passMin<<min(over, 10), passMax))
	return true
}

// taker is a sequencer that took a submission.
type taker struct {
	peer *peer
	// alone is up to when no other had taken the submission, as far as anybody here knew; 0 if no other ever did.
	alone sequencing.Time
}

// judge holds sequencers to their word, once a send that they took has ended. If it was sequenced before others took it, the first
// one had it sequenced; otherwise that is believed of the last, and of nobody if its time has passed.
func (c *Client) judge(takers []taker, at sequencing.Time, err error) {
	expired := errors.Is(err, ErrExpired)
	if !expired && at == 0 { // nobody knows yet
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range takers {
		if !expired && (t.alone == 0 || at <= t.alone) {
			t.peer.promises.keep()
			return // the others were not needed
		}
		if t.peer.promises.breach(time.Now()) && c.config.fault != faultTrustPromises {
			c.config.Log.Warn("a sequencer says that it takes submissions, and they are not sequenced: others are asked instead", "sequencer", t.peer.alias,
				"in_a_row", t.peer.promises.row, "until", t.peer.promises.until)
		}
	}
}
