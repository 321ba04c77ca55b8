package stream_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/synod-network/synod/internal/halfopen/halfopentest"
	"github.com/synod-network/synod/sidecar/log/logtest"
	"github.com/synod-network/synod/sidecar/stream"
)

// said passes on what a log says.
type said chan string

func (s said) Enabled(context.Context, slog.Level) bool { return true }
func (s said) WithAttrs([]slog.Attr) slog.Handler       { return s }
func (s said) WithGroup(string) slog.Handler            { return s }
func (s said) Handle(_ context.Context, r slog.Record) error {
	s <- r.Message
	return nil
}

const gaveUp = "gave up a subscriber that took nothing of what was sent to it"

// TestSubscribersWhoTakeNothingAreGivenUp: whose machine vanished, without a FIN and without a RST, or whose program stopped reading;
// on a quiet stream, on a busy one, and while they are served from the log. Nothing of theirs stays: the place is free again. Others
// notice nothing.
func TestSubscribersWhoTakeNothingAreGivenUp(t *testing.T) {
	large := func(b *bench) {
		for n := range 200 { // 20 MB: more than sockets buffer, less than the list may hold
			b.publish(logtest.Accepted(1, n, 100_000))
		}
	}
	for name, test := range map[string]struct {
		vanishes bool
		before   func(*bench) // it subscribes
		query    string       // with one it is served from the log, and has its fault from the start; else after the first event
		after    func(*bench)
	}{
		"vanished, on a quiet stream": {vanishes: true, after: func(*bench) {}},
		"vanished, on a busy stream":  {vanishes: true, after: large},
		"vanished, in the log":        {vanishes: true, before: large, query: "?start_from=1", after: func(*bench) {}},
		"stopped reading":             {after: large},
		"stopped reading, in the log": {before: large, query: "?start_from=1", after: func(*bench) {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			says := make(said, 10)
			b := newBench(t, 0, func(o *stream.Options) {
				o.Patience, o.KeepAlive, o.MaxSubscribers, o.MaxBehind, o.Log = 300*time.Millisecond, 50*time.Millisecond, 2, 1000, slog.New(says)
			})
			b.publish(logtest.APIVersion("1.5.3"))
			if test.before != nil {
				test.before(b)
			}
			other := b.subscribe("/events/main")
			want(t, other.take(1), "ApiVersion 1.5.3")
			conn := b.dial()
			fault := func() {
				if test.vanishes {
					halfopentest.Vanish(t, conn)
				}
			}
			if test.query != "" {
				fault()
			}
			fmt.Fprintf(conn, "GET /events/deploys%s HTTP/1.1\r\nHost: x\r\n\r\n", test.query)
			if test.query == "" {
				readUntil(t, conn, "1.5.3")
				fault()
			}
			test.after(b)
			select {
			case got := <-says:
				if got != gaveUp {
					t.Errorf("the log says %q", got)
				}
			case <-time.After(time.Minute):
				t.Fatalf("it still has its place: %+v", b.s.Stats())
			}
			free := time.NewTicker(time.Millisecond)
			defer free.Stop()
			for b.s.Stats().Subscribers["/events/deploys"] > 0 { // it is said before the place is given back
				<-free.C
			}
			want(t, b.subscribe("/events/sigs").take(1), "ApiVersion 1.5.3") // in the place that is free now
			if st := b.s.Stats(); st.Silent != 1 || st.Cut != 0 || st.Subscribers["/events/deploys"] != 0 || st.Subscribers["/events/main"] != 1 {
				t.Errorf("stats %+v", st)
			}
			b.blocks(1)
			for line := ""; !strings.HasPrefix(line, "data:"); {
				var err error
				if line, err = other.frame(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// readUntil reads until the text has come.
func readUntil(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	var got []byte
	for buffer := make([]byte, 1000); !strings.Contains(string(got), text); {
		n, err := conn.Read(buffer)
		if err != nil {
			t.Fatalf("after %q: %v", got, err)
		}
		got = append(got, buffer[:n]...)
	}
}

// dial connects without a request.
func (b *bench) dial() *net.TCPConn {
	b.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn)
}
