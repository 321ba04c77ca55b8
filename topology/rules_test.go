package topology

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/synod-network/synod/keys"
)

// step is a transaction with what must become of it.
type step struct {
	say     string
	do      Transaction
	signers []string
	want    Code
}

func by(names ...string) []string { return names }

// join signs by all of both.
func join(a []string, b ...string) []string { return append(a, b...) }

// cases are stories, each told to a newly founded network.
var cases = []struct {
	name  string
	steps []step
}{
	{"serials", []step{
		{"the first is 1", Add(2, root("dora")), by("dora"), CodeWrongSerial},
		{"", Add(0, root("dora")), by("dora"), CodeWrongSerial},
		{"", Add(1, root("dora")), by("dora"), "ok"},
		{"a replay", Add(1, root("dora")), by("dora"), CodeAlreadyApplied},
		{"an old serial with other content", Add(1, delay(9*ms)), by("alice", "bob"), CodeWrongSerial},
		{"a gap", Add(3, delay(9*ms)), by("alice", "bob"), CodeWrongSerial},
		{"the next", Add(2, delay(9*ms)), by("alice", "bob"), "ok"},
	}},
	{"removal", []step{
		{"of nothing", Removal(1, delegate("alice", "x", KindOwnerToKeys)), by("alice"), CodeNothingToRemove},
		{"", Add(1, delegate("alice", "x", KindOwnerToKeys)), by("alice", "x"), "ok"},
		{"of another mapping", Removal(2, delegate("alice", "x", KindMediatorSet)), by("alice"), CodeNothingToRemove},
		{"", Removal(2, delegate("alice", "x", KindOwnerToKeys)), by("alice"), "ok"},
		{"twice", Removal(2, delegate("alice", "x", KindOwnerToKeys)), by("alice"), CodeAlreadyApplied},
		{"twice, with the next serial", Removal(3, delegate("alice", "x", KindOwnerToKeys)), by("alice"), CodeNothingToRemove},
		{"a replay of what was removed", Add(1, delegate("alice", "x", KindOwnerToKeys)), by("alice", "x"), CodeWrongSerial},
		{"back again", Add(3, delegate("alice", "x", KindOwnerToKeys)), by("alice", "x"), "ok"},
	}},
	{"root keys", []step{
		{"signed by another", Add(1, root("dora")), by("alice"), CodeMissingSignature},
		{"by nobody", Add(1, root("dora")), nil, CodeMissingSignature},
		{"restricted", Add(1, NamespaceDelegation{Namespace: space("dora"), Target: pub("dora"), Kinds: KindsOf(KindOwnerToKeys)}), by("dora"), CodeMalformed},
		{"a namespace that is not", Add(1, keysOf(par1, "k")), join(ownKeys(par1, "k"), "dora"), CodeUnknownNamespace},
		{"its delegate", Add(1, delegate("dora", "x", KindOwnerToKeys)), by("dora", "x"), CodeUnknownNamespace},
		{"", Add(1, root("dora")), by("dora"), "ok"},
		{"", Add(1, keysOf(par1, "k")), join(ownKeys(par1, "k"), "dora"), "ok"},
		{"its end", Removal(2, root("dora")), by("dora"), "ok"},
		{"is for good", Add(3, root("dora")), by("dora"), CodeRevoked},
		{"nothing counts any more", Add(1, trust(par1)), by("dora"), CodeRevoked},
		{"owners may go", Removal(2, root("carol")), by("carol"), "ok"},
		{"and count no more", Add(2, delay(9*ms)), by("alice", "carol"), CodeMissingSignature},
		{"nor may they be listed", Add(2, owners), by("alice", "bob"), CodeRevoked},
	}},
	{"delegates", []step{
		{"the new key must sign", Add(1, delegate("alice", "x", KindOwnerToKeys)), by("alice"), CodeMissingSignature},
		{"the root key must sign", Add(1, delegate("alice", "x", KindOwnerToKeys)), by("x"), CodeMissingSignature},
		{"allowing nothing", Add(1, delegate("alice", "x")), by("alice", "x"), CodeMalformed},
		{"", Add(1, delegate("alice", "x", KindOwnerToKeys)), by("alice", "x"), "ok"},
		{"sign what they may", Add(1, keysOf(par2, "k")), join(ownKeys(par2, "k"), "x"), "ok"},
		{"and nothing else", Add(1, trust(par2)), by("x"), CodeNotAuthorized},
		{"also as one of the owners", Add(2, delay(9*ms)), by("x", "bob"), CodeNotAuthorized},
		{"delegate no further", Add(1, delegate("alice", "y", KindOwnerToKeys)), by("x", "y"), CodeMissingSignature},
		{"count for an owner", Add(1, NamespaceDelegation{Namespace: space("carol"), Target: pub("z"), Kinds: AllKinds}), by("carol", "z"), "ok"},
		{"", Add(2, delay(9*ms)), by("z", "bob"), "ok"},
		{"until removed", Removal(2, delegate("alice", "x", KindOwnerToKeys)), by("alice"), "ok"},
		{"", Add(2, keysOf(par2, "k")), join(ownKeys(par2, "k"), "x"), CodeMissingSignature},
	}},
	{"a delegate of two namespaces", []step{
		{"", Add(1, delegate("alice", "x", KindOwnerToKeys)), by("alice", "x"), "ok"},
		{"", Add(1, delegate("bob", "x", KindOwnerToKeys)), by("bob", "x"), "ok"},
		{"", Removal(2, delegate("alice", "x", KindOwnerToKeys)), by("alice"), "ok"},
		{"is one of the other still", Add(1, NewOwnerToKeys(seq2, []SigningKey{{keys.Protocol, pub("x")}}, nil)), by("bob", "x"), CodeKeyReused},
		{"", Removal(2, delegate("bob", "x", KindOwnerToKeys)), by("bob"), "ok"},
		{"", Add(1, NewOwnerToKeys(seq2, []SigningKey{{keys.Protocol, pub("x")}}, nil)), by("bob", "x"), "ok"},
	}},
	{"decentralized namespaces", []step{
		{"all owners found it", Add(1, NewDecentralizedNamespace(1, space("alice"), space("bob"))), by("alice"), CodeMissingSignature},
		{"with the name that follows", Add(1, DecentralizedNamespace{Namespace: space("alice"), Owners: []Namespace{space("bob")}, Threshold: 1}), by("bob"), CodeMalformed},
		{"owners must be there", Add(1, NewDecentralizedNamespace(1, space("alice"), space("nobody"))), by("alice", "nobody"), CodeUnknownNamespace},
		{"and be no owners themselves", Add(1, NewDecentralizedNamespace(1, space("alice"), owners.Namespace)), by("alice", "bob"), CodeUnknownNamespace},
		{"no threshold", Add(1, NewDecentralizedNamespace(0, space("alice"), space("bob"))), by("alice", "bob"), CodeBadThreshold},
		{"too high a threshold", Add(1, NewDecentralizedNamespace(3, space("alice"), space("bob"))), by("alice", "bob"), CodeBadThreshold},
		{"an owner twice", Add(1, NewDecentralizedNamespace(1, space("alice"), space("alice"))), by("alice"), CodeMalformed},
		{"", Add(1, NewDecentralizedNamespace(1, space("alice"), space("bob"))), by("alice", "bob"), "ok"},
		{"its end", Removal(2, NewDecentralizedNamespace(1, space("alice"), space("bob"))), by("bob"), "ok"},
		{"is for good", Add(3, NewDecentralizedNamespace(1, space("alice"), space("bob"))), by("alice", "bob"), CodeRevoked},
		{"the network's: one is too few", Add(2, delay(9*ms)), by("alice"), CodeMissingSignature},
		{"two will do", Add(2, delay(9*ms)), by("carol", "bob"), "ok"},
		{"strangers do not count", Add(3, delay(8*ms)), by("alice", "dora", "seq1-protocol"), CodeMissingSignature},
		{"cannot end", Removal(2, owners), by("alice", "bob", "carol"), CodeInUse},
		{"can change", Add(2, DecentralizedNamespace{Namespace: owners.Namespace, Owners: NewDecentralizedNamespace(1, space("alice"), space("bob")).Owners, Threshold: 2}), by("alice", "carol"), "ok"},
		{"the new owners decide", Add(3, delay(8*ms)), by("alice", "carol"), CodeMissingSignature},
		{"", Add(3, delay(8*ms)), by("alice", "bob"), "ok"},
	}},
	{"keys of members", []step{
		{"the namespace must sign", Add(1, keysOf(par2, "k")), ownKeys(par2, "k"), CodeMissingSignature},
		{"each key must sign", Add(1, keysOf(par2, "k")), by("alice", "k-protocol"), CodeMissingSignature},
		{"", Add(1, keysOf(par2, "k")), join(ownKeys(par2, "k"), "alice"), "ok"},
		{"a key of another member", Add(1, keysOf(seq2, "k")), join(ownKeys(par2, "k"), "bob"), CodeKeyReused},
		{"a key to encrypt for that is another's", Add(1, NewOwnerToKeys(Member{Participant, UID{"par3", space("bob")}}, keysOf(par2, "m").Signing, []keys.EncryptionKey{opener("k")})), join(ownKeys(par2, "m"), "bob"), CodeKeyReused},
		{"a root key", Add(2, NewOwnerToKeys(par2, []SigningKey{{keys.Protocol, pub("alice")}, {keys.SequencerAuthentication, pub("k-sequencer-authentication")}}, []keys.EncryptionKey{opener("k")})), join(ownKeys(par2, "k"), "alice"), CodeKeyReused},
		{"a node key", Add(1, NewOwnerToKeys(seq2, []SigningKey{{keys.Protocol, pub("node of seq1")}}, nil)), by("bob", "node of seq1"), CodeKeyReused},
		{"one key for two purposes", Add(2, NewOwnerToKeys(par2, []SigningKey{{keys.Protocol, pub("k")}, {keys.SequencerAuthentication, pub("k")}}, []keys.EncryptionKey{opener("k")})), by("alice", "k"), CodeKeyReused},
		{"a new purpose for an old key", Add(2, NewOwnerToKeys(par2, []SigningKey{{keys.SequencerAuthentication, pub("k-protocol")}, {keys.Protocol, pub("k-new")}}, []keys.EncryptionKey{opener("k")})), by("alice", "k-protocol", "k-new"), CodeKeyReused},
		{"a delegate with a member's key", Add(1, delegate("bob", "k-protocol", KindOwnerToKeys)), by("bob", "k-protocol"), CodeKeyReused},
		{"none to encrypt for", Add(2, NewOwnerToKeys(par2, keysOf(par2, "k").Signing, nil)), join(ownKeys(par2, "k"), "alice"), CodeBadKeys},
		{"none to sign with", Add(1, NewOwnerToKeys(seq2, nil, nil)), by("bob"), CodeBadKeys},
		{"a namespace key among them", Add(1, NewOwnerToKeys(seq2, []SigningKey{{keys.Namespace, pub("k2")}, {keys.Protocol, pub("k3")}}, nil)), by("bob", "k2", "k3"), CodeBadKeys},
		{"rotation", Add(2, keysOf(par2, "l")), join(ownKeys(par2, "l"), "alice"), "ok"},
		{"a key that became free", Add(1, NewOwnerToKeys(seq2, []SigningKey{{keys.Protocol, pub("k-protocol")}}, nil)), by("bob", "k-protocol"), "ok"},
		{"the keys may go", Removal(3, keysOf(par2, "l")), by("alice"), "ok"},
		{"not those of who serves", Removal(2, keysOf(seq1, "seq1")), by("alice"), CodeInUse},
	}},
	{"participants", []step{
		{"strangers", Add(1, trust(par2)), by("alice"), CodeUnknownMember},
		{"", Add(1, keysOf(par2, "k")), join(ownKeys(par2, "k"), "alice"), "ok"},
		{"by their own will only", Add(1, trust(par2)), by("bob", "carol"), CodeMissingSignature},
		{"in another synchronizer", Add(1, MemberTrustCertificate{Synchronizer: UID{"other", owners.Namespace}, Member: par2}), by("alice"), CodeWrongSynchronizer},
		{"disabled by the owners only", Add(1, disabled(par2)), by("alice"), CodeMissingSignature},
		{"", Add(1, disabled(par2)), by("carol", "bob"), "ok"},
		{"disabled", Add(1, trust(par2)), by("alice"), CodeMemberDisabled},
		{"", Removal(2, disabled(par2)), by("carol", "bob"), "ok"},
		{"lifted", Add(1, trust(par2)), by("alice"), "ok"},
		{"disabled without being known", Add(1, disabled(par1)), by("carol", "bob"), CodeUnknownMember},
	}},
	{"sequencers", []step{
		{"without keys", Add(2, sequencers(1, seq1, seq2)), by("alice", "bob"), CodeUnknownMember},
		{"", Add(1, keysOf(seq2, "seq2")), join(ownKeys(seq2, "seq2"), "bob"), "ok"},
		{"twice", Add(2, sequencers(1, seq1, seq1)), by("alice", "bob"), CodeMalformed},
		{"no threshold", Add(2, sequencers(0, seq1, seq2)), by("alice", "bob"), CodeBadThreshold},
		{"too high a threshold", Add(2, sequencers(3, seq1, seq2)), by("alice", "bob"), CodeBadThreshold},
		{"none", Add(2, sequencers(1)), by("alice", "bob"), CodeMalformed},
		{"of another role", Add(2, sequencers(1, seq1, med1)), by("alice", "bob"), CodeMalformed},
		{"two with one node key", Add(2, SequencerSet{Synchronizer: synchronizer, Sequencers: []SequencerNode{{seq1, pub("n")}, {seq2, pub("n")}}, Threshold: 1}), by("alice", "bob"), CodeKeyReused},
		{"a node key that signs otherwise", Add(2, SequencerSet{Synchronizer: synchronizer, Sequencers: []SequencerNode{{seq2, pub("seq1-protocol")}}, Threshold: 1}), by("alice", "bob"), CodeKeyReused},
		{"a node key that has not agreed", Add(2, sequencers(1, seq2, seq1)), by("alice", "bob", "node of seq1"), CodeNoConsent},
		{"nor do the owners spare it", Add(2, sequencers(1, seq2, seq1)), by("alice", "bob", "carol", "seq2-protocol"), CodeNoConsent},
		{"that of another, which is listed", Add(2, nodes(seq1, "node of seq2", seq2, "node of seq1")), by("alice", "bob"), CodeNoConsent},
		{"agreement is no owner's signature", Add(2, sequencers(1, seq2, seq1)), by("alice", "node of seq1", "node of seq2"), CodeMissingSignature},
		{"", Add(2, sequencers(1, seq2, seq1)), by("alice", "bob", "node of seq2"), "ok"},
		{"disabled while it serves", Add(1, disabled(seq1)), by("alice", "bob"), CodeInUse},
		{"", Add(3, sequencers(1, seq2)), by("alice", "bob"), "ok"},
		{"", Add(1, disabled(seq1)), by("alice", "bob"), "ok"},
		{"disabled", Add(4, sequencers(1, seq2, seq1)), by("alice", "bob"), CodeMemberDisabled},
		{"", Removal(2, disabled(seq1)), by("alice", "bob"), "ok"},
		{"back again, unasked", Add(4, sequencers(1, seq2, seq1)), by("alice", "bob"), CodeNoConsent},
		{"back again", Add(4, sequencers(1, seq2, seq1)), by("alice", "bob", "node of seq1"), "ok"},
		{"with a new key, unasked", Add(5, nodes(seq2, "n2", seq1, "node of seq1")), by("alice", "bob"), CodeNoConsent},
		{"with a new key", Add(5, nodes(seq2, "n2", seq1, "node of seq1")), by("alice", "bob", "n2"), "ok"},
		{"with the old one, unasked", Add(6, nodes(seq2, "node of seq2", seq1, "node of seq1")), by("alice", "bob", "n2"), CodeNoConsent},
		{"the keys change places, unasked", Add(6, nodes(seq2, "node of seq1", seq1, "n2")), by("alice", "bob"), CodeNoConsent},
		{"only the order changes", Add(6, nodes(seq1, "node of seq1", seq2, "n2")), by("alice", "bob"), "ok"},
		{"without one", Add(7, nodes(seq2, "n2")), by("alice", "bob"), "ok"},
		{"nobody orders", Removal(8, nodes(seq2, "n2")), by("alice", "bob"), CodeInUse},
	}},
	{"mediators", []step{
		{"without keys", Add(1, mediators(0, 1, med1)), by("alice", "bob"), CodeUnknownMember},
		{"", Add(1, keysOf(med1, "med1")), join(ownKeys(med1, "med1"), "carol"), "ok"},
		{"none active", Add(1, NewMediatorSet(synchronizer, 0, 1, nil, []Member{med1})), by("alice", "bob"), CodeBadThreshold},
		{"active and observing", Add(1, NewMediatorSet(synchronizer, 0, 1, []Member{med1}, []Member{med1})), by("alice", "bob"), CodeMalformed},
		{"", Add(1, mediators(0, 1, med1)), by("alice", "bob"), "ok"},
		{"in two groups", Add(1, mediators(1, 1, med1)), by("alice", "bob"), CodeInUse},
		{"the group may go", Removal(2, mediators(0, 1, med1)), by("alice", "bob"), "ok"},
		{"then the other is free", Add(1, mediators(1, 1, med1)), by("alice", "bob"), "ok"},
	}},
	{"parameters", []step{
		{"no delay", Add(2, delay(0)), by("alice", "bob"), CodeBadParameter},
		{"ordering", Add(2, func() Mapping { p := delay(9 * ms); p.Ordering.GCDepth = 0; return p }()), by("alice", "bob"), CodeBadParameter},
		{"larger requests than are ordered", Add(2, func() Mapping { p := delay(9 * ms); p.MaxRequestSize = p.Ordering.RequestLimit + 1; return p }()), by("alice", "bob"), CodeBadParameter},
		{"a boundless allowance", Add(2, func() Mapping { p := delay(9 * ms); p.Traffic.BaseAllowance = 1 << 50; return p }()), by("alice", "bob"), CodeBadParameter},
		{"an envelope too dear", Add(2, func() Mapping { p := delay(9 * ms); p.Traffic.EnvelopeCost = 1 << 21; return p }()), by("alice", "bob"), CodeBadParameter},
		{"onboarding without a mode", Add(2, func() Mapping { p := delay(9 * ms); p.Onboarding.Mode = 0; return p }()), by("alice", "bob"), CodeBadParameter},
		{"boundless onboarding", Add(2, func() Mapping { p := delay(9 * ms); p.Onboarding.Namespaces = 1 << 30; return p }()), by("alice", "bob"), CodeBadParameter},
		{"no room for a namespace", Add(2, func() Mapping { p := delay(9 * ms); p.Onboarding.Limits.Mappings = 0; return p }()), by("alice", "bob"), CodeBadParameter},
		{"cannot go", Removal(2, DefaultParameters(synchronizer)), by("alice", "bob"), CodeInUse},
	}},
	{"permissions", []step{
		{"by the owners only", Add(1, permit("dora", Limits{2, 9, ms})), by("dora", "alice"), CodeMissingSignature},
		{"for no change at all", Add(1, permit("dora", Limits{2, 0, ms})), by("alice", "bob"), CodeBadParameter},
		{"elsewhere", Add(1, NamespacePermission{UID{"other", owners.Namespace}, space("dora"), DefaultLimits(), plain{}}), by("alice", "bob"), CodeWrongSynchronizer},
		{"before the namespace is there", Add(1, permit("dora", Limits{2, 9, ms})), by("alice", "bob"), "ok"},
		{"", Add(1, root("dora")), by("dora"), "ok"},
		{"", Add(1, delegate("dora", "x", KindOwnerToKeys)), by("dora", "x"), "ok"},
		{"a third mapping", Add(1, delegate("dora", "y", KindOwnerToKeys)), by("dora", "y"), CodeTooManyMappings},
		{"a replacement is none", Add(2, delegate("dora", "x", KindMediatorSet)), by("dora", "x"), "ok"},
		{"", Removal(3, delegate("dora", "x", KindMediatorSet)), by("dora"), "ok"},
		{"a removal makes no room", Add(1, delegate("dora", "y", KindOwnerToKeys)), by("dora", "y"), CodeTooManyMappings},
		{"back again", Add(4, delegate("dora", "x", KindMediatorSet)), by("dora", "x"), "ok"},
		{"more", Add(2, permit("dora", Limits{3, 9, ms})), by("carol", "bob"), "ok"},
		{"", Add(1, delegate("dora", "y", KindOwnerToKeys)), by("dora", "y"), "ok"},
		{"what others answer for is not counted", Add(2, delay(9*ms)), by("alice", "bob"), "ok"},
	}},
	{"changes at once", []step{
		{"", Add(1, permit("dora", Limits{9, 3, 100 * ms})), by("alice", "bob"), "ok"},
		{"", Add(1, root("dora")), by("dora"), "ok"},
		{"", Add(1, delegate("dora", "x", KindOwnerToKeys)), by("dora", "x"), "ok"},
		{"", Add(2, delegate("dora", "x", KindMediatorSet)), by("dora", "x"), "ok"},
		{"a replacement counts", Add(3, delegate("dora", "x", KindOwnerToKeys)), by("dora", "x"), CodeTooManyChanges},
		{"a removal does not", Removal(3, delegate("dora", "x", KindMediatorSet)), by("dora"), "ok"},
		{"nor does it give one back", Add(1, delegate("dora", "y", KindOwnerToKeys)), by("dora", "y"), CodeTooManyChanges},
		{"others have their own", Add(1, root("emil")), by("emil"), "ok"},
	}},
}

