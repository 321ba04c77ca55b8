package sequencing

import (
	"cmp"
	"crypto/sha256"
	"hash"
	"slices"
)

// chunkBytes is when a chunk of the log is full. One more entry is far from making
// it larger than [MaxChunk].
const chunkBytes = 256 << 10

// inflightKey stands for (sender, message id), or for a whole submission. Half a
// SHA-256: whoever wants two of the same needs 2^64 tries, and harms nobody but
// itself, because the sender is hashed and signs.
type inflightKey [16]byte

// entry remembers one sequenced or refused submission until its
// max-sequencing-time.
type entry struct {
	sender  Index
	maxTime Time
	key     inflightKey
	print   inflightKey // of the signed digest: tells a repetition from new content
	// contribution is set for a submission under an aggregation rule.
	contribution *contribution
}

// contribution is one sender's part in an aggregation.
type contribution struct {
	content   Digest
	threshold uint16
	message   MessageID
	cost      uint64
	signature KeySignature
}

func (e *entry) encode(w *writer) {
	w.Bool(e.contribution != nil)
	w.U32(uint32(e.sender))
	w.time(e.maxTime)
	w.Bytes(e.key[:])
	w.Bytes(e.print[:])
	if c := e.contribution; c != nil {
		w.Bytes(c.content[:])
		w.U16(c.threshold)
		w.text(string(c.message))
		w.U64(c.cost)
		w.Bytes(c.signature.Key[:])
		w.Bytes(c.signature.Signature[:])
	}
}

func decodeEntry(r *reader) (e entry) {
	contributed := r.Bool()
	e.sender, e.maxTime = Index(r.U32()), r.time()
	copy(e.key[:], r.Take(len(e.key)))
	copy(e.print[:], r.Take(len(e.print)))
	if contributed {
		e.contribution = &contribution{content: r.digest(), threshold: r.U16(), message: MessageID(r.text(MaxMessageID)),
			cost: r.U64(), signature: KeySignature{Key: r.key(), Signature: r.signature()}}
	}
	return e
}

// chunk is a run of entries in the order in which they came. Bytes once
// written never change: a snapshot shares them without a copy.
type chunk struct {
	data   []byte
	hash   hash.Hash // over data, while more may be appended
	digest Digest    // once it is full
}

func (c *chunk) sum() (d Digest) {
	if c.hash != nil {
		c.hash.Sum(d[:0])
		return d
	}
	return c.digest
}

// bucketWidth is the time that a bucket spans: a submission is forgotten at most
// so long after its max-sequencing-time.
const bucketWidth = 10 * Second

// bucket holds the entries that expire within one span of bucketWidth.
type bucket struct {
	number Time // of the max-sequencing-times in it, in bucketWidth
	chunks []*chunk
}

// inflight is the memory of submissions whose max-sequencing-time has not
// passed. It is a log for each bucket: entries are appended and never
// changed, and a bucket goes as a whole once all in it have expired. What is looked
// up is derived from the log, so the log alone is hashed and put into snapshots.
type inflight struct {
	buckets []*bucket // by number; at most MaxAhead / bucketWidth + 2

	// Derived, only ever looked up, never walked.
	seen         map[inflightKey]sighting
	aggregations map[Digest]*aggregation
	pending      []uint32 // entries by sender
	scratch      writer
}

type sighting struct {
	print   inflightKey
	maxTime Time
}

// aggregation is what was contributed to one content.
type aggregation struct {
	threshold int
	signers   []signer
}

type signer struct {
	sender Index
	contribution
}

func (a *aggregation) delivered() bool { return a != nil && len(a.signers) >= a.threshold }

func (a *aggregation) has(sender Index) bool {
	if a == nil {
		return false
	}
	for _, s := range a.signers {
		if s.sender == sender {
			return true
		}
	}
	return false
}

func newInflight() *inflight {
	return &inflight{seen: map[inflightKey]sighting{}, aggregations: map[Digest]*aggregation{}}
}

