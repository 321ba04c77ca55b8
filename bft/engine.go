package bft

import "slices"

// Limits are local: members need not agree on them.
type Limits struct {
	// Window is how many rounds above the newest complete one a block may lie
	// to be kept while its ancestors are fetched.
	Window Round
	// WaitingBytes bounds the memory of blocks that wait for ancestors.
	WaitingBytes int
	// FetchDelay is how long a missing ancestor may still be on its way before
	// it is asked for; FetchRetry is the pause before another peer is asked.
	FetchDelay, FetchRetry Time
	// FetchWindow bounds the blocks asked for at a time while catching up.
	FetchWindow int
	// CatchUpLag is the number of commits behind which a member asks for
	// certified commits instead of deciding for itself.
	CatchUpLag CommitIndex
	// MaxUnapplied is the number of commits that the application may lag
	// behind before own blocks carry no payload.
	MaxUnapplied CommitIndex
	// BusyFloor is the pause that the engine makes between own blocks when
	// BusyRequests requests or more come with each round: a network that is
	// never idle would otherwise run as many rounds as its processors can bear.
	BusyFloor    Time
	BusyRequests int
	// MaxFloor is the longest pause, made so that blocks fill, and FullPayload
	// the mean payload at which it is made. Both pauses grow from nothing in
	// proportion to the load; the longer one counts.
	MaxFloor    Time
	FullPayload int
}

// DefaultLimits returns the limits of a server with a few hundred megabytes to
// spare.
func DefaultLimits() Limits {
	return Limits{
		Window: 64, WaitingBytes: 64 << 20, FetchDelay: 30 * Millisecond, FetchRetry: 300 * Millisecond,
		FetchWindow: 256, CatchUpLag: 32, MaxUnapplied: 256,
		BusyFloor: 1 * Millisecond, BusyRequests: 4, MaxFloor: 20 * Millisecond, FullPayload: 512 << 10,
	}
}

// Rules plants bugs: each field breaks one rule of the engine, so that a test
// can show that its harness would notice. The zero value is the protocol.
type Rules struct {
	QuorumOffByOne       bool // certificates and skips need one vote less
	CountVotesPerBlock   bool // an equivocator's variants count each
	SendBeforeSync       bool // own blocks are sent before they are durable
	GCByLocalState       bool // what a commit contains depends on the local DAG's height
	NoWaitForVotes       bool // propose without waiting for votes that may still come
	NeverWaitForSuspects bool // who was late once is left behind for good
	NoRetransmission     bool // nothing is ever sent twice
	MedianOverAll        bool // the time of a commit is the median over all parents
	EmitPastWindowEnd    bool // tentative decisions survive a change of leaders
	SkipIndirect         bool // an undecided slot is skipped at the first committed anchor
	AcceptAnyChain       bool // catch-up believes commits without votes
	KeepEvidence         bool // evidence is passed on to nobody
}

// Config is what an engine needs to know of its member.
type Config struct {
	Self   PublicKey
	Sign   Signer
	Verify Verifier
	Limits Limits
	Trust  Trust
	Rules  Rules
}

// Recovered is what the runtime found on disk.
type Recovered struct {
	// Genesis is the committee of epoch 0.
	Genesis *Committee
	// Handover is the newest stored hand-over; nil in the first epoch.
	Handover *Handover
	// Last is the newest stored commit, nil if there is none.
	Last *CommitRecord
	// Commits are the stored commits of the newest epoch whose leaders lie
	// above the garbage collection round of Last, oldest first.
	Commits []*Commit
	// Blocks are the stored blocks of the newest epoch above that round, in
	// order of rounds.
	Blocks []*Head
	// Own is the newest own block of that epoch, whatever its round.
	Own *Block
	// Rejoin says that own blocks may be missing from the disk: it was lost,
	// or restored from a copy. The engine then proposes nothing until no epoch
	// in which it may have signed can still be running. Nonce is random.
	Rejoin bool
	Nonce  uint64
	// ProposeFrom is the newest stored Persist.ProposeFrom.
	ProposeFrom Epoch
	// Previous is the committee of the epoch before, nil in the first one or if
	// it is not known. Evidence is the stored evidence of both epochs.
	Previous *Committee
	Evidence []*Evidence
	// TrustPassed says that the stored chain of hand-overs contains the one
	// that Config.Trust names.
	TrustPassed bool
}

