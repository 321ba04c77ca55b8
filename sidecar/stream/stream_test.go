package stream_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/logtest"
	"github.com/synod-network/synod/sidecar/stream"
)

func TestLiveStreamBeginsWithTheAPIVersion(t *testing.T) {
	b := newBench(t, 0, nil)
	b.publish(logtest.APIVersion("1.5.3"))
	b.blocks(3)
	c := b.subscribe("/events/main")
	want(t, c.take(1), "ApiVersion 1.5.3")
	b.blocks(2)
	b.publish(logtest.Accepted(1, 1, 0), logtest.APIVersion("1.5.4"))
	b.blocks(1)
	want(t, c.take(4), "BlockAdded 3..4", "ApiVersion 1.5.4", "BlockAdded 6")
	if got := c.resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("content type %q", got)
	}
	if got := c.resp.Header.Get("Cache-Control"); got != "no-cache" {
		t.Errorf("cache control %q", got)
	}
}

func TestFrameIsThatOfCaspersSidecar(t *testing.T) {
	b := newBench(t, 41, nil)
	b.publish(logtest.APIVersion("1.5.3"))
	c := b.subscribe("/events/deploys/?")
	b.publish(logtest.Parse(1, `{"DeployAccepted":{"hash":"ab"}}`))
	wire, err := io.ReadAll(io.LimitReader(c.resp.Body, 70))
	if expected := "data:{\"ApiVersion\":\"1.5.3\"}\n\ndata:{\"DeployAccepted\":{\"hash\":\"ab\"}}\nid:41\n\n"; err != nil || string(wire) != expected[:70] {
		t.Errorf("got %q, %v", wire, err)
	}
}

func TestEachPathCarriesItsKinds(t *testing.T) {
	b := newBench(t, 0, nil)
	clients := make(map[string]*client)
	for _, path := range []string{"/events/main", "/events/deploys", "/events/sigs", "/events", "/events/sidecar"} {
		clients[path] = b.subscribe(path)
	}
	b.publish(logtest.APIVersion("1.5.3"), logtest.Block(0), logtest.Accepted(1, 1, 0), logtest.Processed(2, 1), logtest.Expired(3, 1),
		logtest.Fault(4, 1, 1), logtest.Signature(5, 0, 1), logtest.Step(6, 1), logtest.Parse(7, `{"Fork":{}}`), logtest.Shutdown(8))
	farewell := event.Event{Kind: event.Shutdown, Tag: "Shutdown"}
	b.publish(farewell)
	b.stop()
	for path, expected := range map[string][]string{
		"/events/main":    {"ApiVersion 1.5.3", "BlockAdded 0", "DeployProcessed 2", "DeployExpired 3", "Fault 4", "Step 6", "Shutdown 8"},
		"/events/deploys": {"ApiVersion 1.5.3", "DeployAccepted 1"},
		"/events/sigs":    {"ApiVersion 1.5.3", "FinalitySignature 5"},
		"/events":         {"ApiVersion 1.5.3", "BlockAdded 0", "DeployProcessed 2", "Fault 4", "FinalitySignature 5", "Shutdown 8"},
		"/events/sidecar": {"SidecarVersion 1.0.0", "Shutdown 9"},
	} {
		got, err := clients[path].rest()
		if !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s ended with %v", path, err)
		}
		if path == "/events/main" { // the unknown kind stays on the filter it came on
			expected = append(expected[:6:6], "Fork 7", "Shutdown 8")
		}
		t.Run(path, func(t *testing.T) { want(t, got, expected...) })
	}
}

