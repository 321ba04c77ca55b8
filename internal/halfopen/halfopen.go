// Package halfopen ends connections whose other end is gone without a word.
//
// A machine that loses its power or its network sends neither FIN nor RST. What is sent to it stays in the kernel's buffers and is
// sent again for a quarter of an hour (Linux: tcp_retries2), while the program believes that all is well. Here a connection fails once
// what was sent to it has stayed unacknowledged for a span, or once the other end has taken nothing for so long
// (TCP_USER_TIMEOUT, RFC 5482). A connection over which nothing is sent is the business of keep-alives, which Go turns on.
//
// Systems other than Linux have no such setting, or another: there this package does nothing, and who needs a bound that holds
// everywhere has one of its own besides.
package halfopen

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// Listener limits each connection that another listener accepts. A span of 0 leaves them as they are.
func Listener(listener net.Listener, span time.Duration) net.Listener {
	if span == 0 {
		return listener
	}
	return &limiting{listener, span}
}

type limiting struct {
	net.Listener
	span time.Duration
}

// Accept implements [net.Listener].
func (l *limiting) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = Limit(tcp, l.span) // fails for a connection that has ended already, which its user notices
	}
	return conn, nil
}

// IsGone reports whether an error of a connection means that the other end took nothing for too long.
func IsGone(err error) bool { return errors.Is(err, syscall.ETIMEDOUT) }
