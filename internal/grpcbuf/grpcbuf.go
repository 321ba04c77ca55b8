// Package grpcbuf gives gRPC buffers of every power of two, as they are. gRPC's own pool has none between 32 KiB and 1 MiB, and
// clears a whole buffer each time it is taken: a message of 40 KiB costs the clearing of a mebibyte. What takes a buffer from
// gRPC's pool writes all of it before anything is read.
package grpcbuf

import (
	"math/bits"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/experimental"
)

// Dial is the option for a client's connections. They share one pool if they share the option.
func Dial() grpc.DialOption { return experimental.WithBufferPool(new(pool)) }

// Serve is the option for a server.
func Serve() grpc.ServerOption { return experimental.BufferPool(new(pool)) }

const (
	least = 8  // the smallest buffer that is kept has 2^least bytes
	most  = 22 // and the largest
)

// pool implements [google.golang.org/grpc/mem.BufferPool].
type pool struct {
	sizes [most - least + 1]sync.Pool // of *[]byte, each with a capacity of 2^(least+i)
}

// Get returns a buffer of this length, with anything in it.
func (p *pool) Get(length int) *[]byte {
	exponent := least
	if length > 1<<least {
		exponent = bits.Len(uint(length - 1))
	}
	if exponent > most {
		b := make([]byte, length)
		return &b
	}
	if kept, ok := p.sizes[exponent-least].Get().(*[]byte); ok {
		*kept = (*kept)[:length]
		return kept
	}
	b := make([]byte, length, 1<<exponent)
	return &b
}

// Put takes a buffer back. One that was made elsewhere is kept if it has one of our capacities.
func (p *pool) Put(b *[]byte) {
	exponent := bits.Len(uint(cap(*b))) - 1
	if exponent >= least && exponent <= most && cap(*b) == 1<<exponent {
		p.sizes[exponent-least].Put(b)
	}
}
