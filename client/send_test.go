package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/synod-network/synod/client/clienttest"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// live runs a client of alice's whose events somebody reads, in a network that orders every 100 ms.
func (w *world) live(config Config) (events chan Event) {
	events = make(chan Event, 1000)
	client := w.run(config)
	ctx := w.ctx
	go w.net.OrderEvery(ctx, 100*time.Millisecond)
	go func() {
		for {
			e, err := client.Next(ctx)
			if err != nil {
				return
			}
			events <- e
		}
	}()
	return events
}

func toBob(text string) sequencing.Submission {
	return sequencing.Submission{Message: sequencing.MessageID(text), Sets: []sequencing.RecipientSet{To(bob)}, Envelopes: []sequencing.Envelope{{Payload: []byte(text)}}}
}

// received is what bob got.
func (w *world) received() string {
	var all []string
	events, _ := w.net.Events(bob)
	for _, e := range events {
		for _, envelope := range e.Envelopes {
			all = append(all, string(envelope.Payload))
		}
	}
	return strings.Join(all, " ")
}

func TestSendEndsWithItsReceipt(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		events := w.live(w.config())
		outcome, err := w.client.Send(w.ctx, toBob("hello"))
		if err != nil || outcome.Time == 0 || outcome.AlreadySent || outcome.Contributed {
			t.Fatalf("%+v, %v", outcome, err)
		}
		if w.received() != "hello" {
			t.Errorf("bob got %q", w.received())
		}
		if e := <-events; !e.Delivery.Receipt || e.Delivery.Time != outcome.Time || len(events) > 0 {
			t.Errorf("alice's events: %+v and %d more", e, len(events))
		}
		// The same again is another submission; under the same message id it is refused.
		if _, err := w.client.Send(w.ctx, toBob("other")); err != nil {
			t.Error(err)
		}
		again := toBob("hello")
		again.Envelopes[0].Payload = []byte("changed")
		var failure *Failure
		if _, err := w.client.Send(w.ctx, again); !errors.As(err, &failure) || failure.Rule != "duplicate_message_id" {
			t.Errorf("a message id used twice: %v", err)
		}
	})
}

func TestSendsPassOverSequencersThatCannot(t *testing.T) {
	for _, c := range []struct {
		name string
		b    clienttest.Behaviour
	}{
		{"overloaded", clienttest.Behaviour{Refuse: clienttest.Failure(codes.ResourceExhausted, "OVERLOADED", "", time.Minute)}},
		{"not ready", clienttest.Behaviour{Refuse: clienttest.Failure(codes.Unavailable, "NOT_READY", "", time.Second)}},
		{"slow clock", clienttest.Behaviour{Refuse: clienttest.Failure(codes.FailedPrecondition, "REFUSED", "max_sequencing_time_too_far", 0)}},
		{"refuses what is right", clienttest.Behaviour{Refuse: clienttest.Failure(codes.FailedPrecondition, "REFUSED", "too_large", 0)}},
		{"answers slowly", clienttest.Behaviour{Slow: 15 * time.Second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, 3, func(w *world) {
				w.live(w.config())
				w.net.Sequencer(0).Behave(c.b)
				before := w.net.Sequencer(0).Counts()
				asked := func() bool {
					now := w.net.Sequencer(0).Counts()
					return now.Sends+now.Logins > before.Sends+before.Logins
				}
				for i := 0; i < 6 || !asked() && i < 100; i++ { // who is asked is random
					began := time.Now()
					if _, err := w.client.Send(w.ctx, toBob(fmt.Sprint("message ", i))); err != nil {
						t.Errorf("%d: %v", i, err)
					}
					if took := time.Since(began); took > 11*time.Second || c.b.Slow == 0 && took > time.Second {
						t.Errorf("%d took %v", i, took)
					}
				}
				if !asked() {
					t.Error("the bad one was never asked")
				}
			})
		})
	}
}

func TestDefiniteRefusals(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.live(w.config())
		large := toBob("large")
		large.Envelopes[0].Payload = make([]byte, 2<<20)
		var failure *Failure
		if _, err := w.client.Send(w.ctx, large); !errors.As(err, &failure) || failure.Rule != "too_large" || !strings.Contains(err.Error(), `send "large"`) {
			t.Errorf("too large: %v", err)
		}
		// Two sequencers had to say so, because one is not believed.
		asked := 0
		for _, s := range w.net.Sequencers() {
			asked += s.Counts().Sends
		}
		if asked != 2 {
			t.Errorf("%d sequencers were asked", asked)
		}
		// The check before ordering does not see a change of rules that comes between.
		rules := sequencing.Parameters{MaxAhead: 5 * sequencing.Minute, MaxBytes: 3, MaxRecipients: 10, MaxInFlight: 1 << 20}
		done := make(chan error, 1)
		go func() {
			_, err := w.client.Send(w.ctx, toBob("delayed"))
			done <- err
		}()
		for w.net.Waiting() == 0 {
			time.Sleep(time.Millisecond)
		}
		w.net.SetRules(rules)
		var delivered *DeliverError
		if err := <-done; !errors.As(err, &delivered) || delivered.Refusal.Code != sequencing.TooLarge || delivered.Time == 0 {
			t.Errorf("refused after ordering: %v", err)
		}
	})
}

