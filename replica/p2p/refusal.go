package p2p

import (
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Refusal is why a connection was not accepted or was closed on account of what came over it.
type Refusal uint8

const (
	UnknownPeer      Refusal = iota // a key that is not among the peers
	WrongNetwork                    // a node of another network, or another version of this protocol
	NotAPeer                        // no TLS, no certificate, another protocol
	HandshakeTimeout                // connected and then said too little for too long
	TooManyPending                  // pushed out by newer connections before it was authenticated
	OversizedFrame                  // announced a frame above the limit
	MalformedFrame                  // sent what is no frame, or half of one
	RejectedFrame                   // the handler returned an error
	BannedPeer                      // a peer that is banned
	LimitedPeer                     // a peer that comes too often, which is sooner for one that is limited

	refusalCount
)

// String is the label in metrics and logs.
func (r Refusal) String() string {
	switch r {
	case UnknownPeer:
		return "unknown_peer"
	case WrongNetwork:
		return "wrong_network"
	case NotAPeer:
		return "not_a_peer"
	case HandshakeTimeout:
		return "handshake_timeout"
	case TooManyPending:
		return "too_many_pending"
	case OversizedFrame:
		return "oversized_frame"
	case MalformedFrame:
		return "malformed_frame"
	case RejectedFrame:
		return "rejected_frame"
	case BannedPeer:
		return "banned_peer"
	case LimitedPeer:
		return "limited_peer"
	default:
		return "unknown"
	}
}

// refusalLogEvery keeps strangers from filling the disk: each reason is logged at once, then at most this often.
const refusalLogEvery = 10 * time.Second

// refusals counts and logs.
type refusals struct {
	log    *slog.Logger
	counts [refusalCount]atomic.Uint64
	logged [refusalCount]rate.Sometimes
}

func newRefusals(log *slog.Logger) *refusals {
	r := &refusals{log: log}
	for i := range r.logged {
		r.logged[i].First = 1
		r.logged[i].Interval = refusalLogEvery
	}
	return r
}

// add counts one refusal; attributes are for the log.
func (r *refusals) add(reason Refusal, attributes ...any) {
	total := r.counts[reason].Add(1)
	r.logged[reason].Do(func() {
		r.log.Warn("peer connection refused", append([]any{"reason", reason.String(), "total", total}, attributes...)...)
	})
}

// Refused counts the connections that were refused since New, by reason. Every reason is present.
func (n *Network) Refused() map[Refusal]uint64 {
	counts := make(map[Refusal]uint64, refusalCount)
	for i := range n.refusals.counts {
		counts[Refusal(i)] = n.refusals.counts[i].Load()
	}
	return counts
}
