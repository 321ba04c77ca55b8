package store

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/synod-network/synod/bft"
)

// Batch collects what is to become durable together. It keeps references to what it is given, which must not change
// until Persist has returned. The zero value is empty and ready.
type Batch struct {
	records []record
	bytes   int64
	// firstCommit and lastCommit are the indexes of the first and last commit record, 0 if there is none; disordered tells
	// that those between are not consecutive.
	firstCommit, lastCommit bft.CommitIndex
	disordered              bool
	evidence                uint32
}

// record is one entry of a group. Its key is its key in the index. A block's payload is the tail, so that it can be read
// alone; everything else is all head.
type record struct {
	key        []byte
	head, tail []byte
}

// blockPoint orders blocks by epoch and round: what pruning goes by.
type blockPoint struct {
	epoch bft.Epoch
	round bft.Round
}

func (p blockPoint) before(o blockPoint) bool {
	return p.epoch < o.epoch || p.epoch == o.epoch && p.round < o.round
}

// Reset empties the batch for another use.
func (b *Batch) Reset() {
	clear(b.records)
	*b = Batch{records: b.records[:0]}
}

// Len returns the number of records.
func (b *Batch) Len() int { return len(b.records) }

// Block adds a block with its payload.
func (b *Batch) Block(block *bft.Block) {
	head, payload := bft.EncodeBlock(block)
	b.add(blockKey(block.Epoch, block.Ref()), head, payload)
}

// CommitRecord adds a commit. Indexes are consecutive, within a batch and from batch to batch, except that a member which
// received a snapshot goes on after the snapshot: what it had before the gap then counts as pruned.
func (b *Batch) CommitRecord(c *bft.CommitRecord) {
	if b.lastCommit == 0 {
		b.firstCommit = c.Index
	}
	b.disordered = b.disordered || c.Index != b.lastCommit+1 && b.lastCommit != 0 || c.Index == 0
	b.lastCommit = c.Index
	b.add(commitKey(c.Index), c.Encode(), nil)
}

// Handover adds the hand-over that ended an epoch. It is kept for ever.
func (b *Batch) Handover(h *bft.Handover) { b.add(handoverKey(h.Epoch), h.Encode(), nil) }

// Evidence adds proof of a member's fault. It is kept for ever.
func (b *Batch) Evidence(e *bft.Evidence) {
	b.evidence++
	// The key is completed with the group's number when the batch is written.
	b.add(evidenceKey(0, b.evidence), e.Encode(), nil)
}

// Meta sets a small value of a layer above, replacing an earlier one under the same key.
func (b *Batch) Meta(key string, value []byte) { b.add(metaKey(key), value, nil) }

func (b *Batch) add(key, head, tail []byte) {
	b.records = append(b.records, record{key: key, head: head, tail: tail})
	b.bytes += int64(entrySize + len(key) + len(head) + len(tail))
}

// checksum is CRC-32C, computed by the processor at over 10 GB/s.
func checksum(p []byte) uint32 { return crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)) }

// numberEvidence completes the keys of evidence with the number of the group, which makes them unique.
func (b *Batch) numberEvidence(group uint64) {
	if b.evidence == 0 {
		return
	}
	for _, r := range b.records {
		if r.key[0] == prefixEvidence {
			binary.BigEndian.PutUint64(r.key[1:], group)
		}
	}
}
