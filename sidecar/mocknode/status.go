package mocknode

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

func (n *Node) restHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		n.cutWhileUpgrading()
		if n.muted(r.Context()) == nil {
			answer(w, n.status())
		}
	})
	mux.HandleFunc("POST /rpc", func(w http.ResponseWriter, r *http.Request) {
		n.cutWhileUpgrading()
		n.rpc(w, r)
	})
	mux.HandleFunc("GET /mock/state", func(w http.ResponseWriter, _ *http.Request) { answer(w, n.state()) })
	mux.HandleFunc("POST /mock/{fault}", n.fault)
	return mux
}

// cutWhileUpgrading ends a request without an answer while the node is not there: it never says its old version to somebody who
// then finds its new one at the event port.
func (n *Node) cutWhileUpgrading() {
	n.mu.Lock()
	gone := n.upgrading != nil
	n.mu.Unlock()
	if gone {
		panic(http.ErrAbortHandler)
	}
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // whoever asked is gone
}

// status is the part of a node's status page that does not need a network.
type status struct {
	APIVersion    string     `json:"api_version"`
	Network       string     `json:"chainspec_name"`
	LastBlock     *lastBlock `json:"last_added_block_info"`
	Build         string     `json:"build_version"`
	Peers         []struct{} `json:"peers"`
	NextUpgrade   any        `json:"next_upgrade"`
	Uptime        string     `json:"uptime"`
	ReactorState  string     `json:"reactor_state"`
	StartingState string     `json:"starting_state_root_hash"`
}

type lastBlock struct {
	Hash   string `json:"hash"`
	Height uint64 `json:"height"`
	Era    uint64 `json:"era_id"`
}

func (n *Node) status() status {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := status{
		APIVersion: n.version.String(), Network: n.o.Network, Build: n.version.Build(), Peers: []struct{}{}, Uptime: "1day", ReactorState: "Validate",
		StartingState: fmt.Sprintf("%064x", n.o.Seed),
	}
	if n.load.height > 0 {
		height := n.load.height - 1
		s.LastBlock = &lastBlock{Hash: n.load.parent, Height: height, Era: height / uint64(max(1, n.o.Shape.EraBlocks))}
	}
	return s
}

// rpc answers info_get_status as a node's JSON-RPC does.
func (n *Node) rpc(w http.ResponseWriter, r *http.Request) {
	var request struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
	}
	type failure struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	reply := struct {
		JSONRPC string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Result  any             `json:"result,omitempty"`
		Error   *failure        `json:"error,omitempty"`
	}{JSONRPC: "2.0", ID: json.RawMessage("null")}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&request); err != nil {
		reply.Error = &failure{-32700, "Parse error"}
		answer(w, reply)
		return
	}
	if request.ID != nil {
		reply.ID = request.ID
	}
	if request.Method == "info_get_status" {
		reply.Result = n.status()
	} else {
		reply.Error = &failure{-32601, "Method not found"}
	}
	answer(w, reply)
}

// State is what a test may want to know about a node.
type State struct {
	Made    int    `json:"made"`    // events
	Next    uint32 `json:"next"`    // number of the next one
	Garbage int    `json:"garbage"` // things that are not events
	Streams int    `json:"streams"` // open
	Version string `json:"version"`
}

// State returns how far the node is.
func (n *Node) State() State { return n.state() }

func (n *Node) state() State {
	n.mu.Lock()
	defer n.mu.Unlock()
	return State{Made: n.made, Next: n.next, Garbage: n.garbage, Streams: n.open, Version: n.version.String()}
}

// fault serves POST /mock/{fault}, with for=1s, to=1.5.4 or count=10 in the query where it makes sense.
func (n *Node) fault(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	span, err := time.ParseDuration(or(query.Get("for"), "5s"))
	if err != nil {
		http.Error(w, "for: write a duration, as 5s", http.StatusBadRequest)
		return
	}
	count, err := strconv.Atoi(or(query.Get("count"), "1"))
	if err != nil || count < 0 || count > 1_000_000 {
		http.Error(w, "count: write a number up to 1000000", http.StatusBadRequest)
		return
	}
	to, err := ParseVersion(or(query.Get("to"), "1.5.4"))
	if err != nil {
		http.Error(w, "to: "+err.Error(), http.StatusBadRequest)
		return
	}
	act, found := map[string]func(){
		"disconnect": n.Disconnect,
		"garbage":    n.Garbage,
		"lie":        n.Lie,
		"stall":      func() { n.Stall(span) },
		"mute":       func() { n.Mute(span) },
		"down":       func() { n.Down(span) },
		"upgrade":    func() { n.Upgrade(to, span) },
		"emit":       func() { n.Emit(count) },
	}[r.PathValue("fault")]
	if !found {
		http.Error(w, "no such fault: disconnect, garbage, lie, stall, mute, down, upgrade or emit", http.StatusNotFound)
		return
	}
	act()
	answer(w, n.state())
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
