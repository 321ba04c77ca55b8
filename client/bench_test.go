package client

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/synod-network/synod/client/clienttest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/sequencer/session"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
)

const (
	benchEvents = 40000
	benchPage   = 100
)

// benchHistory is a true stream of alice's: submissions of 1 KiB by bob.
func benchHistory() (events [][]byte, known sequencing.Time) {
	net := clienttest.New(0, alice, bob)
	for i := range benchEvents {
		net.Submit(sequencing.Submission{Sender: bob, Message: sequencing.MessageID(fmt.Sprint(i)), MaxTime: sequencing.Time(time.Now().Add(time.Minute).UnixMicro()),
			Sets: []sequencing.RecipientSet{To(alice)}, Envelopes: []sequencing.Envelope{{Payload: make([]byte, 1024)}}})
		if i%1000 == 999 {
			net.Order()
		}
	}
	deliveries, known := net.Events(alice)
	for _, d := range deliveries {
		events = append(events, d.Encode())
	}
	return events, known
}

// pages cuts a stream into responses that a sequencer signs.
func pages(events [][]byte, sign func(e session.Events) *sequencerv1.SubscribeResponse) (all []*sequencerv1.SubscribeResponse) {
	after := sequencing.Time(0)
	for i := 0; i < len(events); i += benchPage {
		page := events[i:min(i+benchPage, len(events))]
		known, _, _ := sequencing.DeliveryTimes(page[len(page)-1])
		all = append(all, sign(session.Events{Member: alice, After: after, Encoded: page, Known: known}))
		after = known
	}
	return all
}

// replayed is a sequencer that tells a stream which was signed before, as fast as it is read.
type replayed struct {
	*clienttest.Sequencer
	responses []*sequencerv1.SubscribeResponse
}

func (r *replayed) Subscribe(_ *sequencerv1.SubscribeRequest, stream grpc.ServerStreamingServer[sequencerv1.SubscribeResponse]) error {
	for _, response := range r.responses {
		if err := stream.Send(response); err != nil {
			return err
		}
	}
	<-stream.Context().Done()
	return stream.Context().Err()
}

// BenchmarkEvents reads a stream of 1 KiB events, 100 in a response, from two sequencers with threshold 2: how many events per
// second the application gets, in "agree" by the client's own work alone (signatures, comparison, decoding), in "grpc" over
// gRPC, sequencers in the same process. Run it with -cpu 1.
func BenchmarkEvents(b *testing.B) {
	events, _ := benchHistory()
	net := clienttest.New(2, alice, bob)
	defer net.Close()
	config := Config{Member: alice, Authentication: clienttest.AuthenticationKey(alice), Signing: clienttest.SigningKey(alice), Network: net.ID,
		TrustThreshold: 2, Dial: net.Dial, BufferEvents: 2048}
	var told [][]*sequencerv1.SubscribeResponse
	for _, s := range net.Sequencers() {
		config.Sequencers = append(config.Sequencers, sequencer(s))
		told = append(told, pages(events, s.Sign))
		s.Serve(&replayed{Sequencer: s, responses: told[len(told)-1]})
	}
	b.Run("agree", func(b *testing.B) {
		for b.Loop() {
			c, err := New(config)
			if err != nil {
				b.Fatal(err)
			}
			c.view = view{network: net.ID}
			for i, p := range c.peers {
				p.key = net.Sequencer(i).PublicKey()
				p.stream = &stream{room: make(chan struct{}, 1)}
				c.agreement.open(p.id)
			}
			after, got := sequencing.Time(0), 0
			for page := range told[0] {
				var statement *Statement
				for i, p := range c.peers {
					if statement, err = c.examine(p, after, told[i][page]); err != nil {
						b.Fatal(err)
					}
					if err := c.heard(context.Background(), p, p.stream, statement); err != nil {
						b.Fatal(err)
					}
				}
				after = statement.Known
				for {
					if _, ok, err := c.take(); err != nil {
						b.Fatal(err)
					} else if !ok {
						break
					}
					got++
				}
			}
			if got != benchEvents {
				b.Fatalf("got %d", got)
			}
		}
		b.ReportMetric(float64(benchEvents)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
	b.Run("grpc", func(b *testing.B) {
		for b.Loop() {
			c, err := New(config)
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- c.Run(ctx) }()
			for range benchEvents {
				if _, err := c.Next(ctx); err != nil {
					b.Fatal(err, c.Status())
				}
			}
			cancel()
			<-ended
		}
		b.ReportMetric(float64(benchEvents)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
}
