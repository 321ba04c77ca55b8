package admin

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/topology"
)

// ListNamespaces implements the API.
func (s *Members) ListNamespaces(_ context.Context, r *adminv1.ListNamespacesRequest) (*adminv1.ListNamespacesResponse, error) {
	var found []topology.Holding
	usage, at := s.cfg.State.Onboarding(func(h topology.Holding) bool {
		if strings.HasPrefix(h.Namespace.String(), r.GetPrefix()) {
			found = append(found, h)
		}
		return true
	})
	slices.SortFunc(found, func(a, b topology.Holding) int {
		return cmp.Or(cmp.Compare(b.Mappings, a.Mappings), a.Namespace.Compare(b.Namespace))
	})
	out := &adminv1.ListNamespacesResponse{
		Mode: usage.Onboarding.Mode.String(), At: int64(at), Unpermitted: uint32(usage.Strangers), UnpermittedLimit: usage.Onboarding.Namespaces,
		Permissions: uint32(usage.Permissions), Mappings: uint64(usage.Mappings), Limits: limitsOf(usage.Onboarding.Limits), More: len(found) > maxListed,
	}
	for _, h := range found[:min(len(found), maxListed)] {
		out.Namespaces = append(out.Namespaces, &adminv1.NamespaceState{
			Namespace: h.Namespace.String(), Permitted: h.Permitted, Mappings: uint32(h.Mappings), ChangesLeft: uint32(h.Changes), Limits: limitsOf(h.Limits),
		})
	}
	return out, nil
}

func limitsOf(l topology.Limits) *adminv1.NamespaceLimits {
	return &adminv1.NamespaceLimits{Mappings: l.Mappings, Changes: l.Changes, ChangeInterval: durationpb.New(time.Duration(l.ChangeInterval) * time.Microsecond)}
}
