package topology

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
)

// samples holds one mapping of each kind.
func samples() []Mapping {
	return []Mapping{
		delegate("alice", "x", KindOwnerToKeys), owners, keysOf(par1, "k"), DefaultParameters(synchronizer),
		sequencers(1, seq1, seq2), NewMediatorSet(synchronizer, 7, 1, []Member{med1}, []Member{{Mediator, UID{"med2", space("bob")}}}),
		trust(par1), disabled(par1), permit("dora", Limits{Mappings: 3, Changes: 2, ChangeInterval: 7 * ms}),
	}
}

func TestTransactionsSurviveTheWire(t *testing.T) {
	for i, m := range samples() {
		if m.Kind() != Kind(i+1) {
			t.Fatalf("kind %d is %s: add a sample of each kind", i+1, m.Kind())
		}
		b := signed(Add(7, m), "alice", "bob").Encode()
		u, err := DecodeTransaction(b)
		if err != nil {
			t.Errorf("%s: %v", m.Kind(), err)
			continue
		}
		verified, err := u.Verify(network)
		if err != nil || !bytes.Equal(verified.Encode(), b) || len(verified.Signers()) != 2 {
			t.Errorf("%s: %v", m.Kind(), err)
		}
		for n := range b {
			if _, err := DecodeTransaction(b[:n]); err == nil {
				t.Errorf("%s: the first %d of %d bytes are accepted", m.Kind(), n, len(b))
			}
		}
		if _, err := DecodeTransaction(append(b, 0)); err == nil {
			t.Errorf("%s: a byte more is accepted", m.Kind())
		}
	}
}

func TestSignaturesHaveOneOrder(t *testing.T) {
	tx := signed(Add(7, trust(par1)), "alice", "bob")
	slices.Reverse(tx.signatures)
	if _, err := DecodeTransaction(tx.Encode()); err == nil {
		t.Error("unsorted signatures are accepted")
	}
	tx.signatures[1] = tx.signatures[0]
	if _, err := DecodeTransaction(tx.Encode()); err == nil {
		t.Error("a signature twice is accepted")
	}
}

// What is signed must not change from one release to the next: old signatures would no longer count.
func TestContentIsFrozen(t *testing.T) {
	want := []string{
		"826d50494a866854", "0adbe096f279dba9", "b7fff8d61e2748b3", "63c397e4547bd316",
		"67116f3b8d230610", "7c6148dc739a4766", "16e268db8c511442", "78597264a40f9667",
		"7f466024aaeee2a8",
	}
	for i, m := range samples() {
		if got := Add(7, m).Digest().String()[:16]; got != want[i] {
			t.Errorf("%s: digest %s…, want %s…", m.Kind(), got, want[i])
		}
	}
}

func TestEveryBitOfATransactionCounts(t *testing.T) {
	b := signed(Add(7, trust(par1)), "dora").Encode()
	for i := range b {
		for bit := range 8 {
			changed := bytes.Clone(b)
			changed[i] ^= 1 << bit
			u, err := DecodeTransaction(changed)
			if err != nil {
				continue
			}
			if _, err := u.Verify(network); err == nil {
				t.Errorf("accepted with bit %d of byte %d changed", bit, i)
			}
		}
	}
}

