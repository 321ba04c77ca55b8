package owner

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/keys/vault"
	"github.com/synod-network/synod/node/network"
	"github.com/synod-network/synod/topology"
)

// founded is a network of four sequencers with its one owner, which is not running.
type founded struct {
	*network.Network
	t     *testing.T
	owner keys.PrivateKey
}

func found(t *testing.T) *founded {
	t.Helper()
	plan := network.DefaultPlan(filepath.Join(t.TempDir(), "net"))
	plan.Sequencers = 4
	n, err := network.Create(plan)
	if err != nil {
		t.Fatal(err)
	}
	f := &founded{Network: n, t: t}
	v, err := vault.Open(filepath.Join(n.Dir, "owners", "owner1"))
	if err != nil {
		t.Fatal(err)
	}
	entry, err := v.Newest(keys.Namespace)
	if err == nil {
		f.owner, err = v.Signing(keys.Namespace, entry.Fingerprint)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// view is the network as its owner sees it at first.
func (f *founded) view() *Network {
	f.t.Helper()
	g, err := f.Genesis.Founding()
	if err != nil {
		f.t.Fatal(err)
	}
	s := &topology.State{}
	if r := s.Load(g); r != nil {
		f.t.Fatal(r)
	}
	return &Network{genesis: f.Genesis, State: s}
}

func (f *founded) sign(change topology.Transaction, consents ...topology.Consent) topology.SignedTransaction {
	f.t.Helper()
	signed, err := topology.Sign(f.Genesis.ID, change, f.owner)
	if err == nil {
		signed, err = signed.WithConsents(consents...)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return signed
}

// carry has a change accepted.
func (f *founded) carry(n *Network, change topology.Transaction, err error, consents ...topology.Consent) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
	if _, r := n.State.Apply(n.State.Effective(), f.sign(change, consents...)); r != nil {
		f.t.Fatal(r)
	}
}

// node is the key by which a sequencer orders, by its place from 0.
func (f *founded) node(i int) keys.PrivateKey {
	f.t.Helper()
	key, err := keys.Load(f.Nodes[i].KeyFile)
	if err != nil {
		f.t.Fatal(err)
	}
	return key
}

func node(i byte) keys.PrivateKey { return keys.FromSeed([32]byte{i}) }

// TestSequencersComeAndGo: the set that is signed has everybody else as before, a threshold that fits it, and the next serial.
func TestSequencersComeAndGo(t *testing.T) {
	f := found(t)
	n := f.view()
	before := coming(n.State).Sequencers()
	third := before.Sequencers[2]
	wants := func(when string, serial topology.Serial, sequencers int, threshold uint16) topology.SequencerSet {
		t.Helper()
		set := coming(n.State).Sequencers()
		if n.State.Serial(set.Key()) != serial || len(set.Sequencers) != sequencers || set.Threshold != threshold || n.TrustThreshold() != threshold {
			t.Errorf("%s: version %d with %d sequencers, of which %d are believed", when, n.State.Serial(set.Key()), len(set.Sequencers), set.Threshold)
		}
		return set
	}
	wants("at first", 1, 4, 2)
	if _, err := n.Listing(third); err == nil || !strings.Contains(err.Error(), "is listed already") {
		t.Errorf("listed twice: %v", err)
	}
	if _, err := n.Unlisting("sequencer9"); err == nil || !strings.Contains(err.Error(), `no sequencer called "sequencer9" is listed`) {
		t.Errorf("a stranger is taken out: %v", err)
	}

	exchanged := topology.SequencerNode{Member: third.Member, Node: node(1).Public()}
	change, err := n.Listing(exchanged)
	f.carry(n, change, err, topology.Agree(f.Genesis.ID, third.Member, node(1)))
	set := wants("with another key", 2, 4, 2)
	for i, s := range set.Sequencers {
		if want := before.Sequencers[i]; s.Member != want.Member || (s.Node == want.Node) == (i == 2) {
			t.Errorf("with another key: %d is %v", i, s)
		}
	}
	if before.Sequencers[2] != third {
		t.Error("what was asked before has changed")
	}

	for i, name := range []string{"sequencer3", "sequencer1", "sequencer2"} {
		change, err := n.Unlisting(name)
		f.carry(n, change, err)
		set := wants("without "+name, topology.Serial(3+i), 3-i, 1)
		for _, s := range set.Sequencers {
			if s.Member.Name == name {
				t.Errorf("%s is listed still", name)
			}
		}
	}
	if _, err := n.Unlisting("sequencer4"); err == nil || !strings.Contains(err.Error(), "is the only sequencer") {
		t.Errorf("the last one is taken out: %v", err)
	}
	change, err = n.Listing(third)
	f.carry(n, change, err, topology.Agree(f.Genesis.ID, third.Member, f.node(2)))
	wants("listed again", 6, 2, 1)
}

// TestWhoMaySignUp: permissions and rules are signed over the version before, and what changes nothing is not signed.
func TestWhoMaySignUp(t *testing.T) {
	f := found(t)
	n := f.view()
	namespace := topology.Namespace(node(7).Public().Fingerprint())
	if _, err := n.Revoking(namespace); err == nil || !strings.Contains(err.Error(), "has no permission") {
		t.Errorf("revoked before it was given: %v", err)
	}
	limits := topology.Limits{Mappings: 64, Changes: 64, ChangeInterval: 1_000_000}
	for range 2 { // and given again
		f.carry(n, n.Permitting(namespace, limits), nil)
		if p, ok := coming(n.State).Permission(namespace); !ok || p.Limits != limits {
			t.Errorf("permitted: %v, %t", p, ok)
		}
		change, err := n.Revoking(namespace)
		f.carry(n, change, err)
		if _, ok := coming(n.State).Permission(namespace); ok {
			t.Error("revoked, and permitted still")
		}
	}
	close := func(o *topology.Onboarding) { o.Mode = topology.Restricted }
	change, err := n.Onboarding(close)
	f.carry(n, change, err)
	if coming(n.State).Parameters().Onboarding.Mode != topology.Restricted {
		t.Error("the network is open")
	}
	if _, err := n.Onboarding(close); err == nil || !strings.Contains(err.Error(), "in force already") {
		t.Errorf("closed twice: %v", err)
	}
}

// TestWhoseSignaturesAreMissing: the owner's, unless he signed; what rests on another change is judged behind it.
func TestWhoseSignaturesAreMissing(t *testing.T) {
	f := found(t)
	n := f.view()
	change, err := n.Unlisting("sequencer3")
	if err != nil {
		t.Fatal(err)
	}
	nobody, err := topology.Sign(f.Genesis.ID, change, node(9))
	if err != nil {
		t.Fatal(err)
	}
	if missing, err := n.Missing(nobody); err != nil || len(missing) != 1 || missing[0] != f.owner.Public().Fingerprint() {
		t.Errorf("signed by a stranger: %v, %v", missing, err)
	}
	signed := f.sign(change)
	if missing, err := n.Missing(signed); err != nil || len(missing) != 0 {
		t.Errorf("signed by the owner: %v, %v", missing, err)
	}

	later := f.view()
	f.carry(later, change, nil)
	behind := f.sign(later.Permitting(topology.Namespace(node(7).Public().Fingerprint()), topology.Limits{Mappings: 1, Changes: 1, ChangeInterval: 1_000_000}))
	if missing, err := n.Missing(behind, signed); err != nil || len(missing) != 0 {
		t.Errorf("behind another change: %v, %v", missing, err)
	}
	if missing, err := n.Missing(behind, signed); err != nil || len(missing) != 0 {
		t.Errorf("behind one that is there: %v, %v", missing, err)
	}
	if _, err := n.Missing(signed, nobody); err == nil {
		t.Error("behind a change that is refused")
	}
}

// teller is a sequencer that tells a topology.
type teller struct {
	sequencerv1.UnimplementedSequencerServiceServer
	parts []*sequencerv1.DownloadTopologyResponse
}

func (s teller) DownloadTopology(_ *sequencerv1.DownloadTopologyRequest, stream grpc.ServerStreamingServer[sequencerv1.DownloadTopologyResponse]) error {
	for _, part := range s.parts {
		if err := stream.Send(part); err != nil {
			return err
		}
	}
	return nil
}

// tell serves parts of a topology until the test ends, and returns where.
func tell(t *testing.T, parts ...*sequencerv1.DownloadTopologyResponse) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	sequencerv1.RegisterSequencerServiceServer(server, teller{parts: parts})
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		<-served
	})
	return listener.Addr().String()
}

