package sim

import (
	"github.com/synod-network/synod/bft"
)

// checker sees everything and compares what honest members do with what was
// promised. It keeps books of its own and asks no engine what is right.
type checker struct {
	world *World
	// order is what the first honest member to deliver each commit delivered;
	// commit i is at i-1.
	order []ordered
	// placed says which commit contains a block.
	placed map[blockKey]bft.CommitIndex
	// requests are all that were handed to members.
	requests map[requestID]*tracked
	pending  int // tracked requests that are expected and not ordered
	// proposed is the one block of an honest member for a round.
	proposed map[proposal]bft.Digest
	// anchors identify the hand-over that opened each epoch.
	anchors map[bft.Epoch]bft.Digest
	// latest is the latest time that an honest member may stamp a block with:
	// the latest time of day that a clock showed, or, where clocks are behind
	// what they or the genesis said before, half of the time that passed since
	// latestAt on top of that.
	latest, latestAt bft.Time
	head             bft.CommitIndex // highest delivered
	// progress is, by member, the newest commit seen and the round in which.
	progress [maxMembers]progress
}

type progress struct {
	epoch  bft.Epoch
	commit bft.CommitIndex
	round  bft.Round
}

type ordered struct {
	digest bft.Digest
	last   bft.Time
}

type tracked struct {
	origin   int
	life     int
	at       bft.Time
	expected bool // the member is bound to get it ordered
	commit   bft.CommitIndex
}

type proposal struct {
	member int
	epoch  bft.Epoch
	round  bft.Round
}

func (c *checker) init(w *World) {
	*c = checker{
		world: w, placed: map[blockKey]bft.CommitIndex{}, requests: map[requestID]*tracked{},
		proposed: map[proposal]bft.Digest{}, anchors: map[bft.Epoch]bft.Digest{},
	}
}

// submits opens the books on a request before the member has it.
func (c *checker) submits(m *member, id requestID) {
	t := &tracked{origin: m.number, life: m.life, at: c.world.now, expected: m.liar == nil}
	c.requests[id] = t
	if t.expected {
		c.pending++
	}
}

// refused closes the books on a request that the member did not take.
func (c *checker) refused(id requestID) {
	c.release(c.requests[id])
	delete(c.requests, id)
}

// release ends the expectation that a request is ordered.
func (c *checker) release(t *tracked) {
	if t.expected && t.commit == 0 {
		c.pending--
	}
	t.expected = false
}

// stopped notices a crash: the requests that the member held in memory are
// lost, and its clients know that they do not know.
func (c *checker) stopped(m *member) {
	for _, t := range c.requests {
		if t.origin == m.number {
			c.release(t)
		}
	}
}

// leaves notices a member that is voted out: it orders nothing any more.
func (c *checker) leaves(m *member) {
	for _, t := range c.requests {
		if t.origin == m.number {
			c.release(t)
		}
	}
}

// skips notices a member that takes a snapshot in place of commits: it cannot
// know what became of the requests in its own blocks, and says so to its
// clients. Those in its queue are still to be ordered.
func (c *checker) skips(m *member) {
	queued := map[requestID]bool{}
	for _, b := range m.queue.requests {
		if r, ok := decodeRequest(b); ok {
			queued[r.id] = true
		}
	}
	for id, t := range c.requests {
		if t.origin == m.number && !queued[id] {
			c.release(t)
		}
	}
}

// halted notices a member that stopped itself. In no world of at most f liars
// has an honest member a reason to.
func (c *checker) halted(m *member, reason string) {
	if m.liar == nil {
		c.world.fail("honest member %s halts: %s", m.name, reason)
	}
}

// read notices what a clock shows.
func (c *checker) read(m *member, now bft.Clock) {
	if m.liar == nil {
		c.latest = max(c.latest+(c.world.now-c.latestAt)/2, c.world.genesis.Start, now.Wall)
		c.latestAt = c.world.now
	}
}

// accused checks that honest members are not.
func (c *checker) accused(m *member, e bft.Event) {
	who := c.world.byKey[e.Member]
	if e.Kind == bft.EventEvidence && m.liar == nil && who != nil && who.liar == nil {
		c.world.fail("honest member %s accuses honest member %s: %s", m.name, who.name, e.Text)
	}
}

