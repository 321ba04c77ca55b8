package stream

import (
	"bufio"
	"context"
	"errors"
	"time"

	"github.com/synod-network/synod/sidecar/event"
)

// pages reads the log for one subscriber until it reaches the ring.
type pages struct {
	s     *Stream
	ctx   context.Context
	path  path
	from  event.Seq // the next number to read
	page  []event.Numbered
	shown string // API version sent last
}

func (s *Stream) history(ctx context.Context, p path, from event.Seq) *pages {
	return &pages{s: s, ctx: ctx, path: p, from: from}
}

const (
	pageEvents = 500
	pageBytes  = 1 << 20
	pagePiece  = 256 << 10 // what a subscriber is given at a time; for each piece it has Options.Patience
)

// read gets the next page. An empty page means that the log holds nothing from there on.
func (p *pages) read() error {
	select {
	case p.s.resuming <- struct{}{}:
		defer func() { <-p.s.resuming }()
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
	page, err := p.s.o.History.After(p.ctx, p.from, pageEvents, pageBytes)
	p.s.mu.Lock()
	next := p.s.next
	p.s.mu.Unlock()
	for len(page) > 0 && page[len(page)-1].Seq >= next { // stored, and about to be published: it comes with the live stream
		page = page[:len(page)-1]
	}
	p.page = page
	return err
}

// serve sends the page in hand and those that follow, waiting for the subscriber, and returns where in the ring it goes on.
func (p *pages) serve(sub *subscriber) (plan, error) {
	p.s.mu.Lock()
	p.s.reading[sub] = true
	p.s.mu.Unlock()
	defer func() {
		p.s.mu.Lock()
		defer p.s.mu.Unlock()
		delete(p.s.reading, sub)
	}()
	p.ctx = context.Background() // the request's ended with the hand-over of the connection; the loop ends with the stream
	for {
		if err := p.send(sub); err != nil {
			return plan{}, err
		}
		if next, reached, err := p.reached(); reached || err != nil {
			return next, err
		}
		if err := p.read(); err != nil {
			p.s.o.Log.Warn("ended a stream that was served from the log", "from", p.from.ID(), "err", err)
			return plan{}, err
		}
		if len(p.page) == 0 { // what lies before the ring is gone from the log
			p.s.mu.Lock()
			defer p.s.mu.Unlock()
			return p.s.join(p.path, p.from), nil
		}
	}
}

var errClosing = errors.New("the sidecar is stopping")

// reached reports whether the ring holds all that comes next, and where.
func (p *pages) reached() (next plan, reached bool, err error) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if p.s.closing {
		return plan{}, false, errClosing
	}
	first := p.s.oldest.next.Load()
	if p.from < p.s.next && (first == nil || first.seq > p.from) {
		return plan{}, false, nil
	}
	at := p.s.oldest
	for n := at.next.Load(); n != nil && n.seq < p.from; n = n.next.Load() {
		at = n
	}
	next = plan{at: at}
	inForce := p.s.inForce
	n := at.next.Load()
	if n != nil {
		inForce = n.inForce
	}
	if inForce != p.shown && (n == nil || n.kind != event.APIVersion) {
		next.announce = inForce
	}
	return next, true, nil
}

// send writes the page in hand. While it waits for the subscriber it holds the page's small events and one piece of a large one.
func (p *pages) send(sub *subscriber) error {
	out := bufio.NewWriterSize(&patient{p, sub}, pagePiece)
	_, _ = out.Write(sub.head) // errors stay with out
	sub.head = nil
	frames, sent := make([]*frame, 0, len(p.page)), int64(0)
	for i := range p.page {
		e := &p.page[i]
		p.from = e.Seq + 1
		f := p.s.render(e)[p.path]
		if f == nil {
			continue
		}
		if e.InForce != p.shown && e.InForce != "" && p.path != pathSidecar {
			frames = append(frames, encodeVersion(event.APIVersion, e.InForce))
			p.shown = e.InForce
		}
		frames = append(frames, f)
		sent++
	}
	p.page = nil
	for _, f := range frames {
		if err := f.copyTo(out, sub.plain); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	p.s.delivered.Add(sent)
	return nil
}

// patient writes to a subscriber, and gives it time for each write.
type patient struct {
	p   *pages
	sub *subscriber
}

// Write implements [io.Writer].
func (w *patient) Write(data []byte) (int, error) {
	if err := w.p.allow(w.sub); err != nil {
		return 0, err
	}
	n, err := w.sub.conn.Write(data)
	_ = w.sub.conn.SetWriteDeadline(time.Time{})
	return n, err
}

// allow gives the subscriber time for the next write, unless the stream is ending.
func (p *pages) allow(sub *subscriber) error {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	switch {
	case p.s.closing:
		return errClosing
	case p.s.o.Patience > 0:
		return sub.conn.SetWriteDeadline(time.Now().Add(p.s.o.Patience))
	default:
		return nil
	}
}
