package instance

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/keys/vault"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/genesis"
	"github.com/synod-network/synod/node/network"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/replica/p2p"
	"github.com/synod-network/synod/sequencer/members"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/synchronizer"
	"github.com/synod-network/synod/topology"
)

// exchange is a sequencer that exchanges a key, step by step, over an order of its own at a time that the test sets.
type exchange struct {
	t       *testing.T
	network *membertest.Network
	*rotation
	now    time.Time // of the sequencer, and of what is ordered
	height ordering.Height
	last   int64 // time of the last block, in µs
	sent   int
	loses  bool // what is submitted is taken and never ordered
}

// inForce is after how long a change of the topology is in force for sure.
const inForce = 251 * time.Millisecond

func beginExchange(t *testing.T) *exchange {
	t.Helper()
	dir := t.TempDir()
	e := &exchange{t: t, network: membertest.Found(t, membertest.Plan{}), now: time.UnixMicro(int64(membertest.Began)).Add(time.Second)}
	self := e.network.Sequencers[0]
	i := &Instance{
		Config:  &config.Sequencer{KeyFile: filepath.Join(dir, "node.key"), KeysDir: filepath.Join(dir, "keys")},
		Genesis: &genesis.Genesis{ID: genesis.ID(e.network.ID)}, Log: slog.New(slog.DiscardHandler), orderer: e.orderer(),
	}
	v, err := vault.Create(i.Config.KeysDir)
	if err != nil {
		t.Fatal(err)
	}
	for purpose, key := range map[keys.Purpose]keys.PrivateKey{keys.Namespace: membertest.Key(self.Name + " root"), keys.Protocol: membertest.Protocol(self)} {
		if _, err := v.Add(purpose, key); err != nil {
			t.Fatal(err)
		}
	}
	if err := keys.Save(i.Config.KeyFile, membertest.Node(self)); err != nil {
		t.Fatal(err)
	}
	i.identity = identity{node: membertest.Node(self), member: self}
	i.state, err = synchronizer.Open(synchronizer.Config{
		Dir: filepath.Join(dir, "history"), Founding: e.network.Genesis, Network: e.network.ID, Verify: members.Verifier(keys.NewBatchVerifier(8)), SegmentSize: 1 << 16,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.state.Close(); err != nil {
			t.Error(err)
		}
	})
	e.rotation = &rotation{Instance: i}
	e.start()
	return e
}

// start is the start of an instance, with the keys that it chooses.
func (e *exchange) start() {
	e.t.Helper()
	if err := e.chooseProtocolKey(); err != nil {
		e.t.Fatal(err)
	}
	e.rotation = &rotation{Instance: e.Instance, began: e.now}
}

// alone is an order of one node: what is submitted is applied at once.
type alone struct {
	ordering.Orderer
	e *exchange
}

func (e *exchange) orderer() ordering.Orderer { return alone{e: e} }

func (o alone) Submit(_ context.Context, requests ...[]byte) error {
	o.e.sent++
	if o.e.loses {
		return nil
	}
	return o.e.order(requests...)
}

func (e *exchange) order(requests ...[]byte) error {
	e.height++
	e.last = max(e.last+1, e.now.UnixMicro())
	return e.state.Apply(ordering.Block{Height: e.height, Time: e.last, Payloads: []ordering.Payload{ordering.Pack(requests...)}})
}

// passes lets time pass, on the sequencer's clock and in the order.
func (e *exchange) passes(d time.Duration) {
	e.t.Helper()
	e.now = e.now.Add(d)
	if err := e.order(); err != nil {
		e.t.Fatal(err)
	}
}

// look takes a step and reports whether the instance is to end for one with other keys.
func (e *exchange) look() (restart bool) {
	e.t.Helper()
	restart, err := e.protocolKey(e.t.Context(), e.now)
	if err != nil {
		e.t.Fatal(err)
	}
	return restart
}

// listed are the protocol keys in force, in any order.
func (e *exchange) listed() (list []keys.PublicKey) {
	e.state.Topology(func(view topology.Snapshot) { list = slices.Clone(view.SigningKeys(e.identity.member, keys.Protocol)) })
	slices.SortFunc(list, keys.PublicKey.Compare)
	return list
}

