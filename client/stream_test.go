package client

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/client/clienttest"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/sequencer/session"
)

func TestLiarsAreFoundNamedAndLeft(t *testing.T) {
	for _, c := range []struct {
		name string
		lie  clienttest.Behaviour
		want string
	}{
		{"drops", clienttest.Behaviour{Distort: clienttest.Drop(5)}, "s1 dropped"},
		{"drops openly", clienttest.Behaviour{Distort: clienttest.Gap(8)}, "s1 broken_chain"},
		{"alters", clienttest.Behaviour{Distort: clienttest.Alter(5)}, "s1 altered"},
		{"forges", clienttest.Behaviour{Distort: clienttest.Forge(5)}, "s1 forged"},
		{"exchanges", clienttest.Behaviour{Distort: clienttest.Swap(5)}, "s1 altered"},
		{"reorders", clienttest.Behaviour{Garble: func(e [][]byte) [][]byte {
			if len(e) > 1 {
				e[0], e[1] = e[1], e[0]
			}
			return e
		}}, "s1 broken_chain"},
		{"sends garbage", clienttest.Behaviour{Garble: func(e [][]byte) [][]byte { return append(e, []byte("garbage")) }}, "s1 malformed"},
		{"repeats", clienttest.Behaviour{Garble: func(e [][]byte) [][]byte { return append(e, e...) }}, "s1 reordered"},
		{"signs with another key", clienttest.Behaviour{Forger: true}, "s1 bad_signature"},
		{"signs for another network", clienttest.Behaviour{Mean: func(n *sequencing.NetworkID, _ *session.Events) { n[0]++ }}, "s1 bad_signature"},
		{"signs for another member", clienttest.Behaviour{Mean: func(_ *sequencing.NetworkID, e *session.Events) { e.Member += "x" }}, "s1 bad_signature"},
		{"signs that it was asked for less", clienttest.Behaviour{Mean: func(_ *sequencing.NetworkID, e *session.Events) { e.After++ }}, "s1 bad_signature"},
		{"signs that it knows less", clienttest.Behaviour{Mean: func(_ *sequencing.NetworkID, e *session.Events) { e.Known-- }}, "s1 bad_signature"},
		{"signs something else", clienttest.Behaviour{Mean: func(_ *sequencing.NetworkID, e *session.Events) { e.Encoded = append(e.Encoded, nil) }}, "s1 bad_signature"},
		{"cuts its signature", clienttest.Behaviour{Tamper: func(r *sequencerv1.SubscribeResponse) { r.Signature = r.GetSignature()[1:] }}, "s1 bad_signature"},
		{"cuts its key", clienttest.Behaviour{Tamper: func(r *sequencerv1.SubscribeResponse) { r.Key = r.GetKey()[1:] }}, "s1 bad_signature"},
		{"does not sign", clienttest.Behaviour{Tamper: func(r *sequencerv1.SubscribeResponse) { r.Key, r.Signature = nil, nil }}, "s1 bad_signature"},
		{"claims to know the future", clienttest.Behaviour{Distort: clienttest.Ahead(5 * sequencing.Second)}, "s1 dropped"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, 3, func(w *world) {
				w.tell(4)
				config := w.config()
				config.LivenessMargin = 1
				client := w.run(config)
				w.net.Sequencer(0).Behave(c.lie)
				w.tell(3)
				w.together(3)
				w.expect(0)
				time.Sleep(settle)
				w.tell(3)
				w.expect(10)
				if got := liars(client); got != c.want {
					t.Errorf("found %q, want %q", got, c.want)
				}
				if len(client.Lies()) == 0 {
					return
				}
				lie := client.Lies()[0]
				if lie.Kind != BadSignature && (lie.Statement == nil || !lie.Statement.Signed(w.net.ID)) {
					t.Errorf("the evidence of %v is not signed", lie.Error())
				}
				if n := client.LieCounts()[w.net.Sequencer(0).ID][lie.Kind]; n != 1 {
					t.Errorf("counted %d", n)
				}
				if s := w.net.Sequencer(0); s.Streams() != 0 {
					t.Error("the liar is still read from")
				}
			})
		})
	}
}