// complaints tells the stories to networks with bugs planted and returns where they take another course. After each
// refusal the state must be what it was, and each refusal must say what to do.
func complaints(t *testing.T, bugs rules) []string {
	var found []string
	for _, c := range cases {
		s := newFounded(t, bugs)
		for i, step := range c.steps {
			before := s.Digest()
			r := apply(s, began+Time(i), signed(step.do, step.signers...))
			if got := code(r); got != step.want {
				found = append(found, fmt.Sprintf("%s, step %d %s: %s, want %s", c.name, i+1, step.say, got, step.want))
			}
			if r != nil && s.Digest() != before {
				found = append(found, fmt.Sprintf("%s, step %d %s: refused, and the state changed", c.name, i+1, step.say))
			}
			if r != nil && (!strings.Contains(r.Text, " ") || strings.Contains(r.Error(), "\n") || r.Key == Key{} || !strings.Contains(r.Error(), r.Key.Subject)) {
				found = append(found, fmt.Sprintf("%s, step %d %s: %q says too little", c.name, i+1, step.say, r))
			}
		}
	}
	return found
}

// apply goes the whole way from bytes to the state.
func apply(s *State, at Time, t SignedTransaction) *Rejection {
	u, err := DecodeTransaction(t.Encode())
	if err != nil {
		return malformed("%v", err)
	}
	verified, err := u.Verify(s.network)
	if err != nil {
		return err.(*Rejection)
	}
	_, r := s.Apply(at, verified)
	return r
}