func TestBadSignaturesAreNamed(t *testing.T) {
	good := signed(Add(1, trust(par1)), "dora", "alice")
	u, err := DecodeTransaction(good.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Verify([32]byte{1}); err == nil {
		t.Error("verified for another network")
	}
	u.Signatures[1].Signature[5] ^= 1
	var r *Rejection
	if _, err := u.Verify(network); !errors.As(err, &r) || r.Code != CodeInvalidSignature || len(r.Missing) != 1 || r.Missing[0] != u.Signatures[1].Key.Fingerprint() {
		t.Errorf("%v", err)
	}
}

// Transactions are verified together if each of them is by itself.
func TestVerifiedTogetherAsEachByItself(t *testing.T) {
	verifier := keys.NewBatchVerifier(0)
	names := []string{"alice", "bob", "carol", "dora"}
	rapid.Check(t, func(t *rapid.T) {
		var list []UnverifiedTransaction
		want := true
		for range rapid.IntRange(0, 8).Draw(t, "transactions") {
			of := signed(Add(Serial(rapid.IntRange(1, 3).Draw(t, "serial")), trust(par1)), names[:rapid.IntRange(0, 4).Draw(t, "signers")]...)
			u := UnverifiedTransaction{of.content, slices.Clone(of.signatures)}
			switch n := len(u.Signatures); rapid.IntRange(0, 15).Draw(t, "bad") {
			case 0:
				u.Mapping = trust(Member{})
			case 1:
				if n > 0 {
					u.Signatures[rapid.IntRange(0, n-1).Draw(t, "which")].Signature[5] ^= 1
				}
			}
			_, err := u.Verify(network)
			list, want = append(list, u), want && err == nil
		}
		together, valid := VerifyAll(network, verifier.All, list...)
		if valid != want {
			t.Fatalf("%d transactions: %v together, %v each by itself", len(list), valid, want)
		}
		for i := range together {
			if alone, _ := list[i].Verify(network); !reflect.DeepEqual(together[i], alone) {
				t.Fatalf("transaction %d: %+v together, %+v alone", i, together[i], alone)
			}
		}
	})
}

func TestSignRefusesNonsense(t *testing.T) {
	for _, bad := range []Transaction{{}, {Operation: AddReplace, Serial: 1}, {Operation: 3, Serial: 1, Mapping: root("alice")}, Add(1, trust(Member{})), Add(1, delay(0))} {
		if _, err := Sign(network, bad, key("alice")); err == nil {
			t.Errorf("signed %+v", bad)
		}
	}
}

// Merging is commutative, associative and idempotent, so copies of a proposal may travel any way.
func TestMergeInAnyOrder(t *testing.T) {
	names := []string{"alice", "bob", "carol", "dora"}
	var all []SignedTransaction
	for _, name := range names {
		all = append(all, signed(Add(1, owners), name))
	}
	want := signed(Add(1, owners), names...).Encode()
	rapid.Check(t, func(t *rapid.T) {
		merged := all[rapid.IntRange(0, 3).Draw(t, "first")]
		extra := rapid.SliceOfN(rapid.SampledFrom(all), 0, 4).Draw(t, "again")
		for _, o := range rapid.Permutation(append(slices.Clone(all), extra...)).Draw(t, "order") {
			var err error
			if rapid.Bool().Draw(t, "swap") {
				merged, err = o.Merge(merged)
			} else {
				merged, err = merged.Merge(o)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(merged.Encode(), want) {
			t.Fatal("another transaction")
		}
	})
}

// Whoever holds a key can make two signatures over the same message. All must keep the same one.
func TestMergeOfTwoSignaturesByOneKey(t *testing.T) {
	a := signed(Add(1, owners), "alice")
	b := a
	b.signatures = []KeySignature{{a.signatures[0].Key, keys.Signature{1}}}
	ab, err := a.Merge(b)
	if err != nil {
		t.Fatal(err)
	}
	ba, err := b.Merge(a)
	if err != nil || !bytes.Equal(ab.Encode(), ba.Encode()) || len(ab.Signers()) != 1 {
		t.Errorf("merged to %v and %v: %v", ab.signatures, ba.signatures, err)
	}
}

func TestMergeOfDifferentTransactions(t *testing.T) {
	a := signed(Add(1, owners), "alice")
	other, err := Sign([32]byte{1}, Add(1, owners), key("bob"))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []SignedTransaction{signed(Add(2, owners), "bob"), signed(Removal(1, owners), "bob"), signed(Add(1, root("bob")), "bob"), other} {
		if _, err := a.Merge(b); err == nil {
			t.Errorf("merged with %+v", b.Content())
		}
	}
}

// A set of the most sequencers with the longest names, signed by the most, fits the limits.
func TestLargestTransactionFits(t *testing.T) {
	set := SequencerSet{Synchronizer: synchronizer, Threshold: 1}
	for i := range bft.MaxMembers {
		name := strings.Repeat("x", maxName-10) + Group(i).String()
		set.Sequencers = append(set.Sequencers, SequencerNode{Member{Sequencer, UID{name, space("alice")}}, keys.PublicKey{byte(i), byte(i >> 8)}})
	}
	tx := signed(Add(1, set))
	for i := range MaxSignatures + bft.MaxMembers {
		tx.signatures = append(tx.signatures, KeySignature{Key: keys.PublicKey{byte(i >> 8), byte(i)}})
	}
	u, err := DecodeTransaction(tx.Encode())
	if err != nil || u.check() != nil {
		t.Errorf("%v, %v", err, u.check())
	}
	if _, err := tx.Sign(key("alice")); err == nil {
		t.Error("one signature too many is accepted")
	}
	if _, err := DecodeTransaction(make([]byte, MaxTransactionSize+1)); err == nil {
		t.Error("a byte too many is accepted")
	}
}

func TestIdentitiesAsText(t *testing.T) {
	for _, m := range []Member{par1, seq1, med1} {
		back, err := ParseMember(m.String())
		if err != nil || back != m {
			t.Errorf("%s reads as %s: %v", m, back, err)
		}
		text, _ := m.MarshalText()
		if err := back.UnmarshalText(text); err != nil || back != m {
			t.Errorf("%s unmarshals to %s: %v", text, back, err)
		}
	}
	if back, err := ParseUID(synchronizer.String()); err != nil || back != synchronizer {
		t.Errorf("%s reads as %s: %v", synchronizer, back, err)
	}
	longest := UID{strings.Repeat("x", maxName), space("alice")}
	if _, err := ParseUID(longest.String()); err != nil || len(longest.String()) != 255 {
		t.Errorf("the longest has %d characters: %v", len(longest.String()), err)
	}
	fingerprint := space("alice").String()
	for r := rune(0); r < 256; r++ {
		good := strings.ContainsRune("-_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", r)
		if _, err := ParseUID("x" + string(r) + "::" + fingerprint); (err == nil) != good {
			t.Errorf("a name with %q: %v", r, err)
		}
	}
	for _, bad := range []string{
		"", "PAR", "PAR::", "PAR::x", "PAR::x::", "PAR::::" + fingerprint, "XXX::x::" + fingerprint, "par::x::" + fingerprint,
		"PAR::x y::" + fingerprint, "PAR::é::" + fingerprint, "PAR::x::" + fingerprint + "::y", "PAR::x::y::" + fingerprint,
		"PAR::" + strings.Repeat("x", maxName+1) + "::" + fingerprint, " PAR::x::" + fingerprint, "::x::" + fingerprint,
	} {
		if _, err := ParseMember(bad); err == nil || len(err.Error()) > 900 {
			t.Errorf("%.100q: %v", bad, err)
		}
	}
}
