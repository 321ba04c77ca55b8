package admin

import (
	"context"
	"encoding/hex"
	"log/slog"
	"slices"
	"time"

	"google.golang.org/grpc"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/ordering"
)

// NodeConfig is what the service that tells of the process shows.
type NodeConfig struct {
	Name        string
	Key         keys.PublicKey
	Network     [32]byte
	NetworkName string
	Version     string
	Started     time.Time
	Listeners   map[string]string // use → host:port

	Health  *node.Health
	Level   *slog.LevelVar
	Orderer interface{ Status() ordering.Status }
	Replica Replica
	Peers   Peers
	// Scores are this sequencer's of its peers; nil for none.
	Scores func() map[keys.PublicKey]float64
	// Subscribers counts the subscriptions open now, and the members that have one; nil for none.
	Subscribers func() (subscriptions, members int)
	// Onboarding tells of sequencers on their way to order.
	Onboarding Onboarding
	Log        *slog.Logger
}

// Node implements adminv1.NodeServiceServer.
type Node struct {
	adminv1.UnimplementedNodeServiceServer
	cfg   NodeConfig
	audit Auditor
}

// NewNode returns the service.
func NewNode(cfg NodeConfig) *Node { return &Node{cfg: cfg, audit: NewAuditor(cfg.Log)} }

// Register implements Service.
func (s *Node) Register(r grpc.ServiceRegistrar) { adminv1.RegisterNodeServiceServer(r, s) }

// GetStatus implements the API.
func (s *Node) GetStatus(context.Context, *adminv1.GetStatusRequest) (*adminv1.GetStatusResponse, error) {
	c := s.cfg
	ordered := c.Orderer.Status()
	out := &adminv1.GetStatusResponse{
		Name: c.Name, Key: hex.EncodeToString(c.Key[:]), Network: hex.EncodeToString(c.Network[:]), NetworkName: c.NetworkName,
		Version: c.Version, StartedAt: c.Started.UnixMicro(), Ready: true, Listeners: c.Listeners,
		Epoch: ordered.Epoch, Height: uint64(ordered.Head), LowestHeight: uint64(ordered.Lowest), LastBlockAt: ordered.Time, HighestSeen: uint64(ordered.Head),
	}
	if err := c.Replica.Ready(); err != nil {
		out.Ready, out.NotReadyReason = false, err.Error()
	}
	requests, _ := c.Replica.Queued()
	out.QueuedRequests = uint64(requests)
	if c.Subscribers != nil {
		subscriptions, members := c.Subscribers()
		out.Subscriptions, out.ConnectedMembers = int32(subscriptions), int32(members)
	}
	p, committee := c.Replica.Progress(), c.Replica.Committee()
	if p == nil || committee == nil {
		return out, nil
	}
	out.HighestSeen = max(out.HighestSeen, uint64(p.Commit+p.Behind))
	out.BehindEpochs, out.Round, out.Members = uint64(p.BehindEpochs), uint64(p.Round), int32(committee.Size())
	out.Member, out.Proposing, out.CatchingUp = p.Member, p.Proposing, p.CatchUp
	out.Standings = s.standings(p, committee)
	for _, m := range out.Standings {
		if m.Connected && !m.Self {
			out.ConnectedPeers++
		}
	}
	return out, nil
}

// standings are the committee's members in its order.
func (s *Node) standings(p *bft.Progress, committee *bft.Committee) (list []*adminv1.MemberStanding) {
	connected, roundTrip := map[keys.PublicKey]bool{}, map[keys.PublicKey]time.Duration{}
	for _, l := range s.cfg.Replica.Links() {
		connected[l.Peer], roundTrip[l.Peer] = l.Live.Connected, l.Live.RoundTrip
	}
	var scores map[keys.PublicKey]float64
	if s.cfg.Scores != nil {
		scores = s.cfg.Scores()
	}
	for a, member := range committee.Members {
		key := keys.PublicKey(member)
		m := &adminv1.MemberStanding{
			Name: s.cfg.Peers.Name(key), Key: hex.EncodeToString(key[:]), Self: key == s.cfg.Key, Score: scores[key],
			RoundTripUs: uint64(roundTrip[key].Microseconds()), Connected: connected[key] || key == s.cfg.Key,
			Demoted: slices.Contains(p.Demoted, bft.Author(a)),
		}
		if a < len(p.NewestRound) && a < len(p.Newest) { // the committee may have changed between the two questions
			m.Round, m.LastBlockAt = uint64(p.NewestRound[a]), int64(p.Newest[a])
		}
		list = append(list, m)
	}
	return list
}

// GetHealth implements the API.
func (s *Node) GetHealth(context.Context, *adminv1.GetHealthRequest) (*adminv1.GetHealthResponse, error) {
	live, ready := s.cfg.Health.IsLive(), s.cfg.Health.IsReady()
	out := &adminv1.GetHealthResponse{Live: live.OK, Ready: ready.OK}
	for _, c := range ready.Checks {
		out.Checks = append(out.Checks, &adminv1.HealthCheck{Name: c.Name, Liveness: c.Live, Ok: c.OK, Reason: c.Reason})
	}
	return out, nil
}

// GetLogLevel implements the API.
func (s *Node) GetLogLevel(context.Context, *adminv1.GetLogLevelRequest) (*adminv1.GetLogLevelResponse, error) {
	return &adminv1.GetLogLevelResponse{Level: config.Level(s.cfg.Level.Level()).String()}, nil
}

// SetLogLevel implements the API.
func (s *Node) SetLogLevel(ctx context.Context, r *adminv1.SetLogLevelRequest) (*adminv1.SetLogLevelResponse, error) {
	var level config.Level
	if err := level.UnmarshalText([]byte(r.GetLevel())); err != nil {
		return nil, invalid(err.Error())
	}
	before := config.Level(s.cfg.Level.Level()).String()
	s.cfg.Level.Set(slog.Level(level))
	s.audit.Note(ctx, "set the log level", nil, slog.String("before", before), slog.String("level", level.String()))
	return &adminv1.SetLogLevelResponse{Previous: before}, nil
}
