package admin

import (
	"context"
	"encoding/hex"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/replica/p2p"
)

// Replica is the running engine and its links.
type Replica interface {
	Progress() *bft.Progress
	Committee() *bft.Committee
	Links() []p2p.PeerStats
	Queued() (requests, bytes int)
	Ready() error
}

// Peer is a peer as the sequencer that runs has it.
type Peer struct {
	Key keys.PublicKey
	Endpoint
	Origin string // "operator", "configuration" or "topology"
	Listed bool
}

// Peers are those with which the sequencer keeps links.
type Peers interface {
	// List returns all peers, removed ones too.
	List() []Peer
	// Name is what a peer, or the sequencer itself, is called; its key if nobody has named it.
	Name(keys.PublicKey) string
	// Set stores an operator's word on a peer and acts on it. On an error, nothing has changed.
	Set(keys.PublicKey, Endpoint) error
}

// Bft implements adminv1.BftServiceServer.
type Bft struct {
	adminv1.UnimplementedBftServiceServer
	self    keys.PublicKey
	replica Replica
	peers   Peers
	audit   Auditor
}

// NewBft returns the service of the sequencer with the key self.
func NewBft(self keys.PublicKey, replica Replica, peers Peers, log *slog.Logger) *Bft {
	return &Bft{self: self, replica: replica, peers: peers, audit: NewAuditor(log)}
}

// Register implements Service.
func (s *Bft) Register(r grpc.ServiceRegistrar) { adminv1.RegisterBftServiceServer(r, s) }

// AddPeerEndpoint implements the API.
func (s *Bft) AddPeerEndpoint(ctx context.Context, r *adminv1.AddPeerEndpointRequest) (*adminv1.AddPeerEndpointResponse, error) {
	known, err := s.find(r.GetPeer())
	if err != nil {
		key, parsed := keys.ParsePublicKey(r.GetPeer())
		if parsed != nil {
			return nil, err
		}
		known = Peer{Key: key, Endpoint: Endpoint{Name: r.GetName()}}
	}
	switch {
	case known.Key == s.self:
		return nil, invalid("this sequencer is no peer of itself")
	case checkAddress(r.GetAddress()) != "":
		return nil, invalid(checkAddress(r.GetAddress()))
	case len(r.GetName()) > maxPeerName:
		return nil, invalid("the name has more than " + strconv.Itoa(maxPeerName) + " bytes")
	case r.GetName() != "" && known.Name != "" && r.GetName() != known.Name:
		return nil, invalid("the peer is called " + known.Name + ", not " + r.GetName())
	}
	word := Endpoint{Name: known.Name, Address: r.GetAddress()}
	return &adminv1.AddPeerEndpointResponse{Endpoint: s.message(Peer{Key: known.Key, Endpoint: word, Origin: "operator", Listed: known.Listed})},
		s.set(ctx, "add a peer endpoint", known.Key, word)
}

// maxPeerName bounds the name of a peer, in bytes: it appears in logs and metrics.
const maxPeerName = 63

// RemovePeerEndpoint implements the API.
func (s *Bft) RemovePeerEndpoint(ctx context.Context, r *adminv1.RemovePeerEndpointRequest) (*adminv1.RemovePeerEndpointResponse, error) {
	known, err := s.find(r.GetPeer())
	if err != nil {
		return nil, err
	}
	if known.Removed {
		return nil, Failure(codes.FailedPrecondition, reasonNotNeeded, s.peers.Name(known.Key)+" is removed already")
	}
	word := Endpoint{Name: known.Name, Removed: true}
	return &adminv1.RemovePeerEndpointResponse{Endpoint: s.message(Peer{Key: known.Key, Endpoint: word, Origin: "operator", Listed: known.Listed})},
		s.set(ctx, "remove a peer endpoint", known.Key, word)
}

