package client

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/synod-network/synod/client/clienttest"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// orders runs a client whose events somebody reads, in a network that orders in some rhythm.
func (w *world) orders(config Config, every time.Duration) {
	client, ctx := w.run(config), w.ctx
	go w.net.OrderEvery(ctx, every)
	go func() {
		for {
			if _, err := client.Next(ctx); err != nil {
				return
			}
		}
	}()
}

// Ordering that takes longer than a client's patience is no sequencer's fault: nobody is passed over, whether all of it is slow, or now and then.
func TestSlowOrderingIsNobodysFault(t *testing.T) {
	for _, c := range []struct {
		name            string
		every, patience time.Duration
		factor          int
	}{
		{"always longer than patience", 3 * time.Second, time.Second, 2},
		{"much longer", 20 * time.Second, time.Second, 3},
		{"longer half of the time", 2 * time.Second, time.Second, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, 4, func(w *world) {
				config := w.config()
				config.Amplification = Amplification{Factor: c.factor, Patience: c.patience}
				w.orders(config, c.every)
				for i := range 60 {
					time.Sleep(time.Duration(i*370%2000) * time.Millisecond) // at any time of the rhythm
					if _, err := w.client.Send(w.ctx, toBob(fmt.Sprint("m", i))); err != nil {
						t.Fatal(err)
					}
					for _, s := range w.client.Status().Sequencers {
						if !s.PassedOver.IsZero() {
							t.Fatalf("after %d sends %s is passed over: kept %d, broken %d", i+1, s.Alias, s.Kept, s.Broken)
						}
					}
				}
			})
		})
	}
}

// Nor is it anybody's fault that nothing is ordered at all.
func TestAStandstillIsNobodysFault(t *testing.T) {
	inWorld(t, 4, func(w *world) {
		config := w.config()
		config.Amplification, config.Lifetime = Amplification{Factor: 2, Patience: time.Second}, 10*time.Second
		w.orders(config, time.Second)
		for _, s := range w.net.Sequencers() {
			s.Behave(clienttest.Behaviour{Swallow: true})
		}
		for i := range 20 {
			if _, err := w.client.Send(w.ctx, toBob(fmt.Sprint("m", i))); !errors.Is(err, ErrExpired) {
				t.Fatal(err)
			}
		}
		for _, s := range w.client.Status().Sequencers {
			if !s.PassedOver.IsZero() || s.Broken == 0 {
				t.Errorf("%s: %+v", s.Alias, s)
			}
		}
	})
}

// A sequencer that drops what it takes, and tells of receipts that there are not, does not keep the send from the next one.
func TestAForgedReceiptDoesNotHoldASendUp(t *testing.T) {
	inWorld(t, 4, func(w *world) {
		config := w.config()
		config.LivenessMargin = 2
		config.Amplification = Amplification{Factor: 2, Patience: time.Second}
		w.live(config)
		at := sequencing.Time(time.Now().Add(time.Hour).UnixMicro())
		future := func(events []sequencing.Delivery, known sequencing.Time) ([]sequencing.Delivery, sequencing.Time) {
			last := sequencing.Time(0)
			if len(events) > 0 {
				last = events[len(events)-1].Time
			}
			return append(events, sequencing.Delivery{Time: at, Previous: last, Kind: sequencing.Delivered, Receipt: true, Message: "held up"}), at
		}
		w.net.Sequencer(0).Behave(clienttest.Behaviour{Distort: future, Swallow: true})
		for _, s := range w.net.Sequencers()[1:] { // so that it is asked first
			s.Behave(clienttest.Behaviour{Refuse: clienttest.Failure(8, "OVERLOADED", "", 0)})
		}
		time.Sleep(settle)
		done, began := make(chan error, 1), time.Now()
		go func() {
			_, err := w.client.Send(w.ctx, toBob("held up"))
			done <- err
		}()
		time.Sleep(100 * time.Millisecond)
		for _, s := range w.net.Sequencers()[1:] {
			s.Behave(clienttest.Behaviour{})
		}
		if err := <-done; err != nil || time.Since(began) > 5*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}
