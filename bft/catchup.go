package bft

import (
	"errors"
	"fmt"
	"slices"
)

// catchUp brings a member that is behind to where the others are. Three ways,
// by how far behind it is:
//
//   - a few rounds: it asks one peer for all accepted blocks above its last
//     committed leader (DAGRequest) and decides for itself;
//   - more: it asks for the chain of commits with a proof (ChainRequest),
//     fetches their blocks from all peers in parallel, and adopts them;
//   - beyond what peers keep: it follows the hand-overs to the newest one and
//     installs the application's state as of then (InstallSnapshot).
//
// No answer is believed: commits are certified by votes of f+1 members or by a
// hand-over, blocks by their digests, hand-overs by the committee before.
type catchUp struct {
	// claims are how far peers say they are. Claims decide only whom to ask.
	claims []claim
	active bool

	// chain are certified commits that follow the newest one; pending are
	// those that an answer brought and no proof covers yet, with their source.
	chain    []*Commit
	pending  []*Commit
	from     PublicKey
	asked    PublicKey // outstanding ChainRequest, zero if none
	askedAt  Time
	strikes  int
	fetching int // commits of chain whose blocks were asked for

	// dagAsked is the peer of an outstanding DAGRequest.
	dagAsked   PublicKey
	dagAskedAt Time
	dagThrough Round
	statusAt   Time
	barren     []PublicKey // peers that did not have a certified block when asked
	trail
}

type claim struct {
	peer   PublicKey
	epoch  Epoch
	commit CommitIndex
}

const (
	// dagRequestGap is how many rounds above the newest complete one a block
	// may lie before all blocks in between are asked for at once.
	dagRequestGap = 3
	// answerTimeout is how long a peer has to answer a catch-up request.
	answerTimeout = 2 * Second
	// maxPending bounds certified and uncertified commits kept in memory.
	maxPending = 16 * MaxChain
	// maxPendingBytes bounds the uncertified ones.
	maxPendingBytes = 64 << 20
	// maxClaims bounds the peers whose progress is remembered.
	maxClaims = 2 * MaxMembers
	// voteHistory bounds the heads kept per member to prove commits with.
	voteHistory = 32
)

func (c *catchUp) claim(peer PublicKey, epoch Epoch, commit CommitIndex) {
	for i := range c.claims {
		if k := &c.claims[i]; k.peer == peer {
			k.epoch, k.commit = max(k.epoch, epoch), max(k.commit, commit)
			return
		}
	}
	if len(c.claims) < maxClaims {
		c.claims = append(c.claims, claim{peer: peer, epoch: epoch, commit: commit})
	}
}

// best is the highest commit that any peer claims.
func (c *catchUp) best() (best CommitIndex) {
	for _, k := range c.claims {
		best = max(best, k.commit)
	}
	return best
}

// credible is the highest commit, and the latest epoch, that at least one
// honest member claims: what f+1 members reach. A liar cannot move either.
// Known is false while too few members have said anything.
func (e *Engine) credible() (commit CommitIndex, epoch Epoch, known bool) {
	var commits []CommitIndex
	var epochs []Epoch
	for _, k := range e.catchUp.claims {
		if _, ok := e.committee.Author(k.peer); ok && k.peer != e.self {
			commits = append(commits, k.commit)
			epochs = append(epochs, k.epoch)
		}
	}
	w := e.committee.Witness()
	if len(commits) < w {
		return 0, 0, e.committee.Size() == 1 && e.member
	}
	slices.Sort(commits)
	slices.Sort(epochs)
	return commits[len(commits)-w], epochs[len(epochs)-w], true
}

// tooFarBehind reports that deciding from the DAG is no longer the way.
func (e *Engine) tooFarBehind() bool {
	commit, epoch, _ := e.credible()
	return commit > e.last.Index+e.limits.CatchUpLag || epoch > e.committee.Epoch
}

// exhausted notes that a peer has nothing from a commit on.
func (c *catchUp) exhausted(peer PublicKey, from CommitIndex) {
	for i := range c.claims {
		if c.claims[i].peer == peer {
			c.claims[i].commit = min(c.claims[i].commit, from-1)
		}
	}
}

