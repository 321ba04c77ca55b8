package client

import (
	"testing"
	"time"

	"github.com/synod-network/synod/internal/halfopen/halfopentest"
)

// A sequencer's machine vanishes and comes back: nothing tells the client that the connection leads nowhere but that it is silent.
func TestConnectionsThatLeadNowhereAreGivenUp(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		wires := &halfopentest.Wires{Connect: w.net.Dial}
		config := w.config()
		config.TrustThreshold, config.Dial = 1, wires.Dial
		w.live(config)
		if _, err := w.client.Send(w.ctx, toBob("before")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // pings go by, and the sequencer takes none of them amiss
		if n := w.net.Sequencer(0).Counts().Handshakes; n != 1 {
			t.Errorf("%d handshakes before anything happened", n)
		}
		wires.Cut()
		began := time.Now()
		if _, err := w.client.Send(w.ctx, toBob("after")); err != nil || time.Since(began) > 45*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}
