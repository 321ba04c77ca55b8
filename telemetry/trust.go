package telemetry

// Trust is what this node thinks of its peers. The scores are kept elsewhere; a scrape reads them there.
type Trust struct{ scraped[TrustState] }

// TrustState is the opinions now, and counts since the start.
type TrustState struct {
	Scores     map[string]float64 // of each member but this one
	Strikes    map[string]int     // of each member but this one: bans that count for the length of the next
	BanUntil   map[string]float64 // of the same: when its ban ends, in Unix seconds; 0 if it has none
	Actions    map[ActionLabels]uint64
	Bans       map[BanLabels]uint64
	Unbans     map[string]uint64 // by cause
	Banned     map[string]int    // by kind: "member" or "other"
	OnHold     int               // bans that are not in force for the sake of a quorum
	Limited    int               // peers that are read slowly
	Rejections uint64            // connections of banned peers
	BannedBy   int               // peers that ban this node now
	Guarded    uint64
	PutOff     map[string]uint64 // by why
	Suspects   bool
	Suspicions uint64
	Evidence   map[string]uint64 // by kind
}

// ActionLabels sorts what peers did: by what it was, and by the member who did it, or "other" for all that are none.
type ActionLabels struct{ Action, Peer string }

// BanLabels sorts bans.
type BanLabels struct{ Reason, Origin string }

func newTrust(d *declarer) *Trust {
	t := &Trust{}
	t.gaugeBy(d, "p2p_peer_score", "This node's score of the member, from -1 (banned) over 0 (nothing known) to 1.", "peer", func(s TrustState) map[string]float64 { return s.Scores })
	t.gaugeBy(d, "p2p_peer_strikes", "Bans of the member that count for the length of its next one.", "peer", func(s TrustState) map[string]float64 {
		strikes := map[string]float64{}
		for peer, n := range s.Strikes {
			strikes[peer] = float64(n)
		}
		return strikes
	})
	t.gaugeBy(d, "p2p_peer_ban_until_seconds", "When the ban of the member ends, as a Unix time; 0 if it has none.", "peer", func(s TrustState) map[string]float64 { return s.BanUntil })
	t.counterOf(d, "p2p_peer_actions_total", "What peers did that moves their scores, by action and by member since it is one; of all others together as other.", []string{"action", "peer"}, func(s TrustState, value func(float64, ...string)) {
		for labels, n := range s.Actions {
			value(float64(n), labels.Action, labels.Peer)
		}
	})
	t.counterOf(d, "p2p_bans_total", "Bans begun, by reason and by who decided.", []string{"reason", "origin"}, func(s TrustState, value func(float64, ...string)) {
		for labels, n := range s.Bans {
			value(float64(n), labels.Reason, labels.Origin)
		}
	})
	t.counterBy(d, "p2p_unbans_total", "Bans ended, by cause.", "cause", func(s TrustState) map[string]float64 { return floats(s.Unbans) })
	t.gaugeBy(d, "p2p_banned_peers", "Peers kept out now, members and others.", "kind", func(s TrustState) map[string]float64 {
		return map[string]float64{"member": float64(s.Banned["member"]), "other": float64(s.Banned["other"])}
	})
	t.gauge(d, "p2p_bans_on_hold", "Bans of members that are not in force now, because the others are no quorum.", func(s TrustState) float64 { return float64(s.OnHold) })
	t.gauge(d, "p2p_limited_peers", "Peers read slowly now.", func(s TrustState) float64 { return float64(s.Limited) })
	t.counter(d, "p2p_ban_rejections_total", "Connections of banned peers that were turned away.", func(s TrustState) float64 { return float64(s.Rejections) })
	t.gauge(d, "p2p_banned_by_peers", "Peers that told this node that they ban it now.", func(s TrustState) float64 { return float64(s.BannedBy) })
	t.counter(d, "p2p_quorum_guard_total", "Bans refused, put off, put on hold or lifted because ordering may need the member.", func(s TrustState) float64 { return float64(s.Guarded) })
	t.counterBy(d, "p2p_bans_put_off_total", "Bans that a score deserved and that were not begun, by why.", "cause", func(s TrustState) map[string]float64 { return floats(s.PutOff) })
	t.gauge(d, "p2p_self_suspect", "1 while this node suspects itself and bans nobody, because more members look bad to it than can be faulty.", func(s TrustState) float64 { return indicator(s.Suspects) })
	t.counter(d, "p2p_self_suspicions_total", "Times that this node began to suspect itself.", func(s TrustState) float64 { return float64(s.Suspicions) })
	t.counterBy(d, "p2p_evidence_total", "Proofs against peers that were entered, by kind.", "kind", func(s TrustState) map[string]float64 { return floats(s.Evidence) })
	d.registry.MustRegister(t)
	return t
}

func floats(counts map[string]uint64) map[string]float64 {
	values := make(map[string]float64, len(counts))
	for key, n := range counts {
		values[key] = float64(n)
	}
	return values
}
