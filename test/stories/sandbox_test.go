package stories

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/synod-network/synod/load"
	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/node/network"
	"github.com/synod-network/synod/ordering"
)

// TestSandbox: one command founds and runs a network. It orders at once, says where it listens, survives a kill, and is cleaned up by
// TERM.
func TestSandbox(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	readyFile := filepath.Join(dir, "ready.json")
	flags := []string{"sandbox", "--dir", filepath.Join(dir, "net"), "--ready-file", readyFile, "--base-port", "0"}
	began := time.Now()
	s := launch(t, "sandbox", filepath.Join(dir, "log"), flags...)
	first := waitReady(t, readyFile, s)
	orderOne(t, first.Nodes[0].Listeners["public"])
	t.Logf("first request ordered %s after the start of the process", time.Since(began).Round(time.Millisecond))
	for _, n := range first.Nodes {
		if !strings.Contains(s.stdout(), n.Listeners["public"]) || !strings.Contains(s.stdout(), n.Listeners["admin"]) {
			t.Errorf("the table does not say where %s listens:\n%s", n.Name, s.stdout())
		}
	}

	s.kill()
	s = launch(t, "sandbox", filepath.Join(dir, "log"), flags...)
	again := waitReady(t, readyFile, s)
	if again.Network != first.Network {
		t.Errorf("network %s became %s", first.Network, again.Network)
	}
	orderOne(t, again.Nodes[3].Listeners["public"])
	result := launch(t, "load", filepath.Join(dir, "load.log"), "load", "--ready-file", readyFile, "--rate", "300", "--duration", "1s", "--json")
	if code := result.exitCode(patience); code != 0 {
		t.Errorf("load: exit code %d: %s", code, result.stdout())
	}
	if code := s.stop(); code != 0 {
		t.Errorf("exit code %d after TERM", code)
	}
	if _, err := os.Stat(readyFile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the ready file is still there: %v", err)
	}
}

// TestSandboxTakenApart: what began as a sandbox goes on as four processes, on the same directory.
func TestSandboxTakenApart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	readyFile, home := filepath.Join(dir, "ready.json"), filepath.Join(dir, "net")
	flags := []string{"sandbox", "--dir", home, "--ready-file", readyFile, "--base-port", strconv.Itoa(freeBase(t, 4))}
	s := launch(t, "sandbox", filepath.Join(dir, "log"), flags...)
	orderOne(t, waitReady(t, readyFile, s).Nodes[0].Listeners["public"])

	second := launch(t, "second sandbox", filepath.Join(dir, "second.log"), flags...)
	if code := second.exitCode(patience); code != 75 || !strings.Contains(second.lastLines(1), "in use by another process") {
		t.Errorf("a second sandbox on the directory: exit code %d: %s", code, second.lastLines(3))
	}
	if code := s.stop(); code != 0 {
		t.Fatalf("exit code %d after TERM", code)
	}

	n, err := network.Open(home)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, net: n}
	for _, at := range n.Nodes {
		c.nodes = append(c.nodes, newSequencer(t, at))
	}
	c.start()
	orderOne(t, c.nodes[3].config.Public.Listen)
	c.agree()
}

func waitReady(t *testing.T, file string, p *process) (ready node.Ready) {
	t.Helper()
	within(t, patience, p.name+" writes its ready file", func() (err error) {
		ready, err = node.ReadReady(file)
		if err == nil && ready.PID != p.command.Process.Pid {
			err = errors.New("it is another process's")
		}
		return err
	})
	return ready
}

// orderOne submits a request to a sequencer and waits until it delivers it.
func orderOne(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	endpoint := load.Endpoint(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	head, err := endpoint.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	path, err := endpoint.Open(ctx, func(err error) {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer path.Close()
	request := []byte(rareText())
	if err := path.Send(ordering.Pack(request)); err != nil {
		t.Fatal(err)
	}
	err = endpoint.Read(ctx, head+1, func(b ordering.Block) error {
		for _, payload := range b.Payloads {
			if slices.ContainsFunc(slices.Collect(payload.Requests()), func(r []byte) bool { return string(r) == string(request) }) {
				return errEnough
			}
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
}

func rareText() string { return "story " + strconv.FormatInt(time.Now().UnixNano(), 36) }