// Committee returns the committee of the newest epoch.
func (r *Recovered) Committee() *Committee {
	if r.Handover != nil {
		return r.Handover.Next()
	}
	return r.Genesis
}

// Engine is one member's part in ordering. It is a value without concurrency:
// its owner calls Step from one goroutine.
type Engine struct {
	self   PublicKey
	sign   Signer
	verify Verifier
	limits Limits
	rules  Rules

	// The running step.
	now     Clock
	out     []Effect
	persist Persist
	seq     uint64
	wake    Time // when the runtime was asked to tick, 0: not at all

	// The epoch.
	committee *Committee
	previous  *Committee // of the epoch before, nil if not in memory
	me        Author
	member    bool
	dag       dag
	schedule  Schedule
	slots     []slot // decisions of the rounds from schedule.Round+1 on
	ended     bool   // the end commit of the epoch is out
	handover  handoverState

	// The chain of commits.
	last       Vote        // newest commit
	applied    CommitIndex // newest commit applied by the application
	durable    Vote        // newest commit known to be on disk
	unsynced   []unsyncedCommit
	lastCommit Time // when the newest commit was decided, on the Mono clock

	waiting  waiting
	propose  proposing
	catchUp  catchUp
	rejoin   rejoin
	proofs   proofs
	suspects []bool      // members that rounds no longer wait for, by author
	links    []PublicKey // peers whose link is up
	cut      []PublicKey // peers whose link broke and is not up again
	drift    []Time      // see Progress
	votes    [][]*Head   // per author, newest heads by commit vote, ascending
	halted   bool

	// Where the newest commit is older than keys are trusted: see Trust.
	trust        Trust
	distrusting  bool
	trustPassed  bool // the own chain contains the trusted hand-over
	trustAskedAt Time
	trustAsks    int
}

type unsyncedCommit struct {
	seq  uint64
	vote Vote
}

// Step feeds one input to the engine and returns what has to be done. The
// returned slice is the caller's.
func (e *Engine) Step(now Clock, in Input) []Effect {
	e.begin(now)
	if !e.halted && e.heeds(in) {
		e.handle(in)
		e.advance()
	}
	return e.finish()
}

func (e *Engine) begin(now Clock) {
	if now.Mono < e.now.Mono {
		now.Mono = e.now.Mono
	}
	e.now = now
	e.out = nil
	e.persist = Persist{Seq: e.seq + 1}
}

func (e *Engine) handle(in Input) {
	switch in := in.(type) {
	case Tick:
		e.wake = 0
	case BlockArrived:
		e.receive(in.From, in.Block)
	case MessageArrived:
		e.message(in.From, in.Message)
	case RequestsQueued:
		e.propose.queued = in
	case PayloadReady:
		e.payloadReady(in)
	case Persisted:
		e.persisted(in.Seq)
	case Applied:
		e.applied = max(e.applied, in.Index)
	case EpochEnded:
		e.applied = max(e.applied, in.Index)
		e.epochEnded(in)
	case PeerUp:
		e.peerUp(in.Peer)
	case PeerDown:
		e.peerDown(in.Peer)
	case SnapshotUnavailable:
		e.snapshotUnavailable(in.Handover)
	case SnapshotInstalled:
		e.snapshotInstalled(in.Handover)
	}
}