// lookup finds what is remembered under a key and has not expired.
func (f *inflight) lookup(key inflightKey, now Time) (sighting, bool) {
	s, ok := f.seen[key]
	return s, ok && s.maxTime >= now
}

// of returns how many submissions of a sender are remembered.
func (f *inflight) of(sender Index) int {
	if int(sender) < len(f.pending) {
		return int(f.pending[sender])
	}
	return 0
}

// add remembers a submission.
func (f *inflight) add(e entry) {
	open := f.bucket(e.maxTime / bucketWidth).open()
	w := &f.scratch
	w.Buf = w.Buf[:0]
	e.encode(w)
	open.data = append(open.data, w.Buf...)
	open.hash.Write(w.Buf)
	f.derive(e)
}

// bucket finds or makes a bucket.
func (f *inflight) bucket(number Time) *bucket {
	i, found := slices.BinarySearchFunc(f.buckets, number, func(b *bucket, number Time) int { return cmp.Compare(b.number, number) })
	if !found {
		f.buckets = slices.Insert(f.buckets, i, &bucket{number: number})
	}
	return f.buckets[i]
}

// open returns the chunk to append to.
func (b *bucket) open() *chunk {
	n := len(b.chunks)
	if n > 0 && len(b.chunks[n-1].data) < chunkBytes {
		return b.chunks[n-1]
	}
	return b.append(nil)
}

// append begins a chunk with data, and fixes the one before it.
func (b *bucket) append(data []byte) *chunk {
	if n := len(b.chunks); n > 0 {
		last := b.chunks[n-1]
		last.digest, last.hash = last.sum(), nil
	}
	c := &chunk{data: data, hash: sha256.New()}
	c.hash.Write(data)
	b.chunks = append(b.chunks, c)
	return c
}

// derive updates what is looked up by an entry of the log.
func (f *inflight) derive(e entry) {
	f.seen[e.key] = sighting{print: e.print, maxTime: e.maxTime}
	for int(e.sender) >= len(f.pending) {
		f.pending = append(f.pending, 0)
	}
	f.pending[e.sender]++
	if c := e.contribution; c != nil {
		a := f.aggregations[c.content]
		if a == nil {
			a = &aggregation{threshold: int(c.threshold)}
			f.aggregations[c.content] = a
		}
		a.signers = append(a.signers, signer{sender: e.sender, contribution: *c})
	}
}

// expire forgets the buckets that lie before a time. What has expired in the bucket
// of that time is treated as forgotten, but still counts for [inflight.of].
func (f *inflight) expire(now Time) {
	for len(f.buckets) > 0 && f.buckets[0].number < now/bucketWidth {
		for _, c := range f.buckets[0].chunks {
			for r := newReader(c.data); len(r.Buf) > 0; {
				f.forget(decodeEntry(&r))
			}
		}
		f.buckets[0] = nil
		f.buckets = f.buckets[1:]
	}
}

func (f *inflight) forget(e entry) {
	if f.seen[e.key].maxTime == e.maxTime { // else the key was used again since
		delete(f.seen, e.key)
	}
	f.pending[e.sender]--
	if e.contribution != nil {
		delete(f.aggregations, e.contribution.content)
	}
}

// all yields the chunks in the order of snapshots.
func (f *inflight) all(yield func(*chunk) bool) {
	for _, b := range f.buckets {
		for _, c := range b.chunks {
			if !yield(c) {
				return
			}
		}
	}
}

// restore appends a chunk of a snapshot. It returns false for one that never
// was in a log.
func (f *inflight) restore(data []byte, members int) bool {
	var in *bucket
	for r := newReader(data); len(r.Buf) > 0; {
		e := decodeEntry(&r)
		if r.Err != nil || int(e.sender) >= members {
			return false
		}
		number := e.maxTime / bucketWidth
		switch {
		case in != nil && number != in.number:
			return false
		case in == nil && len(f.buckets) > 0 && number < f.buckets[len(f.buckets)-1].number:
			return false
		case in == nil:
			in = f.bucket(number)
			in.append(data[:len(data):len(data)])
		}
		f.derive(e)
	}
	return in != nil
}
