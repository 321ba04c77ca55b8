package members

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc"

	"github.com/synod-network/synod/internal/grpclink"
)

// perConnection is how many members share a connection: a sequencer takes a few hundred streams on each, of which a member
// has up to two. More would wait without a word until others end.
const perConnection = 100

// connections are those to one sequencer, used in turns.
type connections struct {
	list []*grpc.ClientConn
	next atomic.Uint32
}

func dial(address string, members int, options ...grpc.DialOption) (*connections, error) {
	c := &connections{}
	for range 1 + (members-1)/perConnection {
		conn, err := grpclink.Dial(address, options...)
		if err != nil {
			return nil, err
		}
		c.list = append(c.list, conn)
	}
	return c, nil
}

func (c *connections) pick() *grpc.ClientConn { return c.list[int(c.next.Add(1))%len(c.list)] }

// Invoke implements [grpc.ClientConnInterface].
func (c *connections) Invoke(ctx context.Context, method string, args, reply any, options ...grpc.CallOption) error {
	return c.pick().Invoke(ctx, method, args, reply, options...)
}

// NewStream implements [grpc.ClientConnInterface].
func (c *connections) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	return c.pick().NewStream(ctx, desc, method, options...)
}
