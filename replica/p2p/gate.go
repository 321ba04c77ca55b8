package p2p

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/time/rate"

	"github.com/synod-network/synod/keys"
)

// Treatment is how a peer is met that is who it says it is.
type Treatment struct {
	// Limited: what it sends is read slowly, and it may connect once in a while only.
	Limited bool
	// Banned: it has no links. It is told so, with the notice, when it is cut off and whenever it comes back.
	Banned bool
	Notice []byte // at most MaxNotice bytes, opaque to this package
}

// MaxNotice is the largest notice that is sent or taken, in bytes.
const MaxNotice = 2048

// A limited peer still takes part at the pace of an idle network, and a busy one does not have to wait for it.
const (
	limitedFrames   = 200     // a second, on each lane
	limitedBytes    = 4 << 20 // a second, on each lane
	limitedConnects = time.Second
	farewellWithin  = time.Second // in which a banned peer must have taken its notice
)

// Any peer may connect so often, on each lane: each connection costs lines in the log, and a repetition by the protocol above.
const (
	connectsPerSecond = 1
	connectsAtOnce    = 32
)

var errKeptOut = errors.New("banned by this node")

// KeptOutError ends a link or a dial when the peer bans this node. Notice is what it said, which nobody has verified.
type KeptOutError struct{ Notice []byte }

func (e *KeptOutError) Error() string { return "banned by the peer" }

// Reconsider asks Config.Gate again how a peer is to be met, and acts on it: a peer that is banned now is told and cut
// off, one that no longer is may connect and is dialed. It does not wait for that, and may be called from anywhere.
func (n *Network) Reconsider(peer keys.PublicKey) {
	p := n.peer(peer)
	if p == nil {
		return
	}
	for _, l := range p.lines {
		select {
		case l.judged <- struct{}{}:
		default:
		}
	}
}

// treat asks how the peer is to be met, and has the reader act on it. Only run calls it, so that no older answer comes
// to count after a newer one.
func (l *line) treat() Treatment {
	t := l.net.cfg.Gate(l.peer.key)
	switch {
	case t.Banned:
		l.treatment.Store(treatBanned)
	case t.Limited:
		l.treatment.Store(treatLimited)
	default:
		l.treatment.Store(treatWell)
	}
	return t
}

const (
	treatWell uint32 = iota
	treatLimited
	treatBanned
)

// throttle makes the reader of a limited peer wait for its turn.
type throttle struct{ frames, bytes *rate.Limiter }

func newThrottle() throttle {
	return throttle{rate.NewLimiter(limitedFrames, limitedFrames), rate.NewLimiter(limitedBytes, limitedBytes)}
}

func (t throttle) wait(ctx context.Context, size int) error {
	if err := t.frames.Wait(ctx); err != nil {
		return err
	}
	return t.bytes.WaitN(ctx, min(size, limitedBytes))
}

// turnAway tells a banned peer that has just connected, and reports whether it was one.
func (l *line) turnAway(c *candidate) bool {
	t := l.net.cfg.Gate(l.peer.key)
	if !t.Banned {
		return false
	}
	l.net.refusals.add(BannedPeer, "peer", l.net.cfg.Name(l.peer.key), "lane", l.lane.String())
	if _, err := c.conn.Write(appendNotice(nil, t.Notice)); err != nil || c.conn.CloseWrite() != nil {
		return true
	}
	if c.wire.Conn.SetReadDeadline(time.Now().Add(lingerFor)) == nil {
		io.Copy(io.Discard, io.LimitReader(c.wire.Conn, lingerBytes)) // so that the system does not take the notice back
	}
	return true
}

// tooSoon reports whether a peer connects more often than it may.
func (l *line) tooSoon() bool {
	if !l.arrivals.Allow() {
		return true
	}
	if !l.net.cfg.Gate(l.peer.key).Limited {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.begun) < limitedConnects
}

// farewell tells the peer that it is banned, and then waits a moment for it to read that.
func (k *link) sayFarewell(ctx context.Context, notice []byte) error {
	k.gathered = appendNotice(k.gathered, notice)
	if err := k.flush(); err != nil {
		return err
	}
	if k.candidate.conn.CloseWrite() == nil && k.candidate.wire.Flush() == nil {
		wait(ctx, lingerFor)
	}
	return errKeptOut
}

// heard turns the end of a link or a dial into what the peer said, if it bans this node.
func (l *line) heard(err error) error {
	var out *KeptOutError
	if !errors.As(err, &out) {
		return err
	}
	if what := l.net.cfg.Told(l.peer.key, out.Notice); what != nil {
		return fmt.Errorf("%w: %w", out, what)
	}
	return err
}

// On the wire a notice is signalBanned, then its length in two bytes, then the notice. It is the last that is said.
func appendNotice(b, notice []byte) []byte {
	if len(notice) > MaxNotice {
		notice = nil
	}
	b = appendHeader(b, kindSignal, signalBanned)
	b = binary.BigEndian.AppendUint16(b, uint16(len(notice)))
	return append(b, notice...)
}

// readNotice reads what follows signalBanned.
func readNotice(r io.Reader) error {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return fmt.Errorf("%w: half a notice", errMalformed)
	}
	n := binary.BigEndian.Uint16(size[:])
	if n > MaxNotice {
		return fmt.Errorf("%w: a notice of %d bytes, at most %d are taken", errMalformed, n, MaxNotice)
	}
	notice := make([]byte, n)
	if _, err := io.ReadFull(r, notice); err != nil {
		return fmt.Errorf("%w: half a notice", errMalformed)
	}
	return &KeptOutError{Notice: notice}
}
