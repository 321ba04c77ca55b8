package p2p

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// tuneTCP sends small frames at once, and lets the kernel give up when the peer acknowledges nothing for stall, which
// the deadlines of this process cannot see while the socket still has room.
func tuneTCP(conn net.Conn, stall time.Duration) error {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil // a test's own connection
	}
	if err := tcp.SetNoDelay(true); err != nil {
		return err
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(stall.Milliseconds()))
	})
	if err != nil {
		return err
	}
	return failed
}
