package sim

import (
	"fmt"

	"github.com/synod-network/synod/bft"
)

// member is one node: an engine and everything around it. Its methods carry
// out the engine's effects by the contract that the real runtime keeps.
type member struct {
	world  *World
	number int
	name   string
	key    bft.PublicKey
	sign   bft.Signer
	clock  clock
	disk   *disk
	liar   *liar // nil: honest
	// rejoin is set while the disk is known to lack own blocks.
	rejoin bool
	// retired members have left the network for good.
	retired bool

	// What a crash ends.
	up        bool
	life      int // counts starts
	paused    bft.Time
	engine    *bft.Engine
	committee *bft.Committee
	inputs    []bft.Input
	stepping  bool
	timer     uint64 // the newest wish for a tick
	lastSeq   uint64
	held      []heldSend
	early     map[bft.PublicKey][]*frame
	forgotten bft.Round
	queue     queue
	servedIn  bft.Time // the second in which served counts, by peer
	served    [maxMembers]int
	doomed    int // writes until a crash that was planned, 0: none

	// The application.
	state     *state
	deliver   []delivery
	applying  bool
	applied   bft.CommitIndex
	fetching  *bft.Handover // the snapshot being fetched
	delivered bft.CommitIndex
}

// heldSend waits until what it depends on is durable.
type heldSend struct {
	send bft.Send
}

// delivery is a commit on its way to the application.
type delivery struct {
	commit *bft.Commit
	ends   bool
	after  uint64
}

// earlyLimit bounds the blocks of the next epoch kept for each peer.
const earlyLimit = 64

func newMember(w *World, number int, key bft.PublicKey) *member {
	m := &member{world: w, number: number, name: bft.Author(number).String(), key: key, sign: w.keys.signer(key)}
	m.disk = newDisk(&state{members: w.genesis.Members}, w.retain)
	return m
}

// start begins or resumes from what is on disk.
func (m *member) start() {
	w := m.world
	m.up, m.stepping, m.paused = true, false, 0
	m.life++
	m.inputs, m.held, m.deliver = nil, nil, nil
	m.early = map[bft.PublicKey][]*frame{}
	m.doomed = 0
	m.queue, m.lastSeq, m.applying, m.forgotten, m.fetching = queue{}, 0, false, 0, nil
	m.state = m.disk.image.state
	m.delivered = m.state.index
	m.applied = m.state.index
	rec := m.disk.image.recovered(w.genesis)
	m.resumeSnapshot()
	if m.rejoin {
		rec.Rejoin, rec.Nonce = true, w.random.Uint64()
	}
	engine, effects := bft.New(bft.Config{
		Self: m.key, Sign: m.sign, Verify: w.keys.verify, Limits: w.limits, Rules: w.opts.Rules,
	}, rec, m.clock.read(w.now))
	m.engine = engine
	m.committee = engine.Committee()
	m.redeliver()
	m.stepping = true
	m.carryOut(effects)
	m.stepping = false
	m.feed(bft.Applied{Index: m.state.index})
	for _, peer := range w.members {
		if peer != m && peer.up {
			m.meet(peer)
		}
	}
}

// meet lets two members notice that they are connected.
func (m *member) meet(peer *member) {
	w := m.world
	w.later(w.between(0, 100*bft.Millisecond), func() {
		if w.network.links[m.number][peer.number].cuts+w.network.links[peer.number][m.number].cuts == 0 {
			m.noticeLink(peer, true)
			peer.noticeLink(m, true)
		}
	})
}

// resumeSnapshot goes on fetching the state of the newest hand-over if a crash
// came in between: without it the commits on disk have nothing to build on.
func (m *member) resumeSnapshot() {
	h := m.disk.image.newest
	if h != nil && h.End > m.state.index && m.disk.image.commits[m.state.index+1] == nil {
		m.fetching = h
		m.fetchSnapshot(h)
	}
}

// redeliver brings the application up to the commits on disk: it may have been
// stopped between the two.
func (m *member) redeliver() {
	for index := m.state.index + 1; index <= m.disk.image.highest; index++ {
		c := m.disk.image.commits[index]
		if c == nil {
			return
		}
		h := m.disk.image.handovers[c.Epoch]
		m.deliver = append(m.deliver, delivery{commit: c.Commit, ends: h != nil && h.End == index})
	}
	m.applyNext()
}