// lost forgets a peer and whatever was asked of it.
func (c *catchUp) lost(peer PublicKey) {
	c.claims = slices.DeleteFunc(c.claims, func(k claim) bool { return k.peer == peer })
	if c.asked == peer {
		c.asked = PublicKey{}
	}
	if c.dagAsked == peer {
		c.dagAsked = PublicKey{}
	}
	if c.from == peer {
		c.pending, c.from = nil, PublicKey{}
	}
}

// next is the certified commit that follows the newest one.
func (c *catchUp) next() *Commit {
	if len(c.chain) == 0 {
		return nil
	}
	return c.chain[0]
}

// committed drops what is now behind.
func (c *catchUp) committed(k *Commit) {
	if len(c.chain) > 0 && c.chain[0].Index == k.Index {
		c.chain = c.chain[1:]
		c.fetching = max(0, c.fetching-1)
	}
	for len(c.pending) > 0 && c.pending[0].Index <= k.Index {
		c.pending = c.pending[1:]
	}
}

func (c *catchUp) epochStarted() {
	c.chain, c.pending, c.fetching = nil, nil, 0
	c.asked, c.dagAsked, c.dagThrough = PublicKey{}, PublicKey{}, 0
	c.installing, c.snapshotDue, c.barren = nil, false, nil
}

// noteVote learns from a block's vote how far its author is.
func (e *Engine) noteVote(from PublicKey, h *Head) {
	if k := e.committee.Members[h.Author]; k != e.self {
		e.catchUp.claim(k, h.Epoch, h.Vote.Index)
	}
}

// rememberVote keeps the heads with which this member can prove commits.
func (e *Engine) rememberVote(h *Head) {
	l := e.votes[h.Author]
	if h.Vote.Index == 0 || len(l) > 0 && l[len(l)-1].Vote.Index >= h.Vote.Index {
		return
	}
	l = append(l, h)
	if len(l) > voteHistory {
		l = l[1:]
	}
	e.votes[h.Author] = l
}

// trimVotes keeps, of each member, the newest vote that the newest commit
// covers and those above it.
func (e *Engine) trimVotes() {
	for a, l := range e.votes {
		for len(l) > 1 && l[1].Vote.Index <= e.last.Index {
			l = l[1:]
		}
		e.votes[a] = l
	}
}

// provingVotes returns a vote of each member that lies on the chain this
// member holds.
func (e *Engine) provingVotes() (votes []*UnverifiedBlock) {
	for _, l := range e.votes {
		if len(l) > 0 && l[0].Vote.Index <= e.last.Index {
			votes = append(votes, &UnverifiedBlock{Header: l[0].Header, Signature: l[0].Signature})
		}
	}
	return votes
}

// status notes how far a peer is, and tells it if this member is further.
func (e *Engine) status(from PublicKey, s *Status) {
	e.catchUp.claim(from, s.Epoch, s.Commit)
	if s.Epoch < e.committee.Epoch || s.Commit < e.last.Index {
		e.send(from, e.ownStatus())
	}
	if s.Epoch == e.committee.Epoch && s.Round > e.dag.complete+dagRequestGap {
		e.lagging(from, s.Round)
	}
}

// lagging asks a peer that has blocks of a much later round for all of those
// in between.
func (e *Engine) lagging(from PublicKey, r Round) {
	c := &e.catchUp
	asking := c.dagAsked != (PublicKey{}) && e.now.Mono-c.dagAskedAt < answerTimeout
	commit, _, _ := e.credible()
	if asking || from == e.self || len(c.chain) > 0 || c.asked != (PublicKey{}) && commit > e.last.Index {
		return
	}
	if e.tooFarBehind() {
		return // too far behind: by certified commits
	}
	c.dagAsked, c.dagAskedAt = from, e.now.Mono
	above := max(e.schedule.Round, c.dagThrough)
	if above > e.dag.complete {
		above = e.schedule.Round
	}
	c.dagThrough = above
	e.send(from, &DAGRequest{Epoch: e.committee.Epoch, Above: above})
	e.report(Event{Kind: EventFetch, Member: from, Round: r, Count: int(r - above)})
}

