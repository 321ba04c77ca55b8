package client

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/synod-network/synod/client/clienttest"
)

// restOfADay is what a sequencer asks for that wants to put its clients off.
const restOfADay = 24 * time.Hour

func putOff(reason string) error {
	return clienttest.Failure(codes.ResourceExhausted, reason, "", restOfADay)
}

// TestNobodyPutsOffTheOthers: a sequencer that asks to be left alone for a day does not make a send wait that another, which was not ready
// for a moment, would take.
func TestNobodyPutsOffTheOthers(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.live(w.config())
		w.net.Sequencer(0).Behave(clienttest.Behaviour{Refuse: putOff("OVERLOADED")})
		for _, honest := range w.net.Sequencers()[1:] {
			honest.Behave(clienttest.Behaviour{Refuse: clienttest.Failure(codes.Unavailable, "NOT_READY", "", 0)})
			time.AfterFunc(2*time.Second, func() { honest.Behave(clienttest.Behaviour{}) })
		}
		began := time.Now()
		if _, err := w.client.Send(w.ctx, toBob("soon")); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("the send took %v, of which the honest were not ready for 2 s", took)
		}
	})
}

// TestNobodyIsLeftAloneForEver: what all ask for is bounded, for sends and streams.
func TestNobodyIsLeftAloneForEver(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		config := w.config()
		config.TrustThreshold = 1
		s := w.net.Sequencer(0)
		s.Behave(clienttest.Behaviour{Refuse: putOff("OVERLOADED"), Deny: putOff("TOO_MANY_CALLS")})
		w.live(config)
		before := s.Counts()
		sent := make(chan error, 1)
		go func() {
			_, err := w.client.Send(w.ctx, toBob("later"))
			sent <- err
		}()
		time.Sleep(10 * time.Second)
		if n := s.Counts().Streams - before.Streams; n > 2 {
			t.Errorf("it was asked for a stream %d times in 10 s, although it wants to be left alone", n)
		}
		if n := s.Counts().Sends; n > 2 {
			t.Errorf("it was sent to %d times in 10 s, although it wants to be left alone", n)
		}
		s.Behave(clienttest.Behaviour{})
		time.Sleep(12 * time.Second)
		select {
		case err := <-sent:
			if err != nil {
				t.Error(err)
			}
		default:
			t.Error("the send is not over 12 s after the sequencer is itself again")
		}
		if st := w.client.Status().Sequencers[0]; !st.Reading {
			t.Errorf("no events are read from it: %+v", st)
		}
	})
}
