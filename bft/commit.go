package bft

import (
	"crypto/sha256"
	"fmt"
)

// Commit is one decided leader block with the part of its history that was not
// committed before. Commits are chained and numbered without gap over the life
// of the network: they are the ordered blocks that the layers above see.
type Commit struct {
	Index    CommitIndex
	Previous Digest
	Epoch    Epoch
	// Leader is the decided block; it is also the last of Blocks.
	Leader Ref
	// Time is the time of the first request. Request i of the commit has
	// Time + i µs; see LastTime.
	Time Time
	// Requests is the number of requests in all Blocks together.
	Requests uint32
	// Blocks are the committed blocks in their agreed order.
	Blocks []Ref
	digest Digest
}

// Digest returns the digest of the commit, which the next commit chains to.
func (c *Commit) Digest() Digest { return c.digest }

// LastTime returns the last time that the commit gives out. The next commit's
// Time is later.
func (c *Commit) LastTime() Time { return c.Time + max(0, Time(c.Requests)-1) }

func (c *Commit) encode(w *writer) {
	w.U64(uint64(c.Index))
	w.Bytes(c.Previous[:])
	w.U64(uint64(c.Epoch))
	w.ref(c.Leader)
	w.U64(uint64(c.Time))
	w.U32(c.Requests)
	w.U32(uint32(len(c.Blocks)))
	for _, b := range c.Blocks {
		w.ref(b)
	}
}

// maxCommitBlocks bounds the blocks of one commit: every variant that every
// member can have in GCDepth rounds would be more, but a message that size
// could not be sent.
const maxCommitBlocks = 1 << 20

func decodeCommit(r *reader, network NetworkID) *Commit {
	c := &Commit{
		Index: CommitIndex(r.U64()), Previous: r.digest(), Epoch: Epoch(r.U64()),
		Leader: r.ref(), Time: Time(r.U64()), Requests: r.U32(),
	}
	n := r.count(maxCommitBlocks, refSize)
	c.Blocks = make([]Ref, 0, n)
	for range n {
		c.Blocks = append(c.Blocks, r.ref())
	}
	c.seal(network)
	return c
}

// seal computes the digest once the other fields are final.
func (c *Commit) seal(network NetworkID) {
	w := newWriter(make([]byte, 0, 256+refSize*len(c.Blocks)))
	w.Bytes([]byte(domainCommit))
	w.Bytes(network[:])
	c.encode(&w)
	c.digest = sha256.Sum256(w.Buf)
}

// Encode returns the canonical encoding of the commit.
func (c *Commit) Encode() []byte {
	var w writer
	c.encode(&w)
	return w.Buf
}

// DecodeCommit is the inverse of Commit.Encode.
func DecodeCommit(b []byte, network NetworkID) (*Commit, error) {
	r := newReader(b)
	c := decodeCommit(&r, network)
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("decode commit: %w", err)
	}
	return c, nil
}

// CommitRecord is a commit as a member keeps it: with the leader schedule in
// force after it, so that a restart needs no older commit than the last.
type CommitRecord struct {
	*Commit
	Schedule Schedule
}

// Encode returns what the runtime stores under the commit's index.
func (c *CommitRecord) Encode() []byte {
	var w writer
	c.Commit.encode(&w)
	c.Schedule.encode(&w)
	return w.Buf
}

// DecodeCommitRecord is the inverse of CommitRecord.Encode.
func DecodeCommitRecord(b []byte, network NetworkID) (*CommitRecord, error) {
	r := newReader(b)
	c := &CommitRecord{Commit: decodeCommit(&r, network)}
	c.Schedule = decodeSchedule(&r)
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("decode commit record: %w", err)
	}
	return c, nil
}