func (e *Engine) dagEnd(from PublicKey, m *DAGEnd) {
	c := &e.catchUp
	if m.Epoch != e.committee.Epoch || from != c.dagAsked {
		return
	}
	c.dagAsked = PublicKey{}
	if m.More && m.Through > c.dagThrough {
		c.dagThrough = m.Through
		e.lagging(from, m.Through+1)
	}
}

// pumpCatchUp decides whether this member is behind, and whom to ask next.
func (e *Engine) pumpCatchUp() {
	c := &e.catchUp
	if c.installing != nil {
		return
	}
	behind := e.tooFarBehind() || c.best() > e.last.Index && e.stalled() || len(c.chain) > 0
	if behind != c.active {
		c.active = behind
		count := 0
		if behind {
			count = int(c.best() - e.last.Index)
		}
		e.report(Event{Kind: EventCatchUp, Count: count})
	}
	e.pumpStatus()
	if !behind {
		return
	}
	e.fetchBodies()
	if e.ended && e.handover.content == nil {
		return
	}
	if len(c.chain)+len(c.pending) >= maxPending || chainSize(c.pending) >= maxPendingBytes {
		if len(c.pending) == 0 {
			return
		}
		// So much without a proof is a lie, or at least no way forward.
		e.report(Event{Kind: EventBadAnswer, Member: c.from, Count: len(c.pending), Text: "commits without a proof"})
		c.strikes++
		c.dropPending()
		c.lost(c.from)
	}
	e.askChain()
}

// stalled reports that commits have stopped coming for longer than idle rounds
// explain.
func (e *Engine) stalled() bool {
	return e.now.Mono-e.lastCommit > 2*(e.committee.Params.IdleInterval+e.committee.Params.LeaderTimeout)
}

// pumpStatus tells the others where this member is while it makes no progress;
// those that are further answer with theirs.
func (e *Engine) pumpStatus() {
	pause := 2 * (e.committee.Params.IdleInterval + e.committee.Params.LeaderTimeout)
	at := max(e.lastCommit, e.catchUp.statusAt) + pause
	if at <= e.now.Mono {
		e.catchUp.statusAt = e.now.Mono
		e.broadcast(e.ownStatus(), 0)
		if commit, _, _ := e.credible(); commit <= e.last.Index && e.stalled() && !e.ended {
			e.askRounds()
		}
		at = e.now.Mono + pause
	}
	e.tickAt(at)
}

// askRounds asks some peer for blocks that this member may have missed while
// nobody is known to be ahead: after a partition all members can be short of
// each other's newest blocks.
func (e *Engine) askRounds() {
	if len(e.links) == 0 || e.rules.NoRetransmission {
		return
	}
	peer := e.links[int(e.now.Mono/Second)%len(e.links)]
	e.send(peer, &DAGRequest{Epoch: e.committee.Epoch, Above: e.schedule.Round})
}

// askChain asks for the commits after those already known.
func (e *Engine) askChain() {
	c := &e.catchUp
	if c.asked != (PublicKey{}) {
		at := c.askedAt + answerTimeout
		if at > e.now.Mono {
			e.tickAt(at)
			return
		}
		c.strikes++
		c.dropPending()
	}
	from := e.last.Index + CommitIndex(len(c.chain)+len(c.pending)) + 1
	peer, ok := c.ahead(from, e.committee, len(c.pending) > 0)
	proven := e.proven()
	if !ok || e.ended || proven != nil && from > proven.End {
		c.asked = PublicKey{}
		return
	}
	c.asked, c.askedAt = peer, e.now.Mono
	e.send(peer, &ChainRequest{From: from})
	e.tickAt(e.now.Mono + answerTimeout)
}

// ahead picks a peer that claims a commit; once an answer is partly here its
// source is asked for the rest.
func (c *catchUp) ahead(commit CommitIndex, committee *Committee, stay bool) (PublicKey, bool) {
	if stay {
		return c.from, true
	}
	for i := range c.claims {
		k := c.claims[(i+c.strikes)%len(c.claims)]
		if k.commit >= commit {
			return k.peer, true
		}
	}
	return PublicKey{}, false
}

