package mocknode_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/synod-network/synod/sidecar/mocknode"
)

func run(t *testing.T, change func(*mocknode.Options)) *mocknode.Node {
	t.Helper()
	o := mocknode.Defaults()
	o.Rate = 0
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
	return n
}

// reader reads a stream frame by frame.
type reader struct {
	t    *testing.T
	body io.ReadCloser
	in   *bufio.Reader
}

func open(t *testing.T, n *mocknode.Node, path string) *reader {
	t.Helper()
	response, err := http.Get("http://" + n.SSEAddress() + path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s: %s, %v", path, response.Status, response.Header)
	}
	return &reader{t, response.Body, bufio.NewReader(response.Body)}
}

func (r *reader) frame() (string, error) {
	var text string
	for {
		line, err := r.in.ReadString('\n')
		if err != nil {
			return text, err
		}
		if line == "\n" {
			return text, nil
		}
		text += line
	}
}

func (r *reader) want(beginnings ...string) {
	r.t.Helper()
	for _, beginning := range beginnings {
		if text, err := r.frame(); err != nil || !strings.HasPrefix(text, beginning) {
			r.t.Fatalf("got %.60q, %v; want %q", text, err, beginning)
		}
	}
}

func (r *reader) ids(count int) (ids []string) {
	r.t.Helper()
	for len(ids) < count {
		text, err := r.frame()
		if text == ":\n" && err == nil {
			continue
		}
		_, id, found := strings.Cut(text, "\nid:")
		if err != nil || !found {
			r.t.Fatalf("%.60q, %v", text, err)
		}
		ids = append(ids, strings.TrimSpace(id))
	}
	return ids
}

func TestStreamsOfANode1(t *testing.T) {
	n := run(t, func(o *mocknode.Options) { o.FirstID = 100; o.Shape = mocknode.Shape{Deploys: 2, Validators: 1} })
	if made := n.Emit(6); made != 6 {
		t.Fatal(made)
	}
	open(t, n, "/events/deploys?start_from=0").want(`data:{"ApiVersion":"1.5.3"}`, `data:{"DeployAccepted":`, `data:{"DeployAccepted":`)
	main := open(t, n, "/events/main/?start_from=103")
	main.want(`data:{"ApiVersion":"1.5.3"}`, `data:{"DeployProcessed":`)
	live := open(t, n, "/events/sigs?")
	live.want(`data:{"ApiVersion":"1.5.3"}`)
	n.Emit(6)
	if got := fmt.Sprint(main.ids(4)); got != "[104 108 109 110]" {
		t.Error(got)
	}
	if got := fmt.Sprint(live.ids(1)); got != "[111]" {
		t.Error(got)
	}
}

func TestStreamOfANode2(t *testing.T) {
	n := run(t, func(o *mocknode.Options) { o.Version = version2; o.Ring = 3 })
	n.Emit(9)
	s := open(t, n, "/events?start_from=2")
	s.want(`data:{"ApiVersion":"2.0.0"}`)
	if got := fmt.Sprint(s.ids(3)); got != "[6 7 8]" {
		t.Error(got)
	}
}

func TestRefusals(t *testing.T) {
	one := run(t, func(o *mocknode.Options) { o.Subscribers = 1 })
	two := run(t, func(o *mocknode.Options) { o.Version = version2 })
	open(t, one, "/events/main")
	for _, tc := range []struct {
		node   *mocknode.Node
		path   string
		status int
		text   string
	}{
		{one, "/events/main", 503, "server has reached limit of subscribers"},
		{one, "/events", 404, "invalid path: expected '/events/main', '/events/deploys' or '/events/sigs'\n"},
		{two, "/events/main", 404, "invalid path: expected '/events'\n"},
		{two, "/events?start_from=x", 422, "invalid query: expected single field 'start_from=<EVENT ID>'\n"},
		{two, "/events?start_from=4294967296", 422, "invalid query: expected single field 'start_from=<EVENT ID>'\n"},
		{two, "/events?start_from=1&x=1", 422, "invalid query: expected single field 'start_from=<EVENT ID>'\n"},
	} {
		response, err := http.Get("http://" + tc.node.SSEAddress() + tc.path)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != tc.status || string(text) != tc.text {
			t.Errorf("%s: %d %q", tc.path, response.StatusCode, text)
		}
	}
}

