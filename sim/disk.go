package sim

import (
	"maps"
	"slices"

	"github.com/synod-network/synod/bft"
)

// disk is what a member keeps: an image of what is durable, and the writes that
// are not. A sync makes all writes that wait when it begins durable at once
// (group commit). A crash loses the others, or, torn, all but the first few:
// a write is whole or absent, since a real store checks its log.
type disk struct {
	image   image
	waiting []write
	syncing int // writes that the running sync covers
	// written holds blocks that wait, so that they can be read back.
	written map[blockKey]*bft.Block
	// life counts crashes, so that a sync begun before one means nothing.
	life int
	// copied is a copy made earlier, to be restored in a fault.
	copied *image
	// broken makes the next sync fail.
	broken string
}

type blockKey struct {
	epoch bft.Epoch
	ref   bft.Ref
}

// write is one Persist effect, or a step of the application.
type write struct {
	persist bft.Persist
	own     *bft.Block // the newest own block among those of persist
	state   *state
	ended   *state      // a state at the end of an epoch, kept to be served
	forget  *bft.Forget // space to reclaim
}

// image is the content of a disk.
type image struct {
	seq         uint64
	own         *bft.Block // the newest own block
	proposeFrom bft.Epoch
	blocks      map[blockKey]*bft.Block
	rounds      map[bft.Epoch]*layers
	committed   map[blockKey]bft.CommitIndex
	commits     map[bft.CommitIndex]*bft.CommitRecord
	lowest      bft.CommitIndex
	highest     bft.CommitIndex
	handovers   map[bft.Epoch]*bft.Handover
	newest      *bft.Handover
	evidence    []*bft.Evidence
	state       *state
	snapshots   map[bft.CommitIndex]*state
	retain      bft.CommitIndex
}

// layers lists the blocks of an epoch by round.
type layers struct {
	refs     map[bft.Round][]bft.Ref
	low, top bft.Round
	swept    bft.Round // uncommitted blocks up to here are gone
}

func newDisk(genesis *state, retain bft.CommitIndex) *disk {
	d := &disk{}
	d.image = image{
		blocks: map[blockKey]*bft.Block{}, rounds: map[bft.Epoch]*layers{}, committed: map[blockKey]bft.CommitIndex{},
		commits: map[bft.CommitIndex]*bft.CommitRecord{}, handovers: map[bft.Epoch]*bft.Handover{},
		snapshots: map[bft.CommitIndex]*state{}, lowest: 1, state: genesis, retain: retain,
	}
	d.written = map[blockKey]*bft.Block{}
	return d
}

func (i *image) clone() *image {
	c := *i
	c.blocks = maps.Clone(i.blocks)
	c.committed = maps.Clone(i.committed)
	c.commits = maps.Clone(i.commits)
	c.handovers = maps.Clone(i.handovers)
	c.snapshots = maps.Clone(i.snapshots)
	c.evidence = slices.Clone(i.evidence)
	c.rounds = make(map[bft.Epoch]*layers, len(i.rounds))
	for e, l := range i.rounds {
		c.rounds[e] = &layers{refs: maps.Clone(l.refs), low: l.low, top: l.top, swept: l.swept}
		for r, refs := range l.refs {
			c.rounds[e].refs[r] = slices.Clone(refs)
		}
	}
	return &c
}

func (d *disk) write(w write) {
	d.waiting = append(d.waiting, w)
	for _, b := range w.persist.Blocks {
		d.written[blockKey{b.Epoch, b.Ref()}] = b
	}
}

// settle makes the first n writes durable and returns the highest sequence
// number among all that are.
func (d *disk) settle(n int) uint64 {
	for _, w := range d.waiting[:n] {
		d.image.absorb(w)
		for _, b := range w.persist.Blocks {
			delete(d.written, blockKey{b.Epoch, b.Ref()})
		}
	}
	d.waiting = slices.Delete(d.waiting, 0, n)
	return d.image.seq
}

// crash loses what was not synced, but for the first keep writes.
func (d *disk) crash(keep int) {
	d.settle(keep)
	d.waiting, d.syncing, d.broken = nil, 0, ""
	d.written = map[blockKey]*bft.Block{}
	d.image.seq = 0
	d.life++
}

