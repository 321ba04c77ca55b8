package telemetry

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Refusal is why a connection was not accepted, or was ended by this node.
type Refusal string

// The reasons for refusing a connection.
const (
	RefusedHandshake Refusal = "handshake" // TLS failed: no certificate, wrong version, garbage
	RefusedStranger  Refusal = "stranger"  // a key that is no member's
	RefusedNetwork   Refusal = "network"   // a member of another network
	RefusedDuplicate Refusal = "duplicate" // replaced by a newer connection of the same member
	RefusedFrame     Refusal = "frame"     // a frame that is truncated, oversized or does not decode
	RefusedTooMany   Refusal = "too_many"  // more connections than the limit
	RefusedSilent    Refusal = "silent"    // nothing heard for too long
	RefusedStopping  Refusal = "stopping"  // this node is stopping
)

// Peers measures the links to the other members.
type Peers struct {
	scraped[PeersState]
	bytes    *prometheus.CounterVec
	frames   *prometheus.CounterVec
	dropped  *prometheus.CounterVec
	connects *prometheus.CounterVec
	refused  map[Refusal]prometheus.Counter
	members  []string
}

// PeersState is the state of the links now, each map by peer.
type PeersState struct {
	Connected   map[string]bool
	RTT         map[string]time.Duration
	QueuedBytes map[string]int64
}

// Link counts the traffic of one peer's link. It is resolved once and then costs an addition each time.
type Link struct {
	SentBytes, ReceivedBytes   prometheus.Counter
	SentFrames, ReceivedFrames prometheus.Counter
	DroppedFrames              prometheus.Counter // left out because the queue to the peer was full
	Connects                   prometheus.Counter // connections established
}

func newPeers(d *declarer) *Peers {
	p := &Peers{
		bytes:    d.counterVec("peer_bytes_total", "Bytes exchanged with the peer, before encryption.", "peer", "direction"),
		frames:   d.counterVec("peer_frames_total", "Frames exchanged with the peer.", "peer", "direction"),
		dropped:  d.counterVec("peer_dropped_frames_total", "Frames not sent because the queue to the peer was full; what they carried is fetched later.", "peer"),
		connects: d.counterVec("peer_connects_total", "Connections established with the peer.", "peer"),
		refused: counters(d, "peer_refused_connections_total", "Connections refused or ended by this node, by reason.", "reason", []Refusal{
			RefusedHandshake, RefusedStranger, RefusedNetwork, RefusedDuplicate, RefusedFrame, RefusedTooMany, RefusedSilent, RefusedStopping,
		}),
	}
	p.gauge(d, "peers_connected", "Peers with a working link now.", func(s PeersState) float64 {
		connected := 0.0
		for _, up := range s.Connected {
			if up {
				connected++
			}
		}
		return connected
	})
	p.gaugeBy(d, "peer_connected", "1 if the link to the peer works now.", "peer", func(s PeersState) map[string]float64 {
		values := make(map[string]float64, len(s.Connected))
		for peer, up := range s.Connected {
			values[peer] = 0
			if up {
				values[peer] = 1
			}
		}
		return values
	})
	p.gaugeBy(d, "peer_rtt_seconds", "Newest measured round trip to the peer.", "peer", func(s PeersState) map[string]float64 {
		values := make(map[string]float64, len(s.RTT))
		for peer, rtt := range s.RTT {
			values[peer] = rtt.Seconds()
		}
		return values
	})
	p.gaugeBy(d, "peer_queue_bytes", "Bytes waiting to be sent to the peer.", "peer", func(s PeersState) map[string]float64 {
		values := make(map[string]float64, len(s.QueuedBytes))
		for peer, queued := range s.QueuedBytes {
			values[peer] = float64(queued)
		}
		return values
	})
	d.registry.MustRegister(p)
	return p
}

// Link returns the counters of one peer.
func (p *Peers) Link(peer string) *Link {
	return &Link{
		SentBytes:      p.bytes.WithLabelValues(peer, "sent"),
		ReceivedBytes:  p.bytes.WithLabelValues(peer, "received"),
		SentFrames:     p.frames.WithLabelValues(peer, "sent"),
		ReceivedFrames: p.frames.WithLabelValues(peer, "received"),
		DroppedFrames:  p.dropped.WithLabelValues(peer),
		Connects:       p.connects.WithLabelValues(peer),
	}
}

// Refused records a connection that was not accepted, or ended by this node.
func (p *Peers) Refused(reason Refusal) { p.refused[reason].Inc() }

func (p *Peers) setMembers(names []string) {
	for _, gone := range missing(p.members, names) {
		match := prometheus.Labels{"peer": gone}
		for _, vec := range []*prometheus.CounterVec{p.bytes, p.frames, p.dropped, p.connects} {
			vec.DeletePartialMatch(match)
		}
	}
	for _, name := range names {
		p.Link(name)
	}
	p.members = names
}

// missing returns the old names that are not among the new.
func missing(old, new []string) []string {
	var gone []string
	for _, name := range old {
		if !slices.Contains(new, name) {
			gone = append(gone, name)
		}
	}
	return gone
}
