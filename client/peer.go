package client

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/internal/grpclink"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// version is the version of the service that this client speaks.
const version = 1

// peer is one sequencer. Its fields belong to the client's lock, but for the alias, which never changes.
type peer struct {
	alias  string
	spec   Sequencer
	ctx    context.Context
	cancel context.CancelFunc // nil before it was started
	links  []*link
	turn   int // of the link to use next

	id  sequencing.MemberID // as configured, or as the first handshake said
	key keys.PublicKey
	// strange counts responses signed with an unknown key since one with a known one.
	strange  int
	idle     idleness
	left     *Lie // why it is not used any more
	login    chan struct{}
	token    token
	promises promises

	stream   *stream // open, or being opened
	failures int     // of streams, since one told something
	after    time.Time
	lastErr  error // of the last stream
	// pruned is up to when it keeps no events, as it said to the last stream.
	pruned sequencing.Time
}

// link is one connection, to an endpoint of a sequencer.
type link struct {
	endpoint Endpoint
	cancel   context.CancelFunc
	conn     *grpc.ClientConn
	way           // zero without conn
	view     view // zero until the handshake is done
	failed   error
	lastErr  error
}

// way is how calls get over one connection.
type way struct {
	service sequencerv1.SequencerServiceClient
	outbox  *outbox
}

// view is what a sequencer says about which network it belongs to.
type view struct {
	network      sequencing.NetworkID
	synchronizer string
}

// errMismatch marks what trying again does not mend.
var errMismatch = errors.New("this connection will not be used")

// errStranger says that something answers that is no sequencer: a proxy whose sequencer is away, for a while, or a wrong address, for good.
var errStranger = errors.New("no sequencer's service for members answers there, but a proxy without one, or another service: it is asked again from time to time; " +
	"if it stays so, look at the address")

// errNotYet is what a handshake fails with that may fit later: keys change, and the topology known here may be behind.
type errNotYet struct{ error }

func newPeer(s Sequencer) *peer {
	return &peer{alias: s.Alias, spec: s, id: s.ID, login: make(chan struct{}, 1)}
}

// start connects to the endpoints of a sequencer. The caller holds the lock; the client runs.
func (c *Client) start(p *peer) {
	p.ctx, p.cancel = context.WithCancel(c.ctx)
	for _, e := range p.spec.Endpoints {
		c.startLink(p, e)
	}
}

func (c *Client) startLink(p *peer, e Endpoint) {
	ctx, cancel := context.WithCancel(p.ctx)
	l := &link{endpoint: e, cancel: cancel}
	p.links = append(p.links, l)
	c.group.Go(func() { c.runLink(ctx, p, l) })
}

// stop ends everything about a sequencer.
func (p *peer) stop() {
	if p.cancel != nil {
		p.cancel()
	}
	p.stream = nil
}

// runLink keeps an endpoint connected, until it turns out to be something else than it should.
func (c *Client) runLink(ctx context.Context, p *peer, l *link) {
	failures, strange := 0, false
	for ctx.Err() == nil {
		began := time.Now()
		err := c.connect(ctx, p, l)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > c.config.RestartMax {
			failures, strange = 0, false
		}
		delay := c.backoff(failures)
		failures++
		c.mu.Lock()
		l.conn, l.way, l.view, l.lastErr = nil, way{}, view{}, err
		c.reconnects++
		permanent := errors.Is(err, errMismatch)
		if permanent {
			l.failed = err
		}
		c.mu.Unlock()
		signal(c.poke)
		switch {
		case permanent:
			c.config.Log.Error("an endpoint is not what is configured", "sequencer", p.alias, "endpoint", loggedAddress(l.endpoint.Address), "error", err)
			return
		case errors.Is(err, errStranger) && !strange:
			strange = true
			c.config.Log.Warn("something else than a sequencer answers at an endpoint", "sequencer", p.alias, "endpoint", loggedAddress(l.endpoint.Address), "error", err)
		case failures == 12:
			c.config.Log.Warn("an endpoint cannot be reached", "sequencer", p.alias, "endpoint", loggedAddress(l.endpoint.Address), "error", err)
		}
		pause(ctx, delay)
	}
}

