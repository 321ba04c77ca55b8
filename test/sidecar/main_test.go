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

func digest(data []byte) string { return fmt.Sprintf("%.16x", sha256.Sum256(data)) }

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

// subscriber is a browser's EventSource, more or less: it remembers the last number, and comes back with it.
type subscriber struct {
	last string
	got  []arrival // digests of data
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
			s.got = append(s.got, arrival{id, digest([]byte(data))})
		}
	}
	return nil
}

// check compares what a subscriber got with what was sent.
func (s *subscriber) check(t testing.TB, want []string) {
	t.Helper()
	if err := compare(s.got, want); err != nil {
		t.Fatal(err)
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
