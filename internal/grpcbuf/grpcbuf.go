// Package grpcbuf gives gRPC buffers of every power of two. gRPC's own pool has none between 32 KiB and 1 MiB, and
// clears a whole buffer each time it is taken: a message of 40 KiB costs the clearing of a mebibyte.
package grpcbuf

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/mem"
)

// Dial is the option for a client's connections. They share one pool if they share the option.
func Dial() grpc.DialOption { return experimental.WithBufferPool(pool()) }

// Serve is the option for a server.
func Serve() grpc.ServerOption { return experimental.BufferPool(pool()) }

// pool has buffers of 256 bytes to 4 MiB; larger ones are not kept.
func pool() mem.BufferPool {
	p, err := mem.NewBinaryTieredBufferPool(8, 10, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22)
	if err != nil {
		panic(err) // the sizes above are wrong
	}
	return p
}
