package replica

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/internal/finetimer"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/replica/p2p"
	"github.com/synod-network/synod/replica/trust"
)

// ErrHalted means that the engine stopped because going on could do harm.
var ErrHalted = errors.New("ordering halted")

// loop owns the engine.
func (r *Replica) loop(ctx context.Context, found bft.Recovered) error {
	timer, err := finetimer.New()
	if err != nil {
		return err
	}
	defer timer.Stop()
	r.timer = timer
	engine, effects := bft.New(bft.Config{
		Self: r.self, Sign: r.sign, Verify: r.verify, Limits: r.cfg.Limits, Trust: r.cfg.Trust,
	}, found, r.clock())
	r.engine = engine
	r.engineEpoch = engine.Committee().Epoch
	if err := r.carryOut(effects); err != nil {
		return err
	}
	status := time.NewTicker(idleLook)
	defer status.Stop()
	for {
		in := r.inbox.ch
		if r.writer.congested() {
			in = nil // let the disk catch up; peers wait in TCP
		}
		select {
		case <-ctx.Done():
			return nil
		case e := <-in:
			err = r.take(e)
		case <-r.signals.wake:
			err = r.takeSignals()
		case <-r.timer.C:
			err = r.step(bft.Tick{})
		case <-status.C:
			err = r.pursueSnapshot()
		}
		if err != nil {
			return err
		}
		r.publish()
	}
}

const (
	// progressInterval is how old the published progress may grow while things
	// happen.
	progressInterval = 20 * time.Millisecond
	// idleLook is how often the loop looks whether a state that it fetches has to be asked for again, and publishes its progress, while
	// nothing happens. It is no tick of the engine, which asks for those with SetTimer.
	idleLook = 100 * time.Millisecond
)

// publish shows the engine's state to other goroutines, not after every step:
// a few dozen times a second is enough for people and machines.
func (r *Replica) publish() {
	if now := time.Now(); now.Sub(r.published) >= progressInterval {
		r.published = now
		r.open.Store(int64(len(r.own)))
		p := r.engine.Progress()
		r.progress.Store(&p)
		r.publishTransfer()
	}
}

func (r *Replica) clock() bft.Clock {
	return bft.Clock{Wall: bft.Time(r.cfg.Now().UnixMicro()), Mono: bft.Time(time.Since(r.started).Microseconds()) + 1}
}

func (r *Replica) sign(message []byte) bft.Signature { return bft.Signature(r.cfg.Key.Sign(message)) }

// verify is quick for the members of the committee.
func (r *Replica) verify(key bft.PublicKey, message []byte, sig bft.Signature) bool {
	return r.ring.Load().Verify(keys.PublicKey(key), message, keys.Signature(sig))
}

// enterCommittee makes a committee the one against which blocks are verified.
func (r *Replica) enterCommittee(c *bft.Committee) {
	members := make([]keys.PublicKey, 0, c.Size())
	for _, k := range c.Members {
		members = append(members, keys.PublicKey(k))
	}
	r.warden.SetMembers(members)
	r.ring.Store(keys.NewRing(members))
	r.committee.Store(c)
}

// step feeds one input, and then what carrying out its effects led to. The
// effects of one step are all carried out before the next.
func (r *Replica) step(in bft.Input) error {
	if err := r.stepOnce(in); err != nil {
		return err
	}
	return r.runAgain()
}

func (r *Replica) runAgain() error {
	for len(r.again) > 0 {
		next := r.again[0]
		r.again = r.again[1:]
		if err := next(); err != nil {
			return err
		}
	}
	return nil
}

func (r *Replica) stepOnce(in bft.Input) error {
	start := time.Now()
	effects := r.engine.Step(r.clock(), in)
	r.metrics.Engine.Step.Observe(time.Since(start).Seconds())
	return r.carryOut(effects)
}

// take feeds what a peer sent.
func (r *Replica) take(e envelope) error {
	defer r.inbox.done(e)
	switch {
	case e.future != nil:
		r.keepFuture(e.from, e.future)
		return nil
	case e.input == nil:
		return nil
	}
	if m, ok := e.input.(snapshotInput); ok {
		return r.snapshotMessage(e.from, m)
	}
	return r.step(e.input)
}