func (e *exchange) wantListed(when string, want ...keys.PublicKey) {
	e.t.Helper()
	slices.SortFunc(want, keys.PublicKey.Compare)
	if got := e.listed(); !slices.Equal(got, want) {
		e.t.Errorf("%s: in force are %v, want %v", when, got, want)
	}
}

// retired reports whether the vault has put a key away.
func (e *exchange) retired(key keys.PublicKey) bool {
	e.t.Helper()
	v, err := vault.Open(e.Config.KeysDir)
	if err != nil {
		e.t.Fatal(err)
	}
	list, err := v.List()
	if err != nil {
		e.t.Fatal(err)
	}
	for _, entry := range list {
		if entry.Fingerprint == key.Fingerprint() {
			return entry.Retired
		}
	}
	e.t.Fatalf("the vault has lost key %v", key)
	return false
}

// rotate makes a key beside the one in use, as the operator's command does.
func (e *exchange) rotate() keys.PublicKey {
	e.t.Helper()
	v, err := vault.Open(e.Config.KeysDir)
	if err != nil {
		e.t.Fatal(err)
	}
	made, err := v.Rotate(keys.Protocol)
	if err != nil {
		e.t.Fatal(err)
	}
	key, err := v.Signing(keys.Protocol, made.Fingerprint)
	if err != nil {
		e.t.Fatal(err)
	}
	return key.Public()
}

// TestAProtocolKeyIsExchanged: the new key is listed beside the old one, signs once it is in force, and a minute later, not before, the
// old one is withdrawn, and only then put away. Nothing is said twice, and nothing happens where nothing is wanted.
func TestAProtocolKeyIsExchanged(t *testing.T) {
	e := beginExchange(t)
	old := e.identity.protocol.Public()
	e.passes(2 * oldKeyGrace)
	if e.look() || e.sent != 0 {
		t.Fatalf("without a new key it submits %d changes", e.sent)
	}
	fresh := e.rotate()
	for range 2 {
		if e.look() || e.sent != 1 {
			t.Fatalf("to list a key it submits %d changes, want 1", e.sent)
		}
	}
	e.wantListed("before the change is in force", old)
	e.passes(inForce)
	e.wantListed("once it is", old, fresh)
	if !e.look() {
		t.Fatal("the new key is in force and the old one goes on signing")
	}

	e.start()
	if now := e.identity.protocol.Public(); now != fresh {
		t.Fatalf("it signs with %v", now)
	}
	for range 59 {
		e.passes(time.Second)
		if e.look() {
			t.Fatal("it ends again")
		}
	}
	if e.sent != 1 || e.retired(old) {
		t.Errorf("within a minute: %d changes, old key put away: %v", e.sent, e.retired(old))
	}
	e.wantListed("within a minute", old, fresh)
	e.passes(time.Second)
	e.look()
	if e.sent != 2 || e.retired(old) {
		t.Errorf("after a minute: %d changes, want 2; old key put away before it is withdrawn: %v", e.sent, e.retired(old))
	}
	e.passes(inForce)
	e.wantListed("after a minute", fresh)
	for range 3 {
		if e.look() {
			t.Fatal("it ends again")
		}
		e.passes(keysAgain)
	}
	if e.sent != 2 || !e.retired(old) || e.retired(fresh) {
		t.Errorf("in the end: %d changes, want 2; put away: old %v, new %v", e.sent, e.retired(old), e.retired(fresh))
	}
}

// TestAChangeOfKeysThatIsLostIsSaidAgain: after a while, and not with every look; the old key stays where it is until then.
func TestAChangeOfKeysThatIsLostIsSaidAgain(t *testing.T) {
	e := beginExchange(t)
	old := e.identity.protocol.Public()
	fresh := e.rotate()
	again := func(what string, keep ...keys.PublicKey) {
		t.Helper()
		e.loses = true
		before := e.sent
		for range int(keysAgain / time.Second) {
			e.look()
			e.passes(time.Second)
		}
		if e.sent != before+1 || e.retired(old) {
			t.Errorf("%s: %d changes in %v, want 1; old key put away: %v", what, e.sent-before, keysAgain, e.retired(old))
		}
		e.wantListed(what+", lost", keep...)
		e.loses = false
		e.look()
		e.passes(inForce)
	}
	again("to list the new key", old)
	e.wantListed("said again", old, fresh)
	e.start()
	e.passes(oldKeyGrace)
	again("to withdraw the old one", old, fresh)
	e.wantListed("said again", fresh)
}

