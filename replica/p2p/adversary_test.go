package p2p_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/replica/p2p"
)

// The strangers below speak TLS by themselves, so that these tests also pin the protocol: its names and signals.

const (
	liveProtocol = "synod-peer/1/live/"
	ready        = 3<<30 | 1
	chosen       = 3<<30 | 2
)

func header(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// stranger is a TLS client configuration that shows key and asks for protocols.
func stranger(t *testing.T, key keys.PrivateKey, protocols ...string) *tls.Config {
	t.Helper()
	signer := key.Signer()
	template := &x509.Certificate{SerialNumber: big.NewInt(7)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{
		InsecureSkipVerify: true,
		NextProtos:         protocols,
		Certificates:       []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: signer}},
	}
}

func live() string { return liveProtocol + hex.EncodeToString(testNetwork[:]) }

// dialTLS shakes hands and reports what the node says: nil if it waits for more.
func dialTLS(t *testing.T, n *node, config *tls.Config) (*tls.Conn, error) {
	t.Helper()
	raw, err := net.Dial("tcp", n.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	if err := raw.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(raw, config)
	return conn, conn.Handshake()
}

func TestConnectionsAreRefused(t *testing.T) {
	low, high := lowHigh()
	node := start(t, low, map[keys.PublicKey]string{high.Public(): ""})
	hasty := start(t, low, map[keys.PublicKey]string{high.Public(): ""}, func(c *p2p.Config) {
		c.Limits.HandshakeTimeout = 200 * time.Millisecond // less than a handshake takes on a busy machine
	})
	otherNetwork := liveProtocol + strings.Repeat("00", 32)
	ecdsaKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7)}
	ecdsaDER, err := x509.CreateCertificate(rand.Reader, template, template, ecdsaKey.Public(), ecdsaKey)
	if err != nil {
		t.Fatal(err)
	}

	tlsCases := []struct {
		name   string
		config *tls.Config
		reason p2p.Refusal
		alert  string // what the other end learns
	}{
		{"a key that is no peer's", stranger(t, key(99), live()), p2p.UnknownPeer, "bad certificate"},
		{"the node's own key", stranger(t, low, live()), p2p.UnknownPeer, "bad certificate"},
		{"a peer of another network", stranger(t, high, otherNetwork), p2p.WrongNetwork, "no application protocol"},
		{"a peer of another version", stranger(t, high, "synod-peer/9/live/"+hex.EncodeToString(testNetwork[:])), p2p.WrongNetwork, "no application protocol"},
		{"a browser", stranger(t, high, "h2", "http/1.1"), p2p.NotAPeer, "no application protocol"},
		{"no protocol", stranger(t, high), p2p.NotAPeer, "bad certificate"},
		{"no certificate", &tls.Config{InsecureSkipVerify: true, NextProtos: []string{live()}}, p2p.NotAPeer, "certificate required"},
		{"a key of another kind", &tls.Config{InsecureSkipVerify: true, NextProtos: []string{live()},
			Certificates: []tls.Certificate{{Certificate: [][]byte{ecdsaDER}, PrivateKey: ecdsaKey}}}, p2p.NotAPeer, "bad certificate"},
		{"TLS 1.2", func() *tls.Config { c := stranger(t, high, live()); c.MaxVersion = tls.VersionTLS12; return c }(), p2p.NotAPeer, "protocol version"},
	}
	for _, c := range tlsCases {
		t.Run(c.name, func(t *testing.T) {
			before := node.Refused()[c.reason]
			conn, err := dialTLS(t, node, c.config)
			if err == nil { // in TLS 1.3 the client is done before the server has judged it
				_, err = conn.Read(make([]byte, 1))
			}
			if err == nil || !strings.Contains(err.Error(), c.alert) {
				t.Errorf("refused with %v, want %q", err, c.alert)
			}
			eventually(t, "the refusal to be counted", func() bool { return node.Refused()[c.reason] == before+1 })
		})
	}

	rawCases := []struct {
		name   string
		hasty  bool
		send   []byte
		reason p2p.Refusal
	}{
		{"garbage instead of TLS", false, []byte(strings.Repeat("GET / HTTP/1.1\r\n", 100)), p2p.NotAPeer},
		{"zeros instead of TLS", false, make([]byte, 4096), p2p.NotAPeer},
		{"half a record", true, []byte{22, 3, 1, 0x10, 0, 1, 2, 3}, p2p.HandshakeTimeout},
		{"nothing", true, nil, p2p.HandshakeTimeout},
	}
	for _, c := range rawCases {
		t.Run(c.name, func(t *testing.T) {
			node := node
			if c.hasty {
				node = hasty
			}
			before := node.Refused()[c.reason]
			conn, err := net.Dial("tcp", node.address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(c.send); err != nil {
				t.Fatal(err)
			}
			if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, conn); isTimeout(err) { // ended by the node, by whatever means
				t.Error("the node keeps the connection")
			}
			eventually(t, "the refusal to be counted", func() bool { return node.Refused()[c.reason] == before+1 })
		})
	}

	friend := start(t, high, map[keys.PublicKey]string{low.Public(): node.address})
	connected(t, node, friend)
	talk(t, node, friend)
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

