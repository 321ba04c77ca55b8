package admin

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// maxListed bounds the members in one answer.
const maxListed = 10_000

// State is what a sequencer knows of members.
type State interface {
	Member(sequencing.MemberID) (sequencing.Member, bool)
	Members(yield func(sequencing.Member) bool)
	Traffic(sequencing.MemberID) (sequencing.Traffic, sequencing.Time, bool)
	// Balances yields every member that ever took part with what it may spend now and whether it pays for nothing; it returns by
	// which rules, and for what time.
	Balances(yield func(m sequencing.Member, now sequencing.Traffic, free bool) bool) (sequencing.TrafficRules, sequencing.Time)
	// Onboarding yields what each namespace but the owners' uses of what it may; it returns how much is used of what the owners
	// allow, and for what time.
	Onboarding(yield func(topology.Holding) bool) (topology.Usage, sequencing.Time)
	// Active reports whether a member is one now, also one that took no part yet.
	Active(sequencing.MemberID) bool
	// Deciders returns how many of those who decide hold one of the keys, and how many must.
	Deciders(keys []sequencing.Key) (have, needed int)
}

// MembersConfig is what the service for members' affairs needs.
type MembersConfig struct {
	Network sequencing.NetworkID
	State   State
	// Key is that with which this sequencer signs decisions.
	Key    func() keys.PrivateKey
	Submit func(ctx context.Context, requests ...[]byte) error
	Log    *slog.Logger
}

// Members implements adminv1.MemberServiceServer.
type Members struct {
	adminv1.UnimplementedMemberServiceServer
	cfg   MembersConfig
	audit Auditor
}

// NewMembers returns the service.
func NewMembers(cfg MembersConfig) *Members { return &Members{cfg: cfg, audit: NewAuditor(cfg.Log)} }

// Register implements Service.
func (s *Members) Register(r grpc.ServiceRegistrar) { adminv1.RegisterMemberServiceServer(r, s) }

// ListMembers implements the API.
func (s *Members) ListMembers(_ context.Context, r *adminv1.ListMembersRequest) (*adminv1.ListMembersResponse, error) {
	var found []sequencing.Member
	more := false
	s.cfg.State.Members(func(m sequencing.Member) bool {
		if !strings.HasPrefix(string(m.ID), r.GetPrefix()) {
			return true
		}
		more = len(found) == maxListed
		if !more {
			found = append(found, m)
		}
		return !more
	})
	slices.SortFunc(found, func(a, b sequencing.Member) int { return strings.Compare(string(a.ID), string(b.ID)) })
	out := &adminv1.ListMembersResponse{More: more}
	for _, m := range found {
		traffic, _, ok := s.cfg.State.Traffic(m.ID)
		if !ok {
			traffic = m.Traffic
		}
		out.Members = append(out.Members, &adminv1.MemberState{
			Member: string(m.ID), Disabled: m.Disabled, RegisteredAt: int64(m.Registered), LastEventAt: int64(m.Last), Acknowledged: int64(m.Acknowledged),
			Base: traffic.Base, Purchased: traffic.Purchased, Consumed: traffic.Consumed, Left: traffic.Left(), Serial: traffic.Serial, InFlight: int32(m.InFlight),
		})
	}
	return out, nil
}

// ProposeTraffic implements the API.
func (s *Members) ProposeTraffic(ctx context.Context, r *adminv1.ProposeTrafficRequest) (*adminv1.Decision, error) {
	member, err := s.known(r.GetMember())
	if err != nil {
		return nil, err
	}
	if r.GetTotal() < member.Traffic.Purchased {
		return nil, invalid(fmt.Sprintf("%s has bought %d bytes already; the total cannot be less", member.ID, member.Traffic.Purchased))
	}
	return s.sign(ctx, sequencing.Request{Body: &sequencing.TrafficPurchase{Member: member.ID, Serial: member.Traffic.Serial + 1, Total: r.GetTotal()}})
}

// ProposeDisable implements the API.
func (s *Members) ProposeDisable(ctx context.Context, r *adminv1.ProposeDisableRequest) (*adminv1.Decision, error) {
	member, err := s.known(r.GetMember())
	if err != nil {
		return nil, err
	}
	if member.Disabled {
		return nil, Failure(codes.FailedPrecondition, reasonNotNeeded, string(member.ID)+" is shut out already")
	}
	return s.sign(ctx, sequencing.Request{Body: &sequencing.Disable{Member: member.ID}})
}