func TestStartFrom(t *testing.T) {
	b := newBench(t, 0, func(o *stream.Options) { o.History = nil })
	b.publish(logtest.APIVersion("1.5.3"))
	b.blocks(100)
	for _, tc := range []struct {
		query    string
		expected []string
	}{
		{"?start_from=75", []string{"ApiVersion 1.5.3", "BlockAdded 75..99"}},
		{"?start_from=99", []string{"ApiVersion 1.5.3", "BlockAdded 99"}},
		{"?start_from=20", []string{"ApiVersion 1.5.3", "BlockAdded 50..99"}}, // before the ring: all of it
		{"?start_from=0", []string{"ApiVersion 1.5.3", "BlockAdded 50..99"}},
		{"?start_from=100", []string{"ApiVersion 1.5.3"}}, // still to come
		{"?start_from=4294967295", []string{"ApiVersion 1.5.3"}},
		{"?", []string{"ApiVersion 1.5.3"}},
	} {
		t.Run(tc.query, func(t *testing.T) {
			c := b.subscribe("/events/main" + tc.query)
			first := int(b.next)
			b.blocks(0)
			expanded := 1
			if len(tc.expected) > 1 {
				var from, to int
				if n, _ := fmt.Sscanf(tc.expected[1], "BlockAdded %d..%d", &from, &to); n == 2 {
					expanded += to - from + 1
				} else {
					expanded++
				}
			}
			want(t, c.take(expanded), tc.expected...)
			_ = first
		})
	}
}

func TestReplayAnnouncesEachAPIVersion(t *testing.T) {
	b := newBench(t, 0, nil)
	b.publish(logtest.APIVersion("1.5.2"))
	b.blocks(2)
	b.publish(logtest.Accepted(1, 1, 0), logtest.APIVersion("1.5.3"))
	b.blocks(2)
	want(t, b.subscribe("/events/main?start_from=1").take(5), "ApiVersion 1.5.2", "BlockAdded 1", "ApiVersion 1.5.3", "BlockAdded 3..4")
	want(t, b.subscribe("/events/main?start_from=2").take(3), "ApiVersion 1.5.3", "BlockAdded 3..4")
	want(t, b.subscribe("/events/deploys?start_from=3").take(1), "ApiVersion 1.5.3")
}

func TestNumbersWrapAround(t *testing.T) {
	b := newBench(t, 1<<32-10, func(o *stream.Options) { o.History = nil })
	b.publish(logtest.APIVersion("1.5.3"))
	b.blocks(20)
	want(t, b.subscribe("/events/main?start_from=4294967293").take(5), "ApiVersion 1.5.3", "BlockAdded 4294967293..4294967295", "BlockAdded 0")
	want(t, b.subscribe("/events/main?start_from=8").take(3), "ApiVersion 1.5.3", "BlockAdded 8..9")
	want(t, b.subscribe("/events/main?start_from=4294967200").take(2), "ApiVersion 1.5.3", "BlockAdded 4294967286")
	want(t, b.subscribe("/events/main?start_from=11").take(1), "ApiVersion 1.5.3")
}

func TestResumesBeyondTheRingFromTheLog(t *testing.T) {
	b := newBench(t, 0, nil)
	b.publish(logtest.APIVersion("1.5.2"))
	b.blocks(700)
	b.publish(logtest.APIVersion("1.5.3"))
	b.blocks(1300)
	c := b.subscribe("/events/main?start_from=690")
	want(t, c.take(12), "ApiVersion 1.5.2", "BlockAdded 690..699", "ApiVersion 1.5.3")
	want(t, c.take(1300), "BlockAdded 700..1999")
	b.blocks(3)
	want(t, c.take(3), "BlockAdded 2000..2002")

	c = b.subscribe("/events/main", "Last-Event-ID", "1200")
	want(t, c.take(2), "ApiVersion 1.5.3", "BlockAdded 1201")
	want(t, c.take(801), "BlockAdded 1202..2002")
}

func TestStartFromZeroNeverReadsTheLog(t *testing.T) {
	b := newBench(t, 0, nil)
	b.publish(logtest.APIVersion("1.5.3"))
	b.blocks(200)
	want(t, b.subscribe("/events/main?start_from=0").take(2), "ApiVersion 1.5.3", "BlockAdded 150")
	if b.history.reads != 0 {
		t.Errorf("the log was read %d times", b.history.reads)
	}
}

