package smartbft

import (
	"sync"

	"github.com/hyperledger-labs/SmartBFT/pkg/types"
)

// A history keeps the newest decisions of the cluster, for nodes that fell
// behind: the state transfer that the library leaves to its user. It costs
// nothing on the way of a request, where a real one would read blocks back
// from another node's disk.
type history struct {
	mu        sync.Mutex
	first     uint64 // sequence of decisions[0]
	decisions []types.Decision
	bytes     int
}

// historyBytes bounds the payloads kept.
const historyBytes = 128 << 20

func newHistory() *history { return &history{first: 1} }

// add notes the decision of a sequence, unless another node already did.
func (h *history) add(sequence uint64, d types.Decision) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if sequence != h.first+uint64(len(h.decisions)) {
		return
	}
	h.decisions = append(h.decisions, d)
	h.bytes += len(d.Proposal.Payload)
	for h.bytes > historyBytes {
		h.bytes -= len(h.decisions[0].Proposal.Payload)
		h.decisions[0] = types.Decision{}
		h.decisions = h.decisions[1:]
		h.first++
	}
}

// after returns the decisions that follow a sequence; ok is false if they are
// no longer kept.
func (h *history) after(sequence uint64) (missing []types.Decision, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if sequence+1 < h.first {
		return nil, false
	}
	skip := min(sequence+1-h.first, uint64(len(h.decisions)))
	return append(missing, h.decisions[skip:]...), true
}