// TestTwoNewKeysInARow: the newest counts, and those before it are withdrawn together.
func TestTwoNewKeysInARow(t *testing.T) {
	e := beginExchange(t)
	old, skipped := e.identity.protocol.Public(), e.rotate()
	e.look()
	newest := e.rotate()
	e.passes(keysAgain)
	e.look()
	e.passes(inForce)
	e.wantListed("both", old, skipped, newest)
	if !e.look() {
		t.Fatal("the newest key is in force and another goes on signing")
	}
	e.start()
	e.passes(oldKeyGrace)
	e.look()
	e.passes(inForce)
	e.look()
	e.wantListed("in the end", newest)
	if e.identity.protocol.Public() != newest || !e.retired(old) || !e.retired(skipped) || e.retired(newest) {
		t.Error("not the newest key alone is left")
	}
}

// epochs is what an engine tells of the epoch and of its links.
type epochs struct {
	members []keys.PublicKey
	links   []p2p.PeerStats
}

func (e *epochs) Committee() *bft.Committee {
	c := &bft.Committee{}
	for _, m := range e.members {
		c.Members = append(c.Members, bft.PublicKey(m))
	}
	return c
}

func (e *epochs) Links() []p2p.PeerStats { return e.links }

// TestTheNodeKeyGoesOverWithTheEpoch: a sequencer goes over to its next node key when the committee lists it, never before; the file
// changes its place only then. Without any link for ten seconds it tries the other key, and as soon as there is one it stays.
func TestTheNodeKeyGoesOverWithTheEpoch(t *testing.T) {
	e := beginExchange(t)
	old, next, other := e.identity.node, membertest.Key("next"), membertest.Key("other").Public()
	link := func(connected bool) []p2p.PeerStats {
		return []p2p.PeerStats{{Peer: other, Live: p2p.LaneStats{Connected: connected}}}
	}
	engine := &epochs{members: []keys.PublicKey{old.Public(), other}, links: link(true)}
	e.engine = engine
	look := func(want, wantNext bool, what string) {
		t.Helper()
		restart, tryNext, err := e.nodeKey(e.now)
		if err != nil || restart != want || tryNext != wantNext {
			t.Errorf("%s: ends %v, tries the next key %v, %v", what, restart, tryNext, err)
		}
	}
	holds := func(want keys.PrivateKey, nextThere bool, what string) {
		t.Helper()
		now, err := keys.Load(e.Config.KeyFile)
		_, missing := os.Stat(network.NextKeyFile(e.Config.KeyFile))
		if err != nil || now.Public() != want.Public() || errors.Is(missing, fs.ErrNotExist) == nextThere {
			t.Errorf("%s: the key file holds %v, %v; the next one: %v", what, now.Public(), err, missing)
		}
	}
	engine.links = link(false)
	look(false, false, "without a next key")
	e.now = e.now.Add(time.Hour)
	look(false, false, "without a next key, alone")
	if err := keys.Save(network.NextKeyFile(e.Config.KeyFile), next); err != nil {
		t.Fatal(err)
	}
	engine.links = link(true)
	look(false, false, "the committee has the old key")

	engine.links = link(false)
	look(false, false, "just alone")
	e.now = e.now.Add(refusedFor - time.Second)
	look(false, false, "not alone for long")
	engine.links = link(true)
	look(false, false, "connected again")
	engine.links = link(false)
	e.now = e.now.Add(time.Second)
	look(false, false, "alone anew")
	e.now = e.now.Add(refusedFor)
	look(true, true, "alone for long")
	e.identity.node, e.identity.other = next, old // that is what the next instance does
	e.start()
	e.engine = engine
	look(false, false, "trying the next key")
	e.now = e.now.Add(refusedFor)
	look(true, false, "trying the next key in vain")
	holds(old, true, "so far")

	e.identity.node, e.identity.other = old, next
	e.start()
	e.engine = engine
	engine.members, engine.links = []keys.PublicKey{next.Public(), other}, link(true)
	look(true, false, "the committee has the next key")
	holds(old, true, "before it goes over")
	e.identity.node, e.identity.other = next, old
	e.start()
	e.engine = engine
	look(false, false, "it orders by the next key")
	holds(next, false, "in the end")
	look(false, false, "and stays")
}