// A sequencer that lies in what it says late, when nobody waits for it, is found too.
func TestLateLiarIsFound(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		s1 := w.net.Sequencer(0)
		s1.Behave(clienttest.Behaviour{Lag: 1})
		config := w.config()
		config.LivenessMargin = 1
		client := w.run(config)
		w.tell(5)
		w.expect(0)
		s1.Behave(clienttest.Behaviour{Distort: clienttest.Alter(3)})
		time.Sleep(time.Second)
		if got := liars(client); got != "s1 altered" {
			t.Errorf("found %q", got)
		}
	})
}

func TestSilentSequencersAreReplaced(t *testing.T) {
	for _, c := range []struct {
		name string
		b    clienttest.Behaviour
		wait time.Duration
	}{
		{"withholds everything", clienttest.Behaviour{Withhold: true}, 3 * time.Minute},
		{"lags", clienttest.Behaviour{Lag: 1}, 3 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, 4, func(w *world) {
				w.net.Sequencer(0).Behave(c.b)
				w.net.Sequencer(1).Behave(c.b)
				client := w.run(w.config()) // two streams, and at least one of them may say nothing
				w.tell(3)
				time.Sleep(c.wait)
				for range 20 { // whichever two it reads from, in the end they are the good ones
					time.Sleep(10 * time.Second)
					w.net.Order()
				}
				w.expect(0)
				if got := liars(client); got != "" {
					t.Errorf("being slow is not lying: %s", got)
				}
			})
		})
	}
}

// A stream that is behind by time and by events gives way to another, although it is not silent.
func TestLaggingStreamIsReplaced(t *testing.T) {
	inWorld(t, 4, func(w *world) {
		w.tell(1)
		config := w.config()
		config.LivenessMargin = 1
		config.Silence = time.Hour
		client := w.run(config)
		slow := w.net.Sequencer(0)
		if slow.Streams() == 0 {
			slow = w.net.Sequencer(1) // three of four are read from
		}
		_, known := w.net.Events(alice)
		slow.Behave(clienttest.Behaviour{Lag: known})
		for range 60 {
			w.tell(1)
			time.Sleep(3 * time.Second)
		}
		time.Sleep(10 * time.Second)
		if slow.Streams() != 0 || liars(client) != "" {
			t.Errorf("streams %d, lies %q", slow.Streams(), liars(client))
		}
		w.expect(0)
	})
}

func TestSequencersDieAndComeBack(t *testing.T) {
	inWorld(t, 4, func(w *world) {
		config := w.config()
		config.LivenessMargin = 1
		client := w.run(config)
		for i := range 12 {
			s := w.net.Sequencer(i % 4)
			s.Down()
			w.tell(3)
			w.expect(3 * i)
			time.Sleep(time.Duration(i) * 100 * time.Millisecond)
			s.Up()
		}
		if got := liars(client); got != "" {
			t.Error(got)
		}
	})
}

// Below the threshold nothing is released, and nothing is lost by it.
func TestTooFewSequencersDelay(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.run(w.config())
		w.net.Sequencer(0).Down()
		w.net.Sequencer(1).Down()
		w.tell(3)
		ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
		defer cancel()
		if e, err := w.client.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one sequencer alone was believed: %+v, %v", e, err)
		}
		w.net.Sequencer(1).Up()
		w.expect(0)
	})
}

