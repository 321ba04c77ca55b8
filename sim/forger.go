package sim

import (
	"slices"

	"github.com/synod-network/synod/bft"
)

// forger makes the blocks of a liar. It knows the blocks that reached the
// member, builds a block on them as soon as the rules of validity allow, and
// breaks what the way of lying asks for. All its blocks are properly signed:
// the liar has its own key, and nobody else's.
type forger struct {
	m         *member
	way       Fault
	committee *bft.Committee
	author    bft.Author
	member    bool
	// seen are the blocks of each author by round; newest its newest round.
	seen          map[bft.Round][]bft.Ref
	newest        []bft.Ref
	round         bft.Round
	waits, waited bft.Round // rounds whose leader's block it hopes to do without
	top           bft.Round // highest round of the others
	// heads are the newest own blocks; more than one when equivocating.
	heads []forged
	times map[bft.Ref]bft.Time // timestamps of the blocks in seen
	made  map[bft.Digest]*bft.UnverifiedBlock
	order []bft.Digest // of made, oldest first, to bound it
	// copied is a payload of somebody else.
	copied   []byte
	requests uint32
}

// forged is an own block with its timestamp and the highest median of parents'
// timestamps that own blocks have rested on.
type forged struct {
	ref           bft.Ref
	time, reached bft.Time
}

const madeLimit = 4000

func newForger(m *member, way Fault) *forger {
	return &forger{m: m, way: way}
}

func (f *forger) enter(c *bft.Committee) {
	f.committee = c
	f.author, f.member = c.Author(f.m.key)
	f.seen = map[bft.Round][]bft.Ref{}
	f.newest = make([]bft.Ref, c.Size())
	for a := range f.newest {
		f.newest[a] = c.Root(bft.Author(a))
	}
	f.round, f.top = 0, 0
	f.heads = []forged{{c.Root(f.author), c.Start, c.Start}}
	f.times = map[bft.Ref]bft.Time{}
	f.made, f.order = map[bft.Digest]*bft.UnverifiedBlock{}, nil
	f.later(bft.Millisecond, f.build)
	f.repeat()
}

// later plans something for as long as the epoch lasts.
func (f *forger) later(after bft.Time, do func()) {
	c := f.committee
	f.m.later(after, func() {
		if f.committee == c {
			do()
		}
	})
}

// repeat sends the newest blocks again, as honest members do: a liar that falls
// silent is merely dead.
func (f *forger) repeat() {
	f.later(300*bft.Millisecond, func() {
		f.repeat()
		for i, h := range f.heads {
			if u := f.made[h.ref.Digest]; u != nil {
				f.show(i, u)
			}
		}
	})
}

func (f *forger) saw(b *bft.Block) {
	if f.committee == nil || b.Epoch != f.committee.Epoch || b.Author == f.author {
		return
	}
	r := b.Ref()
	if slices.ContainsFunc(f.seen[r.Round], func(o bft.Ref) bool { return o.Author == r.Author }) {
		return
	}
	f.seen[r.Round] = append(f.seen[r.Round], r)
	f.times[r] = b.Timestamp
	for _, old := range f.seen[r.Round-200] {
		delete(f.times, old)
	}
	delete(f.seen, r.Round-200)
	if f.newest[b.Author].Round < r.Round {
		f.newest[b.Author] = r
	}
	if len(b.Payload) > 0 {
		f.copied, f.requests = b.Payload, b.Requests
	}
	f.top = max(f.top, r.Round)
	f.build()
}

