package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// ErrNotTold says that no sequencer told who got an envelope.
var ErrNotTold = errors.New("no sequencer tells the recipients")

// Recipients returns who got an envelope of the event at a time. Events show small recipient sets, and these are
// returned as they are. For a large one it asks sequencers, one after the other, until what one answers has the digest
// that the senders signed: no threshold is needed to believe it. Who answers anything else lied ([WrongRecipients]).
//
// A member may ask for what it received, and for what it sent ([sequencing.RecipientSet.Digest] tells the Set of that),
// as long as sequencers keep the event: ask before [Client.Confirm]. The client must run. The error matches [ErrNotTold]
// and has what each sequencer answered, or is that of the context.
func (c *Client) Recipients(ctx context.Context, at sequencing.Time, envelope sequencing.Received) (sequencing.RecipientSet, error) {
	if envelope.Recipients != nil {
		return envelope.Recipients, nil
	}
	tried := map[*peer]bool{}
	var failures []error
	for {
		p, by := c.sender(tried)
		if p == nil {
			return nil, fmt.Errorf("recipients %v of the event at %d: %w: %w", envelope.Set, at, ErrNotTold, errors.Join(failures...))
		}
		tried[p] = true
		set, err := c.askRecipients(ctx, p, by, at, envelope.Set)
		if err == nil {
			return set, nil
		}
		if ended := over(ctx); ended != nil {
			return nil, fmt.Errorf("recipients %v of the event at %d: %w", envelope.Set, at, ended)
		}
		failures = append(failures, err)
	}
}

// over is why a context has ended. A sequencer is told the deadline, and its answer that this has passed may come before the
// context itself notices.
func over(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok && ctx.Err() == nil && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return context.Cause(ctx)
}

// recipientsStep is how many bytes of recipients are to come in each [Config.CallTimeout].
const recipientsStep = 256 << 10

// askRecipients asks one sequencer.
func (c *Client) askRecipients(ctx context.Context, p *peer, by way, at sequencing.Time, set sequencing.Digest) (sequencing.RecipientSet, error) {
	var encoded []byte
	failure := c.call(ctx, p, by, func(ctx context.Context, t token) (err error) {
		encoded, err = c.receiveRecipients(t.authorize(ctx), by.service, at, set)
		return err
	})
	if failure != nil {
		return nil, failure
	}
	if got := sequencing.RecipientSetDigest(encoded); got != set {
		return nil, c.wrongRecipients(p, at, set, fmt.Sprintf("%d bytes with the digest %v", len(encoded), got))
	}
	found, err := sequencing.DecodeRecipientSet(encoded)
	if err != nil { // the senders signed it, and sequencers took it
		return nil, fmt.Errorf("sequencer %s: %w: %w: update this client", p.alias, ErrUnreadable, err)
	}
	return found, nil
}

// receiveRecipients reads one answer, of which nothing is believed: at most a byte more than any set has.
func (c *Client) receiveRecipients(ctx context.Context, service sequencerv1.SequencerServiceClient, at sequencing.Time, set sequencing.Digest) (encoded []byte, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	patience := time.AfterFunc(c.config.CallTimeout, func() { cancel(context.DeadlineExceeded) })
	defer patience.Stop()
	parts, err := service.GetRecipients(ctx, &sequencerv1.GetRecipientsRequest{TimeMicros: int64(at), Digest: set[:]})
	for steps := 0; err == nil && len(encoded) <= sequencing.MaxRecipientSet; {
		var part *sequencerv1.GetRecipientsResponse
		if part, err = parts.Recv(); err != nil {
			break
		}
		data := part.GetData()
		encoded = append(encoded, data[:min(len(data), sequencing.MaxRecipientSet+1-len(encoded))]...)
		if n := len(encoded) / recipientsStep; n > steps {
			steps = n
			patience.Reset(c.config.CallTimeout)
		}
	}
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return encoded, nil
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return nil, fmt.Errorf("the recipients do not come: %w", context.Cause(ctx))
	}
	return nil, err
}

// wrongRecipients notes that a sequencer lied, and leaves it.
func (c *Client) wrongRecipients(p *peer, at sequencing.Time, set sequencing.Digest, told string) *Lie {
	c.mu.Lock()
	defer c.mu.Unlock()
	lie := &Lie{Sequencer: p.id, Kind: WrongRecipients, Time: at, Detail: fmt.Sprintf("as the recipients %v of the event at %d it tells %s", set, at, told)}
	if p.left == nil {
		c.leave(lie)
		c.pump()
	}
	return lie
}
