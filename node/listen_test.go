package node_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/node/exit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestListenSaysWhatToChange(t *testing.T) {
	taken, err := node.Listen(t.Context(), "clients", "public.listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, err = node.Listen(t.Context(), "clients", "public.listen", taken.Addr().String())
	if err == nil || !strings.Contains(err.Error(), "in use by another process") || !strings.Contains(err.Error(), "public.listen") {
		t.Fatalf("got %v", err)
	}
	if code := exit.Code(err); code != exit.Unavailable {
		t.Errorf("code %d: it becomes free", code)
	}
}

func TestOperatorHandlerServesHealthAndMetricsAndNoProfiles(t *testing.T) {
	listener, err := node.Listen(t.Context(), "operators", "admin.listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	stage := node.ServeHTTP("operators", listener, node.OperatorHandler(node.NewHealth(), prometheus.NewRegistry()), node.OperatorPatience)
	go func() { done <- stage.Run(ctx, func() { close(ready) }) }()
	<-ready
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]int{
		"/health": 200, "/health/live": 200, "/health/ready": 200, "/metrics": 200, "/debug/pprof/": 404, "/": 404,
	} {
		answer, err := client.Get("http://" + listener.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, answer.StatusCode, want)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestReadyFileAppearsWhenReadyAndGoesAtTheStop(t *testing.T) {
	path := filepath.Join(t.TempDir(), "net", "ready.json")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("left by a killed process"), 0o644); err != nil {
		t.Fatal(err)
	}
	health := node.NewHealth()
	quorum := make(chan struct{})
	health.Ready("quorum", func() error {
		select {
		case <-quorum:
			return nil
		default:
			return errors.New("connecting")
		}
	})
	want := node.Ready{PID: 7, Network: "ab", Nodes: []node.ReadyNode{
		{Name: "sequencer1", Role: "sequencer", Listeners: map[string]string{"public": "127.0.0.1:7111"}},
	}}
	written := make(chan struct{}, 1)
	stage := node.ReadyFile(path, health, func() node.Ready { written <- struct{}{}; return want })
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- stage.Run(ctx, func() { close(ready) }) }()
	<-ready
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the file of a killed process is still there: %v", err)
	}
	close(quorum)
	<-written
	got, err := readWhenThere(t, path)
	if err != nil || got.PID != 7 || got.Nodes[0].Listeners["public"] != "127.0.0.1:7111" {
		t.Fatalf("read %+v, %v", got, err)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("still there after the stop: %v", err)
	}
}

// readWhenThere waits for the rename that follows the moment in which the content was asked for.
func readWhenThere(t *testing.T, path string) (node.Ready, error) {
	deadline, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for {
		ready, err := node.ReadReady(path)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return ready, err
		}
		select {
		case <-poll.C:
		case <-deadline.Done():
			return ready, err
		}
	}
}

// endless writes until the client's end is lost, and then tells why.
type endless struct{ ended chan error }

func (e endless) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	for {
		if _, err := w.Write(make([]byte, 64<<10)); err != nil {
			e.ended <- err
			return
		}
	}
}

// TestClientsThatDoNotReadOrWriteAreCutOff: neither the goroutine that writes to one nor that which waits for its body stays.
func TestClientsThatDoNotReadOrWriteAreCutOff(t *testing.T) {
	listener, err := node.Listen(t.Context(), "operators", "admin.listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ready, done, written := make(chan struct{}), make(chan error, 1), make(chan error, 2)
	mux := http.NewServeMux()
	mux.Handle("GET /endless", endless{written})
	mux.HandleFunc("POST /body", func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		written <- err
	})
	stage := node.ServeHTTP("operators", listener, mux, time.Second) // in which a request must come through on a busy machine
	go func() { done <- stage.Run(ctx, func() { close(ready) }) }()
	<-ready
	for _, request := range []string{
		"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		if err := <-written; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%.10q: %v", request, err)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestProfilesMayTakeTheirTime: net/http/pprof refuses what its server would not let it write.
func TestProfilesMayTakeTheirTime(t *testing.T) {
	server := &http.Server{WriteTimeout: node.ProfilePatience}
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), http.ServerContextKey, server))
	cancel() // nobody waits for the profile
	answer := httptest.NewRecorder()
	node.ProfileHandler().ServeHTTP(answer, httptest.NewRequestWithContext(ctx, http.MethodGet, "/debug/pprof/trace?seconds=300", nil))
	if answer.Code != http.StatusOK {
		t.Errorf("a trace of five minutes: %d %s", answer.Code, answer.Body)
	}
}