func TestRules(t *testing.T) {
	for _, c := range complaints(t, rules{}) {
		t.Error(c)
	}
}

// plants are the bugs, each a rule left out.
var plants = map[string]rules{
	"anySerial":        {anySerial: true},
	"oneOwnerFounds":   {oneOwnerFounds: true},
	"noOwnKeySigns":    {noOwnKeySigns: true},
	"unasked":          {unasked: true},
	"delegateAnything": {delegateAnything: true},
	"reuseKeys":        {reuseKeys: true},
	"immediate":        {immediate: true},
	"unorderedEffect":  {unorderedEffect: true},
	"thresholdMinus1":  {thresholdMinus1: true},
	"ignoreRemoval":    {ignoreRemoval: true},
	"listStrangers":    {listStrangers: true},
	"digestNewestOnly": {digestNewestOnly: true},
	"boundless":        {boundless: true},
	"openToAll":        {openToAll: true},
	"hasty":            {hasty: true},
	"freeRemoved":      {freeRemoved: true},
	"freeReplaced":     {freeReplaced: true},
}

func TestEachRuleHasAPlant(t *testing.T) {
	if n := reflect.TypeFor[rules]().NumField(); n != len(plants) {
		t.Errorf("%d rules can be left out, %d are", n, len(plants))
	}
}

