package replica

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/telemetry"
)

// name is how people call a member.
func (r *Replica) name(k bft.PublicKey) string {
	if n := r.cfg.Name(keys.PublicKey(k)); n != "" {
		return n
	}
	return k.String()
}

// nameMembers makes the metrics of the committee's members exist.
func (r *Replica) nameMembers(c *bft.Committee) {
	names := make([]string, 0, c.Size())
	for _, k := range c.Members {
		names = append(names, r.name(k))
	}
	r.names = names
	r.metrics.SetMembers(names)
}

// nameInMetrics is what a member of the running committee was called when that began.
func (r *Replica) nameInMetrics(k bft.PublicKey) string {
	if a, ok := r.committee.Load().Author(k); ok {
		return r.names[a]
	}
	return r.name(k)
}

// observe turns what the engine reports into metrics and log lines.
func (r *Replica) observe(e bft.Event) {
	m := r.metrics.Engine
	r.blame(e)
	switch e.Kind {
	case bft.EventEvidence:
		kind := telemetry.Equivocation
		if e.Evidence == bft.TimeViolation {
			kind = telemetry.TimeViolation
		}
		m.Evidence(kind)
		r.log.Error("a member provably broke the rules; its evidence is stored and it is no longer built upon",
			slog.String("member", r.name(e.Member)), slog.Uint64("round", uint64(e.Round)), slog.String("evidence", e.Text))
	case bft.EventDivergence:
		m.Evidence(telemetry.Divergence)
		r.log.Error("other members report another state than this one: find out which software differs before the network stops",
			slog.String("text", e.Text))
	case bft.EventLeaderTimeout:
		m.LeaderTimeouts.Inc()
		r.log.Debug("went on without the leader", slog.String("leader", r.name(e.Member)), slog.Uint64("round", uint64(e.Round)))
	case bft.EventSlotSkipped:
		m.Skipped(r.nameInMetrics(e.Member))
	case bft.EventScheduleChanged:
		r.log.Info("leaders changed", slog.Int("demoted", e.Count), slog.Uint64("round", uint64(e.Round)))
	case bft.EventRetransmitted:
		m.Retransmitted.Inc()
	case bft.EventFetch:
		m.Fetches.Inc()
	case bft.EventEvicted:
		m.Rejected(telemetry.RejectWindow)
	case bft.EventCatchUp:
		level := slog.LevelInfo
		if _, orders := r.committee.Load().Author(r.self); !orders {
			level = slog.LevelDebug // it is told nothing live, so that it catches up all the time
		}
		if e.Count > 0 {
			r.log.Log(context.Background(), level, "catching up", slog.Int("commits_behind", e.Count))
		} else {
			r.log.Log(context.Background(), level, "caught up")
		}
	case bft.EventAdopted:
		r.metrics.Catchup.Applied.Inc()
	case bft.EventOutcomeUnknown:
		clear(r.own)
		r.log.Warn("a snapshot skipped the epochs in which requests accepted here may have been ordered; their outcome is unknown to this sequencer, and their clients must read the order", slog.Int("requests", e.Count))
	case bft.EventBadAnswer:
		r.metrics.Catchup.Refused.Inc()
		r.log.Warn("a peer's answer to a catch-up request is unusable; asking another", slog.String("peer", r.name(e.Member)), slog.String("why", e.Text))
	case bft.EventFalseEvidence:
		r.log.Warn("a peer accuses a member with evidence that proves nothing, which is a fault of its own", slog.String("peer", r.name(e.Member)), slog.String("why", e.Text))
	case bft.EventDistrust:
		r.log.Warn(e.Text)
	case bft.EventTrustPassed:
		r.log.Info(e.Text)
	case bft.EventProposingStopped:
		r.log.Error(e.Text, slog.Uint64("round", uint64(e.Round)))
	}
}

// rejectionOf sorts the reasons for refusing a block.
func rejectionOf(err error) telemetry.Rejection {
	switch {
	case errors.Is(err, bft.ErrWrongNetwork):
		return telemetry.RejectNetwork
	case errors.Is(err, bft.ErrWrongEpoch):
		return telemetry.RejectEpoch
	case errors.Is(err, bft.ErrBadSignature):
		return telemetry.RejectSignature
	default:
		return telemetry.RejectMalformed
	}
}

