package stream_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log/logtest"
	"github.com/synod-network/synod/sidecar/stream"
)

// history is a log in memory that can fail.
type history struct {
	mu     sync.Mutex
	events []event.Numbered
	broken error
	reads  int
}

func (h *history) After(_ context.Context, from event.Seq, limit, _ int) ([]event.Numbered, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reads++
	if h.broken != nil {
		return nil, h.broken
	}
	var page []event.Numbered
	for _, e := range h.events {
		if e.Seq >= from && len(page) < limit {
			page = append(page, e)
		}
	}
	return page, nil
}

// bench is a stream that is served, with a log beneath.
type bench struct {
	t       *testing.T
	s       *stream.Stream
	history *history
	url     string
	next    event.Seq
	inForce string
	stop    func() // ends the stream in order and waits
}

func newBench(t *testing.T, next event.Seq, change func(*stream.Options)) *bench {
	t.Helper()
	h := &history{}
	o := stream.Defaults(50)
	o.History, o.Log, o.SpillDir = h, slog.New(slog.DiscardHandler), t.TempDir()
	if change != nil {
		change(&o)
	}
	s, err := stream.New(o, next, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	server := httptest.NewServer(s)
	b := &bench{t: t, s: s, history: h, url: server.URL, next: next}
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		server.Close()
	})
	t.Cleanup(b.stop)
	return b
}

// publish numbers events and gives them to the log and the stream.
func (b *bench) publish(events ...event.Event) {
	b.history.mu.Lock()
	var numbered []event.Numbered
	for _, e := range events {
		n := event.Numbered{Event: e, Seq: b.next}
		if e.Kind == event.APIVersion {
			b.inForce = strings.Trim(string(e.Body), `"`)
			n.Seq = 0
		}
		n.InForce = b.inForce
		if n.IsNumbered() {
			b.next++
			b.history.events = append(b.history.events, n)
		}
		numbered = append(numbered, n)
	}
	b.history.mu.Unlock()
	b.s.Publish(numbered)
}

// blocks publishes so many blocks, whose heights are their numbers.
func (b *bench) blocks(count int) {
	for range count {
		b.publish(logtest.Block(int(b.next)))
	}
}

// client is a subscriber.
type client struct {
	t      *testing.T
	resp   *http.Response
	frames *bufio.Reader
	cancel context.CancelFunc
}

func (b *bench) get(path string, headers ...string) *http.Response {
	b.t.Helper()
	resp, _ := b.try(path, headers...)
	b.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func (b *bench) try(path string, headers ...string) (*http.Response, context.CancelFunc) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	b.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp, cancel
}

func (b *bench) subscribe(path string, headers ...string) *client {
	b.t.Helper()
	resp, cancel := b.try(path, headers...)
	b.t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(resp.Body)
		b.t.Fatalf("%s: %s: %s", path, resp.Status, body)
	}
	return &client{b.t, resp, bufio.NewReader(resp.Body), cancel}
}

// frame reads the next frame: its text without the blank line at the end.
func (c *client) frame() (string, error) {
	var text strings.Builder
	for {
		line, err := c.frames.ReadString('\n')
		if err != nil {
			return text.String(), err
		}
		if line == "\n" {
			return strings.TrimSuffix(text.String(), "\n"), nil
		}
		text.WriteString(line)
	}
}

// take reads frames until it has so many, and returns each as the kind and number: "BlockAdded 3", "ApiVersion 1.5.3".
func (c *client) take(count int) []string {
	c.t.Helper()
	var got []string
	timeout := time.AfterFunc(time.Minute, c.cancel)
	defer timeout.Stop()
	for len(got) < count {
		frame, err := c.frame()
		if err != nil {
			c.t.Fatalf("after %v: %v", got, err)
		}
		got = append(got, brief(frame))
	}
	return got
}

// rest reads frames until the stream ends, and returns why.
func (c *client) rest() (got []string, err error) {
	for {
		frame, err := c.frame()
		if err != nil {
			return got, err
		}
		got = append(got, brief(frame))
	}
}

func brief(frame string) string {
	data, id, numbered := strings.Cut(frame, "\nid:")
	json, ok := strings.CutPrefix(data, "data:")
	if !ok {
		return frame
	}
	e, err := event.Parse([]byte(json))
	switch {
	case err != nil:
		return "opaque " + id
	case numbered:
		return e.Tag + " " + id
	default:
		return e.Tag + " " + strings.Trim(string(e.Body), `"`)
	}
}

// want compares what was taken with lines such as "BlockAdded 3..5", which stands for three.
func want(t *testing.T, got []string, expected ...string) {
	t.Helper()
	var all []string
	for _, line := range expected {
		name, span, _ := strings.Cut(line, " ")
		first, last, isSpan := strings.Cut(span, "..")
		if !isSpan {
			all = append(all, line)
			continue
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		for n := from; n <= to; n++ {
			all = append(all, fmt.Sprintf("%s %d", name, n))
		}
	}
	if strings.Join(got, "\n") != strings.Join(all, "\n") {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(all, "\n  "))
	}
}
