package bft

import "slices"

// waiting holds blocks that wait for ancestors, and the ancestors that are
// wanted. Both are bounded: by a window of rounds, by one directly received
// block per author and round, and by bytes.
type waiting struct {
	blocks []*waiter
	byRef  map[Ref]*waiter
	wanted []*want
	wants  map[Ref]*want
	bytes  int
}

// waiter is a verified block some of whose parents are not accepted yet.
type waiter struct {
	block   *Block
	from    PublicKey
	missing []*want
}

// size is about the memory that a waiter takes with the blocks that it wants;
// a block without payload is not free.
func (w *waiter) size() int { return 256 + 4*refSize*len(w.block.Parents) + len(w.block.Payload) }

// want is a block that is needed and not here. It may be waiting itself, in
// which case only its own ancestors are asked for.
type want struct {
	ref        Ref
	dependents []*waiter
	// certified: the block belongs to a certified commit.
	certified bool
	from      PublicKey // who sent a block that needs it
	since     Time
	askAt     Time
	asked     PublicKey // who was asked last
	attempts  int
}

func newWaiting() waiting {
	return waiting{byRef: map[Ref]*waiter{}, wants: map[Ref]*want{}}
}

// receive takes in a verified block of this epoch.
func (e *Engine) receive(from PublicKey, b *Block) {
	ref := b.Ref()
	if b.Epoch != e.committee.Epoch || e.dag.has(ref) || e.waiting.byRef[ref] != nil {
		return
	}
	e.noteVote(from, b.Head)
	wanted := e.waiting.wants[ref] != nil
	if b.Author == e.me && e.member && b.Round > 0 && !e.rejoin.active {
		e.foreignOwnBlock(b)
	}
	if !wanted {
		if e.dag.shunned[b.Author] {
			return // only where others built on it
		}
		if other := e.directlyHeld(b.Author, b.Round); other != nil {
			e.equivocation(other, b.Head)
			return
		}
		if b.Round > e.dag.complete+e.limits.Window {
			e.lagging(from, b.Round)
			return
		}
	}
	if b.Round > e.dag.complete+dagRequestGap {
		e.lagging(from, b.Round)
	}
	missing := e.missingParents(b.Head)
	if len(missing) == 0 {
		e.accept(b, from)
		return
	}
	e.wait(b, from, missing)
}

// foreignOwnBlock reacts to a block that this member signed and does not have:
// its disk is not what it was. Going on could mean two blocks for a round.
func (e *Engine) foreignOwnBlock(b *Block) {
	if e.propose.stopped || e.committee.Epoch < e.propose.from {
		return // it signs nothing anyway, and knows why
	}
	e.propose.stopped = true
	e.report(Event{Kind: EventProposingStopped, Member: e.self, Round: b.Round,
		Text: "a block signed with this member's key is not on its disk: the disk was lost or is an old copy, or the key is used twice; this member proposes nothing more in this epoch"})
}

// directlyHeld returns the block of an author and round that is held because
// its sender pushed it, not because another block builds on it.
func (e *Engine) directlyHeld(a Author, r Round) *Head {
	if l := e.dag.layer(r); l != nil && l.first[a] != nil {
		return l.first[a].head
	}
	for _, w := range e.waiting.blocks {
		if w.block.Author == a && w.block.Round == r {
			return w.block.Head
		}
	}
	return nil
}

func (e *Engine) missingParents(h *Head) (missing []Ref) {
	for _, p := range h.Parents {
		if p.Round > 0 && !e.dag.has(p) {
			missing = append(missing, p)
		}
	}
	return missing
}

func (e *Engine) wait(b *Block, from PublicKey, missing []Ref) {
	w := &waiter{block: b, from: from}
	e.waiting.blocks = append(e.waiting.blocks, w)
	e.waiting.byRef[b.Ref()] = w
	e.waiting.bytes += w.size()
	for _, ref := range missing {
		t := e.want(ref, from, false)
		t.dependents = append(t.dependents, w)
		w.missing = append(w.missing, t)
	}
	for e.waiting.bytes > e.limits.WaitingBytes && e.evict() {
	}
}

// want notes that a block is needed.
func (e *Engine) want(ref Ref, from PublicKey, certified bool) *want {
	t := e.waiting.wants[ref]
	if t == nil {
		t = &want{ref: ref, from: from, since: e.now.Mono, askAt: e.now.Mono + e.fetchDelay(ref)}
		e.waiting.wants[ref] = t
		e.waiting.wanted = append(e.waiting.wanted, t)
	}
	if certified && !t.certified {
		t.certified, t.askAt = true, e.now.Mono
	}
	return t
}