// build makes the next block, or several, on the newest round that others have
// completed.
func (f *forger) build() {
	if !f.member || !f.m.up {
		return
	}
	r := f.top
	for r > 0 && len(f.seen[r])+f.ownAt(r) < f.committee.Quorum() {
		r--
	}
	if r+1 <= f.round || f.awaitsOthers(r) {
		return
	}
	f.round = r + 1
	if len(f.heads) < f.variants() {
		for len(f.heads) < f.variants() {
			f.heads = append(f.heads, f.heads[0])
		}
	}
	for i := range f.heads {
		u := f.forge(i, r+1)
		if u == nil {
			continue
		}
		own := f.heads[i]
		reached := max(own.reached, f.median(own, &u.Header))
		f.heads[i] = forged{bft.Ref{Round: r + 1, Author: f.author, Digest: u.Digest()}, u.Header.Timestamp, reached}
		f.keep(u)
		f.show(i, u)
	}
}

// awaitsOthers reports whether a member that never votes for a leader should
// wait a moment for the blocks that let it do without the leader's.
func (f *forger) awaitsOthers(r bft.Round) bool {
	if f.way != ByzNoVote || f.waited == r || r == 0 {
		return false
	}
	leader, _ := f.leader(r)
	others := f.ownAt(r)
	for _, ref := range f.seen[r] {
		if ref.Author != leader {
			others++
		}
	}
	if others >= f.committee.Quorum() || leader == f.author {
		return false
	}
	if f.waits != r {
		f.waits = r
		f.later(50*bft.Millisecond, func() {
			f.waited = r
			f.build()
		})
	}
	return true
}

// ownAt is 1 if a block of the forger's counts as a parent of round r.
func (f *forger) ownAt(r bft.Round) int {
	if f.heads[0].ref.Round == r {
		return 1
	}
	return 0
}

// variants is the number of blocks that are made for a round.
func (f *forger) variants() int {
	switch f.way {
	case ByzEquivocate, ByzWhisper:
		return 2
	case ByzVariants:
		return 4
	}
	return 1
}

// forge makes variant i of the block for a round. It returns nil if there is no
// valid one.
func (f *forger) forge(i int, round bft.Round) *bft.UnverifiedBlock {
	own := f.heads[i]
	h := bft.Header{
		Network: f.committee.Network, Epoch: f.committee.Epoch, Round: round, Author: f.author,
		Timestamp: f.timestamp(i, own.time), Vote: f.vote(),
		Parents: append([]bft.Ref{own.ref}, f.parents(i, round)...),
	}
	payload := f.payload(i, &h, own)
	u := &bft.UnverifiedBlock{Header: h, Payload: payload}
	return f.signed(u)
}

// signed signs a block by asking the verification what it would check: the
// bytes that are signed are the engine's secret.
func (f *forger) signed(u *bft.UnverifiedBlock) *bft.UnverifiedBlock {
	var sig bft.Signature
	_, err := u.VerifyHead(f.committee, func(_ bft.PublicKey, message []byte, _ bft.Signature) bool {
		sig = f.m.sign(message)
		return true
	})
	if err != nil {
		return nil // not even well formed
	}
	u.Signature = sig
	return u
}

func (f *forger) timestamp(i int, previous bft.Time) bft.Time {
	now := f.m.clock.read(f.m.world.now).Wall
	switch f.way {
	case ByzTime:
		return []bft.Time{previous + 1, max(now, previous) + 3600*bft.Second}[f.m.world.random.IntN(2)]
	case ByzRequests:
		return previous + 200*bft.Time(f.committee.Size())*50
	}
	return max(now, previous+1) + bft.Time(i)
}

func (f *forger) vote() bft.Vote {
	last := f.m.disk.image.commits[f.m.disk.image.highest]
	if last == nil {
		return bft.Vote{}
	}
	v := bft.Vote{Index: last.Index, Digest: last.Commit.Digest()}
	if f.way == ByzVotes {
		v.Index += bft.CommitIndex(f.m.world.random.IntN(2000))
		v.Digest[0] ^= 1
	}
	return v
}

