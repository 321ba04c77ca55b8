package smartbft

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hyperledger-labs/SmartBFT/pkg/consensus"
	"github.com/hyperledger-labs/SmartBFT/pkg/types"
	"github.com/hyperledger-labs/SmartBFT/pkg/wal"
	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"google.golang.org/protobuf/proto"

	"github.com/synod-network/synod/bench/peers/load"
)

// identity is the library's number for a node, which may not be 0.
func identity(node int) uint64 { return uint64(node) + 1 }

// A node is everything that the library asks its user for, around one instance
// of it.
type node struct {
	index     int
	members   []uint64
	signer    signer
	links     *links
	history   *history
	ordered   func(node int, requests [][]byte)
	failed    func(error)
	log       *wal.WriteAheadLogFile
	consensus *consensus.Consensus
	ticks     [2]*time.Ticker
	started   bool // set before anything else runs
	crashed   atomic.Bool
	stopping  sync.Once

	mu       sync.Mutex // guards the following
	sequence uint64     // of the last decision delivered
	last     types.Decision
}

func newNode(index int, site load.Site, s signer, l *links, h *history, dir string, tuning Tuning) (*node, error) {
	log, err := wal.Create(silent{}, dir, nil)
	if err != nil {
		return nil, fmt.Errorf("creating the write-ahead log %s: %w", dir, err)
	}
	n := &node{
		index: index, signer: s, links: l, history: h, ordered: site.Ordered, failed: site.Failed, log: log,
		ticks: [2]*time.Ticker{time.NewTicker(tuning.Tick), time.NewTicker(tuning.Tick)},
	}
	for i := range site.Nodes {
		n.members = append(n.members, identity(i))
	}
	n.consensus = &consensus.Consensus{
		Config:             tuning.configuration(identity(index), site.Size),
		Application:        n,
		Assembler:          n,
		WAL:                log,
		Comm:               n,
		Signer:             n,
		Verifier:           n,
		MembershipNotifier: n,
		RequestInspector:   n,
		Synchronizer:       n,
		Logger:             silent{},
		Metadata:           &smartbftprotos.ViewMetadata{},
		Scheduler:          n.ticks[0].C,
		ViewChangerTicker:  n.ticks[1].C,
	}
	return n, nil
}

func (n *node) start() error {
	if err := n.consensus.Start(); err != nil {
		return fmt.Errorf("starting node %d: %w", n.index, err)
	}
	n.started = true
	n.links.accept(n.receive)
	return nil
}

func (n *node) receive(from uint64, k kind, body []byte) {
	switch k {
	case consensusMessage:
		m := &smartbftprotos.Message{}
		if err := proto.Unmarshal(body, m); err != nil {
			n.failed(fmt.Errorf("node %d: decoding a message from node %d: %w", n.index, from, err))
			return
		}
		n.consensus.HandleMessage(from, m)
	case forwardedRequest:
		n.consensus.HandleRequest(from, body)
	}
}

func (n *node) submit(request []byte) error {
	if n.crashed.Load() {
		return load.ErrCrashed
	}
	err := n.consensus.SubmitRequest(request)
	if err == nil || known(err) {
		return nil
	}
	if n.crashed.Load() {
		return errors.Join(load.ErrCrashed, err)
	}
	return err
}

// known reports whether a pool refused a request because it has or had it, as
// happens when all nodes are handed it. The library's errors are internal to
// it, hence the texts.
func known(err error) bool {
	return err.Error() == "request already exists" || err.Error() == "request already processed"
}

// crash cuts the node off at once and stops it at leisure.
func (n *node) crash() {
	n.crashed.Store(true)
	n.links.cut()
	go n.stop()
}

func (n *node) stop() {
	n.stopping.Do(func() {
		n.links.cut()
		if n.started {
			n.consensus.Stop()
		}
		n.links.wait()
		for _, t := range n.ticks {
			t.Stop()
		}
		n.log.Close()
	})
}

// Deliver takes a decision. The library's log has already stored it.
func (n *node) Deliver(p types.Proposal, signatures []types.Signature) types.Reconfig {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.deliver(types.Decision{Proposal: p, Signatures: signatures})
	return types.Reconfig{}
}

