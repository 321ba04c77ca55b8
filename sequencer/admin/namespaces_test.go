package admin_test

import (
	"slices"
	"testing"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/sequencer/membership"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// TestNamespacesAreListed: who has most first, those with a prefix alone if one is named, with what each may still add.
func TestNamespacesAreListed(t *testing.T) {
	c := convene(t)
	list := func(prefix string) *adminv1.ListNamespacesResponse {
		t.Helper()
		answer, err := c.at[1].ListNamespaces(t.Context(), &adminv1.ListNamespacesRequest{Prefix: prefix})
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	before := list("")

	// Two newcomers, of whom one adds a key more, which is another mapping.
	for _, name := range []string{"carol", "dave"} {
		var encoded [][]byte
		for _, signed := range c.network.Registration(t, membertest.Participant(name)) {
			encoded = append(encoded, signed.Encode())
		}
		if name == "carol" {
			delegate := topology.NamespaceDelegation{Namespace: membertest.Participant(name).Namespace, Target: membertest.Key("carol delegate").Public(), Kinds: topology.AllKinds}
			encoded = append(encoded, c.network.Sign(t, topology.Add(1, delegate), name+" root", name+" delegate").Encode())
		}
		if err := c.order(t.Context(), sequencing.Request{Body: &sequencing.TopologyChange{Transactions: membership.Encode(encoded...)}}.Encode()); err != nil {
			t.Fatal(err)
		}
	}
	after := list("")
	if after.GetUnpermitted() != before.GetUnpermitted()+2 || after.GetMappings() != before.GetMappings()+7 || after.GetAt() <= before.GetAt() {
		t.Errorf("two namespaces with seven mappings later: from %v to %v", before, after)
	}
	if !slices.IsSortedFunc(after.GetNamespaces(), func(a, b *adminv1.NamespaceState) int { return int(b.GetMappings()) - int(a.GetMappings()) }) {
		t.Errorf("who has most is not first: %v", after.GetNamespaces())
	}
	limits := topology.DefaultLimits()
	for name, has := range map[string]uint32{"carol": 4, "dave": 3} {
		of := membertest.Participant(name).Namespace.String()
		alone := list(of[:20])
		if len(alone.GetNamespaces()) != 1 || alone.GetUnpermitted() != after.GetUnpermitted() {
			t.Fatalf("those that begin as %s: %v", name, alone)
		}
		got := alone.GetNamespaces()[0]
		if got.GetNamespace() != of || got.GetMappings() != has || got.GetPermitted() || got.GetLimits().GetMappings() != limits.Mappings || got.GetChangesLeft() != limits.Changes-has {
			t.Errorf("%s: %v, want %d mappings and %d changes left", name, got, has, limits.Changes-has)
		}
	}
	if none := list("nobody"); len(none.GetNamespaces()) != 0 || none.GetMore() {
		t.Errorf("those that begin as nobody does: %v", none)
	}
}
