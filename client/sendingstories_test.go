package client

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/synod-network/synod/client/clienttest"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// sendingStories are told of clients without and with planted bugs.
var sendingStories = []struct {
	name string
	tell func(w *world, planted fault) error
}{
	{"a sequencer that drops what it takes is found, counted, and passed over", storyOfBrokenPromises},
	{"each of many submissions gets its own answer", storyOfOwnAnswers},
	{"what a broken stream left unanswered goes elsewhere", storyOfBrokenStreams},
}

func TestSendingStories(t *testing.T) {
	for _, s := range sendingStories {
		t.Run(s.name, func(t *testing.T) {
			inWorld(t, 4, func(w *world) {
				if err := s.tell(w, faultNone); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func storyOfBrokenPromises(w *world, planted fault) error {
	config := w.config()
	config.fault = planted
	config.Amplification = Amplification{Factor: 2, Patience: time.Second}
	w.live(config)
	swallower := w.net.Sequencer(2)
	swallower.Behave(clienttest.Behaviour{Swallow: true})
	send := func(n int) error {
		for i := range n {
			w.sent++
			if _, err := w.client.Send(w.ctx, toBob(fmt.Sprint("message ", w.sent))); err != nil {
				return fmt.Errorf("send %d: %w", i, err)
			}
		}
		return nil
	}
	if err := send(40); err != nil {
		return err
	}
	first := swallower.Counts().Sends
	if first < promiseLimit || first > promiseLimit+3 { // until enough is known of the others
		return fmt.Errorf("it was asked %d times, want %d or a few more: who breaks so many promises in a row is not asked again", first, promiseLimit)
	}
	for i, s := range w.client.Status().Sequencers {
		if want := i == 2; want != (s.Broken > 0) || want != !s.PassedOver.IsZero() || want && s.Kept > 0 {
			return fmt.Errorf("status of %s: %+v", s.Alias, s)
		}
	}
	if lies := w.client.Lies(); len(lies) > 0 {
		return fmt.Errorf("a suspicion is called a lie: %v", lies)
	}
	// It gets another chance after a while, and does not use it.
	time.Sleep(time.Until(w.client.Status().Sequencers[2].PassedOver))
	if err := send(40); err != nil {
		return err
	}
	if asked := swallower.Counts().Sends; asked != first+1 {
		return fmt.Errorf("after a while it was asked %d times", asked-first)
	}
	// Then it does.
	swallower.Behave(clienttest.Behaviour{})
	time.Sleep(time.Until(w.client.Status().Sequencers[2].PassedOver))
	if err := send(40); err != nil {
		return err
	}
	if s := w.client.Status().Sequencers[2]; s.Kept < 2 || !s.PassedOver.IsZero() {
		return fmt.Errorf("it keeps its word now, but its status is %+v", s)
	}
	// If nobody else can be asked, one that is passed over is.
	swallower.Behave(clienttest.Behaviour{Swallow: true})
	if err := send(60); err != nil {
		return err
	}
	before := swallower.Counts().Sends
	for i, s := range w.net.Sequencers() {
		if i != 2 {
			s.Behave(clienttest.Behaviour{Refuse: errors.New("out of order")})
		}
	}
	submission := toBob("for want of others")
	if _, err := w.client.Send(w.ctx, submission); !errors.Is(err, ErrExpired) {
		return fmt.Errorf("a send that was dropped ended with %v", err)
	}
	if swallower.Counts().Sends == before {
		return errors.New("nobody was asked though one could be")
	}
	return nil
}

// storyOfOwnAnswers sends some that are good and some that the rules refuse, beside each other.
func storyOfOwnAnswers(w *world, planted fault) error {
	config := w.config()
	config.fault, config.TrustThreshold = planted, 1
	w.live(config)
	rules := sequencing.Parameters{MaxAhead: 5 * sequencing.Minute, MaxBytes: 3000, MaxRecipients: 10, MaxInFlight: 1 << 20}
	w.net.SetRules(rules)
	for _, s := range w.net.Sequencers() {
		s.Behave(clienttest.Behaviour{Slow: time.Millisecond}) // so that others come meanwhile
	}
	ended := make(chan error)
	const sends = 200
	for i := range sends {
		go func() {
			s := toBob(fmt.Sprint("m", i))
			s.Envelopes[0].Payload = make([]byte, 1000+4000*(i%3%2))
			_, err := w.client.Send(w.ctx, s)
			var failure *Failure
			if refused := errors.As(err, &failure) && failure.Rule == "too_large"; err != nil && !refused || refused != (i%3 == 1) {
				ended <- fmt.Errorf("send %d: %v", i, err)
				return
			}
			ended <- nil
		}()
	}
	var wrong error
	for range sends {
		wrong = cmp.Or(<-ended, wrong)
	}
	return wrong
}

// storyOfBrokenStreams sends through sequencers that hang up instead of taking every third submission.
func storyOfBrokenStreams(w *world, planted fault) error {
	config := w.config()
	config.fault = planted
	w.live(config)
	for _, s := range w.net.Sequencers() {
		s.Behave(clienttest.Behaviour{Hangs: 3})
	}
	ended := make(chan error)
	const sends = 60
	for i := range sends {
		go func() {
			began := time.Now()
			_, err := w.client.Send(w.ctx, toBob(fmt.Sprint("m", i)))
			if took := time.Since(began); err == nil && took > 30*time.Second {
				err = fmt.Errorf("it took %v", took)
			}
			ended <- err
		}()
	}
	var wrong error
	for range sends {
		wrong = cmp.Or(<-ended, wrong)
	}
	if got := len(strings.Fields(w.received())); wrong == nil && got != sends {
		return fmt.Errorf("bob got %d of %d", got, sends)
	}
	return wrong
}
