package admin

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// ListTraffic implements the API.
func (s *Members) ListTraffic(_ context.Context, r *adminv1.ListTrafficRequest) (*adminv1.ListTrafficResponse, error) {
	out := &adminv1.ListTrafficResponse{}
	rules, at := s.cfg.State.Balances(func(m sequencing.Member, now sequencing.Traffic, free bool) bool {
		if !strings.HasPrefix(string(m.ID), r.GetPrefix()) {
			return true
		}
		if out.More = len(out.Members) == maxListed; out.More {
			return false
		}
		out.Members = append(out.Members, &adminv1.MemberTraffic{
			Member: string(m.ID), Free: free, Left: now.Left(), BaseLeft: now.Base, ExtraLeft: now.Purchased - min(now.Purchased, now.Consumed),
			Purchased: now.Purchased, Consumed: now.Consumed, Serial: now.Serial, ChangedAt: int64(m.Traffic.Updated),
		})
		return true
	})
	slices.SortFunc(out.Members, func(a, b *adminv1.MemberTraffic) int { return strings.Compare(a.GetMember(), b.GetMember()) })
	out.At = int64(at)
	out.Rules = &adminv1.TrafficRules{Metered: rules.Refill > 0, Base: rules.Base, EventCost: rules.Event, WriteCost: rules.Write, ReadCost: rules.Factor,
		EnvelopeCost: rules.Envelope, RecipientCost: rules.Recipient}
	if rules.Refill <= 0 {
		return out, nil
	}
	window := time.Duration(rules.Refill) * time.Microsecond
	out.Rules.Window = durationpb.New(window)
	for _, m := range out.Members {
		if !m.Free {
			m.BaseRate = float64(rules.Base) / window.Seconds()
		}
	}
	return out, nil
}
