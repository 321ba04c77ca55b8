package sidecar_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/synod-network/synod/internal/pgtest"
	"github.com/synod-network/synod/sidecar"
	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/postgres"
	"github.com/synod-network/synod/sidecar/mocknode"
	"github.com/synod-network/synod/sidecar/source/casper"
)

// ingested is how many events a run of BenchmarkIngest reads.
const ingested = 200_000

// BenchmarkIngest reads a node that has everything ready to be sent, as after an outage: its streams over HTTP, parsed, without what is
// known, stored and synced by groups, published and written to one subscriber. The node and the subscriber are a second process. Time
// runs from the first connection until the subscriber has the last event. Run it with -benchtime 1x.
func BenchmarkIngest(b *testing.B) {
	for _, version := range []mocknode.Version{{1, 5, 3}, {2, 0, 0}} {
		layout := log.V1
		if version.OneStream() {
			layout = log.V2
		}
		b.Run("sqlite/"+version.String(), func(b *testing.B) {
			for b.Loop() {
				ingest(b, version, func(o *sidecar.Options) {
					o.Layout, o.SQLite.Layout = layout, layout
				})
			}
		})
		b.Run("postgres/"+version.String(), func(b *testing.B) {
			server := pgtest.Start(b, "fsync = on", "max_wal_size = 4GB")
			for b.Loop() {
				ingest(b, version, func(o *sidecar.Options) {
					o.Layout, o.SQLite = layout, nil
					o.PostgreSQL = &postgres.Config{DSN: server.Database(b), MaxConnections: 4, Layout: layout, Directory: o.Directory}
				})
			}
		})
	}
}

func ingest(b *testing.B, version mocknode.Version, change func(*sidecar.Options)) {
	world := exec.Command(os.Args[0], "-test.run=^TestWorld$", "-test.timeout=10m")
	world.Env = append(os.Environ(), fmt.Sprintf("SYNOD_WORLD=%d.%d.%d %d", version[0], version[1], version[2], ingested))
	world.Stderr, world.SysProcAttr = os.Stderr, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	tell, err := world.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	told, err := world.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := world.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = world.Wait() }()
	lines := bufio.NewScanner(told)
	hear := func(format string, to ...any) {
		b.Helper()
		if !lines.Scan() {
			b.Fatalf("the world ended: %v", lines.Err())
		}
		if _, err := fmt.Sscanf(lines.Text(), format, to...); err != nil {
			b.Fatalf("%q: %v", lines.Text(), err)
		}
	}
	var sse, rest string
	hear("node %s %s", &sse, &rest)
	source, err := casper.New(casper.Options{Log: slog.New(slog.DiscardHandler), Nodes: []casper.Node{{
		SSE: sse, REST: rest, MaxAttempts: 1, ConnectTimeout: time.Minute, CheckEvery: time.Minute, Silence: time.Minute,
	}}})
	if err != nil {
		b.Fatal(err)
	}
	begin := make(chan struct{})
	read := func(ctx context.Context, sink event.Sink, positions event.Positions, observer event.Observer) error {
		<-begin
		return source.Run(ctx, sink, positions, observer)
	}
	r := start(b, b.TempDir(), read, func(o *sidecar.Options) {
		o.Ring = 50_000 // the subscriber shares the cores
		change(o)
	})
	streams := []string{r.urls["events"] + "/events"}
	if !version.OneStream() {
		streams = []string{streams[0] + "/main", streams[0] + "/deploys", streams[0] + "/sigs"}
	}
	fmt.Fprintln(tell, strings.Join(streams, " "))
	hear("subscribed")
	began, busy := time.Now(), cpuTime()
	close(begin)
	var seen int
	hear("seen %d", &seen)
	took := time.Since(began)
	b.ReportMetric(float64(seen)/took.Seconds(), "events/s")
	b.ReportMetric(float64((cpuTime()-busy).Microseconds())/float64(seen), "cpu-µs/event")
	_, status := getAny(b, r.urls["admin"]+"/status")
	if !strings.Contains(status, fmt.Sprintf(`"accepted": %d,`, ingested+1)) { // one API version
		b.Errorf("not everything was accepted: %s", status)
	}
	_ = tell.Close() // ends the world, and the node with it, at which the sidecar ends too
	<-r.done
}

func getAny(b *testing.B, url string) (int, string) {
	b.Helper()
	response, err := http.Get(url)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// TestWorld is the second process of BenchmarkIngest: a node, and a subscriber of the sidecar that reads it.
func TestWorld(t *testing.T) {
	order := os.Getenv("SYNOD_WORLD")
	if order == "" {
		t.Skip("it is the other process of a benchmark")
	}
	o := mocknode.Defaults()
	if _, err := fmt.Sscanf(order, "%d.%d.%d %d", &o.Version[0], &o.Version[1], &o.Version[2], &o.Limit); err != nil {
		t.Fatal(err)
	}
	o.Rate, o.Ring, o.RingBytes = 0, o.Limit, 4<<30
	n, err := mocknode.Listen(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	n.Emit(o.Limit)
	go func() { _ = n.Run(t.Context()) }()
	fmt.Println("node", n.SSEAddress(), n.RESTAddress())
	orders := bufio.NewScanner(os.Stdin)
	if !orders.Scan() {
		t.Fatal("no word where the sidecar is")
	}
	ended := make(chan error, 3) // of which the first says how it went
	var seen atomic.Int64
	for _, path := range strings.Fields(orders.Text()) {
		response, err := http.Get(path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", path, response.Status)
		}
		go func() { ended <- count(response.Body, &seen, int64(o.Limit)) }()
	}
	fmt.Println("subscribed")
	if err := <-ended; err != nil {
		t.Fatalf("after %d events: %v", seen.Load(), err)
	}
	fmt.Println("seen", seen.Load())
	orders.Scan()
}

// count counts events into what several streams share, until that is all.
func count(stream io.Reader, seen *atomic.Int64, all int64) error {
	mark, buffer := []byte("\nid:"), make([]byte, 1<<20)
	kept := 0 // bytes in which a mark may have begun
	for {
		got, err := stream.Read(buffer[kept:])
		if seen.Add(int64(bytes.Count(buffer[:kept+got], mark))) >= all {
			return nil
		}
		if err != nil {
			return err
		}
		tail := min(kept+got, len(mark)-1)
		copy(buffer, buffer[kept+got-tail:kept+got])
		kept = tail
	}
}
