//go:build !linux

package halfopen

import (
	"net"
	"time"
)

// Limit does nothing where there is no such setting: keep-alives and retransmissions notice a dead peer, only later.
func Limit(*net.TCPConn, time.Duration) error { return nil }
