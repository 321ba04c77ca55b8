package sim

import "github.com/synod-network/synod/bft"

// queue holds the requests that clients handed to a member until they are in a
// block of its own. It is bounded, and lost in a crash.
type queue struct {
	requests [][]byte
	bytes    int
}

// Bounds of a queue: small, so that the simulator meets them.
const (
	queueRequests = 5_000
	queueBytes    = 8 << 20
)

// push accepts a request unless the queue is full.
func (q *queue) push(r []byte) bool {
	if len(q.requests) >= queueRequests || q.bytes+len(r) > queueBytes {
		return false
	}
	q.requests = append(q.requests, r)
	q.bytes += len(r)
	return true
}

// pushFront returns the requests of a block that can never be committed. They
// were accepted once and are not refused now.
func (q *queue) pushFront(payload []byte) {
	var back [][]byte
	eachRequest(payload, func(r []byte) {
		back = append(back, r)
		q.bytes += len(r)
	})
	q.requests = append(back, q.requests...)
}

// payload takes as many requests as the effect allows.
func (q *queue) payload(limit bft.RequestPayload) bft.PayloadReady {
	var p bft.PayloadReady
	for len(q.requests) > 0 && p.Requests < limit.Requests {
		r := q.requests[0]
		fits := len(p.Payload)+4+len(r) <= limit.Bytes || p.Requests == 0 && len(r) <= limit.RequestBytes
		if !fits {
			break
		}
		p.Payload = appendRequest(p.Payload, r)
		p.Requests++
		q.requests = q.requests[1:]
		q.bytes -= len(r)
	}
	if p.Requests > 0 {
		p.Digest = bft.PayloadDigest(p.Payload)
	}
	p.Left = q.size()
	return p
}

func (q *queue) size() bft.RequestsQueued {
	return bft.RequestsQueued{Requests: len(q.requests), Bytes: q.bytes}
}