func (e *Engine) message(from PublicKey, m Message) {
	switch m := m.(type) {
	case *BlockRequest, *DAGRequest, *HandoverRequest:
		e.emit(Serve{To: from, Request: m})
	case *ChainRequest:
		e.emit(Serve{To: from, Request: m, Votes: e.provingVotes()})
	case *DAGEnd:
		e.dagEnd(from, m)
	case *ChainResponse:
		e.chainResponse(from, m)
	case *HandoverVote:
		e.handoverVote(from, m)
	case *HandoverMessage:
		e.handoversArrived(from, m.Handovers)
	case *Status:
		e.status(from, m)
	case *UnverifiedEvidenceMessage:
		e.evidenceArrived(from, &m.Evidence)
	case *RejoinQuery:
		e.send(from, &RejoinAnswer{Nonce: m.Nonce, Epoch: e.committee.Epoch})
	case *RejoinAnswer:
		e.rejoinAnswer(from, m)
	}
}

// advance does everything that has become possible. The order matters only for
// speed: each part looks at the state, not at the input.
func (e *Engine) advance() {
	if e.distrusting {
		e.pumpTrust()
		return
	}
	for more := true; more && !e.halted; {
		e.adopt()
		e.decide()
		e.finishEpoch()
		more = e.tryPropose()
	}
	e.pumpCatchUp()
	e.pumpFetches()
	e.pumpHandover()
	e.pumpRejoin()
	e.retransmit()
}

// finish puts the records of the step before the effects that wait for them.
func (e *Engine) finish() []Effect {
	p := e.persist
	if len(p.Blocks)+len(p.Commits)+len(p.Handovers)+len(p.Evidence) > 0 || p.ProposeFrom != nil {
		e.seq = p.Seq
		e.out = slices.Insert(e.out, 0, Effect(p))
	}
	out := e.out
	e.out, e.persist = nil, Persist{}
	return out
}

func (e *Engine) emit(f Effect) { e.out = append(e.out, f) }

func (e *Engine) report(ev Event) { e.emit(Report{Event: ev}) }

func (e *Engine) halt(reason string) {
	if !e.halted {
		e.halted = true
		e.emit(Halt{Reason: reason})
	}
}

// send sends a message that depends on nothing stored to one peer.
func (e *Engine) send(to PublicKey, m Message) {
	if to != e.self {
		e.emit(Send{To: []PublicKey{to}, Message: m})
	}
}

// broadcast sends to all other members.
func (e *Engine) broadcast(m Message, after uint64) {
	to := make([]PublicKey, 0, len(e.committee.Members))
	for _, k := range e.committee.Members {
		if k != e.self {
			to = append(to, k)
		}
	}
	if len(to) > 0 {
		e.emit(Send{To: to, Message: m, After: after})
	}
}

// tickAt asks for a Tick at or soon after a time on the Mono clock.
func (e *Engine) tickAt(at Time) {
	at = max(at, e.now.Mono+1)
	if e.wake == 0 || at < e.wake || e.wake <= e.now.Mono {
		e.wake = at
		e.emit(SetTimer{At: at})
	}
}

func (e *Engine) persisted(seq uint64) {
	for len(e.unsynced) > 0 && e.unsynced[0].seq <= seq {
		e.durable = e.unsynced[0].vote
		e.unsynced = e.unsynced[1:]
	}
}

func (e *Engine) peerUp(peer PublicKey) {
	if !slices.Contains(e.links, peer) {
		e.links = append(e.links, peer)
	}
	e.cut = slices.DeleteFunc(e.cut, func(k PublicKey) bool { return k == peer })
	e.send(peer, e.ownStatus())
	if own := e.propose.own; own != nil && e.member {
		e.emit(Send{To: []PublicKey{peer}, Message: &BlockMessage{Block: own}, After: e.propose.ownSeq})
	}
	if v := e.handover.own; v != nil {
		e.send(peer, v)
	}
	e.tellAll([]PublicKey{peer})
}

