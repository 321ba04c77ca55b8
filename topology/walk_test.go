package topology

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
)

// A walk applies transactions to a state and to the model side by side. They are drawn from a small world, so that keys,
// members and namespaces meet again and again, and most of them are in turn and signed by nearly the right keys.

// choose draws a number below n.
type choose func(n int) int

func pick[T any](c choose, from ...T) T { return from[c(len(from))] }

// some draws a subset.
func some[T any](c choose, from ...T) []T {
	return slices.DeleteFunc(slices.Clone(from), func(T) bool { return c(2) == 0 })
}

var (
	rootNames   = []string{"alice", "bob", "carol", "dora"}
	signerNames = []string{"alice", "bob", "carol", "dora", "x", "y", "k1", "k2", "k3", "seq1-protocol", "node of seq1", "node of seq2"}
	memberPool  = []Member{par1, par2, seq1, seq2, med1, {Mediator, UID{"med2", space("carol")}}, {Participant, UID{"shared", owners.Namespace}}}
	publicNames = func() map[string]keys.PublicKey {
		all := map[string]keys.PublicKey{}
		for _, name := range append(signerNames, rootNames...) {
			all[name] = pub(name)
		}
		return all
	}()
)

type walk struct {
	choose
	now   Time
	state *State
	model model
}

func newWalk(c choose, t testing.TB, bugs rules) *walk {
	w := &walk{choose: c, now: began, state: newFounded(t, bugs)}
	for _, tx := range theGenesis.transactions {
		w.model.found(tx.content)
	}
	for _, m := range memberPool[4:6] { // so that there is somebody to confirm
		tx := Add(1, keysOf(m, m.Name))
		by := append(ownKeys(m, m.Name), "carol")
		w.state.Apply(began, signed(tx, by...))
		var signers []keys.PublicKey
		for _, name := range by {
			signers = append(signers, pub(name))
		}
		w.model.apply(began, tx, signers)
	}
	return w
}