func (i *image) absorb(w write) {
	i.seq = max(i.seq, w.persist.Seq)
	for _, b := range w.persist.Blocks {
		i.addBlock(b)
	}
	for _, c := range w.persist.Commits {
		i.addCommit(c)
	}
	if w.own != nil && (i.own == nil || w.own.Epoch > i.own.Epoch || w.own.Epoch == i.own.Epoch && w.own.Round > i.own.Round) {
		i.own = w.own
	}
	if e := w.persist.ProposeFrom; e != nil {
		i.proposeFrom = *e
	}
	for _, h := range w.persist.Handovers {
		i.handovers[h.Epoch] = h
		if i.newest == nil || h.Epoch > i.newest.Epoch {
			i.newest = h
		}
	}
	i.evidence = append(i.evidence, w.persist.Evidence...)
	if w.state != nil {
		i.addState(w.state)
	}
	if w.ended != nil {
		i.snapshots[w.ended.index] = w.ended
		i.dropSnapshots()
	}
	if w.forget != nil {
		i.reclaim(*w.forget)
	}
}

func (i *image) addBlock(b *bft.Block) {
	k := blockKey{b.Epoch, b.Ref()}
	if _, known := i.blocks[k]; known {
		return
	}
	i.blocks[k] = b
	l := i.rounds[b.Epoch]
	if l == nil {
		l = &layers{refs: map[bft.Round][]bft.Ref{}, low: b.Round}
		i.rounds[b.Epoch] = l
	}
	l.refs[b.Round] = append(l.refs[b.Round], k.ref)
	l.low, l.top = min(l.low, b.Round), max(l.top, b.Round)
}

func (i *image) addCommit(c *bft.CommitRecord) {
	if c.Index != i.highest+1 { // the first after a snapshot
		i.lowest = c.Index
		clear(i.commits)
	}
	i.commits[c.Index] = c
	i.highest = c.Index
	for _, ref := range c.Blocks {
		i.committed[blockKey{c.Epoch, ref}] = c.Index
	}
}

// addState moves the application on. Commits below what is retained go, with
// their blocks.
func (i *image) addState(s *state) {
	i.state = s
	if i.highest < s.index { // a snapshot took the place of commits
		clear(i.commits)
		i.highest, i.lowest = s.index, s.index+1
	}
	for i.lowest+i.retain < s.index && i.lowest < i.highest {
		c := i.commits[i.lowest]
		if i.newest == nil || i.lowest > i.newest.End {
			return // no snapshot leads beyond it: others may need it, and the engine after a restart
		}
		delete(i.commits, i.lowest)
		i.lowest++
		if c == nil {
			continue
		}
		for _, ref := range c.Blocks {
			i.drop(blockKey{c.Epoch, ref})
		}
	}
}

// snapshotsKept bounds the snapshots that a member keeps for others.
const snapshotsKept = 3

func (i *image) dropSnapshots() {
	for len(i.snapshots) > snapshotsKept {
		lowest := slices.Min(slices.Collect(maps.Keys(i.snapshots)))
		delete(i.snapshots, lowest)
	}
}

// reclaim drops the blocks of an epoch that is over that were never committed,
// and those whose commit is gone. While the epoch runs, members that have
// decided less may still need what this one's engine has forgotten.
func (i *image) reclaim(f bft.Forget) {
	if i.newest == nil || f.Epoch > i.newest.Epoch {
		return
	}
	l := i.rounds[f.Epoch]
	if l == nil {
		return
	}
	for r := max(l.low, l.swept+1); r <= min(f.Round, l.top); r++ {
		kept := l.refs[r][:0]
		for _, ref := range l.refs[r] {
			k := blockKey{f.Epoch, ref}
			if index, committed := i.committed[k]; committed && index >= i.lowest {
				kept = append(kept, ref)
				continue
			}
			delete(i.blocks, k)
			delete(i.committed, k)
		}
		if l.refs[r] = kept; len(kept) == 0 {
			delete(l.refs, r)
		}
	}
	l.swept = max(l.swept, min(f.Round, l.top))
	if len(l.refs) == 0 {
		delete(i.rounds, f.Epoch)
	}
}

