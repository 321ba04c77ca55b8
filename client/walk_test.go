package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"pgregory.net/rapid"

	"github.com/synod-network/synod/client/clienttest"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// walk is a random story of a network with four sequencers, one of which lies at most, and of an application that reads,
// sends, crashes and resumes.
type walk struct {
	rng  *rand.Rand
	net  *clienttest.Network
	liar *clienttest.Sequencer
	lied bool // it began to
	key  bool // it signs with another key

	config  Config
	client  *Client
	cancel  context.CancelFunc
	ended   chan error
	seen    []string // events, encoded
	reading chan error
	start   Position // of what was seen

	mu       sync.Mutex
	outcomes map[string][]error // of sends that ended, which may be sent again
	signed   []Signed
	sends    sync.WaitGroup
	sent     int
}

const walkLength = 25

// walkOnce takes the walk of a seed, and says what went wrong.
func walkOnce(t *testing.T, seed uint64, planted fault) (wrong error) {
	synctest.Test(t, func(*testing.T) {
		w := &walk{rng: rand.New(rand.NewPCG(seed, 1)), net: clienttest.New(4, alice, bob), outcomes: map[string][]error{}}
		defer w.net.Close()
		w.liar = w.net.Sequencer(w.rng.IntN(4))
		w.config = Config{Member: alice, Authentication: clienttest.AuthenticationKey(alice), Signing: clienttest.SigningKey(alice), Network: w.net.ID,
			TrustThreshold: 2, LivenessMargin: w.rng.IntN(2), Dial: w.net.Dial, Seed: seed + 1, fault: planted,
			Amplification: Amplification{Factor: 1 + w.rng.IntN(3), Patience: 2 * time.Second}, BufferEvents: 1 + w.rng.IntN(20),
			SendWindow: 1 + w.rng.IntN(20), Unary: w.rng.IntN(4) == 0}
		for _, s := range w.net.Sequencers() {
			w.config.Sequencers = append(w.config.Sequencers, sequencer(s))
		}
		ordering, stop := context.WithCancel(context.Background())
		defer stop()
		go w.net.OrderEvery(ordering, 500*time.Millisecond)
		w.begin()
		for range walkLength {
			w.step()
			time.Sleep(time.Duration(w.rng.IntN(2000)) * time.Millisecond)
			if wrong = w.compare(false); wrong != nil {
				break
			}
		}
		if wrong == nil {
			wrong = w.finish()
		}
		w.end()
		w.sends.Wait()
	})
	return wrong
}

// begin starts the application where it was.
func (w *walk) begin() {
	w.config.Start = w.start
	c, err := New(w.config)
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.client, w.cancel, w.ended, w.reading = c, cancel, make(chan error, 1), make(chan error, 1)
	go func() { w.ended <- c.Run(ctx) }()
	reading := w.reading
	go func() {
		for {
			e, err := c.Next(ctx)
			if err != nil {
				reading <- err
				return
			}
			w.mu.Lock()
			w.seen, w.start = append(w.seen, string(e.Delivery.Encode())), e.Position
			w.mu.Unlock()
			c.Confirm(e.Position.Known)
		}
	}()
}

func (w *walk) end() {
	w.cancel()
	<-w.ended
	<-w.reading
}

