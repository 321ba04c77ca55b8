package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/synod-network/synod/client/clienttest"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// crowd are so many members with names of usual length.
func crowd(n int) (many []sequencing.MemberID) {
	for i := range n {
		many = append(many, sequencing.MemberID(fmt.Sprintf("PAR::participant%04d::1220%064d", i, i)))
	}
	return many
}

// inCrowd is a world in which bob sent alice and a crowd the first event, and alice has received it.
func inCrowd(t *testing.T, sequencers int, story func(w *world, e Event, want sequencing.RecipientSet)) {
	t.Helper()
	inWorldOf(t, sequencers, append(crowd(300), alice, bob), func(w *world) {
		s := w.submission("to all")
		s.Sets[0] = To(append(crowd(300), alice)...)
		w.net.Submit(s)
		w.net.Order()
		w.run(w.config())
		story(w, w.next(), s.Sets[0])
	})
}

func (w *world) recipients(e Event) (sequencing.RecipientSet, error) {
	ctx, cancel := context.WithTimeout(w.ctx, 10*time.Minute)
	defer cancel()
	return w.client.Recipients(ctx, e.Delivery.Time, e.Delivery.Envelopes[0])
}

func TestRecipientsAreAskedForAndChecked(t *testing.T) {
	inCrowd(t, 3, func(w *world, e Event, want sequencing.RecipientSet) {
		if b, err := VerifyBatch(w.net.ID, e.Delivery, w.net); err != nil || b.Envelopes[0].Recipients != nil || b.Envelopes[0].Set != want.Digest() {
			t.Fatalf("%+v, %v", b, err)
		}
		if got, err := w.recipients(e); err != nil || !slices.Equal(got, want) {
			t.Errorf("%d recipients, want %d; %v", len(got), len(want), err)
		}
		w.tell(1)
		small := w.next()
		if got, err := w.recipients(small); err != nil || !slices.Equal(got, To(alice)) {
			t.Errorf("got %v, %v", got, err)
		}
		asked := 0
		for _, s := range w.net.Sequencers() {
			asked += s.Counts().Recipients
		}
		if asked != 1 {
			t.Errorf("asked %d times; what is shown needs no question", asked)
		}
		if got := liars(w.client); got != "" {
			t.Error(got)
		}
	})
}

// Whatever a sequencer tells instead of the true recipients, it is named as a liar and left, and another tells the truth.
func TestForgedRecipientsAreALie(t *testing.T) {
	for name, forge := range map[string]func([]byte) []byte{
		"one is another":   func(encoded []byte) []byte { encoded[len(encoded)-1]++; return encoded },
		"others":           func([]byte) []byte { return To(alice, bob).Encode() },
		"fewer":            func(encoded []byte) []byte { return encoded[:len(encoded)/2] },
		"none":             func([]byte) []byte { return nil },
		"more than can be": func([]byte) []byte { return make([]byte, sequencing.MaxRecipientSet+10_000) },
	} {
		t.Run(name, func(t *testing.T) {
			inCrowd(t, 4, func(w *world, e Event, want sequencing.RecipientSet) {
				for _, s := range w.net.Sequencers()[:2] {
					s.Behave(clienttest.Behaviour{Recipients: forge})
				}
				for range 40 { // whoever is asked first
					if got, err := w.recipients(e); err != nil || !slices.Equal(got, want) {
						t.Fatalf("%d recipients, want %d; %v", len(got), len(want), err)
					}
				}
				found := strings.Split(liars(w.client), ", ")
				slices.Sort(found)
				if got := strings.Join(found, ", "); got != "s1 wrong_recipients, s2 wrong_recipients" {
					t.Errorf("found %q", got)
				}
				for _, s := range w.net.Sequencers()[:2] {
					if n := s.Counts().Recipients; n != 1 {
						t.Errorf("%s was asked %d times", s.Name, n)
					}
				}
				w.tell(2) // the others go on
				w.expect(1)
			})
		})
	}
}

// Those that refuse or say nothing are passed over; if all do, the error says what they said.
func TestRecipientsThatNobodyTells(t *testing.T) {
	inCrowd(t, 3, func(w *world, e Event, want sequencing.RecipientSet) {
		w.net.Sequencer(0).Behave(clienttest.Behaviour{Withhold: true})
		w.net.Sequencer(1).Down()
		w.net.Sequencer(2).ForgetTokens()
		if got, err := w.recipients(e); err != nil || !slices.Equal(got, want) {
			t.Errorf("%d recipients, want %d; %v", len(got), len(want), err)
		}
		other := e.Delivery.Envelopes[0]
		other.Set[0]++
		var failure *Failure
		_, err := w.client.Recipients(w.ctx, e.Delivery.Time, other)
		if !errors.Is(err, ErrNotTold) || !errors.As(err, &failure) || !strings.Contains(err.Error(), "NOT_YOURS") || !strings.Contains(err.Error(), "s1: ") {
			t.Errorf("got %v", err)
		}
		ctx, cancel := context.WithTimeout(w.ctx, time.Second)
		defer cancel()
		w.net.Sequencer(2).Behave(clienttest.Behaviour{Withhold: true})
		if _, err := w.client.Recipients(ctx, e.Delivery.Time, e.Delivery.Envelopes[0]); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrNotTold) {
			t.Errorf("the time is over: %v", err)
		}
		if got := liars(w.client); got != "" {
			t.Errorf("being silent is not lying: %s", got)
		}
	})
}

// tardy is a context that has not noticed yet that its time is over.
type tardy struct{ context.Context }

func (tardy) Deadline() (time.Time, bool) { return time.Now(), true }

func TestTheDeadlineCountsBeforeTheContextNotices(t *testing.T) {
	later, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if over(t.Context()) != nil || over(later) != nil {
		t.Error("it is not over")
	}
	if err := over(tardy{t.Context()}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it is over: %v", err)
	}
	cancel()
	if err := over(later); !errors.Is(err, context.Canceled) {
		t.Errorf("it was cancelled: %v", err)
	}
}
