package members

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// How many are remembered.
const (
	rememberedTokens = 8192
	rememberedHosts  = 4096
)

// sweepEvery is how often accounts of members that left are forgotten.
const sweepEvery = time.Minute

// Service implements the members' API. It authenticates and limits by itself, so
// that it can stand on a gRPC server beside other services.
type Service struct {
	sequencerv1.UnimplementedSequencerServiceServer
	config  Config
	network sequencing.NetworkID

	verified  *tokenCache
	accounts  accounts
	checks    combiner
	positions positions
	downloads chan struct{} // holds one for each open download
	lookups   chan struct{} // holds one for each open GetRecipients
	topology  encodedTopology
	stopping  chan struct{} // closed when the service stops

	registrations *rate.Limiter
	hosts         *recent[string, *visitor]
}

// New returns a service.
func New(config Config) (*Service, error) {
	config = config.withDefaults()
	if config.State == nil || config.Orderer == nil || config.Key == nil || config.Self.Role != topology.Sequencer {
		return nil, errors.New("members' service: it needs a state, an orderer, the name of its sequencer and the sequencer's protocol key")
	}
	return &Service{
		config:        config,
		network:       config.State.Network(),
		verified:      newRecent[[sha256.Size]byte, *genuine](rememberedTokens),
		checks:        combiner{verify: config.Verifier.VerifyAhead},
		downloads:     make(chan struct{}, config.Downloads),
		lookups:       make(chan struct{}, config.Lookups),
		stopping:      make(chan struct{}),
		registrations: rate.NewLimiter(rate.Limit(config.Registrations), burstOf(config.Registrations)),
		hosts:         newRecent[string, *visitor](rememberedHosts),
	}, nil
}

// Register adds the service to a gRPC server.
func (s *Service) Register(server grpc.ServiceRegistrar) {
	sequencerv1.RegisterSequencerServiceServer(server, s)
}

// Run forgets what is over until ctx ends, and then ends all streams with
// SHUTTING_DOWN and refuses further calls. It returns nil, and may run once.
func (s *Service) Run(ctx context.Context) error {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.accounts.sweep(s.config.Now())
		case <-ctx.Done():
			close(s.stopping)
			return nil
		}
	}
}

// enter begins a call of anybody, unless [Service.Enter] has. The caller calls leave when it ends.
func (s *Service) enter(ctx context.Context) (leave func(), refused *failure) {
	if _, ok := ctx.Value(enteredKey{}).(caller); ok {
		return func() {}, nil
	}
	select {
	case <-s.stopping:
		return nil, shuttingDown()
	default:
	}
	if !s.accounts.enter(s.config.Calls) {
		return nil, fail(TooManyCalls, "this sequencer serves as many calls as it may, %d: try later or at another one", s.config.Calls).after(callsRetry)
	}
	return s.accounts.leave, nil
}

// caller is the member that makes a call.
type caller struct {
	id    sequencing.MemberID
	token *genuine
}

func (c caller) party() party { return party{c.id, c.token.by} }

// share is how many calls may be open by tokens of the sequencer that gave a token out, 0 if only all calls are bounded: those
// of other sequencers have half of all calls, each the same part of it, so that none can keep out who authenticates here.
func (s *Service) share(t *genuine) int {
	if t.Issuer == s.config.Self {
		return 0
	}
	return max(1, s.config.Calls/2/max(1, int(t.sequencers.Load())-1))
}

// enterAs begins a call of a member, unless [Service.Enter] has.
func (s *Service) enterAs(ctx context.Context) (c caller, leave func(), refused *failure) {
	if c, ok := ctx.Value(enteredKey{}).(caller); ok && c.token != nil {
		return c, func() {}, nil
	}
	leaveAll, refused := s.enter(ctx)
	if refused != nil {
		return c, nil, refused
	}
	if c, refused = s.authenticate(ctx); refused != nil {
		leaveAll()
		s.config.Observer.TokenRefused()
		return c, nil, refused
	}
	share := s.share(c.token)
	switch mine, all := s.accounts.enterAs(c.party(), s.config.MemberCalls, share); {
	case !mine:
		refused = fail(TooManyCalls, "%s has as many calls open here as it may by tokens of %s, %d: wait for some to end", c.id, c.token.Issuer, s.config.MemberCalls)
	case !all:
		refused = fail(TooManyCalls, "as many calls are open here by tokens of %s as may be, %d: authenticate at this sequencer", c.token.Issuer, share)
	default:
		return c, func() { s.accounts.leaveAs(c.party(), share); leaveAll() }, nil
	}
	leaveAll()
	return c, nil, refused.after(callsRetry)
}