func (w *walk) step() {
	any := w.net.Sequencer(w.rng.IntN(4))
	behave := func(s *clienttest.Sequencer, b clienttest.Behaviour) {
		if s != w.liar || !w.lied {
			s.Behave(b)
		}
	}
	switch w.rng.IntN(19) {
	case 0, 1, 2:
		for range 1 + w.rng.IntN(6) {
			w.sent++
			text := fmt.Sprintf("told %d", w.sent)
			w.net.Submit(sequencing.Submission{Sender: bob, Message: sequencing.MessageID(text), MaxTime: sequencing.Time(time.Now().Add(time.Minute).UnixMicro()),
				Sets: []sequencing.RecipientSet{To(alice)}, Envelopes: []sequencing.Envelope{{Payload: []byte(text)}}})
		}
	case 3, 4, 5:
		for range 1 + w.rng.IntN(4) {
			w.send()
		}
	case 6:
		any.Down()
	case 7, 8:
		any.Up()
	case 9:
		_, known := w.net.Events(alice)
		behave(any, clienttest.Behaviour{Lag: known})
	case 10:
		behave(any, clienttest.Behaviour{Swallow: w.rng.IntN(2) == 0, Slow: time.Duration(w.rng.IntN(4)) * time.Second})
	case 11:
		behave(any, clienttest.Behaviour{Refuse: clienttest.Failure(codes.ResourceExhausted, "OVERLOADED", "", time.Second), Withhold: w.rng.IntN(2) == 0})
	case 12:
		behave(any, clienttest.Behaviour{Page: 1 + w.rng.IntN(3)})
	case 13:
		any.ForgetTokens()
	case 14:
		w.end()
		time.Sleep(time.Duration(w.rng.IntN(1000)) * time.Millisecond)
		w.begin()
	case 15:
		behave(any, clienttest.Behaviour{Hangs: w.rng.IntN(4), Unstreamed: w.rng.IntN(3) == 0})
	case 16, 17:
		w.sendAgain()
	case 18:
		if w.lied {
			return
		}
		w.lied = true
		w.mu.Lock()
		at := max(0, len(w.seen)-2+w.rng.IntN(5))
		w.mu.Unlock()
		b := []clienttest.Behaviour{
			{Distort: clienttest.Drop(at)}, {Distort: clienttest.Gap(at)}, {Distort: clienttest.Alter(at)}, {Distort: clienttest.Forge(at)},
			{Distort: clienttest.Swap(at)}, {Distort: clienttest.Ahead(sequencing.Time(w.rng.IntN(int(5 * sequencing.Second))))}, {Forger: true},
			{Refuse: clienttest.Failure(codes.FailedPrecondition, "REFUSED", "too_large", 0)},
		}[w.rng.IntN(8)]
		w.key = b.Forger
		w.liar.Behave(b)
	}
}

// send sends to bob, and notes what became of it.
func (w *walk) send() {
	w.sent++
	s := toBob(fmt.Sprintf("m%d", w.sent))
	s.MaxTime = sequencing.Time(time.Now().Add(time.Duration(5+w.rng.IntN(30)) * time.Second).UnixMicro())
	signed, err := w.client.Sign(s)
	if err != nil {
		panic(err)
	}
	w.signed = append(w.signed, signed)
	w.sendSigned(signed, 0)
}

// sendAgain sends what was sent before, maybe by an application that crashed since, and maybe for a short time only.
func (w *walk) sendAgain() {
	if len(w.signed) > 0 {
		w.sendSigned(w.signed[w.rng.IntN(len(w.signed))], time.Duration(w.rng.IntN(4))*time.Second)
	}
}

// sendSigned does not wait longer than that, if it is not 0.
func (w *walk) sendSigned(signed Signed, atMost time.Duration) {
	client := w.client
	w.sends.Go(func() {
		ctx := context.Background()
		if atMost > 0 {
			limited, cancel := context.WithTimeout(ctx, atMost)
			defer cancel()
			ctx = limited
		}
		_, err := client.SendSigned(ctx, signed)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.outcomes[string(signed.Message)] = append(w.outcomes[string(signed.Message)], err)
	})
}

// compare compares what the application saw with the truth: a beginning of it, or all.
func (w *walk) compare(all bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	truth, _ := w.net.Events(alice)
	for i, got := range w.seen {
		if i >= len(truth) || got != string(truth[i].Encode()) {
			return fmt.Errorf("event %d of %d is not the true one", i, len(truth))
		}
	}
	if all && len(w.seen) != len(truth) {
		return fmt.Errorf("%d events of %d were seen; the client: %+v", len(w.seen), len(truth), w.client.Status())
	}
	for _, lie := range w.client.Lies() {
		if lie.Sequencer != w.liar.ID || !w.lied {
			return fmt.Errorf("an honest sequencer is accused: %w", &lie)
		}
		if lie.Statement != nil && !lie.Statement.Signed(w.net.ID) {
			return fmt.Errorf("the evidence is not signed: %w", &lie)
		}
	}
	if lies := w.client.Lies(); len(lies) > 1 {
		return fmt.Errorf("the liar was not left: %v", lies)
	}
	select {
	case err := <-w.reading:
		w.reading <- err
		return fmt.Errorf("the client ended: %w", err)
	default:
		return nil
	}
}