func TestStatus(t *testing.T) {
	n := run(t, nil)
	n.Emit(40)
	direct, err := http.Get("http://" + n.RESTAddress() + "/status")
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Body.Close()
	rpc, err := http.Post("http://"+n.RESTAddress()+"/rpc", "application/json", strings.NewReader(`{"jsonrpc":"2.0","id":7,"method":"info_get_status"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer rpc.Body.Close()
	type status struct {
		Network string `json:"chainspec_name"`
		Build   string `json:"build_version"`
		API     string `json:"api_version"`
		Last    struct {
			Height uint64 `json:"height"`
		} `json:"last_added_block_info"`
	}
	var first status
	var second struct {
		ID     int    `json:"id"`
		Result status `json:"result"`
	}
	if err := json.NewDecoder(direct.Body).Decode(&first); err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(rpc.Body).Decode(&second); err != nil {
		t.Fatal(err)
	}
	if first != second.Result || second.ID != 7 || first.Network != "casper-example" || first.Build != "1.5.3-c0ffee123" || first.API != "1.5.3" || first.Last.Height == 0 {
		t.Errorf("%+v, %+v", first, second)
	}
}

// TestStatusSaysNothingOfAVersionThatIsGone: whoever asks during an upgrade would take the node for the old version, and find the
// new one at the event port.
func TestStatusSaysNothingOfAVersionThatIsGone(t *testing.T) {
	n := run(t, nil)
	n.Upgrade(mocknode.Version{2, 0, 0}, time.Hour)
	for _, ask := range []func() (*http.Response, error){
		func() (*http.Response, error) { return http.Get("http://" + n.RESTAddress() + "/status") },
		func() (*http.Response, error) {
			return http.Post("http://"+n.RESTAddress()+"/rpc", "application/json", strings.NewReader(`{"jsonrpc": "2.0", "id": 1, "method": "info_get_status"}`))
		},
	} {
		if response, err := ask(); err == nil {
			response.Body.Close()
			t.Errorf("it answered %s", response.Status)
		}
	}
}

func TestFaultsHappenOnRequest(t *testing.T) {
	n := run(t, func(o *mocknode.Options) { o.KeepAlive = 10 * time.Millisecond })
	post := func(fault string) {
		t.Helper()
		response, err := http.Post("http://"+n.RESTAddress()+"/mock/"+fault, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", fault, response.Status)
		}
	}
	s := open(t, n, "/events/main")
	s.want(`data:{"ApiVersion":"1.5.3"}`, ":\n") // the keep-alive
	post("disconnect")
	if text, err := io.ReadAll(s.in); err == nil {
		t.Errorf("a cut stream ended in order after %q", text)
	}
	s = open(t, n, "/events/main")
	post("upgrade?to=1.5.4&for=1ms")
	text, err := io.ReadAll(s.in)
	if err != nil || !bytes.Contains(text, []byte("data:\"Shutdown\"\nid:0\n")) {
		t.Errorf("%q, %v", text, err)
	}
	var again *reader
	for again == nil { // it may not listen again yet
		if response, err := http.Get("http://" + n.SSEAddress() + "/events/main?start_from=0"); err == nil {
			t.Cleanup(func() { response.Body.Close() })
			again = &reader{t, response.Body, bufio.NewReader(response.Body)}
		}
	}
	again.want(`data:{"ApiVersion":"1.5.4"}`, ":\n") // the ring was lost
	post("lie")
	post("emit?count=30")
	if again.ids(1); n.State().Made != 30 {
		t.Error(n.State())
	}
}

func TestFaultsHappenByThemselves(t *testing.T) {
	var journal bytes.Buffer
	n := run(t, func(o *mocknode.Options) {
		o.Faults = mocknode.Faults{DisconnectEvery: 4, GarbageEvery: 5}
		o.Sent = mocknode.Journal(&journal, func(err error) { t.Error(err) })
		o.Version = version2
	})
	s := open(t, n, "/events")
	s.want("data:")
	n.Emit(40)
	s.ids(4)
	if text, err := io.ReadAll(s.in); err == nil || len(text) > 0 {
		t.Errorf("after 4 events came %q, %v", text, err)
	}
	faults := map[string]int{}
	decoder := json.NewDecoder(&journal)
	for decoder.More() {
		var line mocknode.Line
		if err := decoder.Decode(&line); err != nil {
			t.Fatal(err)
		}
		faults[line.Fault]++
	}
	if len(faults) != 9 || faults[""] != 40 {
		t.Error(faults)
	}
}

func TestFixturesComeFirst(t *testing.T) {
	fixtures, err := mocknode.Fixtures(strings.NewReader("{\"Step\":\n {\"era_id\":1}}\n\"Shutdown\" {\"FinalitySignature\":{}}"))
	if err != nil {
		t.Fatal(err)
	}
	n := run(t, func(o *mocknode.Options) { o.Fixtures = fixtures; o.Limit = 4; o.Version = version2 })
	if made := n.Emit(9); made != 4 {
		t.Error(made)
	}
	open(t, n, "/events?start_from=0").want("data:{\"ApiVersion\"", "data:{\"Step\":{\"era_id\":1}}\nid:0", "data:\"Shutdown\"\nid:1", "data:{\"FinalitySignature\":{}}\nid:2", "data:{\"TransactionAccepted\"")
}