// takeSignals feeds what happened inside this process.
func (r *Replica) takeSignals() error {
	s := &r.signals
	s.mu.Lock()
	queued, seq, commit, applied, epoch := s.queued, s.seq, s.commit, s.applied, s.epoch
	links, payload := s.links, s.payload
	newDurable, newApplied := s.newDurable, s.newApplied
	s.queued, s.epoch, s.links, s.payload = false, nil, nil, nil
	s.newDurable, s.newApplied = false, false
	s.mu.Unlock()

	for _, in := range links {
		if err := r.step(in); err != nil {
			return err
		}
	}
	if newDurable {
		r.durableSeq = seq
		if err := r.deliverDurable(); err != nil {
			return err
		}
		r.chain.persisted(commit)
		r.recent.durable(seq)
		if err := r.step(bft.Persisted{Seq: seq}); err != nil {
			return err
		}
	}
	if newApplied {
		if err := r.step(bft.Applied{Index: applied}); err != nil {
			return err
		}
	}
	if epoch != nil {
		if err := r.step(*epoch); err != nil {
			return err
		}
	}
	if payload != nil {
		r.again = append(r.again, func() error { return r.propose(payload) })
	}
	if queued {
		requests, bytes := r.queue.size()
		return r.step(bft.RequestsQueued{Requests: requests, Bytes: bytes})
	}
	return r.runAgain()
}

// carryOut makes effects real, in order.
func (r *Replica) carryOut(effects []bft.Effect) error {
	for _, f := range effects {
		switch f := f.(type) {
		case bft.Persist:
			r.recent.add(f)
			r.noteOwn(f)
			r.prove(f.Evidence)
			r.writer.add(work{persist: &f})
		case bft.Send:
			if f.After > 0 {
				r.writer.add(work{send: &f})
			} else {
				r.transmit(f)
			}
		case bft.Serve:
			r.server.add(f.To, request{archive: &f})
		case bft.Deliver:
			r.undelivered = append(r.undelivered, f)
			if err := r.deliverDurable(); err != nil {
				return err
			}
		case bft.RequestPayload:
			r.seal(f)
		case bft.ReturnPayload:
			r.queue.putBack(f.Payload, r.sealing.marks)
		case bft.Requeue:
			if err := r.requeue(f.Block); err != nil {
				return err
			}
		case bft.SetTimer:
			r.timer.Reset(time.Duration(f.At-r.clock().Mono) * time.Microsecond)
		case bft.Forget:
			r.recent.forget(f.Epoch, f.Round)
		case bft.EpochStarted:
			if err := r.epochStarted(f.Committee); err != nil {
				return err
			}
		case bft.InstallSnapshot:
			r.startTransfer(f.Handover)
		case bft.Report:
			r.observe(f.Event)
		case bft.Halt:
			return fmt.Errorf("%w: %s", ErrHalted, f.Reason)
		}
	}
	return nil
}

// sealed is a payload ready to be put into a block.
type sealed struct {
	taken
	digest bft.Digest
}

// sealInline is the size up to which hashing a payload costs the loop less
// than handing it to another goroutine.
const sealInline = 32 << 10

func (r *Replica) seal(f bft.RequestPayload) {
	t, _, _ := r.queue.take(f.Requests, f.Bytes)
	if len(t.payload) > sealInline {
		go func() { r.signals.sealed(&sealed{taken: t, digest: bft.PayloadDigest(t.payload)}) }()
		return
	}
	s := &sealed{taken: t}
	if t.requests > 0 {
		s.digest = bft.PayloadDigest(t.payload)
	}
	r.again = append(r.again, func() error { return r.propose(s) })
}

// propose gives the engine the payload that it asked for.
func (r *Replica) propose(s *sealed) error {
	requests, bytes := r.queue.size()
	r.sealing = s
	defer func() { r.sealing = nil }()
	return r.stepOnce(bft.PayloadReady{
		Payload: s.payload, Digest: s.digest, Requests: s.requests,
		Left: bft.RequestsQueued{Requests: requests, Bytes: bytes},
	})
}

