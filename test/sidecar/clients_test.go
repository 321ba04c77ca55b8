package sidecar

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/synod-network/synod/sidecar/event"
)

// client is a kind of real client and what it follows.
type client struct {
	name       string
	path       string
	kinds      []event.Kind // those that its library can report; nil for all on the path
	translated bool         // it sees events of a 2.x node in their older form
	follow     func(ctx context.Context, t testing.TB, url string, sidecar *front) follower
}

// follower is a client that runs.
type follower interface {
	// await returns what came, once that is so much or ctx ends.
	await(ctx context.Context, t testing.TB, count int) []arrival
}

// command is a client that is a program. It is started after the last number that it printed, and again whenever it ends, as a supervisor
// does. It prints lines "id kind digest hash", or, if it is curl, the stream as it is.
type command func(url string, last int) *exec.Cmd

func (c command) follow(ctx context.Context, t testing.TB, url string, sidecar *front) follower {
	s := &supervised{grown: make(chan struct{}), last: -1}
	var supervisor sync.WaitGroup
	ctx, stop := context.WithCancel(ctx)
	supervisor.Go(func() {
		for sidecar.await(ctx) == nil {
			if err := s.once(ctx, t, c(url, s.last)); err != nil {
				s.fail(err)
				return
			}
		}
	})
	t.Cleanup(func() { stop(); supervisor.Wait() })
	return s
}

// supervised is what a program printed over all its lives.
type supervised struct {
	last int // number; the supervisor's

	mu     sync.Mutex
	got    []arrival
	grown  chan struct{} // closed, and replaced, when one of these changes
	failed error
}

// once lets the program run until it ends.
func (s *supervised) once(ctx context.Context, t testing.TB, program *exec.Cmd) error {
	out, err := program.StdoutPipe()
	if err != nil {
		return err
	}
	var talk bytes.Buffer
	program.Stderr = &talk
	if err := program.Start(); err != nil {
		return err
	}
	ended := context.AfterFunc(ctx, func() { _ = program.Process.Kill() })
	defer ended()
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	var data string
	for lines.Scan() {
		line := lines.Text()
		if value, found := strings.CutPrefix(line, "data:"); found { // curl shows the stream as it is
			data = value
			continue
		}
		if id, found := strings.CutPrefix(line, "id:"); found {
			line = id + " " + describe([]byte(data))
		}
		id, what, found := strings.Cut(line, " ")
		number, err := strconv.Atoi(id)
		if !found || err != nil {
			continue // an empty line, a comment
		}
		s.last = number
		s.add(arrival{uint64(number), what})
	}
	_ = program.Wait() // with the stream, or its connection, or killed
	if ctx.Err() == nil {
		fmt.Fprintf(t.Output(), "%s ended: %.200s\n", filepath.Base(program.Path), talk.String())
	}
	return lines.Err()
}

func (s *supervised) add(a arrival) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, a)
	close(s.grown)
	s.grown = make(chan struct{})
}

func (s *supervised) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = err
	close(s.grown)
	s.grown = make(chan struct{})
}

func (s *supervised) await(ctx context.Context, t testing.TB, count int) []arrival {
	t.Helper()
	for {
		s.mu.Lock()
		got, grown, failed := s.got, s.grown, s.failed
		s.mu.Unlock()
		if failed != nil {
			t.Fatal(failed)
		}
		if len(got) >= count {
			return got
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return got
		}
	}
}

// describe is "kind digest hash" of an event as it came. The hash is that of the block, deploy or transaction; "-" if there is none.
func describe(data []byte) string {
	e, err := event.Parse(data)
	if err != nil {
		return "? " + digest(data) + " -"
	}
	hash := "-"
	if key, err := e.Key(); err == nil && key.Hash != "" {
		hash = key.Hash
	}
	return fmt.Sprintf("%s %s %s", e.Kind, digest(data), hash)
}

// What each library can report of the streams that it is used for. What is not here is not reported by its own fault.
var (
	kindsOfJS2 = []event.Kind{event.BlockAdded, event.DeployProcessed, event.DeployAccepted, event.FinalitySignature, event.Fault}
)

var curl = command(func(url string, last int) *exec.Cmd {
	arguments := []string{"-sN", url + "?start_from=0"}
	if last >= 0 {
		arguments = append(arguments, "-H", "Last-Event-ID: "+strconv.Itoa(last))
	}
	return exec.Command("curl", arguments...)
})

// javaScript returns a client that runs on a pinned JavaScript SDK. One that stays replaces the SDK's handler of errors; others end
// with their stream.
func javaScript(modules, sdk string, stays bool) command {
	return func(url string, last int) *exec.Cmd {
		program := exec.Command("node", "js/subscribe.js", sdk, url, strconv.Itoa(last+1))
		if stays {
			program.Args = append(program.Args, "stay")
		}
		program.Env = append(os.Environ(), "NODE_PATH="+modules)
		return program
	}
}

// pinnedModules returns the folder where what js/package-lock.json pins is installed by tools/install-test-tools.sh.
func pinnedModules() (string, error) {
	cache := os.Getenv("SYNOD_TEST_CACHE")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(home, ".cache", "synod-test")
	}
	pinned, err := os.ReadFile("js/package-lock.json")
	if err != nil {
		return "", err
	}
	installed, err := os.ReadFile(filepath.Join(cache, "js", "package-lock.json"))
	if _, noNode := exec.LookPath("node"); err != nil || noNode != nil || !bytes.Equal(pinned, installed) {
		return "", errors.New("node or the pinned SDKs are not installed: run tools/install-test-tools.sh")
	}
	return filepath.Join(cache, "js", "node_modules"), nil
}

// goSDK returns a client that runs on an SDK for Go, by the program of the module in gosdk.
func goSDK(program, sdk string) command {
	return func(url string, last int) *exec.Cmd { return exec.Command(program, sdk, url, strconv.Itoa(last+1)) }
}

// buildGoSDKs builds that program, whose dependencies must be reachable.
var buildGoSDKs = sync.OnceValues(func() (string, error) {
	program := filepath.Join(filepath.Dir(binary), "gosdk")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = "gosdk"
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build the SDKs for Go: %w\n%s", err, out)
	}
	return program, nil
})
