package ordering

import "iter"

// Height is the number of an ordered block: 1, 2, 3 … without gap for the life
// of the network.
type Height uint64

// Digest is a SHA-256 sized hash.
type Digest = [32]byte

// Block is a piece of the total order, the same at every node. It is immutable:
// readers share the memory behind Payloads.
type Block struct {
	Height Height
	// Digest stands for the whole block; Previous is the Digest of the block
	// before, all zero at height 1. Equal digests at one height mean equal
	// blocks, and therefore equal histories. How a digest is computed is the
	// backend's own affair.
	Digest, Previous Digest
	// Epoch is the tenure of the committee that ordered the block. It never
	// decreases.
	Epoch uint64
	// Time is the time of the first request in µs since the Unix epoch, UTC;
	// request i has Time + i. It is greater than the last time of the block
	// before, also when either block is empty.
	Time int64
	// Payloads hold the requests in order, as few large ranges.
	Payloads []Payload
}

// Request is one ordered request.
type Request struct {
	// Index is the place within the block, from 0.
	Index int
	// Time is when the request was sequenced, in µs since the Unix epoch, UTC.
	// No two requests of a network share a time.
	Time int64
	// Data is what was submitted. It is shared memory: do not modify it.
	Data []byte
}

// RequestCount is the number of requests in the block. A block may be empty.
func (b Block) RequestCount() int {
	count := 0
	for _, payload := range b.Payloads {
		count += payload.Count
	}
	return count
}

// LastTime is the last time the block gives out: that of its last request, or
// the block's own when it is empty.
func (b Block) LastTime() int64 {
	return b.Time + int64(max(0, b.RequestCount()-1))
}

// Requests yields the block's requests in order.
func (b Block) Requests() iter.Seq[Request] {
	return func(yield func(Request) bool) {
		index := 0
		for _, payload := range b.Payloads {
			for data := range payload.Requests() {
				if !yield(Request{Index: index, Time: b.Time + int64(index), Data: data}) {
					return
				}
				index++
			}
		}
	}
}
