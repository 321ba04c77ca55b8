package instance

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/admin"
)

// TestAPeerWithANewKey: what was said of a sequencer's old key holds for its new one, once neither the topology nor the committee knows
// the old one, which is then no peer's. Until then both are.
func TestAPeerWithANewKey(t *testing.T) {
	old, fresh, other, stranger, own := keys.PublicKey{1}, keys.PublicKey{2}, keys.PublicKey{3}, keys.PublicKey{4}, keys.PublicKey{5}
	type names = map[keys.PublicKey]string
	type addresses = map[keys.PublicKey]string
	for _, tc := range []struct {
		name             string
		listed, ordering names
		configured       addresses
		said             map[keys.PublicKey]admin.Endpoint
		want             addresses
	}{
		{name: "before", listed: names{old: "s1", other: "s2"}, ordering: names{old: "s1", other: "s2"}, configured: addresses{old: "a:1", other: "b:1"},
			want: addresses{old: "a:1", other: "b:1"}},
		{name: "listed, still in the old epoch", listed: names{fresh: "s1", other: "s2"}, ordering: names{old: "s1", other: "s2", own: "s3"}, configured: addresses{old: "a:1", other: "b:1"},
			want: addresses{old: "a:1", fresh: "", other: "b:1"}},
		{name: "in the new epoch", listed: names{fresh: "s1", other: "s2"}, ordering: names{fresh: "s1", other: "s2"}, configured: addresses{old: "a:1", other: "b:1"},
			want: addresses{fresh: "a:1", other: "b:1"}},
		{name: "an address of its own", listed: names{fresh: "s1"}, ordering: names{fresh: "s1"}, configured: addresses{old: "a:1", fresh: "c:1"},
			want: addresses{fresh: "c:1"}},
		{name: "an operator's word goes over too", listed: names{fresh: "s1"}, ordering: names{fresh: "s1"}, configured: addresses{old: "a:1"},
			said: map[keys.PublicKey]admin.Endpoint{old: {Name: "s1", Address: "d:1"}}, want: addresses{fresh: "d:1"}},
		{name: "a removal too", listed: names{fresh: "s1"}, ordering: names{fresh: "s1"}, configured: addresses{old: "a:1"},
			said: map[keys.PublicKey]admin.Endpoint{old: {Name: "s1", Removed: true}}, want: addresses{}},
		{name: "a newer word is the one that counts", listed: names{fresh: "s1"}, ordering: names{fresh: "s1"}, configured: addresses{old: "a:1"},
			said: map[keys.PublicKey]admin.Endpoint{old: {Name: "s1", Removed: true}, fresh: {Name: "s1", Address: "e:1"}}, want: addresses{fresh: "e:1"}},
		{name: "two of its name", listed: names{fresh: "s1", stranger: "s1"}, ordering: names{fresh: "s1"}, configured: addresses{old: "a:1"},
			want: addresses{old: "a:1", fresh: "", stranger: ""}},
		{name: "taken out, orders to the end of its epoch", listed: names{other: "s2"}, ordering: names{old: "s1", other: "s2"},
			want: addresses{old: "", other: ""}},
		{name: "not listed yet", listed: names{other: "s2"}, ordering: names{other: "s2"}, configured: addresses{old: "a:1"},
			want: addresses{old: "a:1", other: ""}},
	} {
		said, err := admin.OpenEndpoints(filepath.Join(t.TempDir(), "peers.json"))
		if err != nil {
			t.Fatal(err)
		}
		for key, word := range tc.said {
			if err := said.Set(key, word); err != nil {
				t.Fatal(err)
			}
		}
		p := &peers{said: said, self: func(k keys.PublicKey) bool { return k == own }, addresses: tc.configured, listed: tc.listed, ordering: tc.ordering, names: names{old: "s1"}}
		if got := p.all(); !maps.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

// TestNamesAfterAnExchangeOfKeys: a name means the key that its sequencer has, and two keys only while both are in use.
func TestNamesAfterAnExchangeOfKeys(t *testing.T) {
	old, fresh, other := keys.PublicKey{1}, keys.PublicKey{2}, keys.PublicKey{3}
	type names = map[keys.PublicKey]string
	for name, c := range map[string]struct{ listed, ordering, want names }{
		"before":                         {listed: names{old: "s1"}, want: names{old: "s1", other: "s2"}},
		"listed, still in the old epoch": {listed: names{fresh: "s1"}, ordering: names{old: "s1"}, want: names{old: "s1", fresh: "s1", other: "s2"}},
		"in the new epoch":               {listed: names{fresh: "s1"}, ordering: names{fresh: "s1"}, want: names{fresh: "s1", other: "s2"}},
		"taken out":                      {listed: names{}, want: names{old: "s1", other: "s2"}},
	} {
		p := &peers{names: names{old: "s1", other: "s2"}, listed: c.listed, ordering: c.ordering}
		if got := p.called(); !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestWhatOperatorsSeeOfPeers: every peer once, by its newest key, with the word that holds for it and where that comes from; those that
// were removed are there, too, and this sequencer is not.
func TestWhatOperatorsSeeOfPeers(t *testing.T) {
	own, second, third, fourth, old, fresh, stranger := keys.PublicKey{1}, keys.PublicKey{2}, keys.PublicKey{3}, keys.PublicKey{4}, keys.PublicKey{5}, keys.PublicKey{6}, keys.PublicKey{7}
	said, err := admin.OpenEndpoints(filepath.Join(t.TempDir(), "peers.json"))
	if err != nil {
		t.Fatal(err)
	}
	for key, word := range map[keys.PublicKey]admin.Endpoint{third: {Name: "s3", Removed: true}, stranger: {Name: "s7", Address: "g:1"}, old: {Name: "s5", Address: "o:1"}} {
		if err := said.Set(key, word); err != nil {
			t.Fatal(err)
		}
	}
	p := &peers{
		said: said, self: func(k keys.PublicKey) bool { return k == own }, names: map[keys.PublicKey]string{old: "s5"},
		listed: map[keys.PublicKey]string{own: "s1", second: "s2", third: "s3", fourth: "s4", fresh: "s5"}, addresses: map[keys.PublicKey]string{own: "a:1", second: "b:1", third: "c:1", old: "e:1"},
	}
	var seen []string
	for _, peer := range (namedPeers{p, own, "s1"}).List() {
		seen = append(seen, fmt.Sprintf("%d %s %q %s listed %t removed %t", peer.Key[0], peer.Name, peer.Address, peer.Origin, peer.Listed, peer.Removed))
	}
	want := []string{
		`2 s2 "b:1" configuration listed true removed false`,
		`3 s3 "" operator listed true removed true`,
		`4 s4 "" topology listed true removed false`,
		`6 s5 "o:1" operator listed true removed false`,
		`7 s7 "g:1" operator listed false removed false`,
	}
	if !slices.Equal(seen, want) {
		t.Errorf("operators see\n%q, want\n%q", seen, want)
	}
}
