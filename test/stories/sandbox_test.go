package stories

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/node/network"
)

// TestSandbox: one command founds and runs a network. It orders at once, says where it listens, survives a kill, and is cleaned up by
// TERM.
func TestSandbox(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	readyFile := filepath.Join(dir, "ready.json")
	flags := []string{"sandbox", "--dir", filepath.Join(dir, "net"), "--ready-file", readyFile, "--base-port", "0"}
	s := launch(t, "sandbox", filepath.Join(dir, "log"), flags...)
	first := waitReady(t, readyFile, s)
	exchange(t, first.Nodes[0].Listeners["public"])
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
	exchange(t, again.Nodes[3].Listeners["public"])
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
	exchange(t, waitReady(t, readyFile, s).Nodes[0].Listeners["public"])

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
	c.start("--set", "public.ordering=true")
	exchange(t, c.nodes[3].config.Public.Listen)
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

// exchange has two members send to each other through a sequencer, for a moment.
func exchange(t *testing.T, address string) {
	t.Helper()
	p := launch(t, "exchange", filepath.Join(t.TempDir(), "log"), "load", "--endpoint", address, "--members", "2", "--rate", "20", "--duration", "300ms")
	if code := p.exitCode(patience); code != 0 {
		t.Fatalf("exit code %d: %s%s", code, p.stdout(), p.lastLines(3))
	}
}
