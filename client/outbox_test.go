package client

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/client/clienttest"
)

// sendAll sends some submissions beside each other, which must all be delivered, within a time.
func (w *world) sendAll(n int, limit time.Duration) {
	w.t.Helper()
	began := time.Now()
	var sending sync.WaitGroup
	for range n {
		w.sent++
		text := fmt.Sprint("m", w.sent)
		sending.Go(func() {
			if _, err := w.client.Send(w.ctx, toBob(text)); err != nil {
				w.t.Errorf("%s: %v", text, err)
			}
		})
	}
	sending.Wait()
	if took := time.Since(began); took > limit {
		w.t.Errorf("sends took %v", took)
	}
}

// What waits while a message is on its way goes together in the next. Messages is counted by what the answers go up to.
func TestSubmissionsShareMessages(t *testing.T) {
	for _, c := range []struct {
		name  string
		unary bool
		most  uint64 // messages, 0 without streams
	}{{"in streams", false, 80}, {"in calls of their own", true, 0}} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, 1, func(w *world) {
				config := w.config()
				config.TrustThreshold, config.Unary = 1, c.unary
				w.live(config)
				var mu sync.Mutex
				var last uint64
				w.net.Sequencer(0).Behave(clienttest.Behaviour{Slow: time.Millisecond, Garbles: func(r *sequencerv1.SendStreamResponse) {
					mu.Lock()
					defer mu.Unlock()
					last = r.GetSequence()
				}})
				w.sendAll(200, 10*time.Second)
				mu.Lock()
				defer mu.Unlock()
				if last > c.most || c.most > 0 && last == 0 {
					t.Errorf("200 submissions went in %d messages, want 1 to %d", last, c.most)
				}
				if n := w.net.Sequencer(0).Counts().Sends; n != 200 {
					t.Errorf("%d sends", n)
				}
			})
		})
	}
}

// Whoever has no streams is sent to in calls.
func TestSequencersWithoutStreams(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		w.live(w.config())
		for _, s := range w.net.Sequencers() {
			s.Behave(clienttest.Behaviour{Unstreamed: true})
		}
		w.sendAll(20, time.Second)
		before := w.net.Sequencer(0).Counts().Sends + w.net.Sequencer(1).Counts().Sends
		w.sendAll(20, time.Second)
		if n := w.net.Sequencer(0).Counts().Sends + w.net.Sequencer(1).Counts().Sends - before; n != 20 {
			t.Errorf("20 sends made %d calls: streams are tried again", n)
		}
	})
}

// Answers that do not fit what was sent break the stream, and sends go elsewhere.
func TestAnswersThatMakeNoSense(t *testing.T) {
	refuse := func(sequence uint64, index uint32) func(r *sequencerv1.SendStreamResponse) {
		return func(r *sequencerv1.SendStreamResponse) {
			r.Refusals = append(r.Refusals, &sequencerv1.SendStreamResponse_Refusal{Sequence: sequence, Index: index, Reason: "REFUSED", Code: "too_large"})
		}
	}
	for _, c := range []struct {
		name   string
		garble func(r *sequencerv1.SendStreamResponse)
	}{
		{"of no message", func(r *sequencerv1.SendStreamResponse) { r.Sequence = 0 }},
		{"of a message that was not sent", func(r *sequencerv1.SendStreamResponse) { r.Sequence += 1000 }},
		{"refusing what is not in a message", func(r *sequencerv1.SendStreamResponse) { refuse(r.Sequence, messageMost)(r) }},
		{"refusing what was answered", refuse(0, 0)},
		{"refusing what was not sent", refuse(1000, 0)},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, 3, func(w *world) {
				w.live(w.config())
				liar := w.net.Sequencer(1)
				liar.Behave(clienttest.Behaviour{Garbles: c.garble, Swallow: true})
				w.sendAll(40, 10*time.Second)
				if liar.Counts().Sends == 0 {
					t.Error("it was never asked")
				}
			})
		})
	}
}

// A sequencer that does not answer costs one call timeout, and its stream does not stay stalled.
func TestStalledStreams(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		config := w.config()
		config.CallTimeout, config.SendWindow = 2*time.Second, 4
		w.live(config)
		slow := w.net.Sequencer(0)
		slow.Behave(clienttest.Behaviour{Slow: time.Hour})
		w.sendAll(50, 10*time.Second)
		slow.Behave(clienttest.Behaviour{})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		before := slow.Counts().Sends
		w.sendAll(50, time.Second)
		if slow.Counts().Sends == before {
			t.Error("nothing is sent through it, though it answers again")
		}
	})
}

// A stream ends with its token; sends do not notice.
func TestStreamsOutliveTokens(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		for _, s := range w.net.Sequencers() {
			s.Behave(clienttest.Behaviour{TokenLife: time.Minute})
		}
		w.live(w.config())
		for range 20 {
			w.sendAll(10, time.Second)
			time.Sleep(17 * time.Second)
		}
		for range 10 {
			w.net.Sequencer(0).ForgetTokens()
			w.sendAll(10, time.Second)
		}
	})
}
