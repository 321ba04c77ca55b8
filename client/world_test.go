package client

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/synod-network/synod/client/clienttest"
	"github.com/synod-network/synod/sequencer/sequencing"
)

const (
	alice sequencing.MemberID = "PAR::alice"
	bob   sequencing.MemberID = "PAR::bob"
)

// world is a network, and one client of alice's in it, inside a bubble.
type world struct {
	t      *testing.T
	net    *clienttest.Network
	client *Client
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan error
	sent   int
}

// settle is long enough for connections, logins and streams, with the shortest backoffs.
const settle = 3 * time.Second

func inWorld(t *testing.T, sequencers int, story func(w *world)) {
	t.Helper()
	inWorldOf(t, sequencers, []sequencing.MemberID{alice, bob}, story)
}

func inWorldOf(t *testing.T, sequencers int, members []sequencing.MemberID, story func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: clienttest.New(sequencers, members...)}
		w.ctx, w.cancel = context.WithCancel(context.Background())
		defer w.net.Close()
		defer w.stop()
		story(w)
	})
}

// config is for alice, at all sequencers.
func (w *world) config() Config {
	c := Config{Member: alice, Authentication: clienttest.AuthenticationKey(alice), Signing: clienttest.SigningKey(alice), Network: w.net.ID,
		TrustThreshold: 2, Dial: w.net.Dial, Seed: 7}
	for _, s := range w.net.Sequencers() {
		c.Sequencers = append(c.Sequencers, sequencer(s))
	}
	return c
}

func sequencer(s *clienttest.Sequencer) Sequencer {
	return Sequencer{Alias: s.Name, ID: s.ID, Endpoints: []Endpoint{{Address: s.Address(0), Plain: true}}}
}

func (w *world) run(config Config) *Client {
	w.t.Helper()
	c, err := New(config)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, ended := w.ctx, make(chan error, 1)
	w.client, w.ended = c, ended
	go func() { ended <- c.Run(ctx) }()
	time.Sleep(settle)
	return c
}

// stop ends the client and waits for it. It replaces the context: what runs beside the story keeps the one it was begun with.
func (w *world) stop() error {
	w.cancel()
	if w.client == nil {
		return nil
	}
	err := <-w.ended
	w.client = nil
	w.ctx, w.cancel = context.WithCancel(context.Background())
	return err
}

// tell orders n submissions of bob's to alice, one a block.
func (w *world) tell(n int) {
	for range n {
		w.sent++
		w.net.Submit(w.submission(fmt.Sprintf("event %d", w.sent)))
		w.net.Order()
		time.Sleep(10 * time.Millisecond)
	}
}

// together orders n submissions in one block.
func (w *world) together(n int) {
	for range n {
		w.sent++
		w.net.Submit(w.submission(fmt.Sprintf("event %d", w.sent)))
	}
	w.net.Order()
}

func (w *world) submission(text string) sequencing.Submission {
	return sequencing.Submission{Sender: bob, Message: sequencing.MessageID(text), MaxTime: sequencing.Time(time.Now().Add(time.Minute).UnixMicro()),
		Sets: []sequencing.RecipientSet{To(alice)}, Envelopes: []sequencing.Envelope{{Payload: []byte(text)}}}
}

// next returns the next event, which must come within a minute.
func (w *world) next() Event {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	e, err := w.client.Next(ctx)
	if err != nil {
		w.t.Fatalf("next event: %v; lies %v", err, w.client.Lies())
	}
	return e
}

// expect reads events until the client was told everything that is true, and compares.
func (w *world) expect(from int) {
	w.t.Helper()
	truth, _ := w.net.Events(alice)
	for i := from; i < len(truth); i++ {
		e := w.next()
		if got, want := string(e.Delivery.Encode()), string(truth[i].Encode()); got != want {
			w.t.Fatalf("event %d: got %+v, want %+v", i, e.Delivery, truth[i])
		}
		if len(e.Sequencers) < 2 {
			w.t.Errorf("event %d: only %v told it", i, e.Sequencers)
		}
	}
}

// liars renders the lies found, as "s1 dropped".
func liars(c *Client) string {
	var all []string
	for _, l := range c.Lies() {
		all = append(all, fmt.Sprintf("%s %s", strings.Split(string(l.Sequencer), "::")[1], l.Kind))
	}
	return strings.Join(all, ", ")
}