func (s *Bft) set(ctx context.Context, what string, key keys.PublicKey, word Endpoint) error {
	err := s.peers.Set(key, word)
	s.audit.Note(ctx, what, err, slog.String("peer", s.peers.Name(key)), slog.String("address", word.Address))
	if err != nil {
		return Failure(codes.Internal, reasonNotStored, err.Error())
	}
	return nil
}

// ListPeerEndpoints implements the API.
func (s *Bft) ListPeerEndpoints(context.Context, *adminv1.ListPeerEndpointsRequest) (*adminv1.ListPeerEndpointsResponse, error) {
	out := &adminv1.ListPeerEndpointsResponse{}
	for _, p := range s.sorted() {
		out.Endpoints = append(out.Endpoints, s.message(p))
	}
	return out, nil
}

// GetPeerNetworkStatus implements the API.
func (s *Bft) GetPeerNetworkStatus(_ context.Context, r *adminv1.GetPeerNetworkStatusRequest) (*adminv1.GetPeerNetworkStatusResponse, error) {
	peers := s.sorted()
	if asked := r.GetPeers(); len(asked) > 0 {
		peers = nil
		for _, text := range asked {
			p, err := s.find(text)
			if err != nil {
				return nil, err
			}
			peers = append(peers, p)
		}
	}
	links := map[keys.PublicKey]p2p.PeerStats{}
	for _, l := range s.replica.Links() {
		links[l.Peer] = l
	}
	out := &adminv1.GetPeerNetworkStatusResponse{}
	for _, p := range peers {
		link, linked := links[p.Key]
		out.Peers = append(out.Peers, s.status(p, link, linked))
	}
	return out, nil
}

func (s *Bft) status(p Peer, link p2p.PeerStats, linked bool) *adminv1.PeerConnectionStatus {
	out := &adminv1.PeerConnectionStatus{Endpoint: s.message(p), Health: adminv1.PeerConnectionStatus_HEALTH_UNKNOWN}
	if !linked {
		out.Description = "neither dialed nor admitted: an operator removed it"
		return out
	}
	live := link.Live
	out.Health = adminv1.PeerConnectionStatus_HEALTH_DISCONNECTED
	switch {
	case live.Greeting:
		out.Health = adminv1.PeerConnectionStatus_HEALTH_UNAUTHENTICATED
	case live.Connected:
		out.Health, out.Outgoing = adminv1.PeerConnectionStatus_HEALTH_AUTHENTICATED, live.Outgoing
	}
	out.Description, out.RemoteAddress, out.RoundTripUs = live.LastError, live.Remote, uint64(live.RoundTrip.Microseconds())
	out.BytesIn, out.BytesOut, out.Connects = live.BytesIn+link.Bulk.BytesIn, live.BytesOut+link.Bulk.BytesOut, live.Connects
	if !live.Since.IsZero() {
		out.Since = live.Since.UnixMicro()
	}
	return out
}

// GetWriteReadiness implements the API.
func (s *Bft) GetWriteReadiness(context.Context, *adminv1.GetWriteReadinessRequest) (*adminv1.GetWriteReadinessResponse, error) {
	out := &adminv1.GetWriteReadinessResponse{Ready: true}
	if err := s.replica.Ready(); err != nil {
		out.Ready, out.Reason = false, err.Error()
	}
	if c := s.replica.Committee(); c != nil {
		up := map[bft.PublicKey]bool{bft.PublicKey(s.self): true}
		for _, l := range s.replica.Links() {
			up[bft.PublicKey(l.Peer)] = l.Live.Connected
		}
		for _, m := range c.Members {
			if up[m] {
				out.ConnectedMembers++
			}
		}
		out.RequiredQuorum = int32(c.Quorum())
	}
	return out, nil
}