func TestStoriesNoticePlantedBugs(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(plants)) {
		switch found := complaints(t, plants[name]); name {
		case "immediate", "unorderedEffect", "digestNewestOnly", "openToAll": // the stories know no time
		default:
			if len(found) == 0 {
				t.Errorf("%s: not noticed", name)
			}
		}
	}
}

func TestMissingSignaturesAreNamed(t *testing.T) {
	s := newFounded(t, rules{})
	r := s.Check(began, signed(Add(1, keysOf(par2, "k")), "k-protocol"))
	if r == nil || len(r.Missing) != 2 || !strings.Contains(r.Text, finger("alice").String()) || !strings.Contains(r.Text, finger("k-sequencer-authentication").String()) {
		t.Errorf("missing %v", r)
	}
	r = s.Check(began, signed(Add(2, delay(9*ms)), "bob"))
	if r == nil || len(r.Missing) != 2 || !strings.Contains(r.Text, "1 more") || strings.Contains(r.Text, finger("bob").String()) {
		t.Errorf("missing %v", r)
	}
	r = s.Check(began, signed(Add(7, delay(9*ms)), "bob", "alice"))
	if r == nil || r.Want != 2 || r.Got != 7 {
		t.Errorf("serial: %+v", r)
	}
}

func TestPlace(t *testing.T) {
	good := signed(Add(2, delay(9*ms)), "alice", "bob")
	if _, r := new(State).Apply(began, good); code(r) != CodeNotFounded {
		t.Errorf("before the genesis: %v", r)
	}
	s := newFounded(t, rules{})
	if _, r := s.Apply(began-1, good); code(r) != CodeTimeBackwards {
		t.Errorf("before the network began: %v", r)
	}
	other, err := Sign([32]byte{1}, good.Content(), key("alice"), key("bob"))
	if err != nil {
		t.Fatal(err)
	}
	if _, r := s.Apply(began, other); code(r) != CodeWrongNetwork {
		t.Errorf("signed for another network: %v", r)
	}
	if _, r := s.Apply(began, SignedTransaction{network: network}); code(r) != CodeWrongNetwork {
		t.Errorf("nothing signed: %v", r)
	}
	if _, r := s.Apply(began+10, good); r != nil {
		t.Fatal(r)
	}
	if _, r := s.Apply(began+9, signed(Add(1, root("dora")), "dora")); code(r) != CodeTimeBackwards {
		t.Errorf("before the last: %v", r)
	}
	if _, r := s.Apply(began+10, signed(Add(1, root("dora")), "dora")); r != nil {
		t.Errorf("at the same time as the last: %v", r)
	}
	s.Prune(began + 20)
	for at, want := range map[Time]Code{began + 19: CodeTimeBackwards, began + 20: "ok"} {
		if r := s.Check(at, signed(Add(1, root("emil")), "emil")); code(r) != want {
			t.Errorf("%d after what was pruned: %v, want %s", at-began-20, r, want)
		}
	}
}

