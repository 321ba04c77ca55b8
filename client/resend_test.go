package client

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/synod-network/synod/client/clienttest"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// A submission whose receipt went by while nobody waited for it is sent again, as an application does that does not know what became
// of it. It was sequenced, so whoever says that it never will be makes the application do the same thing twice.
func TestSendAgainAfterTheReceiptWentBy(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.live(w.config())
		signed, err := w.client.Sign(toBob("once"))
		if err != nil {
			t.Fatal(err)
		}
		impatient, cancel := context.WithTimeout(w.ctx, time.Millisecond)
		defer cancel()
		if _, err := w.client.SendSigned(impatient, signed); !errors.Is(err, ErrUnknown) {
			t.Fatalf("an impatient send: %v", err)
		}
		decoded, err := sequencing.Decode(signed.Request)
		if err != nil {
			t.Fatal(err)
		}
		w.net.Submit(*decoded.Body.(*sequencing.Submission)) // it did arrive
		time.Sleep(time.Second)
		for range 2 {
			began := time.Now()
			outcome, err := w.client.SendSigned(w.ctx, signed)
			if err != nil || outcome.Time == 0 || time.Since(began) > time.Second {
				t.Errorf("after %v: %+v, %v", time.Since(began), outcome, err)
			}
		}
		if w.received() != "once" {
			t.Errorf("bob got %q", w.received())
		}
		for _, s := range w.client.Status().Sequencers {
			if s.Broken > 0 {
				t.Errorf("%s is said to break its word", s.Alias)
			}
		}
	})
}

// An application that begins behind the receipt cannot be told that there is none.
func TestSendAgainBehindTheReceipt(t *testing.T) {
	for _, c := range []struct {
		name  string
		sent  bool          // it was sequenced
		after time.Duration // that the application begins again
	}{
		{"it was sequenced", true, time.Second},
		{"it was sequenced, and its time has passed", true, 3 * time.Minute},
		{"it was not sequenced", false, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, 3, func(w *world) {
				events := w.live(w.config())
				signed, err := w.client.Sign(toBob("once"))
				if err != nil {
					t.Fatal(err)
				}
				start := w.client.Position()
				if c.sent {
					if _, err := w.client.SendSigned(w.ctx, signed); err != nil {
						t.Fatal(err)
					}
					start = (<-events).Position
				}
				w.stop()
				go w.net.OrderEvery(w.ctx, 100*time.Millisecond)
				time.Sleep(c.after)
				config := w.config()
				config.Start = Position{Event: start.Event, Known: max(start.Known, w.net.Order()-1)}
				w.live(config)
				for _, s := range w.net.Sequencers() {
					s.Behave(clienttest.Behaviour{Swallow: true})
				}
				_, err = w.client.SendSigned(w.ctx, signed)
				if errors.Is(err, ErrExpired) || !errors.Is(err, ErrUnknown) {
					t.Errorf("it ended with %v", err)
				}
				// What was signed since the application began is known for sure.
				if _, err := w.client.Send(w.ctx, toBob("other")); !errors.Is(err, ErrExpired) {
					t.Errorf("a fresh one ended with %v", err)
				}
			})
		})
	}
}
