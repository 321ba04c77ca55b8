package turnstile

import (
	"context"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// Credentials makes the connection of a gRPC call known to who serves it: see [Of].
func Credentials(transport credentials.TransportCredentials) credentials.TransportCredentials {
	return visible{transport}
}

type visible struct {
	credentials.TransportCredentials
}

// visit is what gRPC keeps of a connection, with the connection.
type visit struct {
	credentials.AuthInfo
	conn *Conn
}

// ServerHandshake implements [credentials.TransportCredentials].
func (v visible) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := v.TransportCredentials.ServerHandshake(raw)
	if through, ok := raw.(*Conn); ok && err == nil {
		info = visit{info, through}
	}
	return conn, info, err
}

// Clone implements [credentials.TransportCredentials].
func (v visible) Clone() credentials.TransportCredentials {
	return visible{v.TransportCredentials.Clone()}
}

// ProvenByHandshake makes connections count as proven once the handshake is done, for transports that admit nobody else.
func ProvenByHandshake(transport credentials.TransportCredentials) credentials.TransportCredentials {
	return proving{transport}
}

type proving struct {
	credentials.TransportCredentials
}

// ServerHandshake implements [credentials.TransportCredentials].
func (p proving) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := p.TransportCredentials.ServerHandshake(raw)
	if through, ok := raw.(*Conn); ok && err == nil {
		through.Prove()
	}
	return conn, info, err
}

// Clone implements [credentials.TransportCredentials].
func (p proving) Clone() credentials.TransportCredentials {
	return proving{p.TransportCredentials.Clone()}
}

// HostOf is the host that a call comes from; see [Host].
func HostOf(ctx context.Context) string {
	if conn := Of(ctx); conn != nil {
		return conn.Host()
	}
	if from, ok := peer.FromContext(ctx); ok {
		return Host(from.Addr)
	}
	return ""
}

// Of is the connection over which a call came, nil if it went through no turnstile.
func Of(ctx context.Context) *Conn {
	from, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	v, _ := from.AuthInfo.(visit)
	return v.conn
}
