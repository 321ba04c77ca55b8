// Package trustadmin shows an operator what a sequencer thinks of its peers, and takes the operator's word on who is
// kept out. It is registered on the admin listener; every change is logged with who asked for it.
package trustadmin

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/replica/trust"
	"github.com/synod-network/synod/replica/warden"
	"github.com/synod-network/synod/sequencer/admin"
)

// maxReason bounds an operator's reason, in bytes.
const maxReason = 240

// Service implements adminv1.TrustServiceServer.
type Service struct {
	adminv1.UnimplementedTrustServiceServer
	warden     *warden.Warden
	rejections func() uint64
	audit      admin.Auditor
}

// New returns the service over a warden. Rejections counts the connections of banned peers that were turned away.
func New(w *warden.Warden, rejections func() uint64, log *slog.Logger) *Service {
	return &Service{warden: w, rejections: rejections, audit: admin.NewAuditor(log)}
}

// Register puts the service on a gRPC server.
func (s *Service) Register(r grpc.ServiceRegistrar) { adminv1.RegisterTrustServiceServer(r, s) }

// ListPeerTrust implements adminv1.TrustServiceServer.
func (s *Service) ListPeerTrust(context.Context, *adminv1.ListPeerTrustRequest) (*adminv1.ListPeerTrustResponse, error) {
	report := s.warden.Report()
	out := &adminv1.ListPeerTrustResponse{Counts: counts(report.Counters)}
	out.Counts.Rejections = s.rejections()
	if report.SuspectsUntil != 0 {
		out.SelfSuspectUntil = report.Time(report.SuspectsUntil).UnixMicro()
	}
	for _, o := range report.Peers {
		p := s.message(report, o)
		p.History, p.Evidence = nil, nil
		out.Peers = append(out.Peers, p)
	}
	return out, nil
}

// ExplainPeerTrust implements adminv1.TrustServiceServer.
func (s *Service) ExplainPeerTrust(_ context.Context, r *adminv1.ExplainPeerTrustRequest) (*adminv1.ExplainPeerTrustResponse, error) {
	key, err := s.find(r.GetPeer())
	if err != nil {
		return nil, err
	}
	return &adminv1.ExplainPeerTrustResponse{Peer: s.explain(key)}, nil
}

// BanPeer implements adminv1.TrustServiceServer.
func (s *Service) BanPeer(ctx context.Context, r *adminv1.BanPeerRequest) (*adminv1.BanPeerResponse, error) {
	key, err := s.find(r.GetPeer())
	if err != nil {
		return nil, err
	}
	if len(r.GetReason()) > maxReason {
		return nil, admin.Failure(codes.InvalidArgument, "INVALID", "the reason has more than 240 bytes")
	}
	var length time.Duration
	if d := r.GetDuration(); d != nil {
		if !d.IsValid() {
			return nil, admin.Failure(codes.InvalidArgument, "INVALID", "the duration is out of range")
		}
		length = d.AsDuration()
	}
	err = s.warden.Ban(key, length, r.GetReason())
	s.note(ctx, "ban a peer", key, err, slog.Duration("duration", length), slog.String("reason", r.GetReason()))
	if err != nil {
		return nil, refusal(err)
	}
	return &adminv1.BanPeerResponse{Peer: s.explain(key)}, nil
}

// UnbanPeer implements adminv1.TrustServiceServer.
func (s *Service) UnbanPeer(ctx context.Context, r *adminv1.UnbanPeerRequest) (*adminv1.UnbanPeerResponse, error) {
	key, err := s.find(r.GetPeer())
	if err != nil {
		return nil, err
	}
	found, err := s.warden.Unban(key)
	s.note(ctx, "clear what is held against a peer", key, err, slog.Bool("found", found))
	if err != nil {
		return nil, refusal(err)
	}
	return &adminv1.UnbanPeerResponse{Peer: s.explain(key), Found: found}, nil
}

// ProtectPeer implements adminv1.TrustServiceServer.
func (s *Service) ProtectPeer(ctx context.Context, r *adminv1.ProtectPeerRequest) (*adminv1.ProtectPeerResponse, error) {
	key, err := s.find(r.GetPeer())
	if err != nil {
		return nil, err
	}
	err = s.warden.Protect(key, r.GetProtected())
	s.note(ctx, "change the protection of a peer", key, err, slog.Bool("protected", r.GetProtected()))
	if err != nil {
		return nil, refusal(err)
	}
	return &adminv1.ProtectPeerResponse{Peer: s.explain(key)}, nil
}

