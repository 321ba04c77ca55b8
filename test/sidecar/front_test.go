package sidecar

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
)

// front is an address that stays while what is behind it changes, as with a service of an operator's. Bytes pass through untouched;
// while nothing is behind it, connections end at once.
type front struct {
	address string

	mu      sync.Mutex
	behind  string        // empty for nothing
	up      chan struct{} // closed while something is behind
	allowed int64         // bytes that a connection begun now brings to the client before it breaks; 0 for all
	cut     chan struct{} // closed, and replaced, to break all connections
}

func stand(t testing.TB) *front {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{address: listener.Addr().String(), up: make(chan struct{}), cut: make(chan struct{})}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // closed
			}
			open.Go(func() { f.pass(t.Context(), client) })
		}
	})
	t.Cleanup(open.Wait)
	t.Cleanup(func() { listener.Close() })
	return f
}

// point says what is behind from now on.
func (f *front) point(behind string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.behind == "" {
		close(f.up)
	}
	f.behind = behind
}

// leave says that nothing is.
func (f *front) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.behind != "" {
		f.up = make(chan struct{})
	}
	f.behind = ""
}

// limit lets connections that begin from now on break after so many bytes, wherever in an event that is; 0 for never.
func (f *front) limit(allowed int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.allowed = allowed
}

// breakAll breaks all connections.
func (f *front) breakAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.cut)
	f.cut = make(chan struct{})
}

// await waits until something is behind.
func (f *front) await(ctx context.Context) error {
	f.mu.Lock()
	up := f.up
	f.mu.Unlock()
	select {
	case <-up:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pass carries bytes both ways until either side ends, or the test.
func (f *front) pass(ctx context.Context, client net.Conn) {
	defer client.Close()
	f.mu.Lock()
	behind, allowed, cut := f.behind, f.allowed, f.cut
	f.mu.Unlock()
	if behind == "" {
		return
	}
	server, err := net.Dial("tcp", behind)
	if err != nil {
		return // it has just gone
	}
	defer server.Close()
	ended := make(chan struct{}, 2)
	carry := func(to io.Writer, from io.Reader) {
		_, _ = io.Copy(to, from) // however it ends, it has ended
		ended <- struct{}{}
	}
	go carry(server, client)
	if allowed > 0 {
		go carry(client, io.LimitReader(server, allowed))
	} else {
		go carry(client, server)
	}
	select {
	case <-ended:
	case <-cut:
	case <-ctx.Done():
	}
}