// backoff is how long to wait after a number of failures before.
func (c *Client) backoff(failures int) time.Duration {
	delay := min(c.config.RestartMin<<min(failures, 30), c.config.RestartMax)
	if delay <= 0 {
		delay = c.config.RestartMax
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return delay/2 + time.Duration(c.rng.Int64N(int64(delay/2)+1))
}

// pause waits for a while, or for the end of the context.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// connect holds one connection, from the handshake until it is lost. A lost connection is never used again without a
// new handshake: something else may answer at the address.
func (c *Client) connect(ctx context.Context, p *peer, l *link) error {
	credentials, err := l.endpoint.Credentials(c.config.Dial != nil)
	if err != nil {
		return fmt.Errorf("%w: %w", errMismatch, err)
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(credentials), grpc.WithIdleTimeout(0), grpc.WithDisableServiceConfig(), c.buffers,
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(c.config.MaxResponse))}
	if c.config.Dial != nil {
		options = append(options, grpc.WithContextDialer(c.config.Dial))
	}
	conn, err := grpclink.Dial("passthrough:///"+l.endpoint.Address, options...)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", l.endpoint.Address, err)
	}
	defer conn.Close()
	service := sequencerv1.NewSequencerServiceClient(conn)
	by := way{service: service, outbox: newOutbox(p.alias, service, c.config)}
	if err := c.handshake(ctx, p, l, conn, by); err != nil {
		return err
	}
	var sending sync.WaitGroup
	defer sending.Wait()
	held, end := context.WithCancel(ctx)
	defer end()
	sending.Go(func() { by.outbox.run(held) })
	for {
		state := conn.GetState()
		if state != connectivity.Ready {
			return fmt.Errorf("the connection to %s was lost", l.endpoint.Address)
		}
		if !conn.WaitForStateChange(ctx, state) {
			c.logout(p, service)
			return ctx.Err()
		}
	}
}

