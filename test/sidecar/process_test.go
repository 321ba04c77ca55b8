package sidecar

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/mocknode"
)

// running is a process of the binary.
type running struct {
	command   *exec.Cmd
	ended     chan error
	listeners map[string]string // name → host:port
}

// launch starts the binary and waits for its ready file.
func launch(t testing.TB, ready string, arguments ...string) *running {
	t.Helper()
	_ = os.Remove(ready)
	r := &running{command: exec.Command(binary, append(arguments, "--ready-file", ready)...), ended: make(chan error, 1)}
	r.command.Env = append(os.Environ(), "RUST_LOG=warn")
	r.command.Stderr = t.Output()
	if err := r.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.ended <- r.command.Wait() }()
	limit := time.After(patience)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		if what, err := node.ReadReady(ready); err == nil && what.PID == r.command.Process.Pid {
			r.listeners = what.Nodes[0].Listeners
			return r
		}
		select {
		case <-again.C:
		case err := <-r.ended:
			t.Fatalf("synod %s ended with %v", strings.Join(arguments, " "), err)
		case <-limit:
			r.kill()
			t.Fatalf("synod %s is not ready", strings.Join(arguments, " "))
		}
	}
}

// kill ends the process as a power cut does.
func (r *running) kill() {
	_ = r.command.Process.Kill()
	<-r.ended
}

// process is a sidecar.
type process struct {
	t      testing.TB
	dir    string
	config string
	events string // host:port
	rest   string
	*running
}

// source is where a sidecar finds a node, as host:port.
type source struct{ sse, rest string }

// configure writes a configuration of the 1.x layout that reads nodes of this process. Ports are taken anew at each start.
func configure(t testing.TB, nodes ...*mocknode.Node) *process {
	t.Helper()
	var sources []source
	for _, n := range nodes {
		sources = append(sources, source{n.SSEAddress(), n.RESTAddress()})
	}
	return configureLayout(t, layout1, 0, sources...)
}

// The two layouts. Each has a table of nodes, and the rest.
const (
	layout1 = "[[connections]]\n%s[storage]\nstorage_path = %q\n[storage.sqlite_config]\n%s[rest_server]\n%s[event_stream_server]\n%s"
	layout2 = "[sse_server]\nenable_server = true\nemulate_legacy_sse_apis = [\"V1\"]\n[[sse_server.connections]]\n%s[storage]\nstorage_folder = %q\n" +
		"[storage.sqlite_config]\nenabled = true\n%s[rest_api_server]\nenable_server = true\n%s[sse_server.event_stream_server]\n%s"
)

// configureLayout writes a configuration that reads nodes, with a number of seconds between attempts to reach one.
func configureLayout(t testing.TB, layout string, delay int, sources ...source) *process {
	t.Helper()
	dir := t.TempDir()
	table := "[[connections]]\n"
	if layout == layout2 {
		table = "[[sse_server.connections]]\n"
	}
	var nodes []string
	for _, s := range sources {
		host, ssePort, _ := strings.Cut(s.sse, ":")
		_, restPort, _ := strings.Cut(s.rest, ":")
		nodes = append(nodes, fmt.Sprintf("ip_address = %q\nsse_port = %s\nrest_port = %s\nmax_attempts = 1000\ndelay_between_retries_in_seconds = %d\nallow_partial_connection = false\nenable_logging = false\n",
			host, ssePort, restPort, delay))
	}
	text := fmt.Sprintf(layout, strings.Join(nodes, table), filepath.Join(dir, "storage"),
		"file_name = \"events.db3\"\nmax_connections_in_pool = 4\nwal_autocheckpointing_interval = 1000\n",
		"port = 0\nmax_concurrent_requests = 50\nmax_requests_per_second = 1000\n",
		"port = 0\nmax_concurrent_subscribers = 100\nevent_stream_buffer_length = 5000\n") + "[synod]\nbind_address = \"127.0.0.1\"\n"
	p := &process{t: t, dir: dir, config: filepath.Join(dir, "config.toml")}
	if err := os.WriteFile(p.config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

func (p *process) start() {
	p.t.Helper()
	p.running = launch(p.t, filepath.Join(p.dir, "ready.json"), "sidecar", "--path-to-config", p.config)
	p.events, p.rest = p.listeners["events"], p.listeners["rest"]
}

// kill ends the sidecar as a power cut does.
func (p *process) kill() {
	if p.running != nil {
		p.running.kill()
		p.running = nil
	}
}

// stop ends the sidecar as a supervisor does.
func (p *process) stop() {
	p.t.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case err := <-p.ended:
		if err != nil {
			p.t.Fatalf("the sidecar stopped with %v", err)
		}
	case <-time.After(patience):
		p.kill()
		p.t.Fatal("the sidecar does not stop")
	}
	p.running = nil
}

// nodeProcess is a pretended node as a process of its own, which can be killed. After each start it tells its chain from the beginning,
// in a journal of its own.
type nodeProcess struct {
	t         testing.TB
	dir       string
	arguments []string
	sse, rest *front
	journals  []string
	made      int // events since the start
	*running
}

func nodeOf(t testing.TB, version mocknode.Version, firstID uint32) *nodeProcess {
	t.Helper()
	n := &nodeProcess{t: t, dir: t.TempDir(), sse: stand(t), rest: stand(t)}
	n.arguments = []string{"sidecar", "mock-node", "--sse-port", "0", "--rest-port", "0", "--rate", "0", "--ring", "1000000", "--seed", strconv.Itoa(seed),
		"--node-version", version.String(), "--first-id", strconv.Itoa(int(firstID))}
	t.Cleanup(n.kill)
	return n
}

func (n *nodeProcess) start() {
	n.t.Helper()
	journal := filepath.Join(n.dir, fmt.Sprintf("journal%d", len(n.journals)))
	n.running = launch(n.t, filepath.Join(n.dir, "ready.json"), append(n.arguments, "--journal", journal)...)
	n.journals, n.made = append(n.journals, journal), 0
	n.sse.point(n.listeners["sse"])
	n.rest.point(n.listeners["rest"])
}

func (n *nodeProcess) kill() {
	if n.running != nil {
		n.sse.leave()
		n.rest.leave()
		n.running.kill()
		n.running = nil
	}
}

// tell makes the node go on until it has told so many events of its chain.
func (n *nodeProcess) tell(upTo int) {
	n.t.Helper()
	response, err := http.Post(fmt.Sprintf("http://%s/mock/emit?count=%d", n.listeners["rest"], upTo-n.made), "", nil)
	if err != nil {
		n.t.Fatal(err)
	}
	defer response.Body.Close()
	var state mocknode.State
	if err := json.NewDecoder(response.Body).Decode(&state); err != nil || state.Made != upTo {
		n.t.Fatalf("the node told %d events, not %d: %v", state.Made, upTo, err)
	}
	n.made = state.Made
}

// told reads what the node says it told on a filter since each of its starts.
func (n *nodeProcess) told(filter event.Filter) (runs [][]mocknode.Line) {
	n.t.Helper()
	for _, journal := range n.journals {
		file, err := os.Open(journal)
		if err != nil {
			n.t.Fatal(err)
		}
		var run []mocknode.Line
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			var line mocknode.Line
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				n.t.Fatalf("%s: %v", journal, err)
			}
			if line.Filter == string(filter) {
				run = append(run, line)
			}
		}
		file.Close()
		runs = append(runs, run)
	}
	return runs
}