func TestLastEventIDIsHonoured(t *testing.T) {
	b := newBench(t, 0, nil)
	b.publish(logtest.APIVersion("1.5.3"))
	b.blocks(10)
	want(t, b.subscribe("/events/main", "Last-Event-ID", "6").take(4), "ApiVersion 1.5.3", "BlockAdded 7..9")
	want(t, b.subscribe("/events/main?start_from=0", "Last-Event-ID", "7").take(3), "ApiVersion 1.5.3", "BlockAdded 8..9") // an EventSource comes back
	want(t, b.subscribe("/events/main?start_from=8", "Last-Event-ID", "none of ours").take(3), "ApiVersion 1.5.3", "BlockAdded 8..9")
	want(t, b.subscribe("/events/main", "Last-Event-ID", "none of ours").take(1), "ApiVersion 1.5.3")
}

func TestLogThatIsAwayIsSaid(t *testing.T) {
	b := newBench(t, 0, nil)
	b.blocks(100)
	b.history.mu.Lock()
	b.history.broken = errors.New("connection refused")
	b.history.mu.Unlock()
	resp := b.get("/events/main?start_from=3")
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), "before id 50 cannot be read") {
		t.Errorf("%s: %s", resp.Status, body)
	}
	b.subscribe("/events/main?start_from=70").take(30)
}

func TestRefusals(t *testing.T) {
	b := newBench(t, 0, func(o *stream.Options) { o.MaxSubscribers = 3 })
	b.publish(logtest.APIVersion("1.5.3"))
	check := func(method, target string, status int, text string) {
		t.Helper()
		req, err := http.NewRequest(method, b.url+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, _ := io.ReadAll(resp.Body)
		if method == http.MethodHead {
			text = ""
		}
		if resp.StatusCode != status || string(body) != text || resp.Header.Get("Content-Type") != "" {
			t.Errorf("%s %s: %d %q %q", method, target, resp.StatusCode, body, resp.Header["Content-Type"])
		}
	}
	badPath := "invalid path: expected '/events/main', '/events/deploys' or '/events/sigs'\n"
	badQuery := "invalid query: expected single field 'start_from=<EVENT ID>'\n"
	for _, path := range []string{
		"/", "/?start_from=0", "/foo", "/foo/", "/event", "/events/foo", "/events/foo/", "/events/main/foo", "/events/main/foo/", "/events/sigs/foo?start_from=1",
		"/events//", "/events/main//", "//events/main", "/events/Main", "/events/MAIN?start_from=0", "/events/deploy", "/events/main/?x/y/z/"[:12] + "x", "/events/sidecar/x", "/EVENTS",
	} {
		check(http.MethodGet, path, http.StatusNotFound, badPath)
	}
	for _, method := range []string{http.MethodPost, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		check(method, "/events/main", http.StatusNotFound, badPath)
	}
	for _, query := range []string{
		"not-a-kv-pair", "start_fro=0", "start_from=not-integer", "start_from='0'", "start_from=0&extra=1", "extra=1&start_from=0", "start_from=", "start_from",
		"start_from=-1", "start_from=4294967296", "start_from=1.5", "start_from=%2B1", "start_from=0&start_from=1", "Start_from=0", "=0", "start_from=1;",
	} {
		check(http.MethodGet, "/events/main?"+query, http.StatusUnprocessableEntity, badQuery)
	}
	first := b.subscribe("/events/main")
	b.subscribe("/events/sigs")
	b.subscribe("/events")
	full := "server has reached limit of subscribers"
	check(http.MethodGet, "/events/main", http.StatusServiceUnavailable, full)
	check(http.MethodGet, "/events/foo", http.StatusServiceUnavailable, full)
	check(http.MethodGet, "/events/main?start_fro=1", http.StatusServiceUnavailable, full)
	check(http.MethodGet, "/", http.StatusNotFound, badPath)
	check(http.MethodGet, "/events/main/foo", http.StatusNotFound, badPath)
	check(http.MethodPost, "/events/main", http.StatusNotFound, badPath)
	first.cancel() // its place is free once it is asked for
	_ = first.resp.Body.Close()
	want(t, b.subscribe("/events/deploys").take(1), "ApiVersion 1.5.3")
	if st := b.s.Stats(); st.Refused != 3 || st.Subscribers["/events/deploys"] != 1 || st.Subscribers["/events/main"] != 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestOriginIsEchoedAndPreflightRefused(t *testing.T) {
	b := newBench(t, 0, nil)
	c := b.subscribe("/events/main", "Origin", "https://explorer.example")
	if got := c.resp.Header.Get("Access-Control-Allow-Origin"); got != "https://explorer.example" {
		t.Errorf("allowed is %q", got)
	}
	req, _ := http.NewRequest(http.MethodOptions, b.url+"/events/main", nil)
	req.Header.Set("Access-Control-Request-Method", "GET")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("preflight: %v, %v", resp, err)
	}
}

func TestSlowReaderIsCutWithoutAProperEnd(t *testing.T) {
	b := newBench(t, 0, func(o *stream.Options) { o.MaxBehind, o.Ring = 60, 50 })
	b.publish(logtest.APIVersion("1.5.3"))
	lazy := b.subscribe("/events/deploys")
	diligent := b.subscribe("/events/main")
	diligent.take(1)
	for n := range 200 { // 20 MB: more than sockets buffer
		b.publish(logtest.Accepted(1, n, 100_000))
	}
	for b.s.Stats().Cut == 0 {
		b.blocks(1)
		diligent.take(1)
	}
	got, err := lazy.rest()
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, net.ErrClosed) && !strings.Contains(fmt.Sprint(err), "reset") {
		t.Errorf("after %d events the slow reader saw %v", len(got), err)
	}
}