func TestResumesFromThePosition(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		config := w.config()
		config.Ticks = true
		for round := range 5 {
			w.run(config)
			w.tell(4)
			time.Sleep(time.Second)
			truth, _ := w.net.Events(alice)
			// Stop at some event, or after some ticks.
			for seen := 4 * round; seen < len(truth); {
				e := w.next()
				config.Start = e.Position
				if e.Delivery == nil {
					continue
				}
				if string(e.Delivery.Encode()) != string(truth[seen].Encode()) {
					t.Fatalf("round %d: event %d is %+v", round, seen, e.Delivery)
				}
				seen++
			}
			w.net.Order()
			if e := w.next(); e.Delivery == nil {
				config.Start = e.Position
			}
			if err := w.stop(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestHandshakeMismatches(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(h *sequencerv1.HandshakeResponse)
		want   string
	}{
		{"network", func(h *sequencerv1.HandshakeResponse) { h.NetworkId = make([]byte, 32) }, "it is of network 0000000000000000"},
		{"short network", func(h *sequencerv1.HandshakeResponse) { h.NetworkId = nil }, "its network id has 0 bytes"},
		{"version", func(h *sequencerv1.HandshakeResponse) { h.Version = 2 }, "it speaks version 2"},
		{"sequencer", func(h *sequencerv1.HandshakeResponse) { h.Sequencer = "SEQ::other" }, "it is sequencer SEQ::other, not SEQ::s1"},
		{"nameless", func(h *sequencerv1.HandshakeResponse) { h.Sequencer = "" }, "it calls itself"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, 3, func(w *world) {
				w.net.Sequencer(0).Behave(clienttest.Behaviour{Handshake: c.change})
				w.run(w.config())
				w.tell(2)
				w.expect(0)
				// The second one leaves too few.
				w.net.Sequencer(1).Down()
				w.net.Sequencer(1).Behave(clienttest.Behaviour{Handshake: c.change})
				w.net.Sequencer(1).Up()
				time.Sleep(30 * time.Second)
				_, err := w.client.Next(w.ctx)
				if !errors.Is(err, ErrUnreachable) || c.want != "" && !strings.Contains(err.Error(), c.want) {
					t.Errorf("ended with %v", err)
				}
				if err := w.stop(); !errors.Is(err, ErrUnreachable) {
					t.Errorf("Run returned %v", err)
				}
				if n := w.net.Sequencer(0).Counts().Handshakes; n != 1 {
					t.Errorf("%d handshakes with what failed for good", n)
				}
			})
		})
	}
}

func TestNetworkIsLearnt(t *testing.T) {
	other := func(h *sequencerv1.HandshakeResponse) { h.NetworkId = make([]byte, 32) }
	t.Run("by a threshold", func(t *testing.T) {
		inWorld(t, 3, func(w *world) {
			w.net.Sequencer(0).Behave(clienttest.Behaviour{Handshake: other})
			config := w.config()
			config.Network = sequencing.NetworkID{}
			w.run(config)
			w.tell(2)
			w.expect(0)
		})
	})
	t.Run("two networks", func(t *testing.T) {
		inWorld(t, 4, func(w *world) {
			w.net.Sequencer(0).Behave(clienttest.Behaviour{Handshake: other})
			w.net.Sequencer(1).Behave(clienttest.Behaviour{Handshake: other})
			config := w.config()
			config.Network = sequencing.NetworkID{}
			w.run(config)
			if err := w.stop(); !errors.Is(err, ErrTwoNetworks) {
				t.Error(err)
			}
		})
	})
}

// However many addresses a sequencer has, under however many aliases, it has one vote.
func TestOneSequencerHasOneVote(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		w.net.Sequencer(0).Behave(clienttest.Behaviour{Distort: clienttest.Forge(0)})
		config := w.config()
		s1 := w.net.Sequencer(0)
		config.Sequencers[0].Endpoints = append(config.Sequencers[0].Endpoints, Endpoint{Address: s1.Address(1), Plain: true})
		config.Sequencers = append(config.Sequencers, Sequencer{Alias: "again", Endpoints: []Endpoint{{Address: s1.Address(2), Plain: true}}})
		w.net.Sequencer(1).Down()
		w.run(config)
		w.tell(2)
		ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
		defer cancel()
		if e, err := w.client.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one sequencer was believed: %+v, %v", e, err)
		}
	})
}

