package p2p

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/synod-network/synod/keys"
)

// candidate is a connection whose two ends have proved who they are and that the decider may use.
type candidate struct {
	conn     *tls.Conn
	wire     *wire
	outgoing bool // dialed by this node
}

func (c *candidate) close() { c.wire.Conn.Close() }

// unknownPeerError refuses a key in the middle of a handshake.
type unknownPeerError struct{ key keys.PublicKey }

func (e *unknownPeerError) Error() string {
	return fmt.Sprintf("key %x is not among the peers", e.key[:])
}

var errNoLane = errors.New("no lane was agreed on")

// dialTCP leaves keepalive to the pings.
func dialTCP(ctx context.Context, address string) (net.Conn, error) {
	dialer := net.Dialer{KeepAlive: -1}
	return dialer.DialContext(ctx, "tcp", address)
}

// dial connects to the line's peer. Until this end has said that it is ready, attempt can call it off; after that the
// decider may already have chosen the connection, and only the end of life interrupts it.
func (l *line) dial(attempt, life context.Context, address string) (*candidate, error) {
	limits := l.net.cfg.Limits
	attempt, cancel := context.WithTimeout(attempt, limits.HandshakeTimeout)
	defer cancel()
	raw, err := l.net.cfg.Dial(attempt, address)
	if err != nil {
		return nil, err // names the address
	}
	c := &candidate{wire: newWire(raw), outgoing: true}
	c.conn = tls.Client(c.wire, l.clientTLS())
	deadline, _ := attempt.Deadline()
	if err := errors.Join(tuneTCP(raw, limits.WriteTimeout), raw.SetDeadline(deadline)); err != nil {
		c.close()
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	l.greets(true)
	err = c.conn.HandshakeContext(attempt)
	l.greets(false)
	if err != nil {
		c.close()
		return nil, fmt.Errorf("dial %s: %w", address, explain(err))
	}
	if attempt.Err() != nil {
		c.close()
		return nil, attempt.Err()
	}
	if err := l.settle(life, c); err != nil {
		c.close()
		return nil, fmt.Errorf("dial %s: %w", address, explain(l.heard(err)))
	}
	return c, nil
}

// settle does this end's part of the choice, up to where the connection may become the link: the decider has heard
// that the other end is ready, or the other end has heard that it was chosen.
func (l *line) settle(ctx context.Context, c *candidate) error {
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	if l.decides {
		return awaitSignal(c.conn, signalReady)
	}
	if err := sendSignal(c.conn, signalReady); err != nil {
		return err
	}
	return awaitSignal(c.conn, signalChosen)
}

// clientTLS accepts the one key that the line is for.
func (l *line) clientTLS() *tls.Config {
	config := baseTLS(l.net.certificate)
	config.NextProtos = []string{protocol(l.lane, l.net.cfg.Network)}
	config.VerifyConnection = func(state tls.ConnectionState) error {
		key, err := peerKey(state)
		switch {
		case err != nil:
			return err
		case key != l.peer.key:
			return fmt.Errorf("found the node with key %x there, want %x: correct the peer's address", key[:], l.peer.key[:])
		case state.NegotiatedProtocol == "":
			return errNoLane
		}
		return nil
	}
	return config
}

// explain says in words what the other end said in a TLS alert.
func explain(err error) error {
	switch text := err.Error(); {
	case strings.Contains(text, "no application protocol"):
		return fmt.Errorf("the node there belongs to another network or speaks another version: %w", err)
	case strings.Contains(text, "remote error: tls: bad certificate"):
		return fmt.Errorf("the node there does not have this node's key among its peers: %w", err)
	}
	return err
}

// greeting is one incoming connection on its way to become a candidate.
type greeting struct {
	net     *Network
	offered []string // protocol names in the client's hello
}

// serverTLS accepts the keys of all peers.
func (g *greeting) serverTLS() *tls.Config {
	config := baseTLS(g.net.certificate)
	config.NextProtos = []string{protocol(Live, g.net.cfg.Network), protocol(Bulk, g.net.cfg.Network)}
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		g.offered = hello.SupportedProtos
		return nil, nil
	}
	config.VerifyConnection = func(state tls.ConnectionState) error {
		key, err := peerKey(state)
		if err != nil {
			return err
		}
		if g.net.peer(key) == nil {
			return &unknownPeerError{key}
		}
		if _, ok := laneOf(state.NegotiatedProtocol, g.net.cfg.Network); !ok {
			return errNoLane
		}
		return nil
	}
	return config
}

// reason sorts what went wrong with an incoming handshake.
func (g *greeting) reason(err error) Refusal {
	var unknown *unknownPeerError
	var timeout net.Error
	switch {
	case errors.As(err, &unknown):
		return UnknownPeer
	case errors.As(err, &timeout) && timeout.Timeout():
		return HandshakeTimeout
	case g.isPeerOfAnotherNetwork():
		return WrongNetwork
	default:
		return NotAPeer
	}
}

func (g *greeting) isPeerOfAnotherNetwork() bool {
	for _, name := range g.offered {
		if _, ours := laneOf(name, g.net.cfg.Network); ours {
			return false
		}
	}
	for _, name := range g.offered {
		if strings.HasPrefix(name, protocolPrefix) {
			return true
		}
	}
	return false
}