func TestQuietStreamIsKeptAlive(t *testing.T) {
	b := newBench(t, 0, func(o *stream.Options) { o.KeepAlive = 1e9 })
	c := b.subscribe("/events/main")
	if got, err := c.frame(); err != nil || got != ":" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestLargeEventIsSpilled(t *testing.T) {
	b := newBench(t, 0, func(o *stream.Options) { o.SpillAt = 100_000 })
	b.publish(logtest.APIVersion("1.5.3"))
	live := b.subscribe("/events/main")
	large := logtest.Parse(1, `{"Step":{"era_id":1,"execution_effect":"`+strings.Repeat("x", 3_000_000)+`"}}`)
	b.blocks(1)
	b.publish(large)
	b.blocks(1)
	expected := "data:" + string(large.AppendJSON(nil)) + "\nid:1"
	for name, c := range map[string]*client{"live": live, "replayed": b.subscribe("/events/main?start_from=0")} {
		want(t, c.take(2), "ApiVersion 1.5.3", "BlockAdded 0")
		if got, err := c.frame(); err != nil || got != expected {
			t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(expected), err)
		}
		want(t, c.take(1), "BlockAdded 2")
	}
	if st := b.s.Stats(); st.Spilled != 1 || st.RingBytes > 10_000 {
		t.Errorf("stats %+v", st)
	}
}

