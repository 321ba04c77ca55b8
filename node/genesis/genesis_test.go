package genesis_test

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/genesis"
	"github.com/synod-network/synod/topology"
)

// plan is what a test network is founded from.
type plan struct {
	name    string
	began   topology.Time
	params  bft.Params
	members []string
	node    byte // seeds the first node key
}

func standard() plan {
	return plan{"example", 1_700_000_000_000_000, bft.DefaultParams(), []string{"sequencer1", "sequencer2"}, 10}
}

func key(seed string) keys.PrivateKey { return keys.FromSeed(sha256.Sum256([]byte(seed))) }

// found makes the genesis of a plan.
func (p plan) found(t *testing.T) *genesis.Genesis {
	t.Helper()
	type signed struct {
		mapping topology.Mapping
		by      []keys.PrivateKey
	}
	root := func(k keys.PrivateKey) signed {
		return signed{topology.NamespaceDelegation{Namespace: topology.NamespaceOf(k.Public()), Target: k.Public(), Kinds: topology.AllKinds}, []keys.PrivateKey{k}}
	}
	owner := key("owner")
	main := topology.UID{Name: p.name, Namespace: topology.NamespaceOf(owner.Public())}
	parameters := topology.DefaultParameters(main)
	parameters.Ordering = p.params
	parameters.MaxRequestSize = min(parameters.MaxRequestSize, p.params.RequestLimit)
	set := topology.SequencerSet{Synchronizer: main, Threshold: 1}
	all, agreeing := []signed{root(owner)}, []keys.PrivateKey{owner}
	for i, name := range p.members {
		namespace, protocol := key(name), key(name+" protocol")
		m := topology.Member{Role: topology.Sequencer, UID: topology.UID{Name: name, Namespace: topology.NamespaceOf(namespace.Public())}}
		all = append(all, root(namespace), signed{topology.NewOwnerToKeys(m, []topology.SigningKey{{Purpose: keys.Protocol, Key: protocol.Public()}}, nil),
			[]keys.PrivateKey{namespace, protocol}})
		node := key(string(p.node + byte(i)))
		set.Sequencers = append(set.Sequencers, topology.SequencerNode{Member: m, Node: node.Public()})
		agreeing = append(agreeing, node)
	}
	all = append(all, signed{parameters, []keys.PrivateKey{owner}}, signed{set, agreeing})
	charter := topology.Charter{Synchronizer: main, Began: p.began}
	for _, s := range all {
		charter.Transactions = append(charter.Transactions, topology.Add(1, s.mapping))
	}
	id := genesis.IDOf(p.name, charter)
	var transactions []topology.SignedTransaction
	for i, content := range charter.Transactions {
		s, err := topology.Sign(id, content, all[i].by...)
		if err != nil {
			t.Fatal(err)
		}
		transactions = append(transactions, s)
	}
	founding, err := topology.NewGenesis(id, main, p.began, transactions...)
	if err != nil {
		t.Fatal(err)
	}
	g, err := genesis.New(p.name, founding)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func example(t *testing.T) *genesis.Genesis { return standard().found(t) }

func TestSaveAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "genesis.toml")
	want := example(t)
	if err := want.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := genesis.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("\ngot  %+v\nwant %+v", got, want)
	}
	if err := want.Save(path); err == nil {
		t.Fatal("a genesis was overwritten")
	}
}

// TestIDIsStable: networks live for years under their id, so its computation never changes.
func TestIDIsStable(t *testing.T) {
	const want = "5b4fd2884af72343bf0cbdbf83e9415999ef50a9a5978736fc7356c8a07b4e9f"
	if got := example(t).ID.String(); got != want {
		t.Fatalf("id %s, want %s", got, want)
	}
}

func TestEveryFieldIsInTheID(t *testing.T) {
	seen := map[genesis.ID]string{example(t).ID: "unchanged"}
	for name, change := range map[string]func(*plan){
		"name":             func(p *plan) { p.name = "other" },
		"time":             func(p *plan) { p.began++ },
		"member name":      func(p *plan) { p.members[0] = "b" },
		"member key":       func(p *plan) { p.node++ },
		"member order":     func(p *plan) { p.members[0], p.members[1] = p.members[1], p.members[0] },
		"one member less":  func(p *plan) { p.members = p.members[:1] },
		"leader timeout":   func(p *plan) { p.params.LeaderTimeout *= 2 },
		"idle interval":    func(p *plan) { p.params.IdleInterval *= 2 },
		"payload limit":    func(p *plan) { p.params.PayloadLimit *= 2 },
		"payload requests": func(p *plan) { p.params.PayloadRequests *= 2 },
		"request limit":    func(p *plan) { p.params.RequestLimit *= 2 },
		"epoch duration":   func(p *plan) { p.params.EpochDuration *= 2 },
		"gc depth":         func(p *plan) { p.params.GCDepth *= 2 },
		"demotion window":  func(p *plan) { p.params.DemotionWindow *= 2 },
	} {
		p := standard()
		change(&p)
		g := p.found(t)
		if other, found := seen[g.ID]; found {
			t.Errorf("%s has the id of %s", name, other)
		}
		seen[g.ID] = name
	}
}

func TestAnEditedFileIsNoticed(t *testing.T) {
	text := string(config.Render(example(t), ""))
	g := example(t)
	for _, tc := range []struct{ old, new, want string }{
		{`leader_timeout = "500ms"`, `leader_timeout = "501ms"`, "parameters: is not what the topology says"},
		{"request_limit", "request_limt", "unknown key parameters.request_limt; did you mean parameters.request_limit?"},
		{"name = \"sequencer2\"", "name = \"sequencer3\"", "members: is not what the topology says"},
		{"2023-11-14", "2023-11-15", "time: is not what the topology says"},
		{`name = "example"`, `name = "exemple"`, "id: the content digests to"},
		{g.ID.String()[:8], "01234567", "id: the content digests to"},
		{`topology = "`, `topology = "AAAA`, "topology: decode topology genesis"},
		{`topology = "`, `topology = "!`, "it is not base64"},
	} {
		path := filepath.Join(t.TempDir(), "genesis.toml")
		if err := os.WriteFile(path, []byte(strings.Replace(text, tc.old, tc.new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := genesis.Load(path); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.new, err, tc.want)
		}
	}
}

func TestCommittee(t *testing.T) {
	g := example(t)
	c := g.Committee()
	if c.Network != bft.NetworkID(g.ID) || c.Members[1] != bft.PublicKey(key("\x0b").Public()) || c.Start != bft.Time(g.Time) || c.Params != bft.DefaultParams() {
		t.Fatalf("committee %+v", c)
	}
}
