package replica

import "github.com/synod-network/synod/bft"

// recentBytes bounds the payloads of accepted, uncommitted blocks in memory.
const recentBytes = 96 << 20

// recentBlocks holds accepted blocks until they are committed or forgotten, so
// that their payloads need not be read back from disk. The loop owns it.
type recentBlocks struct {
	blocks map[bft.Digest]recentBlock
	// order is the digests by the write that holds them, oldest first, to
	// drop durable ones from memory when there are too many.
	order   []bft.Digest
	bytes   int
	written uint64
}

type recentBlock struct {
	*bft.Block
	seq uint64
}

func newRecentBlocks() recentBlocks { return recentBlocks{blocks: map[bft.Digest]recentBlock{}} }

func (b *recentBlocks) add(f bft.Persist) {
	for _, k := range f.Blocks {
		d := k.Ref().Digest
		b.blocks[d] = recentBlock{Block: k, seq: f.Seq}
		b.order = append(b.order, d)
		b.bytes += len(k.Payload)
	}
	b.shrink()
}

func (b *recentBlocks) durable(seq uint64) {
	b.written = max(b.written, seq)
	b.shrink()
}

// shrink drops the oldest durable blocks while there are too many bytes, and
// forgets digests that are gone.
func (b *recentBlocks) shrink() {
	for len(b.order) > 0 {
		k, here := b.blocks[b.order[0]]
		if here && (b.bytes <= recentBytes || k.seq > b.written) {
			return
		}
		if here {
			b.remove(b.order[0])
		}
		b.order = b.order[1:]
	}
}

func (b *recentBlocks) remove(d bft.Digest) {
	if k, ok := b.blocks[d]; ok {
		b.bytes -= len(k.Payload)
		delete(b.blocks, d)
	}
}

func (b *recentBlocks) get(ref bft.Ref) (*bft.Block, bool) {
	k, ok := b.blocks[ref.Digest]
	return k.Block, ok
}

// take returns a block and forgets it: it has been committed.
func (b *recentBlocks) take(ref bft.Ref) (*bft.Block, bool) {
	k, ok := b.blocks[ref.Digest]
	b.remove(ref.Digest)
	return k.Block, ok
}

// forget drops the blocks of an epoch up to a round.
func (b *recentBlocks) forget(epoch bft.Epoch, round bft.Round) {
	for d, k := range b.blocks {
		if k.Epoch < epoch || k.Epoch == epoch && k.Round <= round {
			b.remove(d)
		}
	}
}
