// Package limit holds HTTP requests back as Casper's sidecar does: so many at once, so many begun in each second. Those beyond wait
// for their turn instead of being refused, up to a time and a number of waiters that Casper's sidecar does not have.
package limit

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Config bounds what a server does.
type Config struct {
	MaxConcurrent int           // requests served at once
	MaxPerSecond  int           // requests begun in each second
	MaxWaiting    int           // requests that wait; more are refused
	Timeout       time.Duration // for waiting and being served together; 0 is none
}

// Validate reports what is wrong with the bounds.
func (c Config) Validate() error {
	switch {
	case c.MaxConcurrent < 1:
		return fmt.Errorf("max_concurrent_requests is %d: it must be at least 1", c.MaxConcurrent)
	case c.MaxPerSecond < 1:
		return fmt.Errorf("max_requests_per_second is %d: it must be at least 1", c.MaxPerSecond)
	case c.MaxWaiting < 0 || c.Timeout < 0:
		return fmt.Errorf("a bound of the server is negative")
	}
	return nil
}

// Limiter is a handler in front of another.
type Limiter struct {
	c       Config
	next    http.Handler
	serving chan struct{}
	waiting chan struct{}

	mu     sync.Mutex
	window time.Time // when the current second began
	begun  int       // requests in it
}

// New puts a limiter before a handler.
func New(c Config, next http.Handler) *Limiter {
	return &Limiter{c: c, next: next, serving: make(chan struct{}, c.MaxConcurrent), waiting: make(chan struct{}, c.MaxConcurrent+c.MaxWaiting)}
}

// ServeHTTP waits for the request's turn and passes it on. A request whose time is up gets 503.
func (l *Limiter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case l.waiting <- struct{}{}:
		defer func() { <-l.waiting }()
	default:
		Refuse(w, http.StatusServiceUnavailable, "Too many requests are waiting, try again later")
		return
	}
	ctx := r.Context()
	if l.c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.c.Timeout)
		defer cancel()
	}
	select {
	case l.serving <- struct{}{}:
		defer func() { <-l.serving }()
	case <-ctx.Done():
		Refuse(w, http.StatusServiceUnavailable, "The request timed out before it was served")
		return
	}
	if !l.begin(ctx) {
		Refuse(w, http.StatusServiceUnavailable, "The request timed out before it was served")
		return
	}
	l.next.ServeHTTP(w, r.WithContext(ctx))
}

// begin waits for room in the current second or a later one, and reports false if ctx ends first.
func (l *Limiter) begin(ctx context.Context) bool {
	for {
		pause := l.take(time.Now())
		if pause == 0 {
			return true
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false
		}
	}
}

// take counts a request in the current second, or returns how long that still lasts.
func (l *Limiter) take(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if since := now.Sub(l.window); since >= time.Second || since < 0 {
		l.window, l.begun = now, 0
	}
	if l.begun < l.c.MaxPerSecond {
		l.begun++
		return 0
	}
	return l.window.Add(time.Second).Sub(now)
}

// Refuse writes an error in the form of Casper's sidecar.
func Refuse(w http.ResponseWriter, code int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	body, _ := json.Marshal(struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{code, message})
	_, _ = w.Write(body) // the client may have gone
}