// Sign implements the API.
func (s *Members) Sign(ctx context.Context, r *adminv1.SignRequest) (*adminv1.Decision, error) {
	request, err := sequencing.Decode(r.GetRequest())
	if err != nil {
		return nil, invalid("this is no decision: " + err.Error())
	}
	switch body := request.Body.(type) {
	case *sequencing.TrafficPurchase:
		if m, ok := s.cfg.State.Member(body.Member); ok && m.Traffic.Serial >= body.Serial {
			return nil, Failure(codes.FailedPrecondition, reasonNotNeeded, fmt.Sprintf("purchase %d of %s was decided meanwhile; propose anew", m.Traffic.Serial, body.Member))
		}
	case *sequencing.Disable:
		if m, ok := s.cfg.State.Member(body.Member); ok && m.Disabled {
			return nil, Failure(codes.FailedPrecondition, reasonNotNeeded, string(body.Member)+" is shut out already")
		}
	default:
		return nil, invalid("this request is no decision about a member")
	}
	digest := request.Digest(s.cfg.Network)
	for _, by := range request.Signatures {
		if !keys.Verify(keys.PublicKey(by.Key), digest[:], keys.Signature(by.Signature)) {
			return nil, invalid("the signature by key " + hex.EncodeToString(by.Key[:8]) + " is not over this decision in this network")
		}
	}
	return s.sign(ctx, request)
}

// sign adds this sequencer's signature, and hands the decision to ordering once it is complete.
func (s *Members) sign(ctx context.Context, request sequencing.Request) (*adminv1.Decision, error) {
	private := s.cfg.Key()
	own := sequencing.Key(private.Public())
	digest := request.Digest(s.cfg.Network)
	at, signed := slices.BinarySearchFunc(request.Signatures, own, func(by sequencing.KeySignature, key sequencing.Key) int {
		return bytes.Compare(by.Key[:], key[:])
	})
	if !signed {
		if len(request.Signatures) >= sequencing.MaxSignatures {
			return nil, invalid("the decision carries as many signatures as it can")
		}
		by := sequencing.KeySignature{Key: own, Signature: sequencing.Signature(private.Sign(digest[:]))}
		request.Signatures = slices.Insert(slices.Clone(request.Signatures), at, by)
	}
	var by []sequencing.Key
	for _, signature := range request.Signatures {
		by = append(by, signature.Key)
	}
	have, needed := s.cfg.State.Deciders(by)
	out := &adminv1.Decision{
		Request: request.Encode(), Description: Describe(request), Signatures: int32(have), Needed: int32(needed), Digest: hex.EncodeToString(digest[:]),
	}
	var err error
	if out.Submitted = have >= needed; out.Submitted {
		err = s.cfg.Submit(ctx, out.Request)
	}
	s.audit.Note(ctx, "sign a decision", err, slog.String("decision", out.Description), slog.Int("signatures", have), slog.Int("needed", needed), slog.Bool("submitted", out.Submitted))
	if err != nil {
		return nil, Failure(codes.Unavailable, reasonNotReady, "the decision is complete, but cannot be ordered: "+err.Error())
	}
	return out, nil
}

// Describe says what a decision about a member is, for people; nothing for a request that is none.
func Describe(decision sequencing.Request) string {
	switch b := decision.Body.(type) {
	case *sequencing.TrafficPurchase:
		return fmt.Sprintf("%s has bought %d bytes of traffic in all, by purchase %d", b.Member, b.Total, b.Serial)
	case *sequencing.Disable:
		return fmt.Sprintf("%s is shut out for good", b.Member)
	}
	return ""
}

// known finds a member by its name, or by a beginning of it that only one of those has that ever took part.
func (s *Members) known(text string) (sequencing.Member, error) {
	id := sequencing.MemberID(text)
	if m, ok := s.cfg.State.Member(id); ok {
		return m, nil
	}
	if text == "" || len(text) > sequencing.MaxMemberID {
		return sequencing.Member{}, invalid("name a member, such as PAR::alice::1220…")
	}
	if s.cfg.State.Active(id) { // it takes part from this decision on
		return sequencing.Member{ID: id}, nil
	}
	var found []sequencing.Member
	s.cfg.State.Members(func(m sequencing.Member) bool {
		if strings.HasPrefix(string(m.ID), text) {
			found = append(found, m)
		}
		return len(found) < 2
	})
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return sequencing.Member{}, Failure(codes.NotFound, reasonUnknownMember, fmt.Sprintf("no member is called %q, and the name of none that ever took part begins so", text))
	}
	return sequencing.Member{}, Failure(codes.NotFound, reasonUnknownMember, fmt.Sprintf("more than one member's name begins with %q; write more of it", text))
}
