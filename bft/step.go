package bft

// Clock is the time at which a step happens. The engine never asks for it.
type Clock struct {
	// Wall is this member's idea of the time of day; it goes into the
	// timestamps of own blocks and nowhere else, and may jump.
	Wall Time
	// Mono only grows; timeouts are measured on it. Its origin is arbitrary.
	Mono Time
}

// Input is something that happened to this member.
type Input interface{ input() }

// Inputs. Blocks and messages come from a peer that the transport has
// authenticated; From need not be the author of what it sends.
type (
	// Tick tells the engine that time has passed: the runtime sends one when
	// the newest SetTimer is due.
	Tick struct{}

	// BlockArrived brings a verified block of the engine's current epoch.
	BlockArrived struct {
		From  PublicKey
		Block *Block
	}

	// MessageArrived brings any message but a block.
	MessageArrived struct {
		From    PublicKey
		Message Message
	}

	// RequestsQueued tells how much waits in the runtime's queue. The runtime
	// sends one when requests arrive in an empty queue and whenever it is
	// convenient; PayloadReady carries the same.
	RequestsQueued struct {
		Requests int
		Bytes    int
	}

	// PayloadReady answers a RequestPayload.
	PayloadReady struct {
		// Payload is the concatenation of the requests, each preceded by its
		// length as a big-endian uint32; Digest is its PayloadDigest (zero if
		// there is no request).
		Payload  []byte
		Digest   Digest
		Requests int
		// Left is what still waits in the queue.
		Left RequestsQueued
	}

	// Persisted tells that everything up to the Persist effect with the given
	// sequence number is durable.
	Persisted struct{ Seq uint64 }

	// Applied tells that the application has applied commits up to Index.
	Applied struct{ Index CommitIndex }

	// EpochEnded is the application's answer to the last commit of an epoch:
	// the digest of its state after that commit, and who orders next. An
	// invalid committee keeps the old one.
	EpochEnded struct {
		Index   CommitIndex
		State   Digest
		Members []PublicKey
		Params  Params
	}

	// PeerUp and PeerDown tell that the link to a peer came up or broke.
	// They are hints: they save a timeout, and decide nothing.
	PeerUp   struct{ Peer PublicKey }
	PeerDown struct{ Peer PublicKey }

	// SnapshotUnavailable tells that no peer has the state asked for by an
	// InstallSnapshot effect any more: they have gone on.
	SnapshotUnavailable struct{ Handover *Handover }

	// SnapshotInstalled tells that all of the application's state after the
	// hand-over named by an InstallSnapshot effect is here, and durable before
	// whatever the engine persists from now on.
	SnapshotInstalled struct{ Handover *Handover }
)

func (Tick) input()                {}
func (BlockArrived) input()        {}
func (MessageArrived) input()      {}
func (RequestsQueued) input()      {}
func (PayloadReady) input()        {}
func (Persisted) input()           {}
func (Applied) input()             {}
func (EpochEnded) input()          {}
func (PeerUp) input()              {}
func (PeerDown) input()            {}
func (SnapshotUnavailable) input() {}
func (SnapshotInstalled) input()   {}

// Effect is something the runtime has to do. Effects of one step are carried
// out in order.
type Effect interface{ effect() }

// Effects.
type (
	// Persist makes records durable, in one group commit and in the order of
	// Seq, which counts up from 1. Effects that must wait for it name its Seq.
	Persist struct {
		Seq       uint64
		Blocks    []*Block
		Commits   []*CommitRecord
		Handovers []*Handover
		Evidence  []*Evidence
		// ProposeFrom, if not nil, is the epoch from which this member may
		// propose again after it lost its disk: see Recovered.
		ProposeFrom *Epoch
	}

	// Send sends a message to some peers once the Persist numbered After (0:
	// none) is durable. It may be lost: the engine sends again what matters.
	Send struct {
		To      []PublicKey
		Message Message
		After   uint64
	}

	// Serve asks the runtime to answer a peer's request from what is stored:
	// see Answer. Votes are the commit votes that this member can show.
	Serve struct {
		To      PublicKey
		Request Message
		Votes   []*UnverifiedBlock
	}

	// Deliver hands a commit to the application once the Persist numbered
	// After is durable: the decision may rest on this member's own newest
	// block, and a member that forgets that block in a crash could sign
	// another one, under which the network may decide otherwise. The payloads
	// of the commit's blocks were all named by earlier Persist effects. If
	// EndsEpoch is set the runtime answers with EpochEnded once the commit is
	// applied. Certified says that others had certified the commit before it
	// was decided here: this member was behind.
	Deliver struct {
		Commit    *Commit
		EndsEpoch bool
		Certified bool
		After     uint64
	}

	// RequestPayload asks for the payload of the next own block: as many
	// requests, oldest first, as fit both limits, or a single one of up to
	// RequestBytes. The runtime answers with PayloadReady, at once or later.
	RequestPayload struct {
		Requests     int
		Bytes        int
		RequestBytes int
	}

	// ReturnPayload gives back the payload of a PayloadReady that no block can
	// carry now: its requests belong at the front of the queue.
	ReturnPayload struct {
		Payload  []byte
		Requests int
	}

	// Requeue returns the requests of an own block, which can now never be
	// committed, to the front of the queue.
	Requeue struct{ Block Ref }

	// SetTimer asks for a Tick at or soon after At, instead of any earlier
	// wish.
	SetTimer struct{ At Time }

	// Forget tells that the engine needs blocks of the epoch up to the round no
	// more, committed or not. Others may: a stored block of the running epoch
	// must stay until its hand-over, because members that stand a commit
	// behind still build their decision on it.
	Forget struct {
		Epoch Epoch
		Round Round
	}

	// EpochStarted tells who orders from now on. Blocks are verified against
	// this committee; those of earlier epochs are stale.
	EpochStarted struct{ Committee *Committee }

	// InstallSnapshot asks the runtime to bring the application to the state
	// of a hand-over, fetched in verified chunks from peers, because they no
	// longer keep the commits that lead there.
	InstallSnapshot struct{ Handover *Handover }

	// Report is something for the operator's eyes and metrics.
	Report struct{ Event Event }

	// Halt stops this member: going on could do harm. Reason says why and
	// what to do.
	Halt struct{ Reason string }
)

