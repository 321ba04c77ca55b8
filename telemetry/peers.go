package telemetry

import "time"

// Peers measures the links to the other members. The links count for themselves; a scrape reads their counts.
type Peers struct{ scraped[PeersState] }

// PeersState is the state of the links now.
type PeersState struct {
	// Links is by peer: every member but this one, connected or not.
	Links map[string]LinkState
	// Refused counts connections that were not accepted, or were ended for what came over them, by reason.
	Refused map[string]uint64
}

// LinkState is the state of one peer's link. Counts never fall while the peer is a member.
type LinkState struct {
	Connected   bool
	RTT         time.Duration
	QueuedBytes int64

	SentBytes, ReceivedBytes   uint64
	SentFrames, ReceivedFrames uint64
	DroppedFrames              uint64 // left out because the queue to the peer was full
	Connects                   uint64 // connections established
}

func newPeers(d *declarer) *Peers {
	p := &Peers{}
	p.gauge(d, "peers_connected", "Peers with a working link now.", func(s PeersState) (connected float64) {
		for _, link := range s.Links {
			connected += indicator(link.Connected)
		}
		return connected
	})
	for _, g := range []struct {
		name, help string
		read       func(LinkState) float64
	}{
		{"peer_connected", "1 if the link to the peer works now.", func(l LinkState) float64 { return indicator(l.Connected) }},
		{"peer_rtt_seconds", "Newest measured round trip to the peer.", func(l LinkState) float64 { return l.RTT.Seconds() }},
		{"peer_queue_bytes", "Bytes waiting to be sent to the peer.", func(l LinkState) float64 { return float64(l.QueuedBytes) }},
	} {
		p.gaugeBy(d, g.name, g.help, "peer", byPeer(g.read))
	}
	p.traffic(d, "peer_bytes_total", "Bytes exchanged with the peer, before encryption.",
		func(l LinkState) (sent, received uint64) { return l.SentBytes, l.ReceivedBytes })
	p.traffic(d, "peer_frames_total", "Frames exchanged with the peer.",
		func(l LinkState) (sent, received uint64) { return l.SentFrames, l.ReceivedFrames })
	p.counterBy(d, "peer_dropped_frames_total", "Frames not sent because the queue to the peer was full; what they carried is fetched later.", "peer",
		byPeer(func(l LinkState) float64 { return float64(l.DroppedFrames) }))
	p.counterBy(d, "peer_connects_total", "Connections established with the peer.", "peer",
		byPeer(func(l LinkState) float64 { return float64(l.Connects) }))
	p.counterBy(d, "peer_refused_connections_total", "Connections refused or ended by this node, by reason.", "reason", func(s PeersState) map[string]float64 {
		values := make(map[string]float64, len(s.Refused))
		for reason, count := range s.Refused {
			values[reason] = float64(count)
		}
		return values
	})
	d.registry.MustRegister(p)
	return p
}

// traffic declares a counter by peer and direction.
func (p *Peers) traffic(d *declarer, name, help string, read func(LinkState) (sent, received uint64)) {
	p.counterOf(d, name, help, []string{"peer", "direction"}, func(s PeersState, value func(float64, ...string)) {
		for peer, link := range s.Links {
			sent, received := read(link)
			value(float64(sent), peer, "sent")
			value(float64(received), peer, "received")
		}
	})
}

func byPeer(read func(LinkState) float64) func(PeersState) map[string]float64 {
	return func(s PeersState) map[string]float64 {
		values := make(map[string]float64, len(s.Links))
		for peer, link := range s.Links {
			values[peer] = read(link)
		}
		return values
	}
}

func indicator(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