// GetOrderingTopology implements the API.
func (s *Bft) GetOrderingTopology(context.Context, *adminv1.GetOrderingTopologyRequest) (*adminv1.GetOrderingTopologyResponse, error) {
	p, c := s.replica.Progress(), s.replica.Committee()
	if p == nil || c == nil {
		return nil, Failure(codes.Unavailable, reasonNotReady, "the sequencer is starting")
	}
	out := &adminv1.GetOrderingTopologyResponse{
		Epoch: uint64(p.Epoch), Round: uint64(p.Round), Quorum: int32(c.Quorum()), MaxFaults: int32(c.Witness() - 1), Parameters: parameters(c.Params),
		Handover: hex.EncodeToString(c.Anchor[:]), AfterHeight: uint64(c.Base),
	}
	for a, key := range c.Members {
		demoted := slices.Contains(p.Demoted, bft.Author(a))
		out.Members = append(out.Members, &adminv1.OrderingMember{
			Name: s.peers.Name(keys.PublicKey(key)), Key: hex.EncodeToString(key[:]), Leader: !demoted, Demoted: demoted,
		})
	}
	return out, nil
}

// parameters are those of the epoch, by the keys that a genesis file has for them.
func parameters(p bft.Params) map[string]string {
	span := func(t bft.Time) string { return (time.Duration(t) * time.Microsecond).String() }
	count := func(n int64) string { return strconv.FormatInt(n, 10) }
	return map[string]string{
		"leader_timeout": span(p.LeaderTimeout), "idle_interval": span(p.IdleInterval), "epoch_duration": span(p.EpochDuration),
		"payload_limit": count(int64(p.PayloadLimit)), "payload_requests": count(int64(p.PayloadRequests)), "request_limit": count(int64(p.RequestLimit)),
		"gc_depth": count(int64(p.GCDepth)), "demotion_window": count(int64(p.DemotionWindow)),
	}
}

// find looks a peer up by name, key or address.
func (s *Bft) find(text string) (Peer, error) {
	var found []Peer
	for _, p := range s.peers.List() {
		if text != "" && (text == p.Name || text == p.Address || strings.EqualFold(text, hex.EncodeToString(p.Key[:]))) {
			found = append(found, p)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	if text == s.peers.Name(s.self) {
		return Peer{}, invalid(text + " is this sequencer itself, which is no peer of itself")
	}
	why := "no peer is called " + strconv.Quote(text)
	if len(found) > 1 {
		why = strconv.Itoa(len(found)) + " peers are called " + strconv.Quote(text)
	}
	names := s.names()
	if names == "" {
		return Peer{}, Failure(codes.NotFound, reasonUnknownPeer, why+", for this sequencer knows none; name a peer's key of 64 hexadecimal digits")
	}
	return Peer{}, Failure(codes.NotFound, reasonUnknownPeer, why+"; name one of "+names+", or a peer's key of 64 hexadecimal digits")
}

func (s *Bft) names() string {
	var names []string
	for _, p := range s.sorted() {
		names = append(names, s.peers.Name(p.Key))
	}
	return strings.Join(names, ", ")
}

// sorted returns all peers by name.
func (s *Bft) sorted() []Peer {
	peers := s.peers.List()
	slices.SortFunc(peers, func(a, b Peer) int {
		if by := strings.Compare(a.Name, b.Name); by != 0 {
			return by
		}
		return a.Key.Compare(b.Key)
	})
	return peers
}

func (s *Bft) message(p Peer) *adminv1.PeerEndpoint {
	return &adminv1.PeerEndpoint{
		Name: p.Name, Key: hex.EncodeToString(p.Key[:]), Address: p.Address, Origin: p.Origin, Removed: p.Removed, Listed: p.Listed,
	}
}

// checkAddress says what is wrong with an address to dial, or nothing.
func checkAddress(address string) string {
	host, port, err := net.SplitHostPort(address)
	number, numeric := strconv.ParseUint(port, 10, 16)
	if err != nil || host == "" || numeric != nil || number == 0 || len(address) > 255 {
		return strconv.Quote(address) + " cannot be connected to; write host:port with a port from 1 to 65535"
	}
	return ""
}
