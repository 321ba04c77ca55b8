package members

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/sequencer/session"
)

// listener is one member's stream at one sequencer.
type listener struct {
	run    *run
	member *member
	number int // of this member's listeners, from 0
	at     *sequencer
	told   *told

	known sequencing.Time // up to which everything was told
	last  sequencing.Time // of the last event
}

// follow listens until ctx ends, again whenever the stream breaks. Listening tells that
// the first stream is open.
func (l *listener) follow(ctx context.Context, listening func()) {
	first := sync.OnceFunc(listening)
	for ctx.Err() == nil {
		err := l.listen(ctx, first)
		if ctx.Err() != nil {
			return
		}
		l.at.up.Store(false)
		l.run.broke(err)
		if status.Code(err) == codes.Unauthenticated {
			l.member.renew(ctx, l.run.network, l.member.home)
		}
		sleep(ctx, reconnectAfter)
	}
}

const reconnectAfter = 100 * time.Millisecond

func (l *listener) listen(ctx context.Context, listening func()) error {
	stream, err := l.at.service.Subscribe(l.member.authorised(ctx), &sequencerv1.SubscribeRequest{AfterMicros: int64(l.known)})
	if err != nil {
		return err
	}
	if _, err := stream.Header(); err != nil {
		return err
	}
	key, err := l.at.signs(ctx) // it may have exchanged its key since the last stream
	if err != nil {
		return err
	}
	l.at.up.Store(true)
	listening()
	ring := keys.NewRing([]keys.PublicKey{key})
	for {
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		l.at.up.Store(true)
		l.take(response, key, ring)
	}
}

// signs asks a sequencer for the key with which it signs what it delivers.
func (s *sequencer) signs(ctx context.Context) (key keys.PublicKey, err error) {
	hello, err := s.service.Handshake(ctx, &sequencerv1.HandshakeRequest{ClientVersions: []uint32{1}})
	if err != nil {
		return key, err
	}
	if sequencing.MemberID(hello.GetSequencer()) != s.id || len(hello.GetSigningKey()) != len(key) {
		return key, fmt.Errorf("%s says that it is %.80q, and was %s", s.address, hello.GetSequencer(), s.id)
	}
	return keys.PublicKey(hello.GetSigningKey()), nil
}

// take checks one response, signed with key, which the ring has, and notes what it tells.
func (l *listener) take(response *sequencerv1.SubscribeResponse, key keys.PublicKey, ring *keys.Ring) {
	events := session.Events{Member: l.member.id, After: l.known, Encoded: response.GetEvents(), Known: sequencing.Time(response.GetKnownMicros())}
	signed := len(response.GetKey()) == len(key) && len(response.GetSignature()) == len(keys.Signature{}) &&
		keys.PublicKey(response.GetKey()) == key &&
		events.Signed(ring, l.run.network.id, key, keys.Signature(response.GetSignature()))
	if !signed {
		l.suspect(func(s *Suspect) { s.Forged++ })
		l.run.count(func(r *Result) { r.Forged++ })
	}
	for _, encoded := range events.Encoded {
		d, err := sequencing.DecodeDelivery(encoded)
		if err != nil || !l.follows(d) {
			l.suspect(func(s *Suspect) { s.Gaps++ })
			l.run.count(func(r *Result) { r.Reordered++ })
			if err != nil {
				continue
			}
		}
		l.last = d.Time
		if before := l.told.compare(l, encoded); before != nil {
			l.suspect(func(s *Suspect) { s.Differences++ })
			before.suspect(func(s *Suspect) { s.Differences++ })
			l.run.count(func(r *Result) { r.Reordered++ })
		}
		l.event(d)
	}
	l.known = max(l.known, events.Known)
}

// follows reports whether an event is the next: the one before it was told, or comes before all that is listened to.
func (l *listener) follows(d *sequencing.Delivery) bool {
	if l.last == 0 {
		return d.Previous <= l.run.from && d.Time > l.run.from
	}
	return d.Previous == l.last && d.Time > l.last
}

// event notes what one event is for whom.
func (l *listener) event(d *sequencing.Delivery) {
	now := l.run.elapsed()
	if number, err := strconv.ParseUint(string(d.Message), 10, 64); d.Receipt && err == nil {
		refused := d.Kind == sequencing.Refused
		o := l.member.receipt(number, l.number, refused, l.run.config.Recipients)
		l.run.received(o, now, refused)
	}
	for _, e := range d.Envelopes {
		if len(e.Payload) < MinSize {
			continue
		}
		from, number := binary.BigEndian.Uint32(e.Payload), binary.BigEndian.Uint64(e.Payload[4:])
		if int(from) < len(l.run.members) {
			l.run.delivered(l.run.members[from].delivered(number, l.number, l.run.config.Recipients), now)
		}
	}
}

// suspect notes what speaks against the sequencer.
func (l *listener) suspect(note func(*Suspect)) {
	l.run.mu.Lock()
	defer l.run.mu.Unlock()
	note(&l.at.suspect)
}

// told compares what several sequencers tell one member.
type told struct {
	mu    sync.Mutex
	first int // index of said[0]
	said  []said
	at    []int // next index of each listener
}

// said is an event as one of the listeners was told it first.
type said struct {
	digest [32]byte
	to     *listener
}

// maxTold bounds what is remembered for a listener that is behind; beyond it the run
// compares no more.
const maxTold = 1 << 20

// compare returns the listener that was told something else than this one as its next event, nil if there is none.
func (t *told) compare(l *listener, encoded []byte) (differs *listener) {
	digest := sha256.Sum256(encoded)
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.at[l.number] - t.first
	t.at[l.number]++
	if i < 0 {
		return nil // forgotten
	}
	if i == len(t.said) {
		t.said = append(t.said, said{digest, l})
	}
	if t.said[i].digest != digest {
		differs = t.said[i].to
	}
	slowest := t.at[l.number]
	for _, at := range t.at {
		slowest = min(slowest, at)
	}
	if slowest = max(slowest, t.first+len(t.said)-maxTold); slowest-t.first > 1024 {
		t.said = append([]said(nil), t.said[slowest-t.first:]...)
		t.first = slowest
	}
	return differs
}
