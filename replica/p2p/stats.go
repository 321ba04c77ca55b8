package p2p

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/synod-network/synod/keys"
)

// PeerStats is the state of a peer's links. Counts begin with the membership of the peer and never fall.
type PeerStats struct {
	Peer    keys.PublicKey
	Address string // where the peer is dialed; empty if unknown
	Live    LaneStats
	Bulk    LaneStats
}

// LaneStats is the state of one lane.
type LaneStats struct {
	Connected bool
	Since     time.Time     // of the connection or of its loss; zero if there never was one
	Remote    string        // address of the other end while connected
	Outgoing  bool          // this node dialed the connection there is
	Greeting  bool          // not connected: this node has reached the address, and the ends have not proved their keys yet
	RoundTrip time.Duration // smoothed, with the time spent behind other frames; zero before the first
	LastError string        // why the last link or dial ended; kept while connected

	FramesIn, BytesIn   uint64 // handed to the handler
	FramesOut, BytesOut uint64 // given to TLS
	QueuedBytes         int

	DroppedQueueFull    uint64 // frames for which Send said ErrQueueFull
	DroppedNotConnected uint64 // frames for which Send said ErrNotConnected
	Connects            uint64 // links that came up; all but the first are reconnects
}

type counters struct {
	framesIn, bytesIn, framesOut, bytesOut atomic.Uint64
	droppedFull, droppedDown, connects     atomic.Uint64
	smoothed                               atomic.Int64 // ns; written by the reader alone
}

// roundTrip takes a measurement into the average, one eighth at a time as TCP does (RFC 6298).
func (c *counters) roundTrip(d time.Duration) {
	if old := c.smoothed.Load(); old != 0 {
		d = time.Duration(old + (int64(d)-old)/8)
	}
	c.smoothed.Store(int64(d))
}

// Stats describes all peers, ordered by key.
func (n *Network) Stats() []PeerStats {
	n.mu.RLock()
	defer n.mu.RUnlock()
	stats := make([]PeerStats, 0, len(n.peers))
	for key, p := range n.peers {
		stats = append(stats, PeerStats{
			Peer:    key,
			Address: p.lines[Live].target(),
			Live:    p.lines[Live].stats(),
			Bulk:    p.lines[Bulk].stats(),
		})
	}
	slices.SortFunc(stats, func(a, b PeerStats) int { return a.Peer.Compare(b.Peer) })
	return stats
}

func (l *line) stats() LaneStats {
	c := &l.counters
	s := LaneStats{
		RoundTrip:           time.Duration(c.smoothed.Load()),
		FramesIn:            c.framesIn.Load(),
		BytesIn:             c.bytesIn.Load(),
		FramesOut:           c.framesOut.Load(),
		BytesOut:            c.bytesOut.Load(),
		DroppedQueueFull:    c.droppedFull.Load(),
		DroppedNotConnected: c.droppedDown.Load(),
		Connects:            c.connects.Load(),
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Since = l.since
	if l.link != nil {
		s.Connected, s.Outgoing = true, l.link.candidate.outgoing
		s.Remote = l.link.candidate.wire.RemoteAddr().String()
		s.QueuedBytes = l.link.queue.queued()
	}
	s.Greeting = l.greeting && !s.Connected
	if l.lastErr != nil {
		s.LastError = l.lastErr.Error()
	}
	return s
}