// stop ends a member's process. Keep is the number of unsynced writes that
// survive.
func (m *member) stop(keep int) {
	if !m.up {
		return
	}
	m.up = false
	m.life++
	m.disk.crash(min(keep, len(m.disk.waiting)))
	m.world.checker.stopped(m)
	for _, peer := range m.world.members {
		if peer != m && peer.up {
			m.world.later(m.world.between(0, 50*bft.Millisecond), func() {
				if !m.up {
					peer.noticeLink(m, false)
				}
			})
		}
	}
}

// guard returns do, to be done only if the member has not stopped in between,
// and after a pause if it stands still.
func (m *member) guard(do func()) func() {
	life := m.life
	var guarded func()
	guarded = func() {
		switch {
		case m.life != life:
		case m.paused > m.world.now:
			m.world.agenda.plan(m.paused, guarded)
		default:
			do()
		}
	}
	return guarded
}

func (m *member) later(after bft.Time, do func()) { m.world.later(after, m.guard(do)) }

func (m *member) noticeLink(peer *member, up bool) {
	if !m.up {
		return
	}
	if up && peer.up {
		m.feed(bft.PeerUp{Peer: peer.key})
	} else if !up {
		m.feed(bft.PeerDown{Peer: peer.key})
	}
}

// arrive takes a frame from the network.
func (m *member) arrive(from *member, f *frame) {
	if m.up {
		m.guard(func() { m.receive(from, f) })()
	}
}

func (m *member) receive(from *member, f *frame) {
	message, err := f.decode(m.world.genesis.Network)
	if err != nil {
		m.world.report.Malformed++
		return
	}
	u, isBlock := message.(*bft.UnverifiedBlockMessage)
	switch {
	case isBlock:
		m.receiveBlock(from, f, &u.Block)
	case f.damaged:
		// The transport authenticates what it carries: damage that leaves a
		// message well formed ends there.
		m.world.report.Malformed++
	default:
		m.feed(bft.MessageArrived{From: from.key, Message: message})
	}
}

func (m *member) receiveBlock(from *member, f *frame, u *bft.UnverifiedBlock) {
	switch u.Header.Epoch {
	case m.committee.Epoch:
	case m.committee.Epoch + 1:
		if len(m.early[from.key]) < earlyLimit {
			m.early[from.key] = append(m.early[from.key], f)
		}
		return
	default:
		m.world.report.Stale++
		return
	}
	b, err := f.verify(u, m.committee, m.world.keys.verify)
	if err != nil {
		m.world.report.Refused++
		return
	}
	if m.liar != nil {
		m.liar.saw(b)
	}
	m.feed(bft.BlockArrived{From: from.key, Block: b})
}

// feed gives the engine an input and carries out what follows.
func (m *member) feed(in bft.Input) {
	m.inputs = append(m.inputs, in)
	if m.stepping {
		return
	}
	m.stepping = true
	for life, steps := m.life, 0; len(m.inputs) > 0 && m.life == life && m.world.failure == nil; steps++ {
		if steps > stormLimit {
			m.world.fail("member %s takes %d steps at one instant, the last for %T", m.name, steps, m.inputs[0])
		}
		in := m.inputs[0]
		m.inputs = m.inputs[1:]
		now := m.clock.read(m.world.now)
		m.world.checker.read(m, now)
		m.world.report.Steps++
		m.carryOut(m.engine.Step(now, in))
		if m.up {
			m.world.checker.stepped(m)
		}
	}
	m.stepping = false
}

func (m *member) carryOut(effects []bft.Effect) {
	life := m.life
	for _, f := range effects {
		if m.life != life {
			return
		}
		m.do(f)
	}
}

