package topology

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/synod-network/synod/keys"
)

// seq3 is onboarded in these tests; dora has founded its namespace.
var seq3 = Member{Sequencer, UID{"seq3", space("dora")}}

// newJoined returns the tests' network with two sequencers that may be listed beside the first.
func newJoined(t *testing.T) *State {
	s := newFounded(t, rules{})
	for _, tx := range []SignedTransaction{
		signed(Add(1, root("dora")), "dora"),
		signed(Add(1, keysOf(seq2, "seq2")), "seq2-protocol", "bob"),
		signed(Add(1, keysOf(seq3, "seq3")), "seq3-protocol", "dora"),
	} {
		mustApply(t, s, began+5, tx)
	}
	return s
}

// listing is a change that lists the second sequencer beside the first, signed by the owners and by nobody else.
func listing() SignedTransaction { return signed(Add(2, sequencers(1, seq1, seq2)), "alice", "bob") }

// forged is the change with a signature that is believed to be by the node key of the second sequencer.
func forged(signature keys.Signature) []byte {
	tx := listing()
	tx.signatures = append(tx.signatures, KeySignature{pub("node of seq2"), signature})
	slices.SortFunc(tx.signatures, KeySignature.byKey)
	return tx.Encode()
}

// judge is what every node does with bytes that were ordered.
func judge(s *State, b []byte) (*Rejection, error) {
	u, err := DecodeTransaction(b)
	if err != nil {
		return nil, err
	}
	verifier := keys.NewBatchVerifier(0)
	together, all := VerifyAll(network, verifier.All, u)
	alone, err := u.Verify(network)
	if all != (err == nil) {
		return nil, errors.New("verified together it is something else than alone")
	}
	var r *Rejection
	if errors.As(err, &r) {
		return r, nil
	}
	_, r = s.Apply(s.Sequenced(), together[0])
	if other := s.Check(s.Sequenced(), alone); r == nil && code(other) != CodeAlreadyApplied {
		return nil, errors.New("accepted, and not there")
	}
	return r, nil
}

// TestANodeKeyIsListedByItsConsentOnly: whatever else is given for it, the set is refused, and nothing changes.
func TestANodeKeyIsListedByItsConsentOnly(t *testing.T) {
	node := key("node of seq2")
	good := Agree(network, seq2, node)
	digest := listing().Digest()
	cases := map[string]struct {
		signature keys.Signature
		want      Code
	}{
		"of another key":       {Agree(network, seq2, key("node of seq1")).Signature, CodeInvalidSignature},
		"of the owner":         {Agree(network, seq2, key("alice")).Signature, CodeInvalidSignature},
		"for another network":  {Agree([32]byte{7}, seq2, node).Signature, CodeInvalidSignature},
		"for another member":   {Agree(network, seq1, node).Signature, CodeInvalidSignature},
		"for a namesake":       {Agree(network, Member{Sequencer, UID{"seq2", space("alice")}}, node).Signature, CodeInvalidSignature},
		"for another role":     {Agree(network, Member{Mediator, seq2.UID}, node).Signature, CodeInvalidSignature},
		"for another node key": {node.SignDomain(network, domainConsent, SequencerNode{seq2, pub("node of seq1")}.statement()), CodeInvalidSignature},
		"in another domain":    {node.SignDomain(network, domainTransaction, SequencerNode{seq2, node.Public()}.statement()), CodeInvalidSignature},
		"of the transaction":   {node.SignDomain(network, domainTransaction, digest[:]), CodeInvalidSignature},
		"nothing":              {keys.Signature{}, CodeInvalidSignature},
		"half of it":           {keys.Signature(append(good.Signature[:32:32], make([]byte, 32)...)), CodeInvalidSignature},
		"the right one":        {good.Signature, "ok"},
	}
	for name, c := range cases {
		s := newJoined(t)
		before := s.Digest()
		r, err := judge(s, forged(c.signature))
		if err != nil || code(r) != c.want {
			t.Errorf("%s: %v %v, want %s", name, r, err, c.want)
		}
		if r != nil && (s.Digest() != before || len(r.Missing) != 1 || r.Missing[0] != finger("node of seq2")) {
			t.Errorf("%s: refused with %v for %v, state changed: %v", name, r, r.Missing, s.Digest() != before)
		}
	}
	s := newJoined(t)
	if r, err := judge(s, listing().Encode()); err != nil || code(r) != CodeNoConsent || r.Missing[0] != finger("node of seq2") {
		t.Errorf("without any: %v %v", r, err)
	}
	whole := forged(good.Signature)
	for n := range whole {
		if _, err := judge(s, whole[:n]); err == nil {
			t.Errorf("the first %d of %d bytes are judged", n, len(whole))
		}
	}
}