// Observe connects the gauges to this replica's state.
func (r *Replica) Observe() {
	m := r.metrics
	m.Ingress.Observe(func() telemetry.QueueState {
		requests, bytes := r.queue.size()
		return telemetry.QueueState{
			Requests: int64(requests), Bytes: int64(bytes),
			RequestLimit: int64(r.cfg.Queue.Requests), BytesLimit: int64(r.cfg.Queue.Bytes),
		}
	})
	m.Ordering.Observe(func() telemetry.OrderingState {
		head, last := r.chain.newest()
		s := telemetry.OrderingState{Height: uint64(head)}
		if last > 0 {
			s.LastTime = time.UnixMicro(int64(last))
		}
		return s
	})
	m.Engine.Observe(r.engineState)
	m.Catchup.Observe(func() telemetry.CatchupState {
		p := r.progress.Load()
		if p == nil {
			return telemetry.CatchupState{}
		}
		state := telemetry.CatchupState{Active: p.CatchUp, Highest: uint64(p.Commit + p.Behind), Claimed: uint64(p.Claimed)}
		if p.CatchUp {
			state.Target = state.Highest
		}
		return state
	})
	m.Replica.Observe(r.waiting)
	m.Peers.Observe(r.peersState)
	m.Trust.Observe(r.trustState)
	m.Store.Observe(func() telemetry.StoreState {
		s := r.cfg.Store.Stats()
		pruned := uint64(0)
		if s.Lowest > 1 {
			pruned = uint64(s.Lowest) - 1
		}
		return telemetry.StoreState{Bytes: s.LogBytes + int64(s.IndexBytes), LimitBytes: r.cfg.Retention.Bytes, PrunedHeight: pruned}
	})
}

// waiting is what a scrape sees of the queues inside.
func (r *Replica) waiting() (s telemetry.ReplicaState) {
	messages, bytes := r.inbox.size()
	s.Inbox, s.InboxLimit = telemetry.Waiting{Messages: int64(messages), Bytes: bytes}, telemetry.Waiting{Messages: inboxMessages, Bytes: inboxBytes}
	records, waits := r.writer.size()
	s.Writer, s.WriterLimit = telemetry.Waiting{Messages: int64(records), Bytes: int64(waits)}, persistBytes
	commits, kept := r.chain.inMemory()
	s.Chain, s.ChainLimit = telemetry.Waiting{Messages: int64(commits), Bytes: int64(kept)}, int64(r.cfg.ChainBytes)
	s.Serving = r.server.open()
	return s
}

func (r *Replica) engineState() telemetry.EngineState {
	p, c := r.progress.Load(), r.committee.Load()
	if p == nil || c == nil {
		return telemetry.EngineState{}
	}
	s := telemetry.EngineState{
		Epoch: uint64(p.Epoch), Round: uint64(p.Round), CommittedRound: uint64(p.Leader), Decided: uint64(p.Commit),
		Applied: uint64(p.Applied), Members: c.Size(), Quorum: c.Quorum(), MaxFaults: c.Witness() - 1,
		WaitingBlocks: p.Waiting, Demoted: map[string]bool{}, MemberRound: map[string]uint64{}, ClockDrift: map[string]time.Duration{},
	}
	for a, k := range c.Members {
		s.Demoted[r.name(k)] = false
		if a < len(p.NewestRound) {
			s.MemberRound[r.name(k)] = uint64(p.NewestRound[a])
		}
		if a < len(p.Drift) {
			s.ClockDrift[r.name(k)] = time.Duration(p.Drift[a]) * time.Microsecond
		}
	}
	for _, a := range p.Demoted {
		s.Demoted[r.name(c.Members[a])] = true
	}
	return s
}

func (r *Replica) peersState() telemetry.PeersState {
	s := telemetry.PeersState{Links: map[string]telemetry.LinkState{}, Refused: map[string]uint64{}}
	for _, p := range r.links.Stats() {
		s.Links[r.name(bft.PublicKey(p.Peer))] = telemetry.LinkState{
			Connected: p.Live.Connected, RTT: p.Live.RoundTrip, QueuedBytes: int64(p.Live.QueuedBytes + p.Bulk.QueuedBytes),
			SentBytes: p.Live.BytesOut + p.Bulk.BytesOut, ReceivedBytes: p.Live.BytesIn + p.Bulk.BytesIn,
			SentFrames: p.Live.FramesOut + p.Bulk.FramesOut, ReceivedFrames: p.Live.FramesIn + p.Bulk.FramesIn,
			DroppedFrames: p.Live.DroppedQueueFull + p.Bulk.DroppedQueueFull,
			Connects:      p.Live.Connects + p.Bulk.Connects,
		}
	}
	for reason, count := range r.links.Refused() {
		s.Refused[reason.String()] = count
	}
	return s
}
