package stories

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/synod-network/synod/load"
	"github.com/synod-network/synod/ordering"
)

func (s *sequencer) endpoint() load.Target {
	return load.Endpoint(s.config.Public.Listen, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

func (s *sequencer) head() ordering.Height {
	s.t.Helper()
	head, err := s.endpoint().Head(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return head
}

var errEnough = errors.New("enough")

// chain reads the digests of the blocks between the given ones over the public API, and wants them without gap, each built on the one
// before, in growing time.
func (s *sequencer) chain(ctx context.Context, from, to ordering.Height) (digests []ordering.Digest, err error) {
	last := ordering.Block{Height: from - 1}
	err = s.endpoint().Read(ctx, from, func(b ordering.Block) error {
		switch {
		case b.Height != last.Height+1:
			return fmt.Errorf("%s: block %d follows block %d", s.name, b.Height, last.Height)
		case b.Previous != last.Digest && (from == 1 || b.Height > from):
			return fmt.Errorf("%s: block %d is not built on the block before", s.name, b.Height)
		case b.Time <= last.LastTime() && b.Height > from:
			return fmt.Errorf("%s: block %d has time %d after %d", s.name, b.Height, b.Time, last.LastTime())
		}
		last, digests = b, append(digests, b.Digest)
		if b.Height == to {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return digests, nil
	}
	return nil, err
}

// agree reads the whole order from every node and wants it the same everywhere, with no evidence of anybody's misbehaviour.
func (c *cluster) agree() {
	c.t.Helper()
	c.agreeFrom(1)
}

// agreeFrom is agree for nodes that do not keep the blocks before one.
func (c *cluster) agreeFrom(from ordering.Height) {
	c.t.Helper()
	c.level()
	to := c.nodes[0].head()
	for _, n := range c.nodes {
		to = min(to, n.head())
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	chains := make([][]ordering.Digest, len(c.nodes))
	var reading errgroup.Group
	for i, n := range c.nodes {
		reading.Go(func() (err error) {
			chains[i], err = n.chain(ctx, from, to)
			return err
		})
	}
	if err := reading.Wait(); err != nil {
		c.t.Fatal(err)
	}
	for i, n := range c.nodes {
		for k, digest := range chains[i] {
			if digest != chains[0][k] {
				c.t.Fatalf("block %d differs at %s and %s", from+ordering.Height(k), c.nodes[0].name, n.name)
			}
		}
		if count := n.metric("synod_engine_evidence_total"); count != 0 {
			c.t.Errorf("%s has evidence of %.0f offences", n.name, count)
		}
	}
	c.t.Logf("%d nodes agree on all blocks from %d to %d, epoch %.0f", len(c.nodes), from, to, c.nodes[0].metric("synod_engine_epoch"))
}