// fetchDelay gives a block that its author is probably still sending the time
// to arrive; fetching it from another peer would send large payloads twice. It
// follows the length of rounds, within bounds, because a fetch makes its round
// longer. Another variant of an author's block is never sent by the author.
func (e *Engine) fetchDelay(ref Ref) Time {
	if e.suspects[ref.Author] || e.dag.shunned[ref.Author] || e.directlyHeld(ref.Author, ref.Round) != nil {
		return 0
	}
	return max(e.limits.FetchDelay, min(2*e.propose.roundTime, e.committee.Params.LeaderTimeout/4))
}

// evict drops a waiting block that no other waits for and no commit needs: of
// the author whose blocks take the most memory the one of the highest round, so
// that who builds on nothing pushes out nobody else's. It can be fetched again.
func (e *Engine) evict() bool {
	taken := make([]int, e.committee.Size())
	newest := make([]*waiter, e.committee.Size()) // that may be dropped, by author
	for _, w := range e.waiting.blocks {
		a := w.block.Author
		taken[a] += w.size()
		if e.waiting.wants[w.block.Ref()] == nil && (newest[a] == nil || newest[a].block.Round < w.block.Round) {
			newest[a] = w
		}
	}
	var worst *waiter
	for a, w := range newest {
		if w != nil && (worst == nil || taken[a] > taken[worst.block.Author]) {
			worst = w
		}
	}
	if worst == nil {
		return false
	}
	e.forgetWaiter(worst)
	e.report(Event{Kind: EventEvicted, Member: e.committee.Members[worst.block.Author], Round: worst.block.Round})
	return true
}

func (e *Engine) forgetWaiter(w *waiter) {
	e.waiting.blocks = slices.DeleteFunc(e.waiting.blocks, func(o *waiter) bool { return o == w })
	delete(e.waiting.byRef, w.block.Ref())
	e.waiting.bytes -= w.size()
	for _, t := range w.missing {
		t.dependents = slices.DeleteFunc(t.dependents, func(o *waiter) bool { return o == w })
		if len(t.dependents) == 0 && !t.certified {
			e.forgetWant(t)
		}
	}
}

func (e *Engine) forgetWant(t *want) {
	delete(e.waiting.wants, t.ref)
	e.waiting.wanted = slices.DeleteFunc(e.waiting.wanted, func(o *want) bool { return o == t })
}

// accept takes a block into the DAG, and then every block that waited only for
// it.
func (e *Engine) accept(b *Block, from PublicKey) {
	ready := []*Block{b}
	for len(ready) > 0 {
		b := ready[0]
		ready = ready[1:]
		if e.dag.has(b.Ref()) {
			continue
		}
		e.take(b)
		ready = append(ready, e.satisfied(b.Ref())...)
	}
}

// satisfied resolves the want for a block and returns the blocks that waited
// for nothing else.
func (e *Engine) satisfied(ref Ref) (ready []*Block) {
	t := e.waiting.wants[ref]
	if t == nil {
		return nil
	}
	e.forgetWant(t)
	for _, w := range t.dependents {
		w.missing = slices.DeleteFunc(w.missing, func(o *want) bool { return o == t })
		if len(w.missing) == 0 {
			e.forgetWaiter(w)
			ready = append(ready, w.block)
		}
	}
	return ready
}

// take enters one block whose parents are all accepted.
func (e *Engine) take(b *Block) {
	v, earlier := e.dag.insert(b.Head)
	e.persist.Blocks = append(e.persist.Blocks, b)
	if earlier != nil {
		e.equivocation(earlier.head, b.Head)
	}
	e.drift[b.Author] = b.Timestamp - e.now.Wall
	e.checkTime(v)
	e.entered(v)
}

// entered updates what the engine derives from an accepted block, arrived or
// recovered.
func (e *Engine) entered(v *vertex) {
	h := v.head
	if h.Requests > 0 && v.commit == 0 {
		e.propose.pendingPayloads++
	}
	if h.Round+1 >= e.dag.complete && !slices.Contains(e.cut, e.committee.Members[h.Author]) {
		e.suspects[h.Author] = false
	}
	e.rememberVote(h)
	if own := e.propose.own; own != nil && h.Author != e.me && slices.Contains(h.Parents, own.Ref()) {
		e.propose.builtOn[h.Author] = true
	}
	e.propose.entered(e, h)
}

func (e *Engine) equivocation(first, other *Head) {
	if first.digest != other.digest {
		e.evidence(Equivocation, first, other)
	}
}