func TestBadSubmissionsAreNotSent(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		w.run(w.config())
		for _, c := range []struct {
			change func(s *sequencing.Submission)
			want   string
		}{
			{func(s *sequencing.Submission) { s.Sender = bob }, "its sender is PAR::bob"},
			{func(s *sequencing.Submission) { s.Envelopes[0].Set = 1 }, "envelope 0 is for recipient set 1 of 1"},
			{func(s *sequencing.Submission) { s.Message = sequencing.MessageID(strings.Repeat("x", 65)) }, "breaks a rule of the encoding"},
			{func(s *sequencing.Submission) {
				s.Sets[0] = append(s.Sets[0], sequencing.Recipient{Kind: sequencing.ToMember, Member: alice})
			}, "breaks a rule of the encoding"},
		} {
			s := toBob("bad")
			c.change(&s)
			if _, err := w.client.Send(w.ctx, s); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want …%s…", err, c.want)
			}
		}
	})
}

// A sequencer that takes submissions and does nothing with them: without amplification the send ends, definitely, when its time
// has passed; with it, another sequencer delivers.
func TestSwallowedSends(t *testing.T) {
	swallow := func(w *world, but int) {
		for i, s := range w.net.Sequencers() {
			s.Behave(clienttest.Behaviour{Swallow: i != but})
		}
	}
	t.Run("expire", func(t *testing.T) {
		inWorld(t, 3, func(w *world) {
			w.live(w.config())
			swallow(w, -1)
			began := time.Now()
			_, err := w.client.Send(w.ctx, toBob("lost"))
			if took := time.Since(began); !errors.Is(err, ErrExpired) || took < 2*time.Minute || took > 2*time.Minute+time.Second {
				t.Errorf("after %v: %v", took, err)
			}
		})
	})
	t.Run("amplified", func(t *testing.T) {
		inWorld(t, 3, func(w *world) {
			config := w.config()
			config.Amplification = Amplification{Factor: 3, Patience: 2 * time.Second}
			w.live(config)
			swallow(w, 1)
			for i := range 5 {
				began := time.Now()
				if _, err := w.client.Send(w.ctx, toBob(fmt.Sprint("m", i))); err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("took %v", took)
				}
			}
			if got := w.received(); got != "m0 m1 m2 m3 m4" {
				t.Errorf("bob got %q", got)
			}
		})
	})
}

// Copies that do get through are one delivery, and no error.
func TestCopiesCollapse(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		config := w.config()
		config.Amplification = Amplification{Factor: 3, Patience: time.Second}
		client, ctx := w.run(config), w.ctx
		go func() {
			for {
				if _, err := client.Next(ctx); err != nil {
					return
				}
			}
		}()
		done := make(chan error, 1)
		go func() {
			_, err := client.Send(ctx, toBob("once"))
			done <- err
		}()
		time.Sleep(10 * time.Second)
		if n := w.net.Waiting(); n != 3 {
			t.Errorf("%d copies wait", n)
		}
		w.net.Order()
		if err := <-done; err != nil {
			t.Error(err)
		}
		// The same content under another message id, as by an application that crashed and built it anew.
		go w.net.OrderEvery(w.ctx, 100*time.Millisecond)
		until := sequencing.Time(time.Now().Add(time.Minute).UnixMicro())
		for i := range 2 {
			s := toBob(fmt.Sprint("id ", i))
			s.MaxTime, s.Envelopes[0].Payload = until, []byte("twice")
			outcome, err := client.Send(w.ctx, s)
			if i == 0 && err != nil || i == 1 && !alreadySent(outcome, err) {
				t.Errorf("%d: %+v, %v", i, outcome, err)
			}
		}
		if got := w.received(); got != "once twice" {
			t.Errorf("bob got %q", got)
		}
	})
}

func alreadySent(o Outcome, err error) bool { return err == nil && o.AlreadySent }

// The answer may come while the call is still on its way back.
func TestReceiptBeforeTheAnswer(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		w.live(w.config())
		for _, s := range w.net.Sequencers() {
			s.Behave(clienttest.Behaviour{Slow: time.Second})
		}
		signed, err := w.client.Sign(toBob("fast"))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(100 * time.Millisecond)
			decoded, _ := sequencing.Decode(signed.Request)
			w.net.Submit(*decoded.Body.(*sequencing.Submission)) // the same bytes, by another way
		}()
		if _, err := w.client.SendSigned(w.ctx, signed); err != nil {
			t.Error(err)
		}
		if w.received() != "fast" {
			t.Errorf("bob got %q", w.received())
		}
	})
}

