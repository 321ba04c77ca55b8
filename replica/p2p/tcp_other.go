//go:build !linux

package p2p

import (
	"net"
	"time"
)

// tuneTCP sends small frames at once. Pings alone notice a peer that acknowledges nothing.
func tuneTCP(conn net.Conn, _ time.Duration) error {
	if tcp, ok := conn.(*net.TCPConn); ok {
		return tcp.SetNoDelay(true)
	}
	return nil
}