func (m *member) do(f bft.Effect) {
	switch f := f.(type) {
	case bft.Persist:
		m.persist(f)
	case bft.Send:
		if f.After > m.disk.image.seq {
			m.held = append(m.held, heldSend{f})
		} else {
			m.send(f)
		}
	case bft.Serve:
		m.serve(f)
	case bft.Deliver:
		after := m.lastSeq
		if m.world.opts.DeliverBeforeSync {
			after = 0
		}
		m.deliver = append(m.deliver, delivery{f.Commit, f.EndsEpoch, after})
		m.applyNext()
	case bft.RequestPayload:
		m.seal(f)
	case bft.ReturnPayload:
		m.queue.pushFront(f.Payload)
	case bft.Requeue:
		m.requeue(f.Block)
	case bft.SetTimer:
		m.setTimer(f.At)
	case bft.Forget:
		if f.Epoch == m.committee.Epoch {
			m.forgotten = f.Round
		}
		m.disk.write(write{forget: &f})
		m.sync()
	case bft.EpochStarted:
		m.enter(f.Committee)
	case bft.InstallSnapshot:
		m.fetching = f.Handover
		m.fetchSnapshot(f.Handover)
	case bft.Report:
		m.world.checker.accused(m, f.Event)
		m.tellEvent(f.Event)
	case bft.Halt:
		m.world.story.tell(m.world.now, m.name, "halts: %s", f.Reason)
		m.world.checker.halted(m, f.Reason)
		m.stop(0)
	default:
		m.world.fail("member %s: unknown effect %T", m.name, f)
	}
}

// signed reports whether a block to be stored is this member's own. The first of
// an epoch is stored together with the hand-over that says who the members are.
func (m *member) signed(p bft.Persist, b *bft.Block) bool {
	c := m.committee
	for _, h := range p.Handovers {
		if h.Epoch+1 == b.Epoch {
			c = h.Next()
		}
	}
	a, ok := c.Author(m.key)
	return ok && b.Author == a && b.Epoch == c.Epoch
}

func (m *member) persist(p bft.Persist) {
	w := write{persist: p}
	for _, b := range p.Blocks {
		if m.signed(p, b) {
			w.own = b
		}
	}
	m.lastSeq = p.Seq
	m.disk.write(w)
	m.sync()
	if m.doomed > 0 {
		if m.doomed--; m.doomed == 0 {
			m.later(m.world.between(0, 300), func() { m.world.crashNow(m) })
		}
	}
}

// sync begins a group commit unless one is running.
func (m *member) sync() {
	if m.disk.syncing > 0 || len(m.disk.waiting) == 0 {
		return
	}
	m.disk.syncing = len(m.disk.waiting)
	m.later(m.syncTime(), func() {
		if m.disk.broken != "" {
			m.world.story.tell(m.world.now, m.name, "stops: %s", m.disk.broken)
			m.stop(0)
			return
		}
		n := m.disk.syncing
		m.disk.syncing = 0
		before := m.disk.image.proposeFrom
		seq := m.disk.settle(n)
		if m.disk.image.proposeFrom != before {
			m.rejoin = false
		}
		m.sync()
		m.flush(seq)
		m.feed(bft.Persisted{Seq: seq})
		m.applyNext()
	})
}

func (m *member) syncTime() bft.Time {
	return m.world.between(100, 600) + m.world.chaos.slowDisk[m.number]
}

// flush sends what waited for the disk.
func (m *member) flush(seq uint64) {
	held := m.held
	m.held = nil
	for _, h := range held {
		if h.send.After <= seq {
			m.send(h.send)
		} else {
			m.held = append(m.held, h)
		}
	}
}

func (m *member) send(s bft.Send) {
	if m.liar == nil {
		m.world.checker.sends(m, s.Message)
	}
	f := encodeFrame(s.Message)
	for _, key := range s.To {
		if peer := m.world.byKey[key]; peer != nil {
			m.transmit(peer, s.Message, f)
		}
	}
}

// transmit hands a message to the network, or to the liar in the member.
func (m *member) transmit(peer *member, message bft.Message, f *frame) {
	if m.liar != nil {
		m.liar.transmit(peer, message, f)
		return
	}
	m.world.transmit(m, peer, f)
}

func (m *member) serve(s bft.Serve) {
	peer := m.world.byKey[s.To]
	if peer == nil || !m.mayServe(peer, s.Request) {
		return
	}
	var archive bft.Archive = &m.disk.image
	if m.liar != nil {
		archive = m.liar.archive(archive)
	}
	bft.Answer(s, archive, func(message bft.Message) bool {
		if m.liar == nil {
			m.world.checker.sends(m, message)
		}
		m.transmit(peer, message, encodeFrame(message))
		return true
	})
}