// parents chooses whom to build on, besides the own previous block.
func (f *forger) parents(i int, round bft.Round) (list []bft.Ref) {
	leader, led := f.leader(round - 1)
	previous := len(f.seen[round-1]) + f.ownAt(round-1)
	for a, newest := range f.newest {
		if bft.Author(a) == f.author {
			continue
		}
		ref := newest
		if at := slices.IndexFunc(f.seen[round-1], func(r bft.Ref) bool { return r.Author == bft.Author(a) }); at >= 0 {
			ref = f.seen[round-1][at]
		} else if ref.Round >= round {
			continue
		}
		spare := ref.Round+1 < round || previous > f.committee.Quorum()
		switch {
		case !spare:
		case f.way == ByzNoVote && led && leader == ref.Author && ref.Round+1 == round,
			f.way == ByzVariants && i > 0 && led && leader == ref.Author && ref.Round+1 == round,
			f.way == ByzEquivocate && f.m.world.chance(0.3):
			if ref.Round+1 == round {
				previous--
			}
			continue
		case f.way == ByzMisname && f.m.world.chance(0.5):
			other := f.seen[round-1][f.m.world.random.IntN(len(f.seen[round-1]))]
			list = append(list, bft.Ref{Round: round - 1, Author: bft.Author(a), Digest: other.Digest})
			continue
		case f.way == ByzGarbage:
			if ref.Round+1 == round {
				previous--
			}
			list = append(list, f.garbage(ref))
			continue
		}
		list = append(list, ref)
	}
	return list
}

// garbage is a reference to a block that does not exist, or that everybody has
// dropped long ago.
func (f *forger) garbage(ref bft.Ref) bft.Ref {
	r := f.m.world.random
	if f.m.world.chance(0.2) && ref.Round > 1 {
		ref.Round-- // a block that exists, under another name
		return ref
	}
	if f.m.world.chance(0.3) && ref.Round > 2 {
		ref.Round = 1 + bft.Round(r.Uint64N(uint64(ref.Round)))
	}
	for i := range ref.Digest {
		ref.Digest[i] = byte(r.Uint32())
	}
	ref.Round = max(ref.Round, 1)
	return ref
}

// leader is who leads a round, by the schedule after the newest commit.
func (f *forger) leader(r bft.Round) (bft.Author, bool) {
	last := f.m.disk.image.commits[f.m.disk.image.highest]
	if last == nil || last.Epoch != f.committee.Epoch {
		return bft.Author(uint64(r) % uint64(f.committee.Size())), r > 0
	}
	return last.Schedule.Leader(r), true
}

// median is what honest members take for the time of a block: the more of it has
// passed since the own previous one, the more requests they let it carry.
func (f *forger) median(own forged, h *bft.Header) bft.Time {
	var times []bft.Time
	for _, p := range h.Parents {
		switch {
		case p.Round+1 != h.Round:
		case p.Round == 0:
			times = append(times, f.committee.Start)
		case p == own.ref:
			times = append(times, own.time)
		default:
			times = append(times, f.times[p])
		}
	}
	slices.Sort(times)
	return times[(len(times)-1)/2]
}

func (f *forger) payload(i int, h *bft.Header, own forged) (payload []byte) {
	limit := max(0, int(f.median(own, h)-own.reached)) / f.committee.Size()
	switch {
	case f.way == ByzCopy && int(f.requests) <= limit:
		payload, h.Requests = f.copied, f.requests
	case f.way == ByzRequests:
		n := min(limit, int(f.committee.Params.PayloadRequests), int(f.committee.Params.PayloadLimit)/5)
		for range n {
			payload = appendRequest(payload, []byte{0xff})
		}
		h.Requests = uint32(n)
	case (f.way == ByzEquivocate || f.way == ByzVariants) && limit > 0:
		payload = appendRequest(nil, []byte{0xfe, byte(i)})
		h.Requests = 1
	}
	if h.Requests > 0 {
		h.Payload = bft.PayloadDigest(payload)
	}
	h.PayloadSize = uint32(len(payload))
	return payload
}

// keep remembers a block, to serve it and to send it again.
func (f *forger) keep(u *bft.UnverifiedBlock) {
	d := u.Digest()
	f.made[d] = u
	f.order = append(f.order, d)
	if len(f.order) > madeLimit {
		delete(f.made, f.order[0])
		f.order = f.order[1:]
	}
}