// told is a topology as a sequencer tells it, in two parts.
func told(t *testing.T, s *topology.State) []*sequencerv1.DownloadTopologyResponse {
	t.Helper()
	data, err := s.Encode(s.Effective())
	if err != nil {
		t.Fatal(err)
	}
	digest := s.Digest()
	return []*sequencerv1.DownloadTopologyResponse{{Digest: digest[:], Data: data[:len(data)/2]}, {Data: data[len(data)/2:]}}
}

// TestAnOwnerIsNotDeceived: all that are asked must tell the same, of this network, whole.
func TestAnOwnerIsNotDeceived(t *testing.T) {
	f, other := found(t), found(t)
	honest := told(t, f.view().State)
	without, again := f.view(), f.view()
	change, err := without.Unlisting("sequencer3")
	f.carry(without, change, err)
	f.carry(again, change, err)
	set := coming(f.view().State).Sequencers()
	f.carry(again, topology.Add(3, set), nil, topology.Agree(f.Genesis.ID, set.Sequencers[2].Member, f.node(2)))

	wrongDigest := told(t, f.view().State)
	wrongDigest[0].Digest[0] ^= 1
	for name, c := range map[string]struct {
		told [][]*sequencerv1.DownloadTopologyResponse
		want string
	}{
		"all say the same":    {[][]*sequencerv1.DownloadTopologyResponse{honest, honest, honest}, ""},
		"nobody is asked":     {nil, "at least one"},
		"one has another set": {[][]*sequencerv1.DownloadTopologyResponse{honest, told(t, without.State)}, "list different sequencers"},
		"one has a later one": {[][]*sequencerv1.DownloadTopologyResponse{honest, honest, told(t, again.State)}, "list different sequencers"},
		"another network's":   {[][]*sequencerv1.DownloadTopologyResponse{told(t, other.view().State)}, "of another network than the genesis file"},
		"another digest":      {[][]*sequencerv1.DownloadTopologyResponse{wrongDigest}, "its digest is"},
		"cut off":             {[][]*sequencerv1.DownloadTopologyResponse{honest[:1]}, "decode topology state"},
		"nothing":             {[][]*sequencerv1.DownloadTopologyResponse{{}}, "EOF"},
		"something else":      {[][]*sequencerv1.DownloadTopologyResponse{{{Data: []byte("hello")}}}, "decode topology state"},
	} {
		var addresses []string
		for _, parts := range c.told {
			addresses = append(addresses, tell(t, parts...))
		}
		n, err := Connect(t.Context(), f.Genesis, addresses, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if err == nil {
			if n.TrustThreshold() != 2 {
				t.Errorf("%s: %d are believed", name, n.TrustThreshold())
			}
			n.Close()
		}
	}
}
