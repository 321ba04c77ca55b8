package smartbft

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"google.golang.org/protobuf/proto"
)

// A frame on a link is its length (4 bytes, little-endian, of what follows),
// its kind, and a body. The first frame of a connection is the sender's id.
type kind byte

const (
	hello kind = iota
	consensusMessage
	forwardedRequest
)

const (
	largestFrame = 64 << 20
	queuedFrames = 4096 // per peer; the library keeps one proposal in flight
	linkBuffer   = 256 << 10
)

// links are the TCP connections of one node: one out to each peer, and one in
// from each.
type links struct {
	id       uint64
	listener net.Listener
	closed   chan struct{}
	once     sync.Once
	loops    sync.WaitGroup

	mu    sync.Mutex // guards the following
	conns []net.Conn // all, to be closed

	peers map[uint64]chan []byte // frames to be written; fixed after dialling

	encoding sync.Mutex // guards the following
	// A broadcast calls send once for each peer with one message; the frame of
	// the last message is kept, to encode it once.
	lastMessage *smartbftprotos.Message
	lastFrame   []byte
}

func listen(id uint64) (*links, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for peers of node %d: %w", id, err)
	}
	return &links{id: id, listener: l, closed: make(chan struct{}), peers: make(map[uint64]chan []byte)}, nil
}

func (l *links) address() string { return l.listener.Addr().String() }

// dial connects to a peer and starts to write to it.
func (l *links) dial(peer uint64, address string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return fmt.Errorf("connecting node %d to node %d: %w", l.id, peer, err)
	}
	l.own(conn)
	queue := make(chan []byte, queuedFrames)
	queue <- frame(hello, binary.LittleEndian.AppendUint64(nil, l.id))
	l.peers[peer] = queue
	l.loops.Go(func() { l.write(conn, queue) })
	return nil
}

// own closes the connection when the links close.
func (l *links) own(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.closed:
		conn.Close()
	default:
		l.conns = append(l.conns, conn)
	}
}

// accept reads from every peer that connects, until the links close.
func (l *links) accept(deliver func(from uint64, kind kind, body []byte)) {
	l.loops.Go(func() {
		for {
			conn, err := l.listener.Accept()
			if err != nil {
				return // closed
			}
			l.own(conn)
			l.loops.Go(func() { l.read(conn, deliver) })
		}
	})
}

func (l *links) send(peer uint64, m *smartbftprotos.Message) {
	l.encoding.Lock()
	if m != l.lastMessage {
		body, err := proto.Marshal(m)
		if err != nil {
			panic(fmt.Sprintf("encoding a message for node %d: %v", peer, err))
		}
		l.lastMessage, l.lastFrame = m, frame(consensusMessage, body)
	}
	f := l.lastFrame
	l.encoding.Unlock()
	l.queue(peer, f)
}

func (l *links) forward(peer uint64, request []byte) {
	l.queue(peer, frame(forwardedRequest, request))
}

// queue waits for room: the library has no notion of a message not sent.
func (l *links) queue(peer uint64, f []byte) {
	select {
	case l.peers[peer] <- f:
	case <-l.closed:
	}
}

func frame(k kind, body []byte) []byte {
	f := make([]byte, 0, 5+len(body))
	f = binary.LittleEndian.AppendUint32(f, uint32(1+len(body)))
	return append(append(f, byte(k)), body...)
}

// write sends queued frames, many small ones at once. After an error it goes
// on taking frames, to nowhere, as for a peer that is gone.
func (l *links) write(conn net.Conn, queue <-chan []byte) {
	out := bufio.NewWriterSize(conn, linkBuffer)
	for {
		select {
		case f := <-queue:
			out.Write(f) // an error stays with out
			if len(queue) == 0 {
				out.Flush()
			}
		case <-l.closed:
			return
		}
	}
}

func (l *links) read(conn net.Conn, deliver func(from uint64, kind kind, body []byte)) {
	defer conn.Close()
	in := bufio.NewReaderSize(conn, linkBuffer)
	var from uint64
	for {
		var head [5]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return
		}
		size := binary.LittleEndian.Uint32(head[:4])
		if size < 1 || size > largestFrame {
			return
		}
		body := make([]byte, size-1)
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		if kind(head[4]) == hello {
			if len(body) != 8 {
				return
			}
			from = binary.LittleEndian.Uint64(body)
			continue
		}
		deliver(from, kind(head[4]), body)
	}
}

// cut closes all connections at once, as the system does for a process that
// was killed.
func (l *links) cut() {
	l.once.Do(func() {
		l.mu.Lock()
		close(l.closed)
		for _, c := range l.conns {
			c.Close()
		}
		l.mu.Unlock()
		l.listener.Close()
	})
}

// wait returns once nothing is read or written any more.
func (l *links) wait() { l.loops.Wait() }