// show sends variant i of a block to those who are to see it.
func (f *forger) show(i int, u *bft.UnverifiedBlock) {
	w := f.m.world
	fr := encodeFrame(&bft.UnverifiedBlockMessage{Block: *u})
	only := int(u.Header.Round) % f.committee.Size()
	for a, key := range f.committee.Members {
		peer := w.byKey[key]
		if peer == f.m {
			continue
		}
		switch {
		case f.way == ByzEquivocate && a%2 != i,
			f.way == ByzVariants && a%len(f.heads) != i,
			f.way == ByzWithhold && a != only,
			f.way == ByzWhisper && i > 0 && a != (int(f.author)+1)%f.committee.Size():
			continue
		}
		w.transmit(f.m, peer, fr)
		if f.way == ByzFlood {
			f.flood(peer, fr)
		}
	}
}

// flood sends a peer what it has not asked for.
func (f *forger) flood(peer *member, fr *frame) {
	w := f.m.world
	w.transmit(f.m, peer, fr)
	if w.chance(0.7) {
		return
	}
	ref := f.garbage(bft.Ref{Round: f.round, Author: bft.Author(w.random.IntN(f.committee.Size()))})
	e := f.committee.Epoch
	for _, message := range []bft.Message{
		&bft.BlockRequest{Epoch: e, Refs: []bft.Ref{ref, ref, ref}},
		&bft.Status{Epoch: e + bft.Epoch(w.random.IntN(2)), Round: f.round + 1000, Commit: bft.CommitIndex(w.random.IntN(100_000))},
		&bft.DAGEnd{Epoch: e, Through: f.round + 10, More: true},
		&bft.RejoinAnswer{Nonce: w.random.Uint64(), Epoch: 1 << 40},
		&bft.RejoinQuery{Nonce: w.random.Uint64()},
		&bft.ChainRequest{From: 1},
		&bft.HandoverRequest{},
	} {
		w.transmit(f.m, peer, encodeFrame(message))
	}
	if w.chance(0.1) {
		w.transmit(f.m, peer, encodeFrame(&bft.DAGRequest{Epoch: e, Above: 0}))
	}
	f.farAhead(peer)
}

// farAhead sends a signed block of a round that nobody has come near.
func (f *forger) farAhead(peer *member) {
	w := f.m.world
	round := f.round + 1 + bft.Round(w.random.IntN(100))
	h := bft.Header{
		Network: f.committee.Network, Epoch: f.committee.Epoch, Round: round, Author: f.author,
		Timestamp: noon + w.now, Parents: make([]bft.Ref, 0, f.committee.Size()),
	}
	h.Parents = append(h.Parents, f.garbage(bft.Ref{Round: round - 1, Author: f.author}))
	for a := range f.committee.Size() {
		if bft.Author(a) != f.author {
			ref := f.garbage(bft.Ref{Author: bft.Author(a)})
			ref.Round = round - 1
			h.Parents = append(h.Parents, ref)
		}
	}
	h.Parents[0].Round = round - 1
	if u := f.signed(&bft.UnverifiedBlock{Header: h}); u != nil {
		w.transmit(f.m, peer, encodeFrame(&bft.UnverifiedBlockMessage{Block: *u}))
	}
}

// forgedArchive serves the forger's blocks beside what the member stored.
type forgedArchive struct {
	bft.Archive
	forger *forger
}

// Block implements bft.Archive.
func (a *forgedArchive) Block(e bft.Epoch, ref bft.Ref) (*bft.UnverifiedBlock, bool) {
	if ref.Author == a.forger.author && e == a.forger.committee.Epoch {
		if a.forger.way == ByzWithhold && a.forger.m.world.chance(0.7) {
			return nil, false
		}
		u := a.forger.made[ref.Digest]
		return u, u != nil
	}
	return a.Archive.Block(e, ref)
}