// finish makes everybody but the liar good, waits, and compares the ends.
func (w *walk) finish() error {
	for _, s := range w.net.Sequencers() {
		s.Up()
		if s != w.liar || !w.lied {
			s.Behave(clienttest.Behaviour{})
		}
	}
	time.Sleep(5 * time.Minute) // silent streams are replaced, sends expire
	if err := w.compare(true); err != nil {
		return err
	}
	for _, s := range w.client.Status().Sequencers {
		if s.ID == w.liar.ID && s.Reading && w.key {
			return errors.New("a sequencer is read from that signs with another key")
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delivered := map[string]int{}
	events, _ := w.net.Events(bob)
	for _, e := range events {
		for _, envelope := range e.Envelopes {
			delivered[string(envelope.Payload)]++
		}
	}
	for name, ended := range w.outcomes {
		for _, err := range ended {
			if wrong := wrongOutcome(err, delivered[name]); wrong != nil {
				return fmt.Errorf("send %s %w", name, wrong)
			}
		}
	}
	return nil
}

// wrongOutcome says what is wrong with how a send ended that was delivered so often.
func wrongOutcome(err error, delivered int) error {
	var refused *Failure
	expired := errors.Is(err, ErrExpired) || errors.As(err, &refused) && refused.Rule == sequencing.Expired.String()
	unknown := errors.Is(err, ErrUnknown) || errors.Is(err, ErrStopped) || err != nil && strings.Contains(err.Error(), "is on its way")
	switch {
	case delivered > 1 || err == nil && delivered != 1 || expired && !unknown && delivered != 0:
		return fmt.Errorf("ended with %w, but was delivered %d times", err, delivered)
	case err != nil && !unknown && !expired:
		return fmt.Errorf("was refused: %w", err)
	}
	return nil
}

// TestRandomFaults takes the first walks; SYNOD_WALKS says how many.
func TestRandomFaults(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 5
	}
	if n, err := strconv.ParseUint(os.Getenv("SYNOD_WALKS"), 10, 32); err == nil {
		seeds = n
	}
	for seed := range seeds {
		if err := walkOnce(t, seed, faultNone); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// TestPlantedBugsAreNoticed plants one bug after the other: a transcript, a property or a random walk must fail.
func TestPlantedBugsAreNoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("takes hundreds of walks")
	}
	for planted := faultNone + 1; planted < faultLast; planted++ {
		t.Run(fmt.Sprint(int(planted)), func(t *testing.T) {
			for _, c := range agreementStories {
				if got := story(t, planted, c.script); got != c.want {
					t.Logf("story %q: %s", c.name, got)
					return
				}
			}
			for _, s := range sendingStories {
				var wrong error
				inWorld(t, 4, func(w *world) { wrong = s.tell(w, planted) })
				if wrong != nil {
					t.Logf("story %q: %v", s.name, wrong)
					return
				}
			}
			for seed := range 100 {
				if why := propertyFails(seed, planted); why != "" {
					t.Logf("property, seed %d: %s", seed, why)
					return
				}
			}
			for seed := range uint64(300) {
				if err := walkOnce(t, seed, planted); err != nil {
					t.Logf("walk, seed %d: %v", seed, err)
					return
				}
			}
			t.Error("nobody noticed")
		})
	}
}

// propertyFails runs the property of the agreement once with a planted bug.
func propertyFails(seed int, planted fault) (why string) {
	defer func() {
		if r := recover(); r != nil {
			why, _, _ = strings.Cut(fmt.Sprint(r), "\n")
		}
	}()
	rapid.Custom(func(rt *rapid.T) bool { checkTruth(rt, planted); return true }).Example(seed)
	return ""
}