// deliver needs n.mu.
func (n *node) deliver(d types.Decision) {
	sequence, err := sequenceOf(d.Proposal)
	if err == nil && sequence != n.sequence+1 {
		err = fmt.Errorf("decision %d follows %d", sequence, n.sequence)
	}
	var requests [][]byte
	if err == nil {
		requests, err = requestsOf(d.Proposal.Payload)
	}
	if err != nil {
		n.failed(fmt.Errorf("node %d delivers: %w", n.index, err))
		return
	}
	n.sequence, n.last = sequence, d
	if n.crashed.Load() {
		return
	}
	n.history.add(sequence, d)
	n.ordered(n.index, requests)
}

func sequenceOf(p types.Proposal) (uint64, error) {
	metadata := &smartbftprotos.ViewMetadata{}
	if err := proto.Unmarshal(p.Metadata, metadata); err != nil {
		return 0, fmt.Errorf("decoding a proposal's metadata: %w", err)
	}
	return metadata.LatestSequence, nil
}

// Sync delivers what the cluster decided without this node, and takes it out of
// the pool, which would forward it to be ordered again: the library remembers
// only the newest thousand or so that it saw ordered.
func (n *node) Sync() types.SyncResponse {
	n.mu.Lock()
	defer n.mu.Unlock()
	missing, ok := n.history.after(n.sequence)
	if !ok {
		n.failed(fmt.Errorf("node %d fell behind what is kept, at %d", n.index, n.sequence))
	}
	for _, d := range missing {
		n.deliver(d)
		for _, r := range n.RequestsFromProposal(d.Proposal) {
			n.consensus.Pool.RemoveRequest(r) // an error says that it was not there
		}
	}
	return types.SyncResponse{Latest: n.last}
}

// AssembleProposal is called at the leader only.
func (n *node) AssembleProposal(metadata []byte, requests [][]byte) types.Proposal {
	return assemble(metadata, requests)
}

// VerifyProposal checks what the votes sign: the header against the payload.
// The requests themselves are opaque and carry no signatures.
func (n *node) VerifyProposal(p types.Proposal) ([]types.RequestInfo, error) {
	if err := checkHeader(p); err != nil {
		return nil, err
	}
	return infosOf(p.Payload)
}

// RequestsFromProposal names the requests of a proposal verified before.
func (n *node) RequestsFromProposal(p types.Proposal) []types.RequestInfo {
	infos, err := infosOf(p.Payload)
	if err != nil {
		n.failed(fmt.Errorf("node %d: a verified %w", n.index, err))
	}
	return infos
}

func (n *node) VerifyConsenterSig(s types.Signature, p types.Proposal) ([]byte, error) {
	return n.signer.verifyProposal(s, p)
}

func (n *node) SignProposal(p types.Proposal, auxiliary []byte) *types.Signature {
	return n.signer.signProposal(p, auxiliary)
}

func (n *node) Sign(message []byte) []byte                              { return n.signer.sign(message) }
func (n *node) VerifySignature(s types.Signature) error                 { return n.signer.verify(s) }
func (n *node) AuxiliaryData(message []byte) []byte                     { return auxiliaryOf(message) }
func (n *node) VerifyRequest(request []byte) (types.RequestInfo, error) { return infoOf(request), nil }
func (n *node) RequestID(request []byte) types.RequestInfo              { return infoOf(request) }
func (n *node) VerificationSequence() uint64                            { return 0 }
func (n *node) MembershipChange() bool                                  { return false }
func (n *node) Nodes() []uint64                                         { return n.members }
func (n *node) SendConsensus(to uint64, m *smartbftprotos.Message)      { n.links.send(to, m) }
func (n *node) SendTransaction(to uint64, request []byte)               { n.links.forward(to, request) }

// silent drops the library's log, except for what it panics with.
type silent struct{}

func (silent) Debugf(string, ...any) {}
func (silent) Infof(string, ...any)  {}
func (silent) Warnf(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Panicf(format string, args ...any) {
	panic(fmt.Sprintf("smartbft: "+format, args...))
}