// servedPerSecond bounds what a member does for one peer in a second: so many
// requests, of which one for whole rounds weighs as much as several. The runtime
// bounds the bytes that it reads for others.
const (
	servedPerSecond = 1000
	roundsWeight    = 150
)

func (m *member) mayServe(peer *member, request bft.Message) bool {
	second := m.world.now / bft.Second
	if second != m.servedIn {
		m.servedIn, m.served = second, [maxMembers]int{}
	}
	weight := 1
	if _, ok := request.(*bft.DAGRequest); ok {
		weight = roundsWeight
	}
	m.served[peer.number] += weight
	return m.served[peer.number] <= servedPerSecond
}

// seal answers a RequestPayload, now and then with a delay.
func (m *member) seal(limit bft.RequestPayload) {
	answer := func() { m.feed(m.queue.payload(limit)) }
	if m.world.chance(0.05) {
		m.later(m.world.between(0, 5*bft.Millisecond), answer)
		return
	}
	answer()
}

func (m *member) requeue(ref bft.Ref) {
	b := m.disk.block(m.committee.Epoch, ref)
	if b == nil && m.committee.Epoch > 0 {
		b = m.disk.block(m.committee.Epoch-1, ref)
	}
	if b == nil {
		m.world.fail("member %s: requests of block %s are to be requeued, and it is not stored", m.name, ref)
		return
	}
	m.world.report.Requeued += int(b.Requests)
	m.queue.pushFront(b.Payload)
	m.feed(m.queue.size())
}

func (m *member) setTimer(at bft.Time) {
	m.timer++
	wish := m.timer
	now := m.clock.read(m.world.now).Mono
	m.later(max(0, at-now), func() {
		if m.timer == wish {
			m.feed(bft.Tick{})
		}
	})
}

// enter begins an epoch: blocks that came too early are looked at again.
func (m *member) enter(c *bft.Committee) {
	m.committee, m.forgotten = c, 0
	if m.liar == nil {
		m.world.checker.entered(m, c)
		if !m.elected() {
			m.world.checker.leaves(m)
		}
	} else {
		m.liar.enter(c)
	}
	early := m.early
	m.early = map[bft.PublicKey][]*frame{}
	for _, peer := range m.world.members { // in a fixed order
		for _, f := range early[peer.key] {
			m.receive(peer, f)
		}
	}
}

// submit hands a client's request to the member.
func (m *member) submit(r []byte) bool {
	if !m.up || m.paused > m.world.now || !m.queue.push(r) {
		return false
	}
	m.feed(m.queue.size())
	return true
}

func (m *member) tellEvent(e bft.Event) {
	m.world.report.Observed[e.Kind]++
	switch e.Kind {
	case bft.EventFetch, bft.EventEvicted, bft.EventSlotSkipped, bft.EventAdopted, bft.EventRetransmitted:
		return
	}
	who := ""
	if peer := m.world.byKey[e.Member]; peer != nil {
		who = " about " + peer.name
	}
	m.world.story.tell(m.world.now, m.name, "reports %s%s, round %d %s", e.Kind, who, e.Round, e.Text)
}

// elected reports whether the member is in the committee of its epoch.
func (m *member) elected() bool {
	_, in := m.committee.Author(m.key)
	return in
}

// String tells how far the member is.
func (m *member) String() string {
	if !m.up {
		return fmt.Sprintf("%s down, applied %d", m.name, m.disk.image.state.index)
	}
	p := m.engine.Progress()
	return fmt.Sprintf("%s epoch %d round %d own %d gc %d commit %d applied %d queue %d proposing=%t ended=%t catchup=%t waiting %d",
		m.name, p.Epoch, p.Round, p.Own, p.GCRound, p.Commit, m.applied, len(m.queue.requests), p.Proposing, p.Ended, p.CatchUp, p.Waiting)
}

// handover returns a hand-over that the member has stored, durable or not.
func (m *member) handover(e bft.Epoch) *bft.Handover {
	for _, w := range m.disk.waiting {
		for _, h := range w.persist.Handovers {
			if h.Epoch == e {
				return h
			}
		}
	}
	return m.disk.image.handovers[e]
}
