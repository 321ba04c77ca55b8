package p2p

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// gatherBytes of small frames go to TLS in one write: four full records.
	gatherBytes = 64 << 10
	// directBytes is the size from which a part is worth a write of its own instead of a copy.
	directBytes = 8 << 10
)

// link is one established connection of a line. It lives for one call of run; everything that is queued or in flight
// when it ends is lost.
type link struct {
	line      *line
	candidate *candidate
	queue     *sendQueue
	started   time.Time
	pongs     chan [pingSize]byte // from reader to writer; the newest ping is enough
	off       chan []byte         // the notice of a ban, for the writer to say last

	gathered []byte // the writer's: frames not yet given to TLS
}

func newLink(l *line, c *candidate) *link {
	return &link{
		line:      l,
		candidate: c,
		queue:     newSendQueue(l.limits().QueueBytes),
		started:   time.Now(),
		pongs:     make(chan [pingSize]byte, 1),
		off:       make(chan []byte, 1),
		gathered:  make([]byte, 0, gatherBytes),
	}
}

// run moves frames until either direction fails or ctx ends, and returns why, once the last handler has returned.
func (k *link) run(ctx context.Context) error {
	limits := k.line.net.cfg.Limits
	if err := k.candidate.wire.establish(limits.DeadAfter, limits.WriteTimeout); err != nil {
		k.candidate.close()
		return err
	}
	ctx, fail := context.WithCancelCause(ctx)
	stop := context.AfterFunc(ctx, k.candidate.close) // wakes both directions
	defer stop()
	var writer sync.WaitGroup
	writer.Go(func() { fail(k.write(ctx)) })
	fail(k.read(ctx))
	writer.Wait()
	k.candidate.close()
	return context.Cause(ctx)
}

// read hands frames to the handler in the order of arrival.
func (k *link) read(ctx context.Context) error {
	cfg := &k.line.net.cfg
	frames := newFrameReader(k.candidate.conn, k.line.limits().MaxFrame)
	for {
		what, body, err := frames.next()
		if err != nil {
			return k.readError(err)
		}
		switch what {
		case kindPing:
			k.answer([pingSize]byte(body))
		case kindPong:
			k.measure(body)
		default:
			switch k.line.treatment.Load() {
			case treatBanned:
				continue
			case treatLimited:
				if err := k.line.throttle.wait(ctx, len(body)); err != nil {
					return err
				}
			}
			k.line.counters.framesIn.Add(1)
			k.line.counters.bytesIn.Add(uint64(len(body)))
			if err := cfg.Handler(ctx, k.line.peer.key, k.line.lane, body); err != nil {
				if ctx.Err() == nil {
					k.line.refused(RejectedFrame, err)
				}
				return &rejectedError{len(body), err}
			}
		}
	}
}

// rejectedError ends a link whose peer sent what the handler does not take.
type rejectedError struct {
	size int
	err  error
}

func (e *rejectedError) Error() string {
	return fmt.Sprintf("handle a frame of %d bytes: %v", e.size, e.err)
}
func (e *rejectedError) Unwrap() error { return e.err }

// readError counts what the peer is to blame for and words what the system words badly.
func (k *link) readError(err error) error {
	var timeout net.Error
	var notTLS tls.RecordHeaderError
	var broken *net.OpError
	switch {
	case errors.Is(err, errFrameTooLarge):
		k.line.refused(OversizedFrame, err)
	case errors.Is(err, errMalformed):
		k.line.refused(MalformedFrame, err)
	case errors.As(err, &notTLS), errors.As(err, &broken) && broken.Op == "local error":
		// What TLS does not take may be by anybody on the way, so the peer is not to blame.
		k.line.turnedDown(MalformedFrame, err)
	case errors.Is(err, io.EOF):
		return errors.New("closed by the peer")
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("heard nothing for %s", k.line.net.cfg.Limits.DeadAfter)
	}
	return err
}

// sendOff has the writer tell the peer that it is banned.
func (k *link) sendOff(notice []byte) {
	select {
	case k.off <- notice:
	default: // told already
	}
}

func (k *link) answer(ping [pingSize]byte) {
	select {
	case k.pongs <- ping:
	default: // one is waiting already: the writer is busy, which is sign of life enough
	}
}

// measure takes the round trip from a pong, which carries the age of the link when the ping left.
func (k *link) measure(pong []byte) {
	sent, now := binary.BigEndian.Uint64(pong), uint64(time.Since(k.started))
	if sent <= now { // else the peer made it up
		k.line.counters.roundTrip(time.Duration(now - sent))
	}
}

// write sends frames, pings and pongs. It gathers while there is something to gather and flushes when there is not.
func (k *link) write(ctx context.Context) error {
	pings := time.NewTicker(k.line.net.cfg.Limits.PingEvery)
	defer pings.Stop()
	if k.line.decides {
		k.gathered = appendHeader(k.gathered, kindSignal, signalChosen)
	}
	k.ping() // a first round-trip time at once
	var batch []frame
	for {
		batch = k.queue.take(batch)
		for _, f := range batch {
			if err := k.writeFrame(f); err != nil {
				return k.writeError(err)
			}
			k.queue.written(f)
			select {
			case <-pings.C:
				k.ping()
			case p := <-k.pongs:
				k.pong(p)
			case notice := <-k.off:
				return k.sayFarewell(ctx, notice)
			default:
			}
		}
		if len(batch) > 0 {
			continue
		}
		if err := k.flush(); err != nil {
			return k.writeError(err)
		}
		select {
		case <-k.queue.ready:
		case <-pings.C:
			k.ping()
		case p := <-k.pongs:
			k.pong(p)
		case notice := <-k.off:
			return k.sayFarewell(ctx, notice)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (k *link) writeError(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("the peer took nothing for %s", k.line.net.cfg.Limits.WriteTimeout)
	}
	return err
}

func (k *link) ping() {
	k.gathered = appendHeader(k.gathered, kindPing, pingSize)
	k.gathered = binary.BigEndian.AppendUint64(k.gathered, uint64(time.Since(k.started)))
}

func (k *link) pong(ping [pingSize]byte) {
	k.gathered = appendHeader(k.gathered, kindPong, pingSize)
	k.gathered = append(k.gathered, ping[:]...)
}

// writeFrame copies small parts together and gives large ones to TLS as they are.
func (k *link) writeFrame(f frame) error {
	if len(k.gathered)+headerSize > gatherBytes {
		if err := k.encrypt(); err != nil {
			return err
		}
	}
	k.gathered = appendHeader(k.gathered, kindData, f.size)
	for _, part := range f.parts {
		if len(part) >= directBytes || len(k.gathered)+len(part) > gatherBytes {
			if err := k.encrypt(); err != nil {
				return err
			}
		}
		if len(part) < directBytes {
			k.gathered = append(k.gathered, part...)
		} else if _, err := k.candidate.conn.Write(part); err != nil {
			return err
		}
	}
	k.line.counters.framesOut.Add(1)
	k.line.counters.bytesOut.Add(uint64(f.size))
	return nil
}

// encrypt gives what was gathered to TLS.
func (k *link) encrypt() error {
	if len(k.gathered) == 0 {
		return nil
	}
	_, err := k.candidate.conn.Write(k.gathered)
	k.gathered = k.gathered[:0]
	return err
}

// flush sends everything on its way.
func (k *link) flush() error {
	if err := k.encrypt(); err != nil {
		return err
	}
	return k.candidate.wire.Flush()
}