// peerDown saves the timeout that a dead leader would cost. The member is
// waited for again once its link is back and one of its blocks arrives in time:
// its last blocks may still come after the news of its end.
func (e *Engine) peerDown(peer PublicKey) {
	e.links = slices.DeleteFunc(e.links, func(k PublicKey) bool { return k == peer })
	if a, ok := e.committee.Author(peer); ok {
		e.suspects[a] = true
		if !slices.Contains(e.cut, peer) {
			e.cut = append(e.cut, peer)
		}
	}
	e.catchUp.lost(peer)
	e.proofs.lost(peer)
	e.askOthers(peer)
}

func (e *Engine) ownStatus() *Status {
	return &Status{Epoch: e.committee.Epoch, Round: e.dag.complete, Commit: e.last.Index}
}

// Snapshot of an engine's state for status pages, metrics and checks.
type Progress struct {
	Epoch    Epoch
	Round    Round // newest round with a quorum of blocks
	Own      Round // newest round in which this member proposed
	GCRound  Round
	Leader   Round // round of the newest committed leader
	Commit   CommitIndex
	Applied  CommitIndex
	Digest   Digest
	LastTime Time
	Member   bool
	// Proposing is false while this member may not propose.
	Proposing bool
	Ended     bool // the epoch is over, its hand-over not yet complete
	// Distrusting is set while a member looks for the hand-over that its
	// operator trusts: see Trust.
	Distrusting bool
	// Ignored is set when others order and own blocks are not among what they
	// order: they hold this member for faulty, or do not hear it.
	Ignored   bool
	CatchUp   bool
	Demoted   []Author
	Suspected []Author
	// Newest is the timestamp of each member's newest block, 0 if unknown.
	Newest []Time
	// NewestRound is the round of each member's newest block.
	NewestRound []Round
	// Drift is, of each member, the timestamp of its newest block minus this
	// member's clock when the block was accepted.
	Drift []Time
	// Blocks, Waiting and WaitingBytes measure memory.
	Blocks, Waiting, WaitingBytes int
	// Claimed is the highest commit that this member has, or that any one peer
	// says it has, which may lie.
	Claimed CommitIndex
	// Behind is how many commits honest members are ahead, BehindEpochs how
	// many epochs, as far as Known: as soon as enough members have told.
	Behind       CommitIndex
	BehindEpochs Epoch
	Known        bool
}

// Progress returns the engine's state.
func (e *Engine) Progress() Progress {
	p := Progress{
		Epoch: e.committee.Epoch, Round: e.dag.complete, Own: e.propose.round, GCRound: e.dag.gc,
		Leader: e.schedule.Round, Applied: e.applied, Drift: slices.Clone(e.drift), Commit: e.last.Index, Digest: e.last.Digest, LastTime: e.schedule.LastTime, Member: e.member,
		Proposing: e.mayPropose(), Ended: e.ended, Distrusting: e.distrusting, CatchUp: e.catchUp.active, Demoted: e.schedule.DemotedMembers(),
		Blocks: e.dag.size, Waiting: len(e.waiting.blocks), WaitingBytes: e.waiting.bytes,
	}
	for a, v := range e.dag.newest {
		var t Time
		var r Round
		if v != nil {
			t, r = v.head.Timestamp, v.head.Round
		}
		p.Newest = append(p.Newest, t)
		p.NewestRound = append(p.NewestRound, r)
		if e.suspects[a] {
			p.Suspected = append(p.Suspected, Author(a))
		}
	}
	p.Ignored = p.Proposing && e.now.Mono-max(e.propose.since, e.propose.orderedAt) > ignoredAfter && !e.stalled()
	commit, epoch, known := e.credible()
	p.Claimed = max(e.catchUp.best(), e.last.Index)
	p.Behind, p.BehindEpochs, p.Known = max(commit, e.last.Index)-e.last.Index, max(epoch, e.committee.Epoch)-e.committee.Epoch, known
	return p
}

// ignoredAfter is how long none of a member's blocks may be ordered, while
// others' are, before it calls itself ignored: many idle rounds.
const ignoredAfter = 10 * Second

// Committee returns the committee of the current epoch.
func (e *Engine) Committee() *Committee { return e.committee }
