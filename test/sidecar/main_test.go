package sidecar

import (
	"bufio"
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/mocknode"
)

// patience bounds each wait. Nothing takes so long unless it is broken.
const patience = time.Minute

// binary is the synod that is tested.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		fmt.Println("stories of sidecars build the binary; run them without -short")
		return
	}
	os.Exit(build(m))
}

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sidecar-stories")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "synod")
	if out, err := exec.Command("go", "build", "-o", binary, "github.com/synod-network/synod/cmd/synod").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build synod: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// journal is what pretended nodes sent.
type journal struct {
	mu   sync.Mutex
	sent []mocknode.Sent
}

func (j *journal) add(s mocknode.Sent) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sent = append(j.sent, s)
}

// on returns what went out on a filter, in order, by digest.
func (j *journal) on(filter event.Filter) (all []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.sent {
		if s.Filter == filter {
			all = append(all, digest(s.Data))
		}
	}
	return all
}

func digest(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data))[:16] }

// pretend runs a node of this process.
func pretend(t testing.TB, change func(*mocknode.Options)) (*mocknode.Node, *journal) {
	t.Helper()
	o, sent := mocknode.Defaults(), &journal{}
	o.Rate, o.Sent, o.Ring = 0, sent.add, 1_000_000
	if change != nil {
		change(&o)
	}
	ctx, stop := context.WithCancel(context.Background())
	n, err := mocknode.Listen(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return n, sent
}

// process is a sidecar.
type process struct {
	t       testing.TB
	dir     string
	config  string
	ready   string
	events  string // host:port
	rest    string
	command *exec.Cmd
	ended   chan error
}

// configure writes a configuration of the 1.x layout that reads nodes. Ports are taken anew at each start.
func configure(t testing.TB, nodes ...*mocknode.Node) *process {
	t.Helper()
	dir := t.TempDir()
	p := &process{t: t, dir: dir, config: filepath.Join(dir, "config.toml"), ready: filepath.Join(dir, "ready.json")}
	var text strings.Builder
	for _, n := range nodes {
		host, ssePort, _ := strings.Cut(n.SSEAddress(), ":")
		_, restPort, _ := strings.Cut(n.RESTAddress(), ":")
		fmt.Fprintf(&text, "[[connections]]\nip_address = %q\nsse_port = %s\nrest_port = %s\nmax_attempts = 1000\ndelay_between_retries_in_seconds = 0\nallow_partial_connection = false\nenable_logging = false\n", host, ssePort, restPort)
	}
	fmt.Fprintf(&text, "[storage]\nstorage_path = %q\n[storage.sqlite_config]\nfile_name = \"events.db3\"\nmax_connections_in_pool = 4\nwal_autocheckpointing_interval = 1000\n", filepath.Join(dir, "storage"))
	text.WriteString("[rest_server]\nport = 0\nmax_concurrent_requests = 50\nmax_requests_per_second = 1000\n[event_stream_server]\nport = 0\nmax_concurrent_subscribers = 100\nevent_stream_buffer_length = 5000\n[synod]\nbind_address = \"127.0.0.1\"\n")
	if err := os.WriteFile(p.config, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

func (p *process) start() {
	p.t.Helper()
	_ = os.Remove(p.ready)
	p.command = exec.Command(binary, "sidecar", "--path-to-config", p.config, "--ready-file", p.ready)
	p.command.Env = append(os.Environ(), "RUST_LOG=warn")
	p.command.Stderr = p.t.Output()
	if err := p.command.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.ended = make(chan error, 1)
	go func(command *exec.Cmd, ended chan error) { ended <- command.Wait() }(p.command, p.ended)
	limit := time.After(patience)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		if what, err := node.ReadReady(p.ready); err == nil && what.PID == p.command.Process.Pid {
			p.events, p.rest = what.Nodes[0].Listeners["events"], what.Nodes[0].Listeners["rest"]
			return
		}
		select {
		case <-again.C:
		case err := <-p.ended:
			p.command = nil
			p.t.Fatalf("the sidecar ended with %v", err)
		case <-limit:
			p.t.Fatal("the sidecar is not ready")
		}
	}
}

// kill ends the sidecar as a power cut does.
func (p *process) kill() {
	if p.command == nil {
		return
	}
	_ = p.command.Process.Kill()
	<-p.ended
	p.command = nil
}

// subscriber is a browser's EventSource, more or less: it remembers the last number, and comes back with it.
type subscriber struct {
	last string
	ids  []uint64
	got  []string // digests of data
}

// follow reads a stream until want events are there in all, the stream breaks, or ctx ends.
func (s *subscriber) follow(ctx context.Context, url string, want int) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if s.last != "" {
		request.Header.Set("Last-Event-ID", s.last)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", response.Status)
	}
	in := bufio.NewReaderSize(response.Body, 1<<20)
	var data string
	for len(s.got) < want {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "data:"):
			data = line[len("data:"):]
		case strings.HasPrefix(line, "id:"):
			s.last = strings.TrimSpace(line[len("id:"):])
			id, err := strconv.ParseUint(s.last, 10, 32)
			if err != nil {
				return err
			}
			s.ids, s.got = append(s.ids, id), append(s.got, digest([]byte(data)))
		}
	}
	return nil
}

// check compares what a subscriber got with what was sent: no gap, no duplicate, the order, and numbers that only rise.
func (s *subscriber) check(t testing.TB, want []string) {
	t.Helper()
	for i := 1; i < len(s.ids); i++ {
		if s.ids[i] <= s.ids[i-1] {
			t.Fatalf("number %d comes after %d", s.ids[i], s.ids[i-1])
		}
	}
	for i := range max(len(s.got), len(want)) {
		switch {
		case i >= len(s.got):
			t.Fatalf("%d of %d events came", len(s.got), len(want))
		case i >= len(want):
			t.Fatalf("%d events too many", len(s.got)-len(want))
		case s.got[i] != want[i]:
			t.Fatalf("event %d of %d is not what was sent", i, len(want))
		}
	}
}

func get(t testing.TB, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}