func (Persist) effect()         {}
func (Send) effect()            {}
func (Serve) effect()           {}
func (Deliver) effect()         {}
func (RequestPayload) effect()  {}
func (ReturnPayload) effect()   {}
func (Requeue) effect()         {}
func (SetTimer) effect()        {}
func (Forget) effect()          {}
func (EpochStarted) effect()    {}
func (InstallSnapshot) effect() {}
func (Report) effect()          {}
func (Halt) effect()            {}

// EventKind names what a Report is about.
type EventKind string

// Kinds of events.
const (
	// EventEvidence: a member provably broke the rules, as seen here or proven
	// by another member; see Evidence.
	EventEvidence EventKind = "evidence"
	// EventLeaderTimeout: a round went on without its leader or its votes.
	EventLeaderTimeout EventKind = "leader_timeout"
	// EventSlotSkipped: the slot of a leader was decided without a commit.
	EventSlotSkipped EventKind = "slot_skipped"
	// EventScheduleChanged: members were demoted or came back.
	EventScheduleChanged EventKind = "schedule_changed"
	// EventDivergence: f+1 members report another state digest than this one.
	EventDivergence EventKind = "divergence"
	// EventCatchUp: this member starts to catch up, or has caught up.
	EventCatchUp EventKind = "catch_up"
	// EventBadAnswer: a peer answered a request with something unusable.
	EventBadAnswer EventKind = "bad_answer"
	// EventProposingStopped: this member proposes no more in this epoch.
	EventProposingStopped EventKind = "proposing_stopped"
	// EventEvicted: a waiting block was dropped because too many wait.
	EventEvicted EventKind = "evicted"
	// EventAdopted: a commit was taken over because others certified it.
	EventAdopted EventKind = "adopted"
	// EventOutcomeUnknown: a snapshot skipped the epochs in which own blocks
	// may have been committed; nobody here can tell what became of their
	// Count requests.
	EventOutcomeUnknown EventKind = "outcome_unknown"
	// EventDistrust: the hand-over that the operator trusts is not on the own
	// chain, and is looked for.
	EventDistrust EventKind = "distrust"
	// EventTrustPassed: the own chain contains the hand-over that the operator
	// trusts, for the first time in this run.
	EventTrustPassed EventKind = "trust_passed"
	// EventFalseEvidence: a peer sent evidence that proves nothing.
	EventFalseEvidence EventKind = "false_evidence"
	// EventFetch: missing blocks are asked for.
	EventFetch EventKind = "fetch"
	// EventRetransmitted: the newest own block was sent again.
	EventRetransmitted EventKind = "retransmitted"
)

// Event is one observation by the engine.
type Event struct {
	Kind EventKind
	// Evidence says which rule was broken, for EventEvidence.
	Evidence EvidenceKind
	// Member is whom the event is about, if Known.
	Member PublicKey
	Round  Round
	// Count is a number that the kind explains: blocks asked for, commits to
	// go.
	Count int
	// Text says it in words.
	Text string
}

// EvidenceKind says which rule was broken.
type EvidenceKind uint8

// Kinds of evidence.
const (
	// Equivocation: two blocks for one round.
	Equivocation EvidenceKind = 1 + iota
	// TimeViolation: a timestamp not above that of the author's previous
	// block, or more requests than the time allows that passed, by the
	// medians of their parents, since the first of the two. The latter is
	// proven together with the parents of both, which they name.
	TimeViolation
)

// String names the kind as metrics do.
func (k EvidenceKind) String() string {
	if k == TimeViolation {
		return "time_violation"
	}
	return "equivocation"
}