// authenticate finds out from the token who calls.
func (s *Service) authenticate(ctx context.Context) (caller, *failure) {
	shown := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(shown) != 1 {
		return caller{}, fail(Unauthenticated, "members show a token: authenticate, and send metadata \"authorization: Bearer …\"")
	}
	text, found := strings.CutPrefix(shown[0], "Bearer ")
	if !found || len(text) > maxToken {
		return caller{}, fail(Unauthenticated, "the authorization metadata is not \"Bearer \" and a token")
	}
	digest := sha256.Sum256([]byte(text))
	token, known := s.verified.get(digest)
	if !known {
		parsed, err := parseToken(s.network, text)
		if err != nil {
			return caller{}, fail(Unauthenticated, "the token is not good: %v; authenticate again", err)
		}
		token = &genuine{Token: parsed, by: sequencing.MemberID(parsed.Issuer.String())}
	}
	c := caller{id: sequencing.MemberID(token.Member.String()), token: token}
	if refused := s.stillHolds(c); refused != nil {
		return caller{}, refused
	}
	if !known {
		s.verified.put(digest, token)
	}
	return c, nil
}

// stillHolds says why a verified token is not good any more.
func (s *Service) stillHolds(c caller) *failure {
	err := c.token.holds(s.config.State, s.config.Now())
	switch {
	case err != nil:
	case s.accounts.isRevoked(c.id, c.token.Token):
		err = errors.New("it was revoked")
	case s.shutOut(c.id):
		err = errors.New("the member was shut out of the network")
	default:
		return nil
	}
	return fail(Unauthenticated, "the token is not good: %v; authenticate again", err)
}

func (s *Service) shutOut(id sequencing.MemberID) bool {
	m, ok := s.config.State.Member(id)
	return ok && m.Disabled
}

// activeMember finds a member that may take part.
func (s *Service) activeMember(name string) (m topology.Member, authentication []keys.PublicKey, refused *failure) {
	m, err := topology.ParseMember(name)
	if err != nil {
		return m, nil, fail(Invalid, "%v", err)
	}
	active := false
	s.config.State.Topology(func(view topology.Snapshot) {
		active = view.Status(m) == topology.Active
		authentication = slices.Clone(view.SigningKeys(m, keys.SequencerAuthentication))
	})
	switch {
	case !active, s.shutOut(sequencing.MemberID(name)):
		return m, nil, fail(UnknownMember, "%s is not an active member of this network: register it first, and wait until that is in force", m)
	case len(authentication) == 0:
		return m, nil, fail(UnknownMember, "%s has no key for authentication: a sequencer does not connect as a member", m)
	}
	return m, authentication, nil
}

// GetTime implements the API.
func (s *Service) GetTime(ctx context.Context, _ *sequencerv1.GetTimeRequest) (*sequencerv1.GetTimeResponse, error) {
	leave, refused := s.enter(ctx)
	if refused != nil {
		return nil, refused
	}
	defer leave()
	return &sequencerv1.GetTimeResponse{TimeMicros: int64(s.config.State.Time())}, nil
}

// GetTrafficState implements the API. A member that never took part has its whole
// allowance.
func (s *Service) GetTrafficState(ctx context.Context, _ *sequencerv1.GetTrafficStateRequest) (*sequencerv1.GetTrafficStateResponse, error) {
	c, leave, refused := s.enterAs(ctx)
	if refused != nil {
		return nil, refused
	}
	defer leave()
	traffic, now, ok := s.config.State.Traffic(c.id)
	rules := s.traffic()
	if !ok {
		traffic, now = sequencing.Traffic{Base: rules.BaseAllowance}, s.config.State.Time()
	}
	return &sequencerv1.GetTrafficStateResponse{
		TimeMicros: int64(now), BaseLeft: traffic.Base, ExtraLeft: traffic.Left() - traffic.Base,
		Purchased: traffic.Purchased, Consumed: traffic.Consumed, Serial: traffic.Serial,
		Free: c.token.Member.Role == topology.Sequencer || !rules.Metered(),
	}, nil
}

func (s *Service) traffic() (t topology.Traffic) {
	s.config.State.Topology(func(view topology.Snapshot) { t = view.Parameters().Traffic })
	return t
}