func (c *catchUp) dropPending() {
	c.pending = nil
	c.asked = PublicKey{}
}

// chainResponse appends commits, and certifies as many as the proof covers.
func (e *Engine) chainResponse(from PublicKey, m *ChainResponse) {
	c := &e.catchUp
	if from != c.asked {
		return
	}
	c.asked = PublicKey{}
	if err := e.extendChain(from, m); err != nil {
		e.report(Event{Kind: EventBadAnswer, Member: from, Text: err.Error()})
		c.strikes++
		c.dropPending()
		c.lost(from)
	}
}

func (e *Engine) extendChain(from PublicKey, m *ChainResponse) error {
	if e.checkTrust(); e.halted || e.distrusting {
		return nil
	}
	c := &e.catchUp
	expected := e.last.Index + CommitIndex(len(c.chain)+len(c.pending)) + 1
	if m.Lowest > expected {
		c.snapshotDue = true
		c.exhausted(from, expected)
		c.strikes++
		e.send(from, &HandoverRequest{From: e.committee.Epoch})
		return nil
	}
	tail := e.chainTail()
	var added []*Commit
	for _, k := range m.Commits {
		if k.Index <= tail.Index {
			continue // decided here meanwhile
		}
		if k.Index != tail.Index+1 || k.Previous != tail.Digest || k.Epoch != e.committee.Epoch {
			return fmt.Errorf("commit %d does not continue the chain at %d", k.Index, tail.Index)
		}
		added = append(added, k)
		tail = Vote{Index: k.Index, Digest: k.digest}
	}
	c.from, c.pending = from, append(c.pending, added...)
	certified, err := e.certify(m, tail)
	if err != nil {
		return err
	}
	c.promote(certified)
	if certified < expected && !fullAnswer(added) {
		// The sender has no more, and what is pending cannot be proven yet:
		// votes for the newest commits are still to come. The rest is decided
		// from the DAG, or somebody else has it.
		c.exhausted(from, expected)
		c.strikes++
		c.dropPending()
	}
	return nil
}

// promote takes the pending commits up to a certified one into the chain.
func (c *catchUp) promote(certified CommitIndex) {
	for len(c.pending) > 0 && c.pending[0].Index <= certified {
		c.chain = append(c.chain, c.pending[0])
		c.pending = c.pending[1:]
	}
}

// chainTail is the newest commit known, certified or not.
func (e *Engine) chainTail() Vote {
	c := &e.catchUp
	switch {
	case len(c.pending) > 0:
		k := c.pending[len(c.pending)-1]
		return Vote{Index: k.Index, Digest: k.digest}
	case len(c.chain) > 0:
		k := c.chain[len(c.chain)-1]
		return Vote{Index: k.Index, Digest: k.digest}
	}
	return e.last
}

// certify returns the highest commit that the proof in an answer covers: the
// end of the epoch if a hand-over is known whose end is here, otherwise the
// highest commit at or above which f+1 members vote on this chain. One of them
// is honest, and what one honest member has committed all will. To ask for a
// quorum would be to ask for too much: while a member is behind, and f others
// lie about what they committed, there are fewer than that to vote.
func (e *Engine) certify(m *ChainResponse, tail Vote) (CommitIndex, error) {
	if e.rules.AcceptAnyChain {
		return tail.Index, nil
	}
	if h := m.Handover; h != nil {
		if err := e.follow([]*Handover{h}); err != nil {
			return 0, err
		}
	}
	if h := e.proven(); h != nil && h.End <= tail.Index {
		if k, ok := e.known(h.End); !ok || k != h.EndDigest {
			return 0, fmt.Errorf("the chain does not contain the end of epoch %d at %d", h.Epoch, h.End)
		}
		return h.End, nil
	}
	var covered []CommitIndex
	seen := make([]bool, e.committee.Size())
	for _, u := range m.Votes {
		h, err := u.VerifyHead(e.committee, e.verify)
		if errors.Is(err, ErrWrongEpoch) {
			continue // the peer has moved on: the hand-over will prove the rest
		}
		if err != nil {
			return 0, err
		}
		if k, ok := e.known(h.Vote.Index); ok && k == h.Vote.Digest && !seen[h.Author] {
			seen[h.Author] = true
			covered = append(covered, h.Vote.Index)
		}
	}
	if len(covered) < e.committee.Witness() {
		return 0, nil // more of the chain may bring the votes within reach
	}
	slices.Sort(covered)
	return covered[len(covered)-e.committee.Witness()], nil
}