// Endpoints of one sequencer take turns, and stand in for each other.
func TestEndpointsStandIn(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		config := w.config()
		for i := range config.Sequencers {
			config.Sequencers[i].Endpoints = append([]Endpoint{{Address: "nobody.test:1", Plain: true}}, config.Sequencers[i].Endpoints...)
			config.Sequencers[i].Endpoints[0].Address = config.Sequencers[i].Alias + ".nobody:1"
		}
		w.run(config)
		w.tell(3)
		w.expect(0)
	})
}

func TestForkIsAnError(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.net.Sequencer(0).Behave(clienttest.Behaviour{Distort: clienttest.Alter(0)})
		w.net.Sequencer(1).Behave(clienttest.Behaviour{Distort: clienttest.Drop(0)})
		w.tell(2)
		w.run(w.config())
		time.Sleep(10 * time.Second)
		if _, err := w.client.Next(w.ctx); !errors.Is(err, ErrForked) {
			t.Errorf("ended with %v, lies %q", err, liars(w.client))
		}
	})
}

func TestPrunedIsAnError(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.tell(3)
		_, known := w.net.Events(alice)
		w.net.Sequencer(0).Behave(clienttest.Behaviour{PrunedUpTo: known})
		w.run(w.config())
		w.expect(0)
		w.stop()
		w.net.Sequencer(1).Behave(clienttest.Behaviour{PrunedUpTo: known})
		w.run(w.config())
		time.Sleep(time.Minute)
		if _, err := w.client.Next(w.ctx); !errors.Is(err, ErrPruned) {
			t.Errorf("ended with %v", err)
		}
	})
}

// Tokens are replaced before they end, and when a sequencer does not know them any more; no event is lost by it.
func TestTokensAreRefreshed(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		for _, s := range w.net.Sequencers() {
			s.Behave(clienttest.Behaviour{TokenLife: time.Minute})
		}
		w.run(w.config())
		for i := range 6 {
			w.tell(2)
			w.expect(2 * i)
			time.Sleep(35 * time.Second)
		}
		s := w.net.Sequencer(0)
		if n := s.Counts().Logins; n < 4 || n > 7 {
			t.Errorf("%d logins in 3.5 minutes with tokens of one", n)
		}
		s.ForgetTokens()
		w.tell(2)
		w.expect(12)
		w.stop()
		for _, s := range w.net.Sequencers() {
			if s.Counts().Logouts == 0 {
				t.Error("not logged out")
			}
		}
	})
}

func TestSequencersAreChangedLive(t *testing.T) {
	inWorld(t, 6, func(w *world) {
		config := w.config()
		config.Sequencers = config.Sequencers[:2]
		client := w.run(config)
		all := w.config().Sequencers
		seen := 0
		for i, list := range [][]Sequencer{all[:3], all[1:4], all[2:6], {all[5], all[0]}} {
			if err := client.SetSequencers(list); err != nil {
				t.Fatal(err)
			}
			w.tell(3)
			w.expect(seen)
			seen += 3
			time.Sleep(settle)
			for k, s := range w.net.Sequencers() {
				used := false
				for _, one := range list {
					used = used || one.ID == s.ID
				}
				if !used && s.Streams() > 0 {
					t.Errorf("step %d: sequencer %d was taken out and is still read from", i, k)
				}
			}
		}
		if err := client.SetSequencers(all[:1]); err == nil || !strings.Contains(err.Error(), "fewer than the trust threshold of 2") {
			t.Error(err)
		}
		// An endpoint of a sequencer changes; its vote stays.
		moved := all[5]
		moved.Endpoints = []Endpoint{{Address: w.net.Sequencer(5).Address(1), Plain: true}}
		if err := client.SetSequencers([]Sequencer{moved, all[0]}); err != nil {
			t.Fatal(err)
		}
		w.tell(2)
		w.expect(seen)
		if got := liars(client); got != "" {
			t.Error(got)
		}
	})
}