// A network of one owner must not lose its namespace either; the delegation can be renewed, and end where it owns nothing.
func TestASoleOwnerKeepsItsNamespace(t *testing.T) {
	sole := UID{"main", space("alice")}
	p, set := DefaultParameters(sole), sequencers(1, seq1)
	set.Synchronizer = sole
	g, err := NewGenesis(network, sole, began, signed(Add(1, root("alice")), "alice"), signed(Add(1, root("bob")), "bob"), signed(Add(1, p), "alice"),
		signed(Add(1, keysOf(seq1, "seq1")), append(ownKeys(seq1, "seq1"), "alice")...), signed(Add(1, set), "alice", "node of seq1"))
	if err != nil {
		t.Fatal(err)
	}
	var s State
	if r := s.Load(g); r != nil {
		t.Fatal(r)
	}
	for _, c := range []struct {
		name string
		tx   SignedTransaction
		want Code
	}{
		{"ended", signed(Removal(2, root("alice")), "alice"), CodeInUse},
		{"renewed", signed(Add(2, root("alice")), "alice"), "ok"},
		{"another's ended", signed(Removal(2, root("bob")), "bob"), "ok"},
	} {
		if _, r := s.Apply(began, c.tx); code(r) != c.want {
			t.Errorf("%s: %v, want %s", c.name, r, c.want)
		}
	}
}
