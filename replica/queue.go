package replica

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/synod-network/synod/ordering"
)

// chunkSize is the size to which requests are gathered. A block's payload is
// taken from one chunk, so it also is the largest payload but for single
// larger requests.
const chunkSize = 1 << 20

// QueueLimits bound the requests that no block carries yet.
type QueueLimits struct {
	Requests int
	Bytes    int
}

// queue holds requests in the encoding in which a block carries them, so that
// a payload is cut off without being copied.
type queue struct {
	limits QueueLimits
	// arrived tells the loop that the queue is no longer empty.
	arrived func()

	mu       sync.Mutex
	chunks   []*chunk
	requests int
	bytes    int
	closed   bool
	usual    int // bytes that the chunk that was emptied last held
}

// chunk is a run of encoded requests.
type chunk struct {
	data  []byte
	ends  []int // end of each request in data
	start int   // bytes already taken
	taken int   // requests already taken
	marks []mark
}

// mark says when a number of consecutive requests was submitted.
type mark struct {
	requests int
	at       time.Time
}

// submit copies requests into the queue, all or none.
func (q *queue) submit(requests [][]byte, now time.Time) error {
	size := 0
	for _, r := range requests {
		size += ordering.EncodedSize(len(r))
	}
	switch {
	case size > q.limits.Bytes:
		return &ordering.TooLarge{Size: size, Limit: q.limits.Bytes}
	case len(requests) > q.limits.Requests:
		return &ordering.TooLarge{Size: len(requests), Limit: q.limits.Requests}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return ordering.ErrClosed
	case q.requests+len(requests) > q.limits.Requests || q.bytes+size > q.limits.Bytes:
		return &ordering.Overloaded{RetryAfter: overloadPause}
	}
	first := q.requests == 0
	for _, r := range requests {
		q.append(r)
	}
	last := q.chunks[len(q.chunks)-1]
	last.marks = append(last.marks, mark{requests: len(requests), at: now})
	if first {
		q.arrived()
	}
	return nil
}

// overloadPause is when an overloaded client may try again: about the time in
// which a loaded network orders one round.
const overloadPause = 20 * time.Millisecond

func (q *queue) append(r []byte) {
	n := ordering.EncodedSize(len(r))
	if len(q.chunks) == 0 || len(q.chunks[len(q.chunks)-1].data)+n > chunkSize {
		// Growing from nothing, a chunk would be copied, and its memory touched, twice over.
		q.chunks = append(q.chunks, &chunk{data: make([]byte, 0, max(n, q.usual))})
	}
	c := q.chunks[len(q.chunks)-1]
	c.data = ordering.AppendRequest(c.data, r)
	c.ends = append(c.ends, len(c.data))
	q.requests++
	q.bytes += n
}

// taken is the oldest part of the queue, cut off to be a block's payload.
type taken struct {
	payload  []byte
	requests int
	marks    []mark
}

// take cuts off as many of the oldest requests as fit, or a single one that is
// larger than bytes.
func (q *queue) take(requests, bytes int) (t taken, left, leftBytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.chunks) > 0 && requests > 0 {
		t = q.chunks[0].take(requests, bytes)
		q.requests -= t.requests
		q.bytes -= len(t.payload)
		if q.chunks[0].taken == len(q.chunks[0].ends) {
			q.usual = min(len(q.chunks[0].data), chunkSize)
			q.chunks = q.chunks[1:]
		}
	}
	return t, q.requests, q.bytes
}

func (c *chunk) take(requests, bytes int) (t taken) {
	end := c.start
	for c.taken < len(c.ends) && t.requests < requests && (t.requests == 0 || c.ends[c.taken]-c.start <= bytes) {
		end = c.ends[c.taken]
		c.taken++
		t.requests++
	}
	// The capacity ends with the payload, so that later requests appended to
	// the chunk can not be mistaken for a part of it.
	t.payload = c.data[c.start:end:end]
	c.start = end
	for left := t.requests; left > 0 && len(c.marks) > 0; {
		n := min(left, c.marks[0].requests)
		t.marks = append(t.marks, mark{requests: n, at: c.marks[0].at})
		left -= n
		if c.marks[0].requests -= n; c.marks[0].requests == 0 {
			c.marks = c.marks[1:]
		}
	}
	return t
}

// putBack returns a payload to the front. It may exceed the limits: these
// requests were admitted before.
func (q *queue) putBack(payload []byte, marks []mark) {
	c := &chunk{data: payload[:len(payload):len(payload)], marks: marks}
	for end := 0; end+4 <= len(payload); {
		end += 4 + int(binary.BigEndian.Uint32(payload[end:]))
		c.ends = append(c.ends, end)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(c.ends) == 0 {
		return
	}
	first := q.requests == 0
	q.chunks = append([]*chunk{c}, q.chunks...)
	q.requests += len(c.ends)
	q.bytes += len(payload)
	if first {
		q.arrived()
	}
}

// size returns what waits.
func (q *queue) size() (requests, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.requests, q.bytes
}

// close refuses further requests.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}