func (s *Service) find(text string) (keys.PublicKey, error) {
	key, err := s.warden.Find(text)
	if err != nil {
		return key, admin.Failure(codes.NotFound, "UNKNOWN_PEER", err.Error())
	}
	return key, nil
}

func (s *Service) explain(key keys.PublicKey) *adminv1.PeerTrust {
	report := s.warden.Report()
	at := slices.IndexFunc(report.Peers, func(o trust.Opinion) bool { return o.Peer == key })
	if at < 0 {
		return s.message(report, trust.Opinion{Peer: key})
	}
	return s.message(report, report.Peers[at])
}

// note says what an operator did.
func (s *Service) note(ctx context.Context, what string, key keys.PublicKey, err error, more ...slog.Attr) {
	s.audit.Note(ctx, what, err, append([]slog.Attr{slog.String("peer", s.warden.Name(key))}, more...)...)
}

func refusal(err error) error {
	switch {
	case errors.Is(err, trust.ErrQuorumGuard):
		return admin.Failure(codes.FailedPrecondition, "QUORUM_GUARD", err.Error())
	case errors.Is(err, trust.ErrProtected):
		return admin.Failure(codes.FailedPrecondition, "PROTECTED", err.Error())
	case errors.Is(err, trust.ErrSelf), errors.Is(err, trust.ErrBanLength):
		return admin.Failure(codes.InvalidArgument, "INVALID", err.Error())
	}
	return admin.Failure(codes.Internal, "NOT_STORED", "the change is in force, but would not survive a restart: "+err.Error())
}

func (s *Service) message(report warden.Report, o trust.Opinion) *adminv1.PeerTrust {
	at := func(i trust.Instant) int64 { return report.Time(i).UnixMicro() }
	p := &adminv1.PeerTrust{
		Name: s.warden.Name(o.Peer), Key: hex.EncodeToString(o.Peer[:]), Member: o.Member, Connected: o.Linked,
		Score: o.Score, Standing: o.Standing.String(), Protected: o.Protected, Strikes: int32(o.Strikes),
		OnHold: o.OnHold, PutOff: string(o.PutOff), Proofs: int32(len(o.Evidence)), Actions: byName(o.Actions),
	}
	if b := o.Ban; b != nil {
		p.Ban = &adminv1.Ban{From: at(b.From), Until: at(b.Until), Reason: string(b.Reason), Detail: b.Detail, Origin: string(b.Origin)}
	}
	if b := o.BannedBy; b != nil {
		p.BannedBy = &adminv1.BannedBy{
			ToldAt: at(b.At), Until: at(b.Until), Reason: b.Notice.Reason, Detail: b.Notice.Detail,
			Notice: append(b.Notice.Encode(), b.Signature[:]...),
		}
	}
	for _, l := range o.History {
		p.History = append(p.History, &adminv1.TrustLine{
			From: at(l.From), At: at(l.At), Count: int32(l.Count), Action: l.Action, Detail: l.Detail, Change: l.Change, Score: l.Score,
		})
	}
	for _, e := range o.Evidence {
		p.Evidence = append(p.Evidence, &adminv1.TrustProof{At: at(e.At), Kind: string(e.Kind), Detail: e.Detail, Proof: e.Proof})
	}
	return p
}

func counts(c trust.Counters) *adminv1.TrustCounts {
	out := &adminv1.TrustCounts{
		Actions: byName(c.Actions), Unbans: byName(c.Unbans), PutOff: c.PutOff, Evidence: byName(c.Evidence),
		QuorumGuard: c.QuorumGuard, SelfSuspicions: c.Suspicions,
	}
	for kind, n := range c.Bans {
		out.Bans = append(out.Bans, &adminv1.BanCount{Reason: string(kind.Reason), Origin: string(kind.Origin), Count: n})
	}
	slices.SortFunc(out.Bans, func(a, b *adminv1.BanCount) int { return strings.Compare(a.Reason+a.Origin, b.Reason+b.Origin) })
	return out
}

func byName[K ~string](m map[K]uint64) map[string]uint64 {
	out := make(map[string]uint64, len(m))
	for k, n := range m {
		out[string(k)] = n
	}
	return out
}