func TestEndedWaitsAreUnknown(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		ctx, cancel := context.WithTimeout(w.ctx, time.Second)
		defer cancel()
		if c, err := New(w.config()); err != nil {
			t.Error(err)
		} else if _, err := c.Send(ctx, toBob("early")); !errors.Is(err, ErrStopped) {
			t.Errorf("before Run: %v", err)
		}
		client := w.run(w.config())
		ctx, cancel = context.WithTimeout(w.ctx, time.Second)
		defer cancel()
		if _, err := client.Send(ctx, toBob("waits")); !errors.Is(err, ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a deadline: %v", err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := client.Send(context.Background(), toBob("stopped"))
			done <- err
		}()
		time.Sleep(time.Second)
		w.stop()
		if err := <-done; !errors.Is(err, ErrUnknown) || !errors.Is(err, ErrStopped) {
			t.Errorf("stopped: %v", err)
		}
		if _, err := client.Send(w.ctx, toBob("late")); !errors.Is(err, ErrStopped) {
			t.Errorf("after Run: %v", err)
		}
		if _, err := client.Next(w.ctx); !errors.Is(err, ErrStopped) {
			t.Errorf("next after Run: %v", err)
		}
	})
}

// Sends go on while all sequencers die and come back, one after the other.
func TestSendsThroughCrashes(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		config := w.config()
		config.Amplification = Amplification{Factor: 3, Patience: time.Second}
		config.LivenessMargin = 1
		w.live(config)
		var group sync.WaitGroup
		for i := range 40 {
			group.Go(func() {
				time.Sleep(time.Duration(i) * 200 * time.Millisecond)
				if _, err := w.client.Send(w.ctx, toBob(fmt.Sprint("m", i))); err != nil {
					t.Errorf("%d: %v", i, err)
				}
			})
		}
		for i := range 6 {
			s := w.net.Sequencer(i % 3)
			s.Down()
			time.Sleep(time.Second)
			s.Up()
			time.Sleep(300 * time.Millisecond)
		}
		group.Wait()
		if got := len(strings.Fields(w.received())); got != 40 {
			t.Errorf("bob got %d of 40", got)
		}
	})
}

func TestAcknowledgements(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.tell(3)
		client := w.run(w.config())
		go w.net.OrderEvery(w.ctx, 100*time.Millisecond)
		if err := client.Confirm(sequencing.Time(time.Now().UnixMicro())); err == nil {
			t.Error("what was never told can be confirmed")
		}
		var last sequencing.Time
		for range 3 {
			last = w.next().Position.Known
		}
		if err := client.Confirm(last); err != nil {
			t.Fatal(err)
		}
		w.net.Sequencer(0).Behave(clienttest.Behaviour{Refuse: clienttest.Failure(codes.ResourceExhausted, "OVERLOADED", "", 0)})
		time.Sleep(61 * time.Second)
		if got := w.net.Acknowledged(alice); got != last {
			t.Errorf("acknowledged %d, want %d", got, last)
		}
		time.Sleep(5 * time.Minute)
		asked := 0
		for _, s := range w.net.Sequencers() {
			asked += s.Counts().Acknowledgements
		}
		if asked > 2 {
			t.Errorf("%d acknowledgements of one thing", asked)
		}
	})
}

// Endpoints change while connections break and sends are on their way. The race detector looks on.
func TestEndpointsChangeUnderSends(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		config := w.config()
		config.Amplification = Amplification{Factor: 2, Patience: time.Second}
		w.live(config)
		var group sync.WaitGroup
		for i := range 20 {
			group.Go(func() {
				time.Sleep(time.Duration(i) * 50 * time.Millisecond)
				if _, err := w.client.Send(w.ctx, toBob(fmt.Sprint("m", i))); err != nil {
					t.Errorf("%d: %v", i, err)
				}
			})
		}
		group.Go(func() { // beside what breaks the connections, so that neither orders the other
			for i := range 50 {
				changed := slices.Clone(config.Sequencers)
				for k := range changed {
					at := w.net.Sequencer(k)
					changed[k].Endpoints = []Endpoint{{Address: at.Address(0), Plain: true}, {Address: at.Address(1 + i%3), Plain: true}}
				}
				if err := w.client.SetSequencers(changed); err != nil {
					t.Error(err)
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
		for i := range 20 {
			w.net.Sequencer(i % 3).Down()
			time.Sleep(30 * time.Millisecond)
			w.net.Sequencer(i % 3).Up()
			time.Sleep(20 * time.Millisecond)
		}
		group.Wait()
		if lies := w.client.Lies(); len(lies) > 0 {
			t.Errorf("somebody is accused: %v", lies)
		}
	})
}
