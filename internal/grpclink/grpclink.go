// Package grpclink makes gRPC connections and servers that notice when the other end is gone without a word.
//
// A machine that loses its power or its network sends neither FIN nor RST. A connection on which nothing came for a while is
// therefore asked whether it lives (a ping of HTTP/2), by both ends, and given up when no answer comes. Both ends must agree on
// how often that may be, or the server takes pings for an attack and hangs up (ENHANCE_YOUR_CALM): so all settings are here, and
// all of synod's connections and servers are made here, which a test checks.
package grpclink

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// A connection that is lost without a word is noticed by a client within PingAfter and PingPatience, by a server within the same with
// pingSilent. Servers admit a client's pings every PingAtMost, which leaves those of other makes room.
const (
	PingAfter    = 20 * time.Second // after nothing came for that long, a client asks
	PingPatience = 10 * time.Second // and gives up when no answer came for that long
	PingAtMost   = 10 * time.Second // how often a server admits to be asked
	pingSilent   = 30 * time.Second // after nothing came for that long, a server asks
)

// Dial is [grpc.NewClient] with these settings.
func Dial(target string, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	alive := grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: PingAfter, Timeout: PingPatience, PermitWithoutStream: true})
	return grpc.NewClient(target, append([]grpc.DialOption{alive}, options...)...)
}

// Server is [grpc.NewServer] with these settings.
func Server(options ...grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append([]grpc.ServerOption{
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: PingAtMost, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingSilent, Timeout: PingPatience}),
	}, options...)...)
}

// Idle is the option for a server that lets connections go over which no call was open for so long.
func Idle(span time.Duration) grpc.ServerOption {
	return grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingSilent, Timeout: PingPatience, MaxConnectionIdle: span})
}