// A liar that its operator repaired comes back when it is configured anew.
func TestLiarComesBackWhenConfiguredAnew(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		config := w.config()
		config.LivenessMargin = 1
		s1 := w.net.Sequencer(0)
		s1.Behave(clienttest.Behaviour{Distort: clienttest.Alter(1)})
		client := w.run(config)
		w.tell(3)
		w.expect(0)
		s1.Behave(clienttest.Behaviour{})
		all := config.Sequencers
		for _, list := range [][]Sequencer{all[1:], all} {
			if err := client.SetSequencers(list); err != nil {
				t.Fatal(err)
			}
		}
		w.net.Sequencer(1).Down()
		w.tell(3)
		w.expect(3)
	})
}

// A sequencer may get a new key; whoever signs with another than its handshake names is a liar.
func TestKeysAreRotated(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		client := w.run(w.config())
		for i := range 4 {
			w.tell(2)
			w.expect(2 * i)
			w.net.Sequencer(i % 2).Rotate(byte(i))
		}
		w.tell(2)
		w.expect(8)
		if got := liars(client); got != "" {
			t.Error(got)
		}
	})
}

// directory is a topology in which a key may be unknown for a while.
type directory struct {
	net     *clienttest.Network
	unknown sequencing.MemberID
}

func (d *directory) SequencerKeys(id sequencing.MemberID) (list []keys.PublicKey) {
	for _, s := range d.net.Sequencers() {
		if s.ID == id && id != d.unknown {
			list = append(list, s.PublicKey())
		}
	}
	return list
}

// With a directory only its keys count; one that it learns later is no lie until then.
func TestDirectoryKnowsKeys(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		config := w.config()
		known := &directory{net: w.net, unknown: w.net.Sequencer(0).ID}
		config.Directory = known
		config.LivenessMargin = 1
		client := w.run(config)
		w.tell(2)
		w.expect(0)
		if w.net.Sequencer(0).Streams() != 0 {
			t.Error("a stranger is read from")
		}
		client.mu.Lock()
		known.unknown = ""
		client.mu.Unlock()
		time.Sleep(15 * time.Second)
		if w.net.Sequencer(0).Streams() != 1 || liars(client) != "" {
			t.Errorf("%+v, %q", client.Status(), liars(client))
		}
	})
}

// While the application does not read, what is kept is bounded; then everything comes.
func TestBuffersAreBounded(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		config := w.config()
		config.BufferEvents = 10
		for _, s := range w.net.Sequencers() {
			s.Behave(clienttest.Behaviour{Page: 5})
		}
		w.tell(200)
		client := w.run(config)
		time.Sleep(time.Minute)
		client.mu.Lock()
		queued, pending := len(client.queue), 0
		for _, v := range client.agreement.voices {
			pending = max(pending, len(v.pending))
		}
		client.mu.Unlock()
		if queued != 10 || pending < 10 || pending > 15 {
			t.Errorf("%d events wait, %d of one sequencer", queued, pending)
		}
		w.expect(0)
		if got := liars(client); got != "" {
			t.Error(got)
		}
	})
}

// A sequencer that runs ahead with lies is not read without end.
func TestFloodIsBounded(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		config := w.config()
		config.BufferEvents = 20
		w.net.Sequencer(1).Behave(clienttest.Behaviour{Withhold: true})
		flood := sequencing.Time(0)
		w.net.Sequencer(0).Behave(clienttest.Behaviour{Distort: func(_ []sequencing.Delivery, _ sequencing.Time) (events []sequencing.Delivery, _ sequencing.Time) {
			flood++
			return nil, 1000*sequencing.Second + flood
		}})
		client := w.run(config)
		time.Sleep(20 * time.Second)
		client.mu.Lock()
		defer client.mu.Unlock()
		if v := client.agreement.voices[w.net.Sequencer(0).ID]; v == nil || len(v.claims) > 20 {
			t.Errorf("%+v", v)
		}
	})
}
