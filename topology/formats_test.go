package topology

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/synod-network/synod/bft"
)

// TestFormatsAreAsTheyWere: what is signed, what is stored and what nodes compare must not change unnoticed. Signatures and digests are
// functions of keys and statements, so all of it follows from the tests' network, with its default parameters, and a change of each
// kind. Whoever means to change a format changes its tag or version too, and what is pinned here.
func TestFormatsAreAsTheyWere(t *testing.T) {
	s := newFounded(t, rules{})
	changes := []SignedTransaction{
		signed(Add(1, root("dora")), "dora"),
		signed(Add(1, delegate("dora", "x", KindOwnerToKeys, KindMemberTrustCertificate)), "dora", "x"),
		signed(Add(1, NewDecentralizedNamespace(1, space("alice"), space("bob"))), "alice", "bob"),
		signed(Add(1, keysOf(par1, "k")), append(ownKeys(par1, "k"), "x")...),
		signed(Add(1, trust(par1)), "x"),
		signed(Add(1, keysOf(seq2, "seq2")), append(ownKeys(seq2, "seq2"), "bob")...),
		signed(Add(2, sequencers(2, seq2, seq1)), "carol", "bob", "node of seq2"),
		signed(Add(1, keysOf(med1, "med1")), append(ownKeys(med1, "med1"), "carol")...),
		signed(Add(1, mediators(12, 1, med1)), "carol", "bob"),
		signed(Add(2, delay(9*ms)), "alice", "bob"),
		signed(Add(1, disabled(par1)), "carol", "bob"),
		signed(Removal(2, disabled(par1)), "carol", "bob"),
		signed(Add(1, permit("dora", Limits{2, 9, ms})), "alice", "bob"),
	}
	var transactions, digests []byte
	for i, tx := range changes {
		mustApply(t, s, began+Time(i)*bft.Second, tx)
		digest := tx.Digest()
		transactions, digests = append(transactions, tx.Encode()...), append(digests, digest[:]...)
	}
	whole, err := s.Encode(began)
	if err != nil {
		t.Fatal(err)
	}
	later, err := s.Encode(began + 11*bft.Second)
	if err != nil {
		t.Fatal(err)
	}
	digest, charter := s.Digest(), theGenesis.Digest()
	for _, c := range []struct {
		name string
		of   []byte
		want string
	}{
		{"transactions", transactions, "729c27981948d616"},
		{"digests of transactions", digests, "e427697f3234918a"},
		{"genesis", theGenesis.Encode(), "3b90fe89a8678538"},
		{"digest of the charter", charter[:], "493decf55a74a732"},
		{"digest of the state", digest[:], "786e38b2cc086dcb"},
		{"whole state", whole, "d1aa1c7119193532"},
		{"state from later on", later, "f863ca94cd158d76"},
	} {
		sum := sha256.Sum256(c.of)
		if got := hex.EncodeToString(sum[:8]); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