// A silent crowd cannot keep a peer out: newcomers push the oldest silent connections away.
func TestSilentCrowdDoesNotLockPeersOut(t *testing.T) {
	const limit = 4
	low, high := lowHigh()
	node := start(t, low, map[keys.PublicKey]string{high.Public(): ""}, func(c *p2p.Config) {
		c.Limits.MaxPending = limit
		c.Limits.HandshakeTimeout = time.Hour
	})
	var crowd [3 * limit]net.Conn
	for i := range crowd {
		conn, err := net.Dial("tcp", node.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		crowd[i] = conn
	}
	for _, oldest := range crowd[:2*limit] {
		if err := oldest.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := oldest.Read(make([]byte, 1)); isTimeout(err) {
			t.Fatal("an old connection stays while newer ones were dropped")
		}
	}
	eventually(t, "the oldest to be dropped", func() bool { return node.Refused()[p2p.TooManyPending] == 2*limit })
	friend := start(t, high, map[keys.PublicKey]string{low.Public(): node.address})
	connected(t, node, friend)
}

// The dialing end learns in words why it does not get through.
func TestDialerLearnsWhy(t *testing.T) {
	low, high := lowHigh()
	for _, c := range []struct {
		name   string
		adjust func(*p2p.Config)
		want   string
	}{
		{"other network", func(c *p2p.Config) { c.Network = [32]byte{'o'} }, "another network"},
		{"this node is no peer there", func(c *p2p.Config) { c.Peers = nil }, "does not have this node's key among its peers"},
		{"another node lives there", func(c *p2p.Config) { c.Key = key(50) }, "correct the peer's address"},
	} {
		for _, direction := range []struct {
			name     string
			from, to keys.PrivateKey
		}{{"decider dials", low, high}, {"other dials", high, low}} {
			t.Run(c.name+", "+direction.name, func(t *testing.T) {
				there := start(t, direction.to, map[keys.PublicKey]string{direction.from.Public(): ""}, c.adjust)
				here := start(t, direction.from, map[keys.PublicKey]string{direction.to.Public(): there.address})
				eventually(t, "an error that says "+c.want, func() bool {
					return strings.Contains(here.Stats()[0].Live.LastError, c.want)
				})
			})
		}
	}
}

// rogue is an authenticated peer, not the decider, that then speaks bytes of its own choice on its live link.
func rogue(t *testing.T, n *node, private keys.PrivateKey) *tls.Conn {
	t.Helper()
	conn, err := dialTLS(t, n, stranger(t, private, live()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(header(ready)); err != nil {
		t.Fatal(err)
	}
	var answer [4]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil || binary.BigEndian.Uint32(answer[:]) != chosen {
		t.Fatalf("answer to ready: %x, %v", answer, err)
	}
	receive(t, n.up, "Up")
	return conn
}

// knock connects as rogue does and goes away again, if it is let in.
func knock(t *testing.T, n *node, private keys.PrivateKey) (letIn bool) {
	t.Helper()
	conn, err := dialTLS(t, n, stranger(t, private, live()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var answer [4]byte
	if _, err = conn.Write(header(ready)); err == nil {
		_, err = io.ReadFull(conn, answer[:])
	}
	if isTimeout(err) {
		t.Fatal("it is neither let in nor refused")
	}
	if err != nil {
		return false
	}
	receive(t, n.up, "Up")
	conn.Close()
	receive(t, n.down, "Down")
	return true
}

// A peer that connects again and again is turned away after a while: each link costs lines in the log and work above.
func TestPeerThatComesAgainAndAgain(t *testing.T) {
	low, high := lowHigh()
	node := start(t, low, map[keys.PublicKey]string{high.Public(): ""})
	let, began := 0, time.Now()
	for range 60 {
		if knock(t, node, high) {
			let++
		}
	}
	most := 33 + int(time.Since(began)/time.Second) // 32 at once, and one a second
	if refused := node.Refused()[p2p.LimitedPeer]; let > most || refused != uint64(60-let) {
		t.Errorf("of 60 connections %d were let in, %d refused", let, refused)
	}
}

func TestRoguePeerIsCutOff(t *testing.T) {
	low, high := lowHigh()
	var blamed atomic.Uint64
	node := start(t, low, map[keys.PublicKey]string{high.Public(): ""}, func(c *p2p.Config) {
		c.Limits.Live.MaxFrame = 1000
		c.Faulted = func(keys.PublicKey, p2p.Refusal, error) { blamed.Add(1) }
		handle := c.Handler
		c.Handler = func(ctx context.Context, from keys.PublicKey, lane p2p.Lane, frame []byte) error {
			if string(frame) == "reject me" {
				return errors.New("rejected")
			}
			return handle(ctx, from, lane, frame)
		}
	})
	for _, c := range []struct {
		name   string
		send   []byte
		reason p2p.Refusal
		said   string
	}{
		{"frame above the limit", header(1001), p2p.OversizedFrame, "1001 bytes, at most 1000"},
		{"largest length there is", header(1<<30 - 1), p2p.OversizedFrame, "at most 1000"},
		{"ping of a wrong size", header(1<<30 | 9), p2p.MalformedFrame, "malformed"},
		{"signal in the middle", header(ready), p2p.MalformedFrame, "malformed"},
		{"frame that the handler rejects", append(header(9), "reject me"...), p2p.RejectedFrame, "rejected"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := node.Refused()[c.reason]
			conn := rogue(t, node, high)
			if _, err := conn.Write(c.send); err != nil {
				t.Fatal(err)
			}
			if receive(t, node.down, "Down") != high.Public() {
				t.Error("Down names the wrong peer")
			}
			if after := node.Refused()[c.reason]; after != before+1 {
				t.Errorf("%s counted %d times", c.reason, after-before)
			}
			if said := node.Stats()[0].Live.LastError; !strings.Contains(said, c.said) {
				t.Errorf("the error is %q, want it to say %q", said, c.said)
			}
		})
	}
	t.Run("garbage beneath TLS", func(t *testing.T) {
		blamed.Store(0)
		conn := rogue(t, node, high)
		if _, err := conn.NetConn().Write([]byte(strings.Repeat("garbage", 100))); err != nil {
			t.Fatal(err)
		}
		receive(t, node.down, "Down")
		if node.Refused()[p2p.MalformedFrame] == 0 {
			t.Error("not counted")
		}
		if blamed.Load() != 0 {
			t.Error("the peer is blamed for what anybody on the way can send")
		}
	})
	t.Run("half a frame", func(t *testing.T) {
		conn := rogue(t, node, high)
		if _, err := conn.Write(append(header(1000), "half"...)); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		receive(t, node.down, "Down")
		select {
		case m := <-node.got:
			t.Errorf("half a frame was handled: %q", m.frame)
		default:
		}
	})
	t.Run("a pong that was never asked for", func(t *testing.T) {
		conn := rogue(t, node, high)
		pong := append(header(2<<30|8), strings.Repeat("\xff", 8)...)
		if _, err := conn.Write(append(append(pong, header(5)...), "alive"...)); err != nil {
			t.Fatal(err)
		}
		if m := receive(t, node.got, "the frame behind it"); string(m.frame) != "alive" {
			t.Errorf("got %q", m.frame)
		}
		conn.Close()
		receive(t, node.down, "Down")
	})
}

// A peer that dials anew has lost its link, whatever this end believes: the new connection replaces the old one.
func TestNewestConnectionWins(t *testing.T) {
	low, high := lowHigh()
	node := start(t, low, map[keys.PublicKey]string{high.Public(): ""}, func(c *p2p.Config) {
		c.Limits.DeadAfter = time.Hour // so that nothing but the replacement ends the old link
	})
	old := rogue(t, node, high)
	rogue(t, node, high)
	receive(t, node.down, "Down of the old link")
	if _, err := io.Copy(io.Discard, old); isTimeout(err) {
		t.Error("the old connection stays open")
	}
}
