package stream

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// subscriber is one open stream. From the moment it is handed to a worker, that worker owns it.
type subscriber struct {
	conn  *net.TCPConn
	raw   syscall.RawConn
	path  path
	plain bool // HTTP/1.0: no chunks

	head   []byte // what is sent before the first event: the response's head, a comment, the API version
	at     *node  // sent whole, or passed over
	offset int    // bytes of the next frame that are sent already

	maxBehind      uint64 // in events and bytes, beyond which it is cut
	maxBehindBytes uint64

	wrote   time.Time // when the socket took something last
	blocked bool      // the socket took less than was there

	// The arguments and results of the two functions below, which exist once so that no write allocates.
	buf   []byte
	n     int
	err   error
	write func(fd uintptr) bool
	peek  func(fd uintptr) bool
}

func newSubscriber(conn *net.TCPConn, p path) (*subscriber, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	sub := &subscriber{conn: conn, raw: raw, path: p}
	sub.write = func(fd uintptr) bool {
		sub.n, sub.err = retry(func() (int, error) { return unix.Write(int(fd), sub.buf) })
		return true // whatever happened: never wait for the socket
	}
	sub.peek = func(fd uintptr) bool {
		sub.n, sub.err = retry(func() (int, error) { return unix.Read(int(fd), sub.buf) })
		return true
	}
	return sub, nil
}

func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return max(n, 0), err
		}
	}
}

// send writes what the socket takes at once. It returns how much that was, 0 if it takes nothing now, and an error if the
// connection is done for.
func (sub *subscriber) send(data []byte) (int, error) {
	sub.buf, sub.n, sub.err = data, 0, nil
	err := sub.raw.Write(sub.write)
	sub.buf = nil
	switch {
	case err != nil:
		return 0, err
	case errors.Is(sub.err, unix.EAGAIN):
		return 0, nil
	default:
		return sub.n, sub.err
	}
}

// listen throws away what the client sends and returns why the connection is of no more use: io.EOF if the client has closed its end.
// scratch is for what is thrown away.
func (sub *subscriber) listen(scratch []byte) error {
	sub.buf, sub.n, sub.err = scratch, 0, nil
	err := sub.raw.Read(sub.peek)
	sub.buf = nil
	switch {
	case err != nil:
		return err
	case errors.Is(sub.err, unix.EAGAIN):
		return nil
	case sub.err == nil && sub.n == 0:
		return io.EOF
	default:
		return sub.err
	}
}

// behind reports whether the subscriber may no longer be waited for, given the newest node.
func (sub *subscriber) behind(newest *node) bool {
	return newest.index-sub.at.index > sub.maxBehind || newest.bytes-sub.at.bytes > sub.maxBehindBytes
}
