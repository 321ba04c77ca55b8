package stories

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/network"
	"github.com/synod-network/synod/replica/p2p"
)

// TestRoguePeer: strangers, and then somebody with the key of a member, send to the peer port what no member sends. Each is refused,
// counted and logged with its reason; ordering goes on, and nothing of it stays behind.
func TestRoguePeer(t *testing.T) {
	c := found(t, 4, func(p *network.Plan) {
		p.Parameters.EpochDuration = config.Duration(time.Hour) // the rogue knows the epoch: it is the first
	})
	c.start()
	absent, honest := c.nodes[3], c.nodes[:3]
	if code := absent.stop(); code != 0 {
		t.Fatalf("%s: exit code %d", absent.name, code)
	}
	traffic := drive(t, honest)
	c.orders(honest...)
	c.refusesStrangers(honest)

	before := holdings(honest)
	key, err := keys.Load(absent.at.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	rogue := c.connect(key, bft.NetworkID(c.net.Genesis.ID), absent.config.Peer.Listen)
	for _, offence := range c.offences() {
		offence.commit(t, rogue, honest)
	}
	rogue.leave()

	for i, s := range honest {
		within(t, patience, s.name+" gives back what the rogue took", func() error {
			if now := holding(s); now.goroutines > before[i].goroutines+4 || now.sockets > before[i].sockets+2 {
				return fmt.Errorf("%+v, before %+v", now, before[i])
			}
			return nil
		})
	}
	absent.start()
	c.ready(absent)
	c.level()
	traffic.finish()
	c.agree()
}

// refusesStrangers sends what needs no key of a member.
func (c *cluster) refusesStrangers(nodes []*sequencer) {
	c.t.Helper()
	t := c.t
	stranger, err := keys.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range nodes {
		counted(t, s, `synod_peer_refused_connections_total{reason="not_a_peer"}`, "peer connection refused", func() {
			conn, err := net.Dial("tcp", s.config.Peer.Listen)
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = conn.Write(bytes.Repeat([]byte("GET / HTTP/1.1\r\n"), 64)) // it may be hung up on
		})
	}
	for _, guest := range []struct {
		reason  string
		network bft.NetworkID
	}{
		{"unknown_peer", bft.NetworkID(c.net.Genesis.ID)},
		{"wrong_network", bft.NetworkID{1}},
	} {
		r := c.connect(stranger, guest.network, "127.0.0.1:0")
		for _, s := range nodes {
			counted(t, s, fmt.Sprintf("synod_peer_refused_connections_total{reason=%q}", guest.reason), guest.reason, func() {})
		}
		r.leave()
	}
}

// counted does something until the node has counted it, and wants it in the log.
func counted(t *testing.T, s *sequencer, series, logged string, do func()) {
	t.Helper()
	before := s.metric(series)
	within(t, patience, s.name+" counts "+series, func() error {
		do()
		if s.metric(series) <= before {
			return errors.New("not counted")
		}
		return nil
	})
	within(t, patience, s.name+" logs it", func() error {
		if !strings.Contains(s.stderr(), logged) {
			return fmt.Errorf("the log does not mention %q", logged)
		}
		return nil
	})
}

// offence is a frame that no honest member sends, and what it is to be counted as.
type offence struct {
	name   string
	frame  []byte
	series string
	logged string
}

func (o offence) commit(t *testing.T, r *rogue, victims []*sequencer) {
	t.Helper()
	for _, s := range victims {
		t.Logf("%s to %s", o.name, s.name)
		counted(t, s, o.series, o.logged, func() { r.send(s, o.frame) })
	}
}

const (
	malformed = `synod_engine_blocks_rejected_total{reason="malformed"}`
	refused   = "peer connection refused"
)

// offences are what a member can do wrong on the wire.
func (c *cluster) offences() []offence {
	forged := c.block(bft.NetworkID(c.net.Genesis.ID))
	foreign := c.block(bft.NetworkID{1})
	whole := frameOf(forged)
	noise := make([]byte, 4096)
	_, _ = rand.Read(noise) // never fails
	noise[0] = 99           // no message has this kind
	return []offence{
		{"garbage", noise, malformed, refused},
		{"an empty frame", []byte{}, malformed, refused},
		{"a block cut short", whole[:len(whole)-20], malformed, refused},
		{"a bad signature", whole, `synod_engine_blocks_rejected_total{reason="signature"}`, refused},
		{"a block of another network", frameOf(foreign), `synod_engine_blocks_rejected_total{reason="network"}`, refused},
		{"an oversized frame", make([]byte, p2p.DefaultLimits().Live.MaxFrame+1), `synod_peer_refused_connections_total{reason="oversized_frame"}`, "oversized_frame"},
	}
}

// block is one of the absent member's, as the network expects it, but for its signature.
func (c *cluster) block(of bft.NetworkID) *bft.UnverifiedBlock {
	committee := c.net.Genesis.Committee()
	author := bft.Author(len(c.nodes) - 1)
	header := bft.Header{Network: of, Epoch: committee.Epoch, Round: 1, Author: author, Timestamp: bft.Time(time.Now().UnixMicro())}
	for a := range committee.Size() {
		header.Parents = append(header.Parents, committee.Root(bft.Author(a)))
	}
	slices.Reverse(header.Parents) // the author's own first
	return &bft.UnverifiedBlock{Header: header}
}

func frameOf(block *bft.UnverifiedBlock) []byte {
	return bytes.Join(bft.EncodeMessage(&bft.UnverifiedBlockMessage{Block: *block}), nil)
}

// rogue is an end of peer links that sends what it likes.
type rogue struct {
	links *p2p.Network
	keys  map[string]keys.PublicKey // by name
	end   context.CancelFunc
	ended chan error
	t     *testing.T
}

// connect links a rogue with a key to all members.
func (c *cluster) connect(key keys.PrivateKey, of bft.NetworkID, listen string) *rogue {
	c.t.Helper()
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		c.t.Fatal(err)
	}
	r := &rogue{t: c.t, keys: map[string]keys.PublicKey{}, ended: make(chan error, 1)}
	peers := map[keys.PublicKey]string{}
	for i, s := range c.nodes[:3] {
		r.keys[s.name] = c.net.Genesis.Members[i].Key
		peers[r.keys[s.name]] = s.config.Peer.Listen
	}
	limits := p2p.LaneLimits{MaxFrame: 80 << 20, QueueBytes: 1 << 20}
	r.links, err = p2p.New(p2p.Config{
		Key: key, Network: of, Listener: listener, Peers: peers, Limits: p2p.Limits{Live: limits},
		Handler: func(context.Context, keys.PublicKey, p2p.Lane, []byte) error { return nil },
	})
	if err != nil {
		c.t.Fatal(err)
	}
	var ctx context.Context
	ctx, r.end = context.WithCancel(context.Background())
	go func() { r.ended <- r.links.Run(ctx) }()
	c.t.Cleanup(r.end)
	return r
}

// send sends a frame if the link is up, and nothing else waits.
func (r *rogue) send(to *sequencer, frame []byte) {
	_ = r.links.Send(r.keys[to.name], p2p.Live, frame) // the caller looks at what comes of it
}

func (r *rogue) leave() {
	r.t.Helper()
	r.end()
	if err := <-r.ended; err != nil {
		r.t.Error(err)
	}
}

// belongings are what a process could leak to a peer. Files do not count: the
// store opens more as it grows.
type belongings struct{ goroutines, sockets float64 }

func holding(s *sequencer) belongings {
	return belongings{s.metric("go_goroutines"), s.sockets()}
}

// sockets counts the open sockets of the process.
func (s *sequencer) sockets() (n float64) {
	s.t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", s.command.Process.Pid)
	open, err := os.ReadDir(dir)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range open {
		if to, err := os.Readlink(filepath.Join(dir, f.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

func holdings(nodes []*sequencer) (all []belongings) {
	for _, s := range nodes {
		now := holding(s)
		if now.goroutines == 0 {
			s.t.Fatalf("%s does not say how many goroutines it has", s.name)
		}
		all = append(all, now)
	}
	return all
}