func (i *image) drop(k blockKey) {
	delete(i.blocks, k)
	delete(i.committed, k)
	l := i.rounds[k.epoch]
	if l == nil {
		return
	}
	if at := slices.Index(l.refs[k.ref.Round], k.ref); at >= 0 {
		l.refs[k.ref.Round] = slices.Delete(l.refs[k.ref.Round], at, at+1)
	}
	if len(l.refs[k.ref.Round]) == 0 {
		delete(l.refs, k.ref.Round)
	}
	if len(l.refs) == 0 {
		delete(i.rounds, k.epoch)
	}
}

// block returns a block that was written, durable or not.
func (d *disk) block(epoch bft.Epoch, ref bft.Ref) *bft.Block {
	k := blockKey{epoch, ref}
	if b := d.image.blocks[k]; b != nil {
		return b
	}
	return d.written[k]
}

// The disk is the archive that a member serves from. Only what is durable is
// served: an own block must not leave before it is.
var _ bft.Archive = (*image)(nil)

// Block implements bft.Archive.
func (i *image) Block(epoch bft.Epoch, ref bft.Ref) (*bft.UnverifiedBlock, bool) {
	b := i.blocks[blockKey{epoch, ref}]
	if b == nil {
		return nil, false
	}
	return &bft.UnverifiedBlock{Header: b.Header, Signature: b.Signature, Payload: b.Payload}, true
}

// Refs implements bft.Archive.
func (i *image) Refs(epoch bft.Epoch, above bft.Round, yield func(bft.Ref) bool) {
	l := i.rounds[epoch]
	if l == nil {
		return
	}
	for r := max(l.low, above+1); r <= l.top; r++ {
		for _, ref := range l.refs[r] {
			if !yield(ref) {
				return
			}
		}
	}
}

// Commit implements bft.Archive.
func (i *image) Commit(index bft.CommitIndex) (*bft.Commit, bool) {
	c := i.commits[index]
	if c == nil {
		return nil, false
	}
	return c.Commit, true
}

// Lowest implements bft.Archive.
func (i *image) Lowest() bft.CommitIndex { return i.lowest }

// Highest implements bft.Archive.
func (i *image) Highest() bft.CommitIndex { return i.highest }

// Handover implements bft.Archive.
func (i *image) Handover(e bft.Epoch) (*bft.Handover, bool) {
	h := i.handovers[e]
	return h, h != nil
}

// recovered returns what a restart finds.
func (i *image) recovered(genesis *bft.Committee) bft.Recovered {
	rec := bft.Recovered{Genesis: genesis, Handover: i.newest, Last: i.commits[i.highest], ProposeFrom: i.proposeFrom}
	c := genesis
	if i.newest != nil {
		c = i.newest.Next()
	}
	if before := i.handovers[c.Epoch-2]; before != nil && c.Epoch >= 2 {
		rec.Previous = before.Next()
	} else if c.Epoch == 1 {
		rec.Previous = genesis
	}
	for _, v := range i.evidence {
		if v.Epoch+1 >= c.Epoch {
			rec.Evidence = append(rec.Evidence, v)
		}
	}
	if i.own != nil && i.own.Epoch == c.Epoch {
		rec.Own = i.own
	}
	var gc bft.Round
	if rec.Last != nil && rec.Last.Epoch == c.Epoch && rec.Last.Leader.Round > c.Params.GCDepth {
		gc = rec.Last.Leader.Round - c.Params.GCDepth
	}
	i.Refs(c.Epoch, gc, func(ref bft.Ref) bool {
		rec.Blocks = append(rec.Blocks, i.blocks[blockKey{c.Epoch, ref}].Head)
		return true
	})
	for index := i.lowest; index <= i.highest; index++ {
		if known := i.commits[index]; known != nil && known.Epoch == c.Epoch && known.Leader.Round > gc {
			rec.Commits = append(rec.Commits, known.Commit)
		}
	}
	return rec
}