// TestEveryBitOfAConsentCounts, for each node alone and in a batch.
func TestEveryBitOfAConsentCounts(t *testing.T) {
	good := Agree(network, seq2, key("node of seq2")).Signature
	s := newJoined(t)
	for bit := range 8 * len(good) {
		bad := good
		bad[bit/8] ^= 1 << (bit % 8)
		if r, err := judge(s, forged(bad)); err != nil || code(r) != CodeInvalidSignature {
			t.Fatalf("bit %d: %v %v", bit, r, err)
		}
	}
}

// TestSetsAndConsentsInAnyCombination: out of what node keys signed, for whom and where, a set is accepted if each pair of member and key
// that was not in the set before is among it, and nothing false is.
func TestSetsAndConsentsInAnyCombination(t *testing.T) {
	members := []Member{seq1, seq2, seq3}
	names := []string{"node of seq1", "node of seq2", "node of seq3", "n"}
	rapid.Check(t, func(rt *rapid.T) {
		s := newJoined(t)
		stands := sequencers(1, seq1).Sequencers
		serial := Serial(2)
		for range rapid.IntRange(1, 6).Draw(rt, "changes") {
			set := SequencerSet{Synchronizer: synchronizer, Threshold: 1}
			tx := SignedTransaction{}
			keyNames := rapid.Permutation(names).Draw(rt, "keys")
			for i, m := range rapid.Permutation(members).Draw(rt, "order")[:rapid.IntRange(1, 3).Draw(rt, "size")] {
				set.Sequencers = append(set.Sequencers, SequencerNode{m, pub(keyNames[i])})
			}
			tx = signed(Add(serial, set), "alice", "bob")
			want := true
			for i, n := range set.Sequencers {
				var c Consent
				switch holder := key(keyNames[i]); rapid.IntRange(0, 12).Draw(rt, "consent") {
				case 0: // none
					want = want && slices.Contains(stands, n)
					continue
				case 1:
					other := rapid.SampledFrom(members).Draw(rt, "for")
					c, want = Agree(network, other, holder), want && other == n.Member
				case 2:
					where := rapid.SampledFrom([][32]byte{network, {1}, {}}).Draw(rt, "where")
					c, want = Agree(where, n.Member, holder), want && where == network
				default:
					c = Agree(network, n.Member, holder)
				}
				tx.signatures = append(tx.signatures, KeySignature{n.Node, c.Signature})
			}
			slices.SortFunc(tx.signatures, KeySignature.byKey)
			before := s.Digest()
			r, err := judge(s, tx.Encode())
			if err != nil || (r == nil) != want {
				rt.Fatalf("%v after %v: %v %v, want accepted %v", set.Sequencers, stands, r, err, want)
			}
			if r != nil && (s.Digest() != before || r.Code != CodeNoConsent && r.Code != CodeInvalidSignature) {
				rt.Fatalf("refused with %v", r)
			}
			if r == nil {
				stands, serial = set.Sequencers, serial+1
			}
		}
	})
}

