package client

import (
	"crypto/sha256"
	"fmt"

	"github.com/synod-network/synod/sequencer/sequencing"
)

// receipts remembers the newest receipts that were released, for submissions that are sent again: an application that does not know
// what became of one sends it once more, and its receipt may have gone by meanwhile. The fields belong to the client's lock.
type receipts struct {
	// after is up to when receipts may be forgotten: an earlier one was told before the application began, or was pushed out.
	after sequencing.Time
	known map[sequencing.MessageID]receipt
	order []sequencing.MessageID // oldest first
}

type receipt struct {
	outcome Outcome
	err     error
	// request is the digest of what was sent, if somebody waited for the receipt: a message id alone may stand for other content.
	request [sha256.Size]byte
}

// receiptsMost is how many are remembered.
const receiptsMost = 4096

func newReceipts(start sequencing.Time) receipts {
	return receipts{after: start, known: map[sequencing.MessageID]receipt{}}
}

func (r *receipts) add(id sequencing.MessageID, one receipt) {
	if _, again := r.known[id]; !again {
		if len(r.order) >= receiptsMost {
			oldest := r.order[0]
			r.after = max(r.after, r.known[oldest].outcome.Time)
			delete(r.known, oldest)
			r.order = r.order[1:]
		}
		r.order = append(r.order, id)
	}
	r.known[id] = one
}

// recall ends a send whose receipt went by before anybody waited for it, if one is remembered. The caller holds the lock.
func (c *Client) recall(t *tracked) bool {
	one, found := c.receipts.known[t.signed.Message]
	if !found || !t.replayed && one.request != sha256.Sum256(t.signed.Request) {
		return false
	}
	t.outcome, t.err, t.recalled = one.outcome, one.err, true
	delete(c.tracked, t.signed.Message)
	close(t.done)
	return true
}

// replayed notes that a sequencer says that a submission was sequenced before.
func (c *Client) replayed(t *tracked) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.replayed = true; c.tracked[t.signed.Message] == t {
		c.recall(t)
	}
}

// end is how a send ends whose time has passed without a receipt. The caller holds the lock.
func (c *Client) end(t *tracked) error {
	if _, found := c.receipts.known[t.signed.Message]; found || t.signed.After < t.since {
		return errMissed
	}
	return ErrExpired
}

// errMissed: who sends again what was signed before the events that are known here may have missed its receipt.
var errMissed = fmt.Errorf("%w: max-sequencing-time has passed, and events that were told before it was sent from here may hold its receipt", ErrUnknown)
