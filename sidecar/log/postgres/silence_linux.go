package postgres

import (
	"errors"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// limitSilence makes a connection fail when what was sent is not acknowledged within a span.
func limitSilence(conn *net.TCPConn, span time.Duration) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		set = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(span.Milliseconds()))
	})
	return errors.Join(err, set)
}
