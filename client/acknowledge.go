package client

import (
	"context"
	"fmt"
	"time"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// acknowledge tells the network from time to time what the application confirmed.
func (c *Client) acknowledge(ctx context.Context) {
	told := c.config.Start.Known
	ticker := time.NewTicker(c.config.AcknowledgeInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		c.mu.Lock()
		confirmed := c.confirmed
		c.mu.Unlock()
		if confirmed <= told {
			continue
		}
		if err := c.acknowledgeOnce(ctx, confirmed); err != nil && ctx.Err() == nil {
			c.config.Log.Warn("the member could not acknowledge its events: they are kept until it does", "member", c.config.Member, "up_to", confirmed, "error", err)
			continue
		}
		told = confirmed
	}
}

// acknowledgeOnce gives one acknowledgement to the first sequencer that takes it.
func (c *Client) acknowledgeOnce(ctx context.Context, upTo sequencing.Time) error {
	view, ok := c.believed()
	if !ok {
		return fmt.Errorf("the network is not known")
	}
	request := sequencing.Request{Body: &sequencing.Acknowledgement{Member: c.config.Member, UpTo: upTo}}
	digest := request.Digest(view.network)
	request.Signatures = []sequencing.KeySignature{{Key: sequencing.Key(c.config.Signing.Public()), Signature: sequencing.Signature(c.config.Signing.Sign(digest[:]))}}
	encoded := request.Encode()
	var last error = &Failure{Message: "no sequencer is connected"}
	for tried := map[*peer]bool{}; ; {
		p, by := c.sender(tried)
		if p == nil {
			return last
		}
		tried[p] = true
		attempt, cancel := context.WithTimeout(ctx, c.config.CallTimeout)
		f := c.call(attempt, p, by, func(ctx context.Context, t token) error {
			_, err := by.service.Acknowledge(t.authorize(ctx), &sequencerv1.AcknowledgeRequest{Request: encoded})
			return err
		})
		cancel()
		// One that is not above the last is as good: an earlier run acknowledged it.
		if f == nil || f.Rule == sequencing.StaleAcknowledgment.String() {
			return nil
		}
		last = f
	}
}
