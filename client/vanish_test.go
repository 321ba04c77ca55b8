package client

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"
)

// vanishing makes connections that can turn into ones whose other end is gone without a word.
type vanishing struct {
	dial func(ctx context.Context, address string) (net.Conn, error)

	mu    sync.Mutex
	conns []*vanished
}

// vanished is such a connection: once gone, it takes what is written and brings nothing.
type vanished struct {
	net.Conn
	gone, closed chan struct{}
	once         sync.Once
}

func (v *vanishing) Dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := v.dial(ctx, address)
	if err != nil {
		return nil, err
	}
	one := &vanished{Conn: conn, gone: make(chan struct{}), closed: make(chan struct{})}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.conns = append(v.conns, one)
	return one, nil
}

// vanish has all connections that there are lose their other ends.
func (v *vanishing) vanish() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, one := range v.conns {
		close(one.gone)
	}
	v.conns = nil
}

func (v *vanished) Read(p []byte) (int, error) {
	n, err := v.Conn.Read(p)
	select {
	case <-v.gone:
		<-v.closed
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

func (v *vanished) Write(p []byte) (int, error) {
	select {
	case <-v.gone:
		return len(p), nil
	default:
		return v.Conn.Write(p)
	}
}

func (v *vanished) Close() error {
	v.once.Do(func() { close(v.closed) })
	return v.Conn.Close()
}

// A sequencer's machine vanishes and comes back: nothing tells the client that the connection leads nowhere but that it is silent.
func TestConnectionsThatLeadNowhereAreGivenUp(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		way := &vanishing{dial: w.net.Dial}
		config := w.config()
		config.TrustThreshold, config.Dial = 1, way.Dial
		w.live(config)
		if _, err := w.client.Send(w.ctx, toBob("before")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // pings go by, and the sequencer takes none of them amiss
		if n := w.net.Sequencer(0).Counts().Handshakes; n != 1 {
			t.Errorf("%d handshakes before anything happened", n)
		}
		way.vanish()
		began := time.Now()
		if _, err := w.client.Send(w.ctx, toBob("after")); err != nil || time.Since(began) > 45*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}
