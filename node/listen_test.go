package node_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/synod-network/synod/node"
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
}

func TestOperatorHandlerServesHealthAndMetricsAndNoProfiles(t *testing.T) {
	listener, err := node.Listen(t.Context(), "operators", "admin.listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	stage := node.ServeHTTP("operators", listener, node.OperatorHandler(node.NewHealth(), prometheus.NewRegistry()))
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
	deadline, cancel := context.WithTimeout(t.Context(), 10*time.Second)
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