// handshake finds out whether the other end is what it should be.
func (c *Client) handshake(ctx context.Context, p *peer, l *link, conn *grpc.ClientConn, by way) error {
	ctx, cancel := context.WithTimeout(ctx, c.config.CallTimeout)
	defer cancel()
	request := &sequencerv1.HandshakeRequest{ClientVersions: []uint32{version}}
	if c.config.Network != (sequencing.NetworkID{}) {
		request.NetworkId = c.config.Network[:]
	}
	answer, err := by.service.Handshake(ctx, request)
	if err != nil {
		f := failureOf(p.alias, err)
		switch {
		case f.Reason == "WRONG_NETWORK" || f.Reason == "WRONG_VERSION" || f.Reason == "INVALID":
			return fmt.Errorf("handshake with %s: %w: %w", l.endpoint.Address, errMismatch, f)
		case f.stranger():
			return fmt.Errorf("handshake with %s: %w: it says %q (%s)", l.endpoint.Address, errStranger, brief(f.Message), f.Status)
		}
		return fmt.Errorf("handshake with %s: %w", l.endpoint.Address, f)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	err = c.admit(p, l, answer)
	switch {
	case errors.As(err, &errNotYet{}):
		return fmt.Errorf("handshake with %s: %w", l.endpoint.Address, err)
	case err != nil:
		return fmt.Errorf("handshake with %s: %w: %w", l.endpoint.Address, errMismatch, err)
	}
	if should := answer.GetTrustThreshold(); should > uint32(c.config.TrustThreshold) {
		c.config.Log.Warn("the network wants more sequencers to agree than this client does", "sequencer", p.id, "network", should, "client", c.config.TrustThreshold)
	}
	l.conn, l.way, l.lastErr = conn, by, nil
	signal(c.poke)
	return nil
}

// admit checks what a handshake said. The caller holds the lock. Errors but errNotYet are for good.
func (c *Client) admit(p *peer, l *link, h *sequencerv1.HandshakeResponse) error {
	id := sequencing.MemberID(h.GetSequencer())
	switch {
	case h.GetVersion() != version:
		return fmt.Errorf("it speaks version %d of the service, this client version %d", h.GetVersion(), version)
	case len(h.GetNetworkId()) != len(sequencing.NetworkID{}) || len(h.GetSigningKey()) != len(keys.PublicKey{}):
		return fmt.Errorf("its network id has %d bytes and its key %d, want 32 of both", len(h.GetNetworkId()), len(h.GetSigningKey()))
	case id == "" || len(id) > sequencing.MaxMemberID || len(h.GetSynchronizer()) > sequencing.MaxMemberID:
		return fmt.Errorf("it calls itself %.80q: want 1 to %d bytes", id, sequencing.MaxMemberID)
	case p.id != "" && p.id != id:
		return fmt.Errorf("it is sequencer %s, not %s", id, p.id)
	}
	key := keys.PublicKey(h.GetSigningKey())
	for _, other := range c.peers {
		if other != p && other.id == id {
			return fmt.Errorf("it is sequencer %s, which is configured as %q already: list all its endpoints there, it has one vote", id, other.alias)
		}
	}
	seen := view{network: sequencing.NetworkID(h.GetNetworkId()), synchronizer: h.GetSynchronizer()}
	if c.config.Network != (sequencing.NetworkID{}) && seen.network != c.config.Network {
		return fmt.Errorf("it is of network %x, not %x", seen.network[:8], c.config.Network[:8])
	}
	if c.config.Directory != nil && !c.knows(p, id, key) {
		return errNotYet{fmt.Errorf("its key %s is not one of sequencer %s in the topology known here", key, id)}
	}
	if p.key != (keys.PublicKey{}) && p.key != key {
		c.config.Log.Warn("a sequencer has a new key", "sequencer", id, "key", key, "before", p.key)
	}
	p.id, p.key, l.view = id, key, seen
	return c.believe(seen, id)
}

// knows reports whether a key is one with which a sequencer may sign.
func (c *Client) knows(p *peer, id sequencing.MemberID, key keys.PublicKey) bool {
	if c.config.Directory != nil {
		return slices.Contains(c.config.Directory.SequencerKeys(id), key)
	}
	return p.key == key
}

// believe counts who belongs to which network. The first view that threshold sequencers share is believed; a second one
// ends the client.
func (c *Client) believe(seen view, id sequencing.MemberID) error {
	for other, ids := range c.views {
		if delete(ids, id); len(ids) == 0 {
			delete(c.views, other) // it says something else each time
		}
	}
	if c.views[seen] == nil {
		c.views[seen] = map[sequencing.MemberID]bool{}
	}
	c.views[seen][id] = true
	if len(c.views[seen]) >= c.config.TrustThreshold && c.view == (view{}) {
		c.view = seen
		for _, p := range c.peers {
			for _, l := range p.links {
				if l.view != (view{}) && l.view != seen {
					l.failed = fmt.Errorf("%w: it is of network %x, %s; %d sequencers are of %x, %s", errMismatch, l.view.network[:8], l.view.synchronizer,
						c.config.TrustThreshold, seen.network[:8], seen.synchronizer)
					l.lastErr = l.failed
					l.cancel()
				}
			}
		}
	}
	if c.view == (view{}) || c.view == seen {
		return nil
	}
	if len(c.views[seen]) >= c.config.TrustThreshold {
		c.fail(fmt.Errorf("%w: %x (%s) and %x (%s): configure the network's id", ErrTwoNetworks, c.view.network[:8], c.view.synchronizer, seen.network[:8], seen.synchronizer))
	}
	return fmt.Errorf("it is of network %x, %s, but %d sequencers are of %x, %s", seen.network[:8], seen.synchronizer,
		c.config.TrustThreshold, c.view.network[:8], c.view.synchronizer)
}

// usable reports whether calls can be made on a link.
func (c *Client) usable(l *link) bool {
	return l.service != nil && l.failed == nil && c.view != (view{}) && l.view == c.view
}

// pick returns the links of a sequencer in turn, nil if none is connected. The caller holds the lock.
func (c *Client) pick(p *peer) *link {
	if p.left != nil {
		return nil
	}
	for range p.links {
		p.turn++
		if l := p.links[p.turn%len(p.links)]; c.usable(l) {
			return l
		}
	}
	return nil
}

// hopeless reports whether a sequencer will not be used any more.
func (p *peer) hopeless() bool {
	return p.left != nil || len(p.links) > 0 && !slices.ContainsFunc(p.links, func(l *link) bool { return l.failed == nil })
}

// SetSequencers changes which sequencers and endpoints are used, without interrupting what stays the same. A sequencer
// that was left because it lied comes back if its entry changes, or if it is taken out and added again.
func (c *Client) SetSequencers(sequencers []Sequencer) error {
	if err := ValidateSequencers(sequencers, c.config.Dial != nil); err != nil {
		return fmt.Errorf("change the sequencers of the client of %s: %w", c.config.Member, err)
	}
	if len(sequencers) < c.config.TrustThreshold {
		return fmt.Errorf("change the sequencers of the client of %s: %d are fewer than the trust threshold of %d", c.config.Member, len(sequencers), c.config.TrustThreshold)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.peers
	c.peers = nil
	for _, s := range sequencers {
		i := slices.IndexFunc(old, func(p *peer) bool { return p.alias == s.Alias })
		switch {
		case i >= 0 && reflect.DeepEqual(old[i].spec, s):
			c.peers = append(c.peers, old[i])
			old = slices.Delete(slices.Clone(old), i, i+1)
		case i >= 0 && old[i].left == nil && old[i].spec.ID == s.ID:
			c.changeLinks(old[i], s)
			c.peers = append(c.peers, old[i])
			old = slices.Delete(slices.Clone(old), i, i+1)
		default:
			c.peers = append(c.peers, newPeer(s))
		}
	}
	for _, p := range old {
		p.stop()
		c.agreement.expel(p.id)
		for _, ids := range c.views {
			delete(ids, p.id)
		}
	}
	if c.ctx != nil && c.ctx.Err() == nil {
		for _, p := range c.peers {
			if p.cancel == nil {
				c.start(p)
			}
		}
	}
	signal(c.poke)
	return nil
}

// changeLinks gives a sequencer other endpoints.
func (c *Client) changeLinks(p *peer, s Sequencer) {
	var keep []*link
	for _, l := range p.links {
		if slices.ContainsFunc(s.Endpoints, func(e Endpoint) bool { return reflect.DeepEqual(e, l.endpoint) }) {
			keep = append(keep, l)
		} else {
			l.cancel()
		}
	}
	p.links, p.spec = keep, s
	if p.cancel == nil || c.ctx.Err() != nil {
		return // nothing of it was started, or all of it ends
	}
	for _, e := range s.Endpoints {
		if !slices.ContainsFunc(keep, func(l *link) bool { return reflect.DeepEqual(e, l.endpoint) }) {
			c.startLink(p, e)
		}
	}
}