// evidence records the first proof against a member in an epoch; a second one
// would prove nothing new.
func (e *Engine) evidence(kind EvidenceKind, first, other *Head) {
	if e.dag.shunned[other.Author] || other.Author == e.me && e.member {
		return
	}
	v := &Evidence{Kind: kind, Epoch: e.committee.Epoch, First: first, Other: other, Member: e.committee.Members[other.Author]}
	if e.proofs.find(v.Member, v.Epoch) != nil {
		e.dag.shun(other.Author)
		return
	}
	e.accuse(v, e.self, kind.String()+": "+first.Ref().String()+" and "+other.Ref().String())
}

// collectGarbage forgets blocks that can be committed no more. Requests of own
// ones go back to the queue; ancestors that were wanted count as accepted.
func (e *Engine) collectGarbage(to Round) {
	if to <= e.dag.gc {
		return
	}
	var own []Ref
	e.dag.collect(to, func(v *vertex) {
		if v.commit == 0 && v.head.Requests > 0 {
			e.propose.pendingPayloads--
			if e.member && v.head.Author == e.me {
				own = append(own, v.head.Ref())
			}
		}
	})
	for _, ref := range slices.Backward(own) {
		e.emit(Requeue{Block: ref})
	}
	e.emit(Forget{Epoch: e.committee.Epoch, Round: to})
	e.releaseBelow(to)
}

func (e *Engine) releaseBelow(gc Round) {
	for _, w := range slices.Clone(e.waiting.blocks) {
		if w.block.Round <= gc {
			e.forgetWaiter(w)
		}
	}
	for _, t := range slices.Clone(e.waiting.wanted) {
		if t.ref.Round <= gc && e.waiting.wants[t.ref] == t {
			for _, b := range e.satisfied(t.ref) {
				e.accept(b, e.self)
			}
		}
	}
}

// pumpFetches asks for what is missing: first whoever sent the block that
// needs it, then the others in turn.
func (e *Engine) pumpFetches() {
	if len(e.waiting.wanted) == 0 {
		return
	}
	var asks []ask
	var next Time
	if slices.ContainsFunc(e.waiting.wanted, func(t *want) bool { return t.certified && t.attempts >= abandonAfter }) {
		e.abandonChain()
	}
	holders := e.holders()
	for _, t := range e.waiting.wanted {
		if e.waiting.byRef[t.ref] != nil {
			continue // here, waiting for ancestors of its own
		}
		if t.askAt > e.now.Mono {
			if next == 0 || t.askAt < next {
				next = t.askAt
			}
			continue
		}
		if t.certified && t.attempts > 0 && !slices.Contains(e.catchUp.barren, t.asked) && len(holders) > 1 {
			e.catchUp.barren = append(e.catchUp.barren, t.asked)
			holders = e.holders()
		}
		peer, ok := e.source(t, holders)
		if !ok {
			continue
		}
		t.attempts++
		t.asked = peer
		t.askAt = e.now.Mono + e.limits.FetchRetry*Time(min(t.attempts, 8))
		if next == 0 || t.askAt < next {
			next = t.askAt
		}
		asks = addAsk(asks, peer, t.ref)
	}
	for _, a := range asks {
		e.send(a.peer, &BlockRequest{Epoch: e.committee.Epoch, Refs: a.refs})
		e.report(Event{Kind: EventFetch, Member: a.peer, Count: len(a.refs)})
	}
	if next != 0 {
		e.tickAt(next)
	}
}

// askOthers lets what was asked of a peer be asked of others at once.
func (e *Engine) askOthers(lost PublicKey) {
	for _, t := range e.waiting.wanted {
		if t.asked == lost && t.attempts > 0 {
			t.askAt = e.now.Mono
		}
	}
}

type ask struct {
	peer PublicKey
	refs []Ref
}

func addAsk(asks []ask, peer PublicKey, ref Ref) []ask {
	for i := range asks {
		if asks[i].peer == peer && len(asks[i].refs) < MaxRefs {
			asks[i].refs = append(asks[i].refs, ref)
			return asks
		}
	}
	return append(asks, ask{peer: peer, refs: []Ref{ref}})
}

// source picks whom to ask for a block.
func (e *Engine) source(t *want, holders []PublicKey) (PublicKey, bool) {
	if t.attempts == 0 && !t.certified && t.from != e.self {
		return t.from, true
	}
	peers := e.links
	if t.certified {
		peers = holders
	}
	if len(peers) == 0 {
		peers = e.committee.Members
	}
	// Spread certified fetches over all peers, retries over the others.
	start := t.attempts + int(t.ref.Round) + int(t.ref.Author)
	for i := range peers {
		if p := peers[(start+i)%len(peers)]; p != e.self {
			return p, true
		}
	}
	return PublicKey{}, false
}