// noteOwn remembers when the requests of a new own block were submitted.
func (r *Replica) noteOwn(f bft.Persist) {
	for _, b := range f.Blocks {
		if c := r.engine.Committee(); b.Epoch != c.Epoch || c.Members[b.Author] != r.self {
			continue
		}
		r.metrics.Engine.Proposed.Inc()
		if r.sealing != nil && b.Requests > 0 {
			r.own[b.Ref().Digest] = r.sealing.marks
		}
	}
}

// requeue returns the requests of an own block that can not be committed any
// more.
func (r *Replica) requeue(ref bft.Ref) error {
	marks := r.own[ref.Digest]
	delete(r.own, ref.Digest)
	payload, err := r.payload(r.engineEpoch, ref)
	if err != nil {
		return fmt.Errorf("read own block %s to order its requests again: %w", ref, err)
	}
	r.metrics.Ordering.Requeued.Inc()
	r.queue.putBack(payload, marks)
	return nil
}

// payload finds the payload of an accepted block, in memory or on disk.
func (r *Replica) payload(epoch bft.Epoch, ref bft.Ref) ([]byte, error) {
	if b, ok := r.recent.get(ref); ok {
		return b.Payload, nil
	}
	return r.cfg.Store.Payload(epoch, ref)
}

// deliverDurable delivers, in order, the commits that rest on durable own
// blocks.
func (r *Replica) deliverDurable() error {
	for len(r.undelivered) > 0 && r.undelivered[0].After <= r.durableSeq {
		if err := r.deliver(r.undelivered[0]); err != nil {
			return err
		}
		r.undelivered = r.undelivered[1:]
	}
	return nil
}

// deliver appends a commit to the chain, from where the application and the
// subscribers read it. Blocks recovered from disk, or dropped from memory, are
// read back.
func (r *Replica) deliver(f bft.Deliver) error {
	o := &Ordered{Commit: f.Commit, live: !f.Certified}
	for _, ref := range f.Commit.Blocks {
		var payload ordering.Payload
		if b, ok := r.recent.take(ref); ok {
			payload = ordering.Payload{Count: int(b.Requests), Data: b.Payload}
		} else if u, ok := r.cfg.Store.Block(f.Commit.Epoch, ref); ok {
			payload = ordering.Payload{Count: int(u.Header.Requests), Data: u.Payload}
		} else {
			return fmt.Errorf("block %s of commit %d is not in the store", ref, f.Commit.Index)
		}
		if payload.Count > 0 {
			o.Payloads = append(o.Payloads, payload)
		}
		r.ordered(ref)
	}
	if r.chain.append(o) && f.Commit.Epoch == r.engineEpoch {
		r.metrics.Engine.Committed(r.names[f.Commit.Leader.Author])
		for _, ref := range f.Commit.Blocks {
			r.metrics.Engine.Ordered(r.names[ref.Author])
		}
	}
	return nil
}

// ordered measures how long an own block's requests took.
func (r *Replica) ordered(ref bft.Ref) {
	marks, ok := r.own[ref.Digest]
	if !ok {
		return
	}
	delete(r.own, ref.Digest)
	now := time.Now()
	for _, m := range marks {
		r.metrics.Ordering.Ordered(now.Sub(m.at))
	}
}

func (r *Replica) epochStarted(c *bft.Committee) error {
	r.engineEpoch = c.Epoch
	r.enterCommittee(c)
	r.releaseHeld(c.Epoch)
	r.nameMembers(c)
	r.log.Info("epoch started", slog.Uint64("epoch", uint64(c.Epoch)), slog.Int("members", c.Size()), slog.Uint64("after_commit", uint64(c.Base)),
		slog.String("handover", hex.EncodeToString(c.Anchor[:])))
	held := r.future
	r.future = map[bft.PublicKey][]*bft.UnverifiedBlock{}
	for from, list := range held {
		for _, u := range list {
			if b, err := r.verifyFrom(keys.PublicKey(from), u, c); err == nil {
				r.again = append(r.again, func() error { return r.stepOnce(bft.BlockArrived{From: from, Block: b}) })
			}
		}
	}
	return nil
}

