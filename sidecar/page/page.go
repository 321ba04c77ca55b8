// Package page is the page at / of the REST port: nodes and their state, events a second by kind, newest blocks, subscribers and
// database, live.
//
// It is one embedded file without anything from elsewhere, so it works without network. It is fed by a stream of server-sent events
// of its own, an overview every second, made once for all who look, so that looking costs no subscriber's place.
package page

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

//go:embed page.html
var html []byte

// Page serves the page and its stream. Make one with [New], run it with [Page.Run].
type Page struct {
	overview func(ctx context.Context) any
	every    time.Duration
	viewers  chan struct{} // a place for each who looks

	mu      sync.Mutex
	newest  []byte        // the frame to send
	changed chan struct{} // closed when there is a newer one
	looking int
}

// maxViewers is how many may look at once.
const maxViewers = 64

// New returns a page that shows what overview returns, afresh in every period.
func New(overview func(ctx context.Context) any, every time.Duration) *Page {
	return &Page{overview: overview, every: every, viewers: make(chan struct{}, maxViewers), changed: make(chan struct{})}
}

// Run renews the overview while anybody looks, until ctx ends.
func (p *Page) Run(ctx context.Context) error {
	tick := time.NewTicker(p.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		p.mu.Lock()
		idle := p.looking == 0
		p.mu.Unlock()
		if !idle {
			if err := p.renew(ctx); err != nil {
				return err
			}
		}
	}
}

// renew makes a frame of the overview and wakes those who wait for it.
func (p *Page) renew(ctx context.Context) error {
	data, err := json.Marshal(p.overview(ctx))
	if err != nil {
		return fmt.Errorf("encode the overview of the page: %w", err)
	}
	frame := append(append([]byte("data:"), data...), "\n\n"...)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.newest = frame
	close(p.changed)
	p.changed = make(chan struct{})
	return nil
}

// ServeHTTP serves / and /page/live.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		http.Error(w, "the page can only be read", http.StatusMethodNotAllowed)
	case r.URL.Path == "/":
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(html))
	case r.URL.Path == "/page/live":
		p.live(w, r)
	default:
		http.NotFound(w, r)
	}
}

// live sends overviews until the viewer goes or the server stops.
func (p *Page) live(w http.ResponseWriter, r *http.Request) {
	select {
	case p.viewers <- struct{}{}:
		defer func() { <-p.viewers }()
	default:
		http.Error(w, "too many are looking at the page", http.StatusServiceUnavailable)
		return
	}
	p.look(1)
	defer p.look(-1)
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	if err := p.renew(r.Context()); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	for {
		p.mu.Lock()
		frame, changed := p.newest, p.changed
		p.mu.Unlock()
		_ = out.SetWriteDeadline(time.Now().Add(10 * time.Second))
		if _, err := w.Write(frame); err != nil || out.Flush() != nil {
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

func (p *Page) look(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looking += n
}