// run walks some steps and returns the first difference.
func (w *walk) run(steps int) error {
	for i := range steps {
		if err := w.step(); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return nil
}

func (w *walk) step() error {
	w.now += Time(w.choose(3)) * 90 * ms
	switch w.choose(12) {
	case 0:
		digest := w.state.Digest()
		w.state.Prune(w.now - Time(w.choose(4))*100*ms)
		if w.state.Digest() != digest {
			return fmt.Errorf("pruning changed the digest")
		}
	case 1:
		return w.restart()
	case 2, 3:
		return w.compare(w.state.floor + Time(w.choose(12))*100*ms)
	default:
		return w.submit()
	}
	return nil
}

// restart goes on with what a newcomer would be given.
func (w *walk) restart() error {
	from := max(w.state.floor, w.now-200*ms)
	b, err := w.state.Encode(from)
	if err != nil {
		return err
	}
	back, err := DecodeState(b, w.state.Digest())
	if err != nil {
		return err
	}
	back.rules = w.state.rules
	w.state = back
	return nil
}

func (w *walk) submit() error {
	t := w.transaction()
	if t.check() != nil {
		return nil
	}
	signers := w.signers(t)
	tx := signedBy(t, signers)
	before := w.state.Digest()
	effective, rejection := w.state.Apply(w.now, tx)
	if rejection != nil && w.state.Digest() != before {
		return fmt.Errorf("%s was refused, and changed the state", t.Mapping.Key())
	}
	wantEffective, want := w.model.apply(w.now, t, signers)
	if want != (rejection == nil) || effective != wantEffective {
		return fmt.Errorf("%+v by %v: in force at %d, %v; want accepted %v, in force at %d", t, signers, effective, rejection, want, wantEffective)
	}
	return nil
}

// signedBy is a transaction whose signatures were verified before: they are not looked at again.
func signedBy(t Transaction, signers []keys.PublicKey) SignedTransaction {
	tx := SignedTransaction{network: network, content: t, digest: t.Digest()}
	for _, k := range signers {
		tx.signatures = append(tx.signatures, KeySignature{Key: k})
	}
	return tx
}

func (w *walk) transaction() Transaction {
	t := Transaction{Operation: pick(w.choose, AddReplace, AddReplace, AddReplace, Remove), Mapping: w.mapping()}
	if t.Operation == Remove && w.choose(2) == 0 {
		t.Mapping = pick(w.choose, w.model.accepted...).Mapping
	}
	last, ok := w.model.newest(t.Mapping.Key())
	if ok && t.Operation == Remove && w.choose(5) > 0 {
		t.Mapping = last.Mapping
	}
	if d, ok := t.Mapping.(NamespaceDelegation); ok && d.IsRoot() && w.choose(6) > 0 {
		t.Operation = AddReplace // the end of a namespace is the end of much
	}
	if _, shared := t.Mapping.(DecentralizedNamespace); shared && ok && w.choose(3) == 0 {
		t.Operation, t.Mapping = Remove, last.Mapping
	}
	t.Serial = last.Serial + 1
	if w.choose(12) == 0 {
		t.Serial = pick(w.choose, last.Serial, last.Serial+2, 1)
	}
	return t
}

func (w *walk) mapping() Mapping {
	c := w.choose
	name := pick(c, rootNames...)
	switch c(17) {
	case 0:
		return root(name)
	case 1:
		return NamespaceDelegation{space(name), pub(pick(c, "x", "y", "k1")), pick(c, AllKinds, KindsOf(KindOwnerToKeys), KindsOf(KindSynchronizerParameters, KindMediatorSet)), plain{}}
	case 2:
		list := some(c, space("alice"), space("bob"), space("carol"), space("dora"))
		if c(2) == 0 { // the same now and then
			list = []Namespace{space("alice"), space("bob")}
		}
		d := NewDecentralizedNamespace(uint16(1+c(2)), list...)
		if c(2) == 0 {
			d.Namespace = owners.Namespace
		}
		return d
	case 3, 4, 5:
		return w.keysOfMember()
	case 6:
		p := delay(pick(c, 5*ms, 250*ms, bft.Second))
		p.Onboarding = Onboarding{pick(c, Unrestricted, Unrestricted, Unrestricted, Unrestricted, Restricted), uint32(3 + c(9)), w.limits()}
		return p
	case 15, 16:
		return NamespacePermission{synchronizer, pick(c, space(name), owners.Namespace), w.limits(), plain{}}
	case 7, 8:
		set := SequencerSet{Synchronizer: synchronizer, Threshold: 1}
		for _, m := range some(c, seq1, seq2) {
			set.Sequencers = append(set.Sequencers, SequencerNode{m, pub(pick(c, "node of seq1", "node of seq2", "k1"))})
		}
		return set
	case 9, 10, 11:
		list := []Member{memberPool[4], memberPool[5]}
		return NewMediatorSet(synchronizer, Group(c(2)), 1, some(c, list...), some(c, list...))
	default:
		return pick[Mapping](c, trust(pick(c, memberPool...)), disabled(pick(c, memberPool...)))
	}
}

func (w *walk) limits() Limits {
	return Limits{uint32(pick(w.choose, 1, 2, 3, 5, 9)), uint32(2 + w.choose(6)), pick(w.choose, 0, 0, 50*ms, 300*ms)}
}

func (w *walk) keysOfMember() Mapping {
	c := w.choose
	m := pick(c, memberPool...)
	signing := []SigningKey{{keys.Protocol, pub(pick(c, "k1", "k2", "k3", "seq1-protocol"))}}
	var encryption []keys.EncryptionKey
	if m.Role != Sequencer {
		signing = append(signing, SigningKey{keys.SequencerAuthentication, pub(pick(c, "k1", "k2", "k3", "x"))})
	}
	if m.Role == Participant {
		encryption = []keys.EncryptionKey{opener(pick(c, "e1", "e2"))}
	}
	return NewOwnerToKeys(m, signing, encryption)
}

// signers draws everybody, everybody but two, two, or any; ascending, as in a transaction.
func (w *walk) signers(Transaction) []keys.PublicKey {
	c := w.choose
	names := slices.Clone(signerNames)
	switch c(4) {
	case 0:
	case 1, 2:
		without := []string{pick(c, names...), pick(c, rootNames...)}
		names = slices.DeleteFunc(names, func(n string) bool { return slices.Contains(without, n) })
	case 3:
		names = some(c, names...)
	}
	var list []keys.PublicKey
	for _, name := range names {
		list = append(list, publicNames[name])
	}
	slices.SortFunc(list, keys.PublicKey.Compare)
	return list
}

// compare asks both for everything at a time.
func (w *walk) compare(at Time) error {
	p, err := w.state.Snapshot(at)
	if err != nil {
		return err
	}
	m := w.model.at(at)
	parameters, _ := find(m, func(SynchronizerParameters) bool { return true })
	set, _ := find(m, func(SequencerSet) bool { return true })
	if p.Parameters() != parameters || !reflect.DeepEqual(p.Sequencers(), set) {
		return fmt.Errorf("at %d: parameters %+v and sequencers %+v, want %+v and %+v", at, p.Parameters(), p.Sequencers(), parameters, set)
	}
	var members []Member
	for _, member := range memberPool {
		owned, known := find(m, func(o OwnerToKeys) bool { return o.Member == member })
		if known {
			members = append(members, member)
		}
		if got, want := p.Status(member), m.status(member); got != want {
			return fmt.Errorf("at %d: %s is %s, want %s", at, member, got, want)
		}
		var signing []SigningKey
		for _, purpose := range []keys.Purpose{keys.SequencerAuthentication, keys.Protocol} {
			for _, k := range p.SigningKeys(member, purpose) {
				signing = append(signing, SigningKey{purpose, k})
			}
		}
		if !slices.Equal(signing, owned.Signing) || !slices.Equal(p.EncryptionKeys(member), owned.Encryption) {
			return fmt.Errorf("at %d: %s has keys %v, want %v", at, member, signing, owned.Signing)
		}
	}
	slices.SortFunc(members, Member.Compare)
	if !slices.Equal(p.Members(), members) {
		return fmt.Errorf("at %d: members %v, want %v", at, p.Members(), members)
	}
	for g := range Group(2) {
		want, wantOK := find(m, func(s MediatorSet) bool { return s.Group == g })
		if got, ok := p.Mediators(g); ok != wantOK || !reflect.DeepEqual(got, want) {
			return fmt.Errorf("at %d: mediator group %d is %+v, want %+v", at, g, got, want)
		}
	}
	return nil
}

func TestStateIsTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		choose := func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, "") }
		if err := newWalk(choose, t, rules{}).run(rapid.IntRange(1, 60).Draw(rt, "steps")); err != nil {
			rt.Fatal(err)
		}
	})
}

