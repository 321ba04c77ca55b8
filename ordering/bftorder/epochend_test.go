package bftorder_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/ordering/bftorder"
	"github.com/synod-network/synod/replica"
	"github.com/synod-network/synod/replica/store"
	"github.com/synod-network/synod/telemetry"
)

// stopsAtEnd is an application that has its replica stopped while it answers the last commit of an epoch.
type stopsAtEnd struct {
	*tally
	stop context.CancelFunc
}

func (a stopsAtEnd) EndEpoch() (replica.Ended, error) {
	a.stop()
	return a.tally.EndEpoch()
}

// TestStoppedWhileAnEpochEnds: a member that stops after the last commit of an epoch and before the hand-over is complete answers
// that commit again once it is back. It used to begin behind that commit, and waited for its own answer for ever.
func TestStoppedWhileAnEpochEnds(t *testing.T) {
	key, err := keys.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	params := bft.DefaultParams()
	params.EpochDuration, params.IdleInterval = 200*bft.Millisecond, 20*bft.Millisecond
	self := bft.PublicKey(key.Public())
	genesis := bft.Genesis(bft.NetworkID(self), []bft.PublicKey{self}, params, bft.Time(time.Now().UnixMicro()))
	options := store.Options{Dir: t.TempDir(), Network: genesis.Network, SegmentSize: 1 << 20}
	if err := store.Create(options, store.Newborn); err != nil {
		t.Fatal(err)
	}
	run := func(ctx context.Context, app replica.Application) (*bftorder.Orderer, <-chan error) {
		s, err := store.Open(options)
		if err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		r, err := replica.New(replica.Config{
			Genesis: genesis, Key: key, Store: s, Application: app, Listener: listener,
			Queue: replica.QueueLimits{Requests: 10, Bytes: queueBytes}, Metrics: telemetry.New(prometheus.NewRegistry()),
		})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- errors.Join(r.Run(ctx), s.Close()) }()
		return bftorder.New(r), ended
	}
	for range 5 {
		ctx, stop := context.WithCancel(t.Context())
		_, ended := run(ctx, stopsAtEnd{newTally(genesis, options.Dir), stop})
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(time.Minute):
			stop()
			t.Fatal("the application was not asked again for its answer to the epoch's last commit")
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	orderer, ended := run(ctx, newTally(genesis, options.Dir))
	first := orderer.Status().Epoch
	if err := orderer.Read(ctx, 1, func(b ordering.Block) error {
		if b.Epoch > first {
			return errDone
		}
		return nil
	}); !errors.Is(err, errDone) {
		t.Errorf("read on: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

var errDone = errors.New("done")