// known returns the digest of a commit in the chain being built.
func (e *Engine) known(i CommitIndex) (Digest, bool) {
	c := &e.catchUp
	if i == e.last.Index {
		return e.last.Digest, true
	}
	for _, l := range [][]*Commit{c.chain, c.pending} {
		if len(l) > 0 && i >= l[0].Index && i <= l[len(l)-1].Index {
			return l[i-l[0].Index].digest, true
		}
	}
	return Digest{}, false
}

// fetchBodies wants the blocks of the next certified commits, as many as the
// window and the memory for waiting blocks allow. It fills the window when half
// of it is empty, so that each peer is asked for many blocks at a time.
func (e *Engine) fetchBodies() {
	c := &e.catchUp
	open := 0 // what waiting blocks need besides must not close the window
	for _, t := range e.waiting.wanted {
		if t.certified && e.waiting.byRef[t.ref] == nil {
			open++
		}
	}
	if open > e.limits.FetchWindow/2 {
		return
	}
	for c.fetching < len(c.chain) && open < e.limits.FetchWindow && (open == 0 || e.waiting.bytes < e.limits.WaitingBytes/2) {
		for _, ref := range c.chain[c.fetching].Blocks {
			if !e.dag.has(ref) {
				e.want(ref, e.self, true)
				open++
			}
		}
		c.fetching++
	}
}

// holders are the peers to ask for blocks of the certified chain: connected, as
// far as the chain goes, and not found without such a block before. Where there
// is none, all connected peers are.
func (e *Engine) holders() []PublicKey {
	c := &e.catchUp
	if len(c.chain) == 0 {
		return e.links
	}
	var holders []PublicKey
	for _, k := range c.claims {
		if k.commit >= c.chain[0].Index && slices.Contains(e.links, k.peer) && !slices.Contains(c.barren, k.peer) {
			holders = append(holders, k.peer)
		}
	}
	if len(holders) == 0 {
		c.barren = nil
		return e.links
	}
	return holders
}

// abandonAfter is how often a block of a certified commit is asked for before
// it is taken to be kept by nobody any more.
const abandonAfter = 8

// abandonChain forgets the certified chain, whose blocks the others no longer
// keep. Asked anew, they tell what they do keep.
func (e *Engine) abandonChain() {
	c := &e.catchUp
	c.chain, c.fetching, c.barren = nil, 0, nil
	c.dropPending()
	for _, t := range slices.Clone(e.waiting.wanted) {
		t.certified = false
		if len(t.dependents) == 0 {
			e.forgetWant(t)
		}
	}
}

// adopt makes certified commits the newest ones, in order, once their blocks
// are here.
func (e *Engine) adopt() {
	for !e.ended && !e.halted && e.catchUp.installing == nil {
		k := e.catchUp.next()
		if k == nil || k.Index != e.last.Index+1 {
			return
		}
		// What lies at or below the leader's garbage collection round is in no
		// commit from here on, and nobody needs to have kept it.
		e.collectGarbage(e.gcRound(k.Leader.Round))
		for _, ref := range k.Blocks {
			if !e.dag.has(ref) {
				return
			}
		}
		e.commit(k)
		e.report(Event{Kind: EventAdopted, Count: 1})
	}
}

// certifyPending certifies commits that an earlier answer brought without a
// proof, if a hand-over covers them: nobody would be asked for them again.
func (e *Engine) certifyPending(h *Handover) {
	c := &e.catchUp
	if e.chainTail().Index < h.End || len(c.pending) == 0 {
		return
	}
	if k, ok := e.known(h.End); !ok || k != h.EndDigest {
		e.report(Event{Kind: EventBadAnswer, Member: c.from, Count: len(c.pending), Text: "commits that the hand-over contradicts"})
		c.strikes++
		c.dropPending()
		return
	}
	c.promote(h.End)
}