// TestGenesisNeedsTheConsentOfEachNode, which is for the network that the charter founds: no consent is part of its digest.
func TestGenesisNeedsTheConsentOfEachNode(t *testing.T) {
	g := newGenesis(t)
	with := func(signature *keys.Signature) ([]SignedTransaction, []byte) {
		list := founding()
		tx := signed(Add(1, sequencers(1, seq1)), "alice", "bob")
		if signature != nil {
			tx.signatures = append(tx.signatures, KeySignature{pub("node of seq1"), *signature})
			slices.SortFunc(tx.signatures, KeySignature.byKey)
		}
		list[1] = tx
		file := Genesis{charter: g.charter, transactions: slices.Clone(g.transactions)}
		i := slices.IndexFunc(file.transactions, func(t SignedTransaction) bool { return t.digest == tx.digest })
		file.transactions[i] = tx
		return list, file.Encode()
	}
	elsewhere := Agree([32]byte{1}, seq1, key("node of seq1")).Signature
	other := Agree(network, seq2, key("node of seq1")).Signature
	foreign := Agree(network, seq1, key("node of seq2")).Signature
	good := Agree(network, seq1, key("node of seq1")).Signature
	for name, c := range map[string]struct {
		signature *keys.Signature
		want      Code
	}{
		"none": {nil, CodeNoConsent}, "of another network": {&elsewhere, CodeInvalidSignature}, "of another member": {&other, CodeInvalidSignature},
		"of another key": {&foreign, CodeInvalidSignature}, "the right one": {&good, "ok"},
	} {
		list, file := with(c.signature)
		u, err := DecodeGenesis(file)
		if err != nil || u.Charter().Digest() != g.Digest() {
			t.Fatalf("%s: %v", name, err)
		}
		_, err = u.Verify(network)
		var r *Rejection
		if errors.As(err, &r); code(r) != c.want || (err == nil) != (c.want == "ok") {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if r != nil && (r.Key != sequencersKey(synchronizer) || len(r.Missing) != 1 || r.Missing[0] != finger("node of seq1")) {
			t.Errorf("%s: says %v of %v", name, r, r.Missing)
		}
		if c.signature != nil && *c.signature != good {
			continue // what is not verified cannot be put together
		}
		if _, err := NewGenesis(network, synchronizer, began, list...); (err == nil) != (c.want == "ok") {
			t.Errorf("%s: put together: %v", name, err)
		}
	}
}

// TestConsentsAreAdded where they belong, also by whoever holds the key, and in any order.
func TestConsentsAreAdded(t *testing.T) {
	good := Agree(network, seq2, key("node of seq2"))
	tx, err := listing().WithConsents(good)
	if err != nil || !bytes.Equal(tx.Encode(), forged(good.Signature)) {
		t.Fatalf("%v", err)
	}
	if same, err := listing().Sign(key("node of seq2")); err != nil || !bytes.Equal(same.Encode(), tx.Encode()) {
		t.Errorf("signed by the node key itself: %v", err)
	}
	if again, err := tx.WithConsents(good); err != nil || !bytes.Equal(again.Encode(), tx.Encode()) {
		t.Errorf("a second time: %v", err)
	}
	wrongly := good
	wrongly.Signature[3] ^= 1
	for name, c := range map[string]struct {
		Consent
		want Code
	}{
		"false":               {wrongly, CodeInvalidSignature},
		"of another network":  {Agree([32]byte{1}, seq2, key("node of seq2")), CodeInvalidSignature},
		"of one not listed":   {Agree(network, seq3, key("node of seq3")), CodeMalformed},
		"of another's member": {Agree(network, seq3, key("node of seq2")), CodeMalformed},
	} {
		var r *Rejection
		if _, err := listing().WithConsents(c.Consent); !errors.As(err, &r) || r.Code != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := signed(Add(1, trust(par1))).WithConsents(good); err == nil {
		t.Error("added to what lists no sequencers")
	}
}

// What node keys sign must not change from one release to the next: identity files would no longer count.
func TestConsentIsFrozen(t *testing.T) {
	n := SequencerNode{seq2, pub("node of seq2")}
	if want := append([]byte("SEQ::seq2::"+space("bob").String()+"\x00"), n.Node[:]...); !bytes.Equal(n.statement(), want) {
		t.Errorf("the statement is %q", n.statement())
	}
	if !keys.VerifyDomain(n.Node, network, "synod/sequencer/node/1", n.statement(), Agree(network, seq2, key("node of seq2")).Signature) {
		t.Error("it is signed in another domain")
	}
}
