package sidecar_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/sidecar"
	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/limit"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/logtest"
	"github.com/synod-network/synod/sidecar/log/sqlite"
)

// feed is a source that a test speaks through.
type feed struct {
	batches chan []event.Event
	taken   chan error
}

func newFeed() *feed { return &feed{make(chan []event.Event), make(chan error)} }

func (f *feed) read(ctx context.Context, sink event.Sink, _ event.Positions, observer event.Observer) error {
	observer.Node(event.NodeState{Node: "127.0.0.1:18101", Status: event.Connected, Build: "1.5.3-abc", Network: "casper-test", LastEvent: time.Now()})
	for {
		select {
		case <-ctx.Done():
			return nil
		case batch := <-f.batches:
			if batch == nil {
				return errors.New("Connected node(s) are unavailable")
			}
			for i := range batch {
				observer.Received(batch[i].Origin.Filter, batch[i].Kind, len(batch[i].Body))
			}
			f.taken <- sink.Append(ctx, batch)
		}
	}
}

func (f *feed) say(t *testing.T, events ...event.Event) {
	t.Helper()
	f.batches <- events
	if err := <-f.taken; err != nil {
		t.Fatal(err)
	}
}

// running is a sidecar in this process.
type running struct {
	urls map[string]string
	done chan error
	stop func()
}

func start(t testing.TB, dir string, source sidecar.Source, change func(*sidecar.Options)) *running {
	t.Helper()
	ready := filepath.Join(t.TempDir(), "ready.json")
	bounds := limit.Config{MaxConcurrent: 50, MaxPerSecond: 1000, MaxWaiting: 50}
	o := sidecar.Options{
		Version: "test", Layout: log.V1, Source: source, Directory: dir,
		SQLite:     &sqlite.Config{Path: filepath.Join(dir, "events.db3"), Layout: log.V1, Readers: 4, AutoCheckpoint: 1000},
		SpoolBytes: sidecar.DefaultSpoolBytes, Events: "127.0.0.1:0", MaxSubscribers: 100, Ring: 100,
		REST: &sidecar.Server{Address: "127.0.0.1:0", Limit: bounds}, Admin: &sidecar.Server{Address: "127.0.0.1:0", Limit: bounds},
		ReadyFile: ready, Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{urls: make(map[string]string), done: make(chan error, 1)}
	go func() { r.done <- sidecar.Run(ctx, o) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-r.done; err != nil {
			t.Errorf("the sidecar ended with %v", err)
		}
	})
	for {
		select {
		case err := <-r.done:
			t.Fatalf("the sidecar ended with %v", err)
		case <-time.After(2 * time.Millisecond):
		}
		if what, err := node.ReadReady(ready); err == nil {
			for name, address := range what.Nodes[0].Listeners {
				r.urls[name] = "http://" + address
			}
			return r
		}
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// subscribe returns a function that reads the next line of data or id.
func subscribe(t testing.TB, url string) (next func() string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 64<<20)
	return func() string {
		for lines.Scan() {
			if lines.Text() != "" && lines.Text() != ":" {
				return lines.Text()
			}
		}
		return fmt.Sprint("end: ", lines.Err())
	}
}

func TestEventsReachEverybody(t *testing.T) {
	f := newFeed()
	r := start(t, t.TempDir(), f.read, nil)
	defer r.stop()
	f.say(t, logtest.APIVersion("1.5.3"), logtest.Block(7), logtest.Block(7), logtest.Accepted(8, 1, 0))
	next := subscribe(t, r.urls["events"]+"/events/main?start_from=0")
	block := logtest.Block(7)
	for _, want := range []string{`data:{"ApiVersion":"1.5.3"}`, "data:" + string(block.AppendJSON(nil)), "id:0"} {
		if got := next(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if status, body := get(t, r.urls["rest"]+"/block"); status != 200 || body != string(block.Body) {
		t.Errorf("/block: %d %s", status, body)
	}
	if status, body := get(t, r.urls["rest"]+"/"); status != 200 || !strings.Contains(body, "<title>Event sidecar</title>") {
		t.Errorf("/: %d", status)
	}
	_, metrics := get(t, r.urls["admin"]+"/metrics")
	for _, want := range []string{`node_statuses{node="127.0.0.1:18101"} 2`, "synod_sidecar_duplicates_total 1", `synod_sidecar_events_total{kind="BlockAdded"} 1`,
		`synod_sidecar_subscribers{path="/events/main"} 1`, "process_resident_memory_bytes", `received_bytes_count{filter="events/main"} 3`, "synod_sidecar_spool_events 0"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	if status, body := get(t, r.urls["admin"]+"/health"); status != 200 {
		t.Errorf("/health: %d %s", status, body)
	}
	if status, body := get(t, r.urls["admin"]+"/status"); status != 200 || !strings.Contains(body, `"height": 7`) {
		t.Errorf("/status: %d %s", status, body)
	}
}

func TestRestartGoesOn(t *testing.T) {
	dir := t.TempDir()
	f := newFeed()
	r := start(t, dir, f.read, nil)
	f.say(t, logtest.APIVersion("1.5.3"), logtest.Block(1), logtest.Block(2))
	r.stop()
	if index, err := os.ReadFile(filepath.Join(dir, "sse_index")); err != nil || string(index) != "\x02\x00\x00\x00" {
		t.Errorf("sse_index is %x, %v", index, err)
	}
	f = newFeed()
	r = start(t, dir, f.read, nil)
	defer r.stop()
	f.say(t, logtest.APIVersion("1.5.3"), logtest.Block(2), logtest.Block(3))
	next := subscribe(t, r.urls["events"]+"/events/main?start_from=1")
	want := []string{`data:{"ApiVersion":"1.5.3"}`, "Block 2", "id:1", "Block 3", "id:2"}
	for _, w := range want {
		if height, isBlock := strings.CutPrefix(w, "Block "); isBlock {
			w = `"height":` + height + ","
		}
		if got := next(); !strings.Contains(got, w) {
			t.Errorf("got %s, want %s", got, w)
		}
	}
}

func TestEndOfAllNodesIsTold(t *testing.T) {
	f := newFeed()
	r := start(t, t.TempDir(), f.read, nil)
	next := subscribe(t, r.urls["events"]+"/events/sidecar")
	if got := next(); got != `data:{"SidecarVersion":"1.0.0"}` {
		t.Error(got)
	}
	f.batches <- nil
	if got := next() + " " + next(); got != `data:"Shutdown" id:0` {
		t.Error(got)
	}
	if got := next(); got != "end: <nil>" {
		t.Errorf("the stream ended with %s", got)
	}
	if err := <-r.done; err == nil || !strings.Contains(err.Error(), "Connected node(s) are unavailable") {
		t.Errorf("the sidecar ended with %v", err)
	}
}

func TestWithoutDatabase(t *testing.T) {
	dir := t.TempDir()
	without := func(o *sidecar.Options) { o.SQLite, o.REST = nil, nil }
	f := newFeed()
	r := start(t, dir, f.read, without)
	f.say(t, logtest.Block(1), logtest.Block(1), logtest.Block(2))
	r.stop()
	f = newFeed()
	r = start(t, dir, f.read, without)
	defer r.stop()
	next := subscribe(t, r.urls["events"]+"/events/main")
	f.say(t, logtest.Block(3))
	if got := next() + next(); !strings.Contains(got, `"height":3`) || !strings.HasSuffix(got, "id:2") {
		t.Error(got)
	}
}