// sends checks a message that an honest member lets out.
func (c *checker) sends(m *member, message bft.Message) {
	var head *bft.Header
	var ref bft.Ref
	switch b := message.(type) {
	case *bft.BlockMessage:
		head, ref = &b.Block.Header, b.Block.Ref()
	case *bft.UnverifiedBlockMessage:
		head = &b.Block.Header
		if a, ok := m.committee.Author(m.key); !ok || a != head.Author || head.Epoch != m.committee.Epoch {
			return
		}
		ref = bft.Ref{Round: head.Round, Author: head.Author, Digest: b.Block.Digest()}
	default:
		return
	}
	if head.Epoch != m.committee.Epoch {
		return
	}
	p := proposal{m.number, head.Epoch, head.Round}
	if earlier, ok := c.proposed[p]; ok && earlier != ref.Digest {
		c.world.fail("honest member %s sends two blocks for round %d of epoch %d: %s and %s", m.name, head.Round, head.Epoch, earlier, ref.Digest)
		return
	}
	c.proposed[p] = ref.Digest
	if m.disk.image.blocks[blockKey{head.Epoch, ref}] == nil && ref.Round > m.forgotten {
		c.world.fail("honest member %s sends its block %s before it is durable", m.name, ref)
	}
	for _, parent := range head.Parents {
		if parent.Round > m.forgotten && m.disk.image.blocks[blockKey{head.Epoch, parent}] == nil {
			c.world.fail("honest member %s sends its block %s before parent %s is durable", m.name, ref, parent)
		}
	}
}

// delivered checks a commit that a member hands to its application.
func (c *checker) delivered(m *member, k *bft.Commit) {
	if m.liar != nil {
		return
	}
	if k.Index != m.delivered+1 {
		c.world.fail("member %s delivers commit %d after %d", m.name, k.Index, m.delivered)
		return
	}
	m.delivered = k.Index
	if m.disk.image.commits[k.Index] == nil {
		c.world.fail("member %s applies commit %d before it is durable", m.name, k.Index)
		return
	}
	switch known := bft.CommitIndex(len(c.order)); {
	case k.Index <= known:
		if first := c.order[k.Index-1]; first.digest != k.Digest() {
			c.world.fail("fork: member %s delivers commit %d as %s (epoch %d, leader %s, %d blocks, time %d), another member as %s",
				m.name, k.Index, k.Digest(), k.Epoch, k.Leader, len(k.Blocks), k.Time, first.digest)
		}
	case k.Index > known+1:
		c.world.fail("member %s delivers commit %d, and nobody has delivered %d", m.name, k.Index, known+1)
	default:
		c.first(m, k)
	}
}

// first checks a commit that no honest member has delivered before.
func (c *checker) first(m *member, k *bft.Commit) {
	var before ordered
	if len(c.order) > 0 {
		before = c.order[len(c.order)-1]
	} else {
		before.last = c.world.genesis.Start
	}
	if k.Previous != before.digest {
		c.world.fail("commit %d by member %s does not chain to commit %d", k.Index, m.name, k.Index-1)
		return
	}
	c.time(m, k, before.last)
	count := uint32(0)
	for _, ref := range k.Blocks {
		count += c.block(m, k, ref)
	}
	if c.world.failure == nil && count != k.Requests {
		c.world.fail("commit %d says %d requests and has %d", k.Index, k.Requests, count)
	}
	c.order = append(c.order, ordered{digest: k.Digest(), last: k.LastTime()})
	c.world.report.committed(c.world, k)
}

func (c *checker) block(m *member, k *bft.Commit, ref bft.Ref) uint32 {
	key := blockKey{k.Epoch, ref}
	if at, twice := c.placed[key]; twice {
		c.world.fail("block %s of epoch %d is in commits %d and %d", ref, k.Epoch, at, k.Index)
		return 0
	}
	c.placed[key] = k.Index
	b := m.disk.block(k.Epoch, ref)
	if b == nil {
		c.world.fail("member %s delivers commit %d with block %s, which it has not stored", m.name, k.Index, ref)
		return 0
	}
	author := c.author(m, k.Epoch, ref.Author)
	if author == nil {
		c.world.fail("block %s of epoch %d is by nobody", ref, k.Epoch)
		return 0
	}
	if author.liar == nil {
		eachRequest(b.Payload, func(r []byte) { c.request(author, k.Index, r) })
	}
	return b.Requests
}

// request checks a request in a committed block of an honest author.
func (c *checker) request(author *member, index bft.CommitIndex, b []byte) {
	r, ok := decodeRequest(b)
	t := c.requests[r.id]
	switch {
	case !ok || t == nil || t.origin != author.number:
		c.world.fail("commit %d has a request of member %s that nobody handed to it", index, author.name)
	case t.commit != 0:
		c.world.fail("request %d of member %s is in commits %d and %d", r.id, author.name, t.commit, index)
	default:
		if t.expected {
			c.pending--
		}
		t.commit = index
		c.world.report.ordered(c.world.now - t.at)
	}
}

