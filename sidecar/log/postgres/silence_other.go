//go:build !linux

package postgres

import (
	"net"
	"time"
)

// limitSilence does nothing where there is no such setting: keep-alives notice a dead peer, only later.
func limitSilence(*net.TCPConn, time.Duration) error { return nil }
