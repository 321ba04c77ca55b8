package p2p

import (
	"bufio"
	"net"
	"sync"
	"time"
)

// wireBuffer is how many bytes of TLS records are gathered for one system call. The TLS library reads and writes
// record by record, 16 KiB at a time.
const wireBuffer = 128 << 10

// wire is the TCP connection as TLS sees it. While TLS shakes hands it writes through, under one deadline for all of
// it. Once established, it gathers writes until Flush, and every system call that waits for the peer has a deadline of
// its own, so that slow progress is told from none.
type wire struct {
	net.Conn
	in *bufio.Reader // TLS reads one at a time

	idle, stall time.Duration // for reads and writes; set once by establish, before reader and writer start

	mu  sync.Mutex // TLS writes from its reader too, in answer to key updates
	out []byte
}

func newWire(conn net.Conn) *wire {
	w := &wire{Conn: conn}
	w.in = bufio.NewReaderSize(deadlineReader{w}, wireBuffer)
	return w
}

// establish ends the handshake. A read fails after idle without a byte, a write after stall without progress.
func (w *wire) establish(idle, stall time.Duration) error {
	w.idle, w.stall = idle, stall
	w.out = make([]byte, 0, wireBuffer)
	return w.Conn.SetDeadline(time.Time{})
}

func (w *wire) Read(p []byte) (int, error) { return w.in.Read(p) }

// deadlineReader reads from the socket itself, below the buffer.
type deadlineReader struct{ w *wire }

func (d deadlineReader) Read(p []byte) (int, error) {
	if d.w.idle > 0 {
		if err := d.w.Conn.SetReadDeadline(time.Now().Add(d.w.idle)); err != nil {
			return 0, err
		}
	}
	return d.w.Conn.Read(p)
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.out == nil {
		return w.Conn.Write(p)
	}
	if len(w.out)+len(p) > cap(w.out) {
		if err := w.flush(); err != nil {
			return 0, err
		}
	}
	w.out = append(w.out, p...)
	return len(p), nil
}

// Flush sends what Write gathered.
func (w *wire) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flush()
}

func (w *wire) flush() error {
	if len(w.out) == 0 {
		return nil
	}
	if err := w.Conn.SetWriteDeadline(time.Now().Add(w.stall)); err != nil {
		return err
	}
	_, err := w.Conn.Write(w.out)
	w.out = w.out[:0]
	return err
}