// author finds who an author index of an epoch is. The member that delivers is
// in that epoch or has its hand-over.
func (c *checker) author(m *member, e bft.Epoch, a bft.Author) *member {
	keys := c.world.genesis.Members
	if m.committee.Epoch == e {
		keys = m.committee.Members
	} else if e > 0 {
		h := m.handover(e - 1)
		if h == nil {
			return nil
		}
		keys = h.Members
	}
	if int(a) >= len(keys) {
		return nil
	}
	return c.world.byKey[keys[a]]
}

// maxLead is how far the last time of a commit may lie beyond every honest
// clock: no further than rounding and commits without a request take it.
const maxLead = 100 * bft.Millisecond

// time checks the time of a commit: later than all before, and within what
// honest parents of the leader said.
func (c *checker) time(m *member, k *bft.Commit, last bft.Time) {
	if k.Time <= last {
		c.world.fail("commit %d has time %d, commit %d gave out %d", k.Index, k.Time, k.Index-1, last)
		return
	}
	if lead := k.LastTime() - c.latest; lead > maxLead {
		c.world.fail("commit %d gives out a time %.3f s ahead of every honest clock", k.Index, float64(lead)/float64(bft.Second))
		return
	}
	leader := m.disk.block(k.Epoch, k.Leader)
	if leader == nil || k.Leader.Round == 1 {
		return
	}
	low, high := bft.Time(1)<<62, bft.Time(0)
	for _, p := range leader.Parents {
		b := m.disk.block(k.Epoch, p)
		if b == nil || p.Round+1 != k.Leader.Round {
			continue
		}
		if who := c.author(m, k.Epoch, p.Author); who != nil && who.liar == nil {
			low, high = min(low, b.Timestamp), max(high, b.Timestamp)
		}
	}
	if high == 0 {
		return // pruned here
	}
	if k.Time < low || k.Time > max(high, last+1) {
		c.world.fail("commit %d has time %d; honest members said %d to %d, and %d was the last given out", k.Index, k.Time, low, high, last)
	}
}

// entered checks that all honest members open an epoch with the same hand-over.
func (c *checker) entered(m *member, k *bft.Committee) {
	if anchor, known := c.anchors[k.Epoch]; !known {
		c.anchors[k.Epoch] = k.Anchor
		c.world.report.Epochs = max(c.world.report.Epochs, int(k.Epoch)+1)
		c.world.story.tell(c.world.now, m.name, "is the first in epoch %d, with %d members, after commit %d", k.Epoch, k.Size(), k.Base)
	} else if anchor != k.Anchor {
		c.world.fail("fork: member %s enters epoch %d by another hand-over (%s) than others (%s)", m.name, k.Epoch, k.Anchor, anchor)
	}
}

func (c *checker) hasApplied(m *member) {
	if m.liar == nil {
		c.head = max(c.head, m.applied)
	}
}

// Bounds on memory, in terms of the parameters: rounds between what is
// forgotten and the newest.
const (
	maxOpenRounds = 3000
	maxVariants   = 8
	// maxFruitless is how many rounds may pass without a commit: by then every
	// member has led many times.
	maxFruitless = 400
)

// stepped checks the bounds on memory.
func (c *checker) stepped(m *member) {
	if m.liar != nil || c.world.report.Steps%64 != 0 {
		return
	}
	p := m.engine.Progress()
	if at := &c.progress[m.number]; at.commit != p.Commit || at.epoch != p.Epoch {
		*at = progress{p.Epoch, p.Commit, p.Round}
	} else if p.Round > at.round+maxFruitless && !p.Ended && !p.CatchUp {
		c.world.fail("member %s went through %d rounds since commit %d and none was committed", m.name, p.Round-at.round, p.Commit)
	}
	n := m.committee.Size()
	if limit := c.world.limits.WaitingBytes + int(max(m.committee.Params.PayloadLimit, m.committee.Params.RequestLimit)); p.WaitingBytes > limit {
		c.world.fail("member %s keeps %d bytes of waiting payloads, limit %d", m.name, p.WaitingBytes, limit)
	}
	if limit := n * maxVariants * (int(m.committee.Params.GCDepth) + maxOpenRounds); p.Blocks > limit {
		c.world.fail("member %s keeps %d blocks, at most %d make sense", m.name, p.Blocks, limit)
	}
	if len(m.held) > 10_000 {
		c.world.fail("member %s holds %d messages that wait for the disk", m.name, len(m.held))
	}
}

// settled reports whether everything that honest members owe is done: their
// requests ordered, and the order applied by all members of the committee.
func (c *checker) settled(target bft.CommitIndex) bool {
	if c.pending > 0 {
		return false
	}
	for _, key := range c.world.electorate().Members {
		m := c.world.byKey[key]
		if m.liar == nil && (!m.up || m.applied < target) {
			return false
		}
	}
	return true
}