func seeded(seed uint64) choose {
	return rand.New(rand.NewPCG(seed, 0)).IntN
}

// The walk is only worth something if most kinds of change are accepted now and then.
func TestWalkGetsSomewhere(t *testing.T) {
	accepted := map[string]int{}
	for seed := range uint64(30) {
		w := newWalk(seeded(seed), t, rules{})
		if err := w.run(150); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, r := range w.model.accepted[len(theGenesis.transactions):] {
			accepted[fmt.Sprintf("%s %d", r.Mapping.Kind(), r.Operation)]++
		}
	}
	for kind := KindNamespaceDelegation; kind <= KindNamespacePermission; kind++ {
		for _, op := range []Operation{AddReplace, Remove} {
			kept := kind == KindSynchronizerParameters || kind == KindSequencerSet
			if what := fmt.Sprintf("%s %d", kind, op); accepted[what] == 0 && !(kept && op == Remove) {
				t.Errorf("no walk had an accepted %s", what)
			}
		}
	}
}

func TestWalkNoticesPlantedBugs(t *testing.T) {
	for name, bugs := range plants {
		noticed := false
		for seed := uint64(0); seed < 300 && !noticed; seed++ {
			noticed = newWalk(seeded(seed), t, bugs).run(200) != nil
		}
		if !noticed {
			t.Errorf("%s: not noticed", name)
		}
	}
}
