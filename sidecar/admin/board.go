// Package admin is what operators look at: the metrics of Casper's sidecar under their names, what synod's has beyond them, and one
// overview of nodes, events, subscribers and database for /status and the page.
//
// Everything that happens is told to one [Board]; what is only asked for (sizes, counts that others keep) is asked at scrape time.
package admin

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/stream"
)

// Board collects what the parts of a sidecar tell. It implements [event.Observer].
type Board struct {
	metrics *metrics
	started time.Time
	version string

	mu     sync.Mutex
	nodes  map[string]event.NodeState
	counts map[event.Kind]int64 // published, since the start
	blocks []Block              // newest first
}

// Block is a line of the page's list.
type Block struct {
	Height    uint64 `json:"height"`
	Hash      string `json:"hash"`
	Era       uint64 `json:"era"`
	Timestamp string `json:"timestamp"`
	Proposer  string `json:"proposer,omitempty"`
	Deploys   int    `json:"deploys"`
}

// maxBlocks is how many of the newest blocks are shown, maxNodes how many nodes can be told apart.
const (
	maxBlocks = 12
	maxNodes  = 1000
)

// NewBoard returns a board of a sidecar of some version.
func NewBoard(version string) *Board {
	return &Board{
		metrics: newMetrics(), started: time.Now(), version: version,
		nodes: make(map[string]event.NodeState), counts: make(map[event.Kind]int64),
	}
}

// Node implements [event.Observer].
func (b *Board) Node(state event.NodeState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.nodes[state.Node]; !known && len(b.nodes) >= maxNodes {
		return
	}
	b.nodes[state.Node] = state
	b.metrics.nodeStatuses.WithLabelValues(state.Node).Set(float64(state.Status))
}

// Received implements [event.Observer].
func (b *Board) Received(filter event.Filter, kind event.Kind, bytes int) {
	b.metrics.received(filter, kind, bytes)
}

// Fault implements [event.Observer].
func (b *Board) Fault(category, description string) {
	b.metrics.errorCounts.WithLabelValues(category, description).Inc()
}

// Published notes events that subscribers get.
func (b *Board) Published(events []event.Numbered) {
	b.metrics.published(events)
	for i := range events {
		b.countMessages("unique", &events[i].Event)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range events {
		e := &events[i]
		b.counts[e.Kind]++
		if e.Kind == event.BlockAdded {
			b.addBlock(e.Body)
		}
	}
}

// addBlock keeps what the page shows of a block of either generation. The caller holds mu.
func (b *Board) addBlock(body []byte) {
	var added struct {
		Hash  string `json:"block_hash"`
		Block struct {
			blockFields
			Version1, Version2 *blockFields
		} `json:"block"`
	}
	if json.Unmarshal(body, &added) != nil {
		return // passed on all the same
	}
	fields := &added.Block.blockFields
	if added.Block.Version1 != nil {
		fields = added.Block.Version1
	} else if added.Block.Version2 != nil {
		fields = added.Block.Version2
	}
	block := Block{
		Height: fields.Header.Height, Hash: added.Hash, Era: fields.Header.EraID, Timestamp: fields.Header.Timestamp,
		Proposer: fields.Body.Proposer, Deploys: len(fields.Body.DeployHashes) + len(fields.Body.TransferHashes),
	}
	for _, lane := range fields.Body.Transactions {
		block.Deploys += len(lane)
	}
	b.blocks = append([]Block{block}, b.blocks[:min(len(b.blocks), maxBlocks-1)]...)
}

type blockFields struct {
	Header struct {
		Height    uint64 `json:"height"`
		EraID     uint64 `json:"era_id"`
		Timestamp string `json:"timestamp"`
	} `json:"header"`
	Body struct {
		Proposer       string                       `json:"proposer"`
		DeployHashes   []json.RawMessage            `json:"deploy_hashes"`
		TransferHashes []json.RawMessage            `json:"transfer_hashes"`
		Transactions   map[string][]json.RawMessage `json:"transactions"`
	} `json:"body"`
}

// Overview is everything at a glance, as /status and the page show it.
type Overview struct {
	Version  string            `json:"version"`
	Time     time.Time         `json:"time"`
	UptimeS  int64             `json:"uptime_seconds"`
	Nodes    []event.NodeState `json:"nodes"`
	Events   map[string]int64  `json:"events"` // published by kind, since the start
	Blocks   []Block           `json:"blocks"` // newest first
	Log      log.Status        `json:"log"`
	Stream   stream.Stats      `json:"stream"`
	Database Database          `json:"database"`
}

// Database is where events are kept.
type Database struct {
	Kind   string `json:"kind"` // "sqlite", "postgresql" or "none"
	Layout string `json:"layout"`
	Events int64  `json:"events"`
	Bytes  int64  `json:"json_bytes"`
	Disk   int64  `json:"disk_bytes"`
	Error  string `json:"error,omitempty"`
}
