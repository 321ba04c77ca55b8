package telemetry

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Rejection is why a block from a peer was not accepted.
type Rejection string

// The reasons for rejecting a block.
const (
	RejectMalformed Rejection = "malformed" // does not decode, or breaks a rule for blocks of its epoch
	RejectNetwork   Rejection = "network"   // another network's
	RejectEpoch     Rejection = "epoch"     // another epoch's
	RejectSignature Rejection = "signature"
	RejectWindow    Rejection = "window" // too many waiting; can be fetched again
)

// EvidenceKind is a proof of misbehaviour.
type EvidenceKind string

// The kinds of evidence.
const (
	Equivocation  EvidenceKind = "equivocation"   // two valid blocks by one author for one round
	TimeViolation EvidenceKind = "time_violation" // a timestamp that its author's earlier block or its parents forbid
	Divergence    EvidenceKind = "divergence"     // a hand-over or commit vote that contradicts this node's own
)

// Engine measures the agreement between members.
type Engine struct {
	scraped[EngineState]

	Proposed       prometheus.Counter   // own blocks sent
	Received       prometheus.Counter   // blocks from peers, before they are judged
	Fetches        prometheus.Counter   // requests for missing blocks
	LeaderTimeouts prometheus.Counter   // rounds in which the leader was waited for in vain
	Retransmitted  prometheus.Counter   // own blocks sent again
	Step           prometheus.Histogram // seconds the core takes for one input

	rejected  map[Rejection]prometheus.Counter
	evidence  map[EvidenceKind]prometheus.Counter
	committed *prometheus.CounterVec
	skipped   *prometheus.CounterVec
	ordered   *prometheus.CounterVec
	members   []string
}

// EngineState is the engine's view of the network.
type EngineState struct {
	Epoch, Round   uint64
	CommittedRound uint64 // of the newest committed leader
	Decided        uint64 // newest commit decided
	Applied        uint64 // newest commit applied
	Members        int
	Quorum         int
	MaxFaults      int
	WaitingBlocks  int                      // blocks whose ancestors are missing
	Demoted        map[string]bool          // every member → not leading at present
	MemberRound    map[string]uint64        // every member → round of its newest block here
	ClockDrift     map[string]time.Duration // member → timestamp of its newest block minus the own clock when it came
}

func newEngine(d *declarer) *Engine {
	e := &Engine{
		Proposed:       d.counter("engine_blocks_proposed_total", "Blocks that this node proposed."),
		Received:       d.counter("engine_blocks_received_total", "Blocks that came from peers, before they were judged."),
		Fetches:        d.counter("engine_fetches_total", "Requests to peers for missing blocks."),
		LeaderTimeouts: d.counter("engine_leader_timeouts_total", "Rounds in which this node waited for the leader in vain."),
		Retransmitted:  d.counter("engine_blocks_retransmitted_total", "Times this node sent its newest block again."),
		Step:           d.histogram("engine_step_seconds", "Time the engine takes for one input.", prometheus.ExponentialBuckets(1e-6, 4, 10)),
		rejected: counters(d, "engine_blocks_rejected_total", "Blocks from peers that were not accepted, by reason.", "reason", []Rejection{
			RejectMalformed, RejectNetwork, RejectEpoch, RejectSignature, RejectWindow,
		}),
		evidence:  counters(d, "engine_evidence_total", "Proofs of misbehaviour, by kind. Any increase calls for a person.", "kind", []EvidenceKind{Equivocation, TimeViolation, Divergence}),
		committed: d.counterVec("engine_slots_committed_total", "Leader slots decided with a commit, by leader.", "member"),
		skipped:   d.counterVec("engine_slots_skipped_total", "Leader slots decided without a commit, by leader.", "member"),
		ordered:   d.counterVec("engine_blocks_ordered_total", "Blocks in the commits that this node delivered, by author. A block is its author's vote: as many as engine_committed_round rises are all.", "member"),
	}
	e.declareState(d)
	d.registry.MustRegister(e)
	return e
}

func (e *Engine) declareState(d *declarer) {
	e.gauge(d, "engine_epoch", "Current epoch.", func(s EngineState) float64 { return float64(s.Epoch) })
	e.gauge(d, "engine_round", "Round of this node's newest block.", func(s EngineState) float64 { return float64(s.Round) })
	e.gauge(d, "engine_committed_round", "Round of the newest committed leader block.", func(s EngineState) float64 { return float64(s.CommittedRound) })
	e.gauge(d, "engine_commit_lag", "Commits decided and not yet applied on this node.", func(s EngineState) float64 {
		if s.Applied >= s.Decided {
			return 0
		}
		return float64(s.Decided - s.Applied)
	})
	e.gauge(d, "engine_members", "Members of the committee.", func(s EngineState) float64 { return float64(s.Members) })
	e.gauge(d, "engine_quorum", "Members that must agree.", func(s EngineState) float64 { return float64(s.Quorum) })
	e.gauge(d, "engine_max_faults", "Faulty members that the network bears.", func(s EngineState) float64 { return float64(s.MaxFaults) })
	e.gauge(d, "engine_waiting_blocks", "Blocks that wait for missing ancestors.", func(s EngineState) float64 { return float64(s.WaitingBlocks) })
	e.gaugeBy(d, "engine_demoted", "1 if the member does not lead at present because its slots were skipped.", "member", func(s EngineState) map[string]float64 {
		values := make(map[string]float64, len(s.Demoted))
		for member, demoted := range s.Demoted {
			values[member] = 0
			if demoted {
				values[member] = 1
			}
		}
		return values
	})
	e.gaugeBy(d, "engine_member_round", "Round of the newest block that this node has by the member.", "member", func(s EngineState) map[string]float64 { return floats(s.MemberRound) })
	e.gaugeBy(d, "engine_clock_drift_seconds", "Time stamped on the member's newest block minus this node's clock when it came; includes the way.", "member", func(s EngineState) map[string]float64 {
		values := make(map[string]float64, len(s.ClockDrift))
		for member, drift := range s.ClockDrift {
			values[member] = drift.Seconds()
		}
		return values
	})
}

// Rejected records a block that was not accepted.
func (e *Engine) Rejected(reason Rejection) { e.rejected[reason].Inc() }

// Evidence records a proof of misbehaviour.
func (e *Engine) Evidence(kind EvidenceKind) { e.evidence[kind].Inc() }

// Committed records a commit by its leader.
func (e *Engine) Committed(leader string) { e.committed.WithLabelValues(leader).Inc() }

// Skipped records that a leader's slot was decided without a commit.
func (e *Engine) Skipped(leader string) { e.skipped.WithLabelValues(leader).Inc() }

// Ordered records a block of a commit by its author.
func (e *Engine) Ordered(author string) { e.ordered.WithLabelValues(author).Inc() }

func (e *Engine) setMembers(names []string) {
	for _, gone := range missing(e.members, names) {
		e.committed.DeleteLabelValues(gone)
		e.skipped.DeleteLabelValues(gone)
		e.ordered.DeleteLabelValues(gone)
	}
	for _, name := range names {
		e.committed.WithLabelValues(name)
		e.skipped.WithLabelValues(name)
		e.ordered.WithLabelValues(name)
	}
	e.members = names
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