func TestPlainHTTPGetsNoChunks(t *testing.T) {
	b := newBench(t, 0, nil)
	b.publish(logtest.APIVersion("1.5.3"))
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	fmt.Fprintf(conn, "GET /events/main HTTP/1.0\r\n\r\n")
	got := make([]byte, 300)
	n := 0
	for !strings.Contains(string(got[:n]), "1.5.3") {
		m, err := conn.Read(got[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += m
	}
	if head, body, _ := strings.Cut(string(got[:n]), "\r\n\r\n"); !strings.HasPrefix(head, "HTTP/1.0 200 OK") || strings.Contains(head, "chunked") || body != "data:{\"ApiVersion\":\"1.5.3\"}\n\n" {
		t.Errorf("%q", got[:n])
	}
}

// TestNothingIsLostBetweenSnapshotAndLive is named after the race in Casper's sidecar: it took the snapshot first and subscribed
// later, and what came between was missed.
func TestNothingIsLostBetweenSnapshotAndLive(t *testing.T) {
	b := newBench(t, 0, nil)
	b.publish(logtest.APIVersion("1.5.3"))
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.blocks(5000)
	}()
	for range 40 {
		c := b.subscribe("/events/main?start_from=1")
		got := c.take(200)
		for i, line := range got[1:] {
			if expected := fmt.Sprintf("BlockAdded %d", i+1); line != expected {
				t.Fatalf("event %d is %s", i+1, line)
			}
		}
		c.cancel()
	}
	<-done
}

func TestStreamsOfA2xSidecar(t *testing.T) {
	events := logtest.OfNodes2()
	for _, legacy := range []bool{false, true} {
		b := newBench(t, 0, func(o *stream.Options) { o.Layout, o.Legacy = log.V2, legacy })
		all := b.subscribe("/events")
		older := make(map[string]*client)
		for _, path := range []string{"/events/main", "/events/deploys", "/events/sigs"} {
			if !legacy {
				if resp := b.get(path); resp.StatusCode != http.StatusNotFound {
					t.Errorf("%s: %s", path, resp.Status)
				}
				continue
			}
			older[path] = b.subscribe(path)
			if line, err := older[path].frame(); err != nil || !strings.HasPrefix(line, ":This endpoint is NOT a 1 to 1 representation") {
				t.Errorf("%s begins with %q, %v", path, line, err)
			}
		}
		own := b.subscribe("/events/sidecar")
		b.publish(logtest.APIVersion("2.0.0"))
		b.publish(events...)
		b.stop()
		got, _ := all.rest()
		want(t, got, "ApiVersion 2.0.0", "BlockAdded 0", "TransactionAccepted 1..2", "TransactionProcessed 3", "TransactionExpired 4", "FinalitySignature 5", "Step 6", "Fault 7", "Shutdown 8")
		got, _ = own.rest()
		want(t, got, "SidecarVersion 1.0.0", "Shutdown 8")
		for path, expected := range map[string][]string{
			"/events/main":    {"ApiVersion 2.0.0", "BlockAdded 0", "DeployExpired 4", "Fault 7", "Shutdown 8"},
			"/events/deploys": {"ApiVersion 2.0.0", "DeployAccepted 2", "Shutdown 8"},
			"/events/sigs":    {"ApiVersion 2.0.0", "FinalitySignature 5", "Shutdown 8"},
		} {
			if legacy {
				got, _ := older[path].rest()
				want(t, got, expected...)
			}
		}
	}
}

// TestCrowdOverTheLimit: a thousand more than there is room for are all refused, and those who have a place notice nothing.
func TestCrowdOverTheLimit(t *testing.T) {
	b := newBench(t, 0, func(o *stream.Options) { o.MaxSubscribers = 1 })
	b.publish(logtest.APIVersion("1.5.3"))
	c := b.subscribe("/events/main")
	c.take(1)
	var all sync.WaitGroup
	var refused atomic.Int64
	for range 20 {
		all.Go(func() {
			for range 50 {
				resp, err := http.Get(b.url + "/events/main")
				if err != nil {
					t.Error(err)
					return
				}
				if resp.StatusCode == http.StatusServiceUnavailable {
					refused.Add(1)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
	for n := range 20 {
		b.blocks(1)
		want(t, c.take(1), fmt.Sprintf("BlockAdded %d", n))
	}
	all.Wait()
	if refused.Load() != 1000 {
		t.Errorf("%d of 1000 were refused", refused.Load())
	}
}

// TestStoredButNotYetPublishedComesOnce: an event is in the log a moment before it is published. Who reads the log just then must not
// get it from there and from the live stream as well.
func TestStoredButNotYetPublishedComesOnce(t *testing.T) {
	b := newBench(t, 0, nil)
	b.publish(logtest.APIVersion("1.5.3"))
	b.blocks(100)
	early := event.Numbered{Event: logtest.Block(100), Seq: 100, InForce: "1.5.3"}
	b.history.mu.Lock()
	b.history.events = append(b.history.events, early)
	b.history.mu.Unlock()
	c := b.subscribe("/events/main?start_from=10")
	want(t, c.take(91), "ApiVersion 1.5.3", "BlockAdded 10..99")
	b.next++
	b.s.Publish([]event.Numbered{early})
	b.blocks(2)
	want(t, c.take(3), "BlockAdded 100..102")
}