// futureBlocks bounds the blocks of the next epoch kept for each peer until
// this member gets there.
const futureBlocks = 64

func (r *Replica) keepFuture(from bft.PublicKey, u *bft.UnverifiedBlock) {
	if list := r.future[from]; len(list) < futureBlocks {
		r.future[from] = append(list, u)
	}
}

// frame takes in what a peer sent, on the goroutine of its link.
func (r *Replica) frame(ctx context.Context, from keys.PublicKey, _ p2p.Lane, frame []byte) error {
	if len(frame) > 0 && frame[0] == kindNote {
		return r.note(from, frame[1:])
	}
	if len(frame) > 0 && frame[0] >= bft.FirstForeignKind {
		m, err := decodeSnapshotMessage(frame)
		if err != nil {
			r.warden.Record(from, trust.JunkFrame, err.Error())
			return err
		}
		if m.asks() {
			r.server.add(bft.PublicKey(from), request{snapshot: m})
			return nil
		}
		return r.inbox.put(ctx, envelope{from: bft.PublicKey(from), input: m}, len(frame))
	}
	m, err := bft.DecodeMessage(frame, r.cfg.Genesis.Network)
	if err != nil {
		r.metrics.Engine.Rejected(rejectionOf(err))
		r.warden.Record(from, trust.JunkFrame, err.Error())
		return err
	}
	u, ok := m.(*bft.UnverifiedBlockMessage)
	if !ok {
		return r.inbox.put(ctx, envelope{from: bft.PublicKey(from), input: bft.MessageArrived{From: bft.PublicKey(from), Message: m}}, len(frame))
	}
	r.metrics.Engine.Received.Inc()
	c := r.committee.Load()
	if u.Block.Header.Epoch == c.Epoch+1 && u.Block.Header.Network == c.Network {
		return r.inbox.put(ctx, envelope{from: bft.PublicKey(from), future: &u.Block}, len(frame))
	}
	b, err := r.verifyFrom(from, &u.Block, c)
	if err != nil {
		r.metrics.Engine.Rejected(rejectionOf(err))
		if errors.Is(err, bft.ErrWrongEpoch) {
			return nil // ahead or behind: no fault
		}
		return err
	}
	r.warden.Useful(from)
	return r.inbox.put(ctx, envelope{from: bft.PublicKey(from), input: bft.BlockArrived{From: bft.PublicKey(from), Block: b}}, len(frame))
}

// note passes on what a peer says to what runs above.
func (r *Replica) note(from keys.PublicKey, note []byte) error {
	err := errNote
	if len(note) <= MaxNote {
		err = nil
		if r.cfg.Note != nil {
			err = r.cfg.Note(from, note)
		}
	}
	if err != nil {
		r.warden.Record(from, trust.JunkFrame, err.Error())
	}
	return nil // a bad note is no reason to end the link
}

var errNote = fmt.Errorf("a note of more than %d bytes", MaxNote)

func (r *Replica) up(peer keys.PublicKey) {
	r.connected.Add(1)
	r.warden.SetLinked(peer, true)
	r.signals.link(bft.PeerUp{Peer: bft.PublicKey(peer)})
}

func (r *Replica) down(peer keys.PublicKey) {
	r.connected.Add(-1)
	r.warden.SetLinked(peer, false)
	r.signals.link(bft.PeerDown{Peer: bft.PublicKey(peer)})
}

// transmit sends a message on the live lane. What is lost is sent again by the
// engine where it matters.
func (r *Replica) transmit(s bft.Send) {
	parts := bft.EncodeMessage(s.Message)
	for _, to := range s.To {
		_ = r.links.Send(keys.PublicKey(to), p2p.Live, parts...)
	}
}

// transmitBulk sends answers to members that are behind, which must not delay
// live blocks.
func (r *Replica) transmitBulk(to bft.PublicKey, parts [][]byte) error {
	return r.links.Send(keys.PublicKey(to), p2p.Bulk, parts...)
}
