package client

import (
	"errors"
	"math"
	"time"

	"github.com/synod-network/synod/sequencer/sequencing"
)

// promises is how a sequencer kept its word about sends. Whoever answers that a submission is queued promises that it will be
// sequenced. One that takes submissions and drops them signs nothing that shows it, and one that crashed broke its word as well;
// so this is a suspicion and not a [Lie]. A sequencer that breaks several promises in a row is passed over for a while: sends
// go through it only if nobody else can be asked. Then it gets another chance.
//
// Nor is it a fault to be as slow as the order is. Where ordering takes longer than a client's patience, every promise looks broken; so a
// row is held against a sequencer only if it can hardly be chance, by how others kept their word since it began.
// The fields belong to the client's lock.
type promises struct {
	kept, broken uint64
	row          int       // broken since the last that was kept
	since        score     // of others, since the row began
	passed       int       // the length of the row for which it was last passed over
	until        time.Time // when it is asked again like others
}

// score counts promises of several sequencers.
type score struct{ kept, broken int }

const (
	// promiseLimit is how many promises in a row a sequencer breaks at least before it is passed over.
	promiseLimit = 3
	// chanceMost is how likely it may be, for a row to count, that one breaks its word so often as others do.
	chanceMost = 1e-3
	// A sequencer is passed over for passMin at first, for twice as long with each further broken promise, and for at most passMax.
	passMin, passMax = time.Minute, time.Hour
)

func (p *promises) keep() { *p = promises{kept: p.kept + 1, broken: p.broken} }

func (p *promises) breach() {
	p.broken, p.row = p.broken+1, p.row+1
	if p.row == 1 {
		p.since = score{}
	}
}

// chance is how likely the row is for one that keeps its word as others do. While little is known of them, they are taken to be no better
// than even (two kept and two broken are added to what was seen).
func (p *promises) chance() float64 {
	broken, all := float64(p.since.broken+2), float64(p.since.kept+p.since.broken+4)
	return math.Pow(broken/all, float64(p.row))
}

// passOver passes a sequencer over if its row speaks against it, and reports whether that is new.
func (p *promises) passOver(now time.Time) bool {
	if p.row < promiseLimit || p.row == p.passed || p.chance() > chanceMost {
		return false
	}
	p.passed, p.until = p.row, now.Add(min(passMin<<min(p.row-promiseLimit, 10), passMax))
	return true
}

// taker is a sequencer that took a submission.
type taker struct {
	peer *peer
	// alone is up to when no other had taken the submission, as far as anybody here knew; 0 if no other ever did.
	alone sequencing.Time
}

// judge holds sequencers to their word, once a send that they took has ended. If it was sequenced before others took it, the first
// one had it sequenced; if later, that is believed of the last, which proves nothing, and of nobody if its time has passed.
func (c *Client) judge(takers []taker, at sequencing.Time, err error) {
	expired := errors.Is(err, ErrExpired)
	if !expired && at == 0 { // nobody knows yet
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, t := range takers {
		if expired || t.alone != 0 && at > t.alone {
			t.peer.promises.breach()
			c.compare(t.peer, score{broken: 1})
			continue
		}
		if i == 0 {
			t.peer.promises.keep()
			c.compare(t.peer, score{kept: 1})
		}
		break // the others were not needed
	}
	if c.config.fault == faultTrustPromises {
		return
	}
	for _, p := range c.peers {
		if now := time.Now(); p.promises.passOver(now) {
			c.config.Log.Warn("a sequencer says that it takes submissions, and they are not sequenced: others are asked instead", "sequencer", p.alias,
				"in_a_row", p.promises.row, "until", p.promises.until)
		}
	}
}

// compare adds what one sequencer did to what others are measured by.
func (c *Client) compare(with *peer, did score) {
	for _, p := range c.peers {
		if p != with && p.promises.row > 0 {
			p.promises.since.kept += did.kept
			p.promises.since.broken += did.broken
		}
	}
}
