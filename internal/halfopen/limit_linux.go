package halfopen

import (
	"errors"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// Limit makes a connection fail when the other end takes nothing of what is sent to it for a span, of at least a millisecond.
func Limit(conn *net.TCPConn, span time.Duration) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		set = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(max(1, span.Milliseconds())))
	})
	return errors.Join(err, set)
}
