package bft

import "testing"

// A reference names an author and a round beside the digest. A Byzantine
// member can lie about both, so that one block seems to be several: A4's vote
// would count for three and one vote would be a certificate.
func TestReferencesThatMisnameABlockAreNeverAccepted(t *testing.T) {
	c := testCommittee(4, nil)
	g := newGrid(c)
	history := g.rounds(1, 3, membersOf(4)...)
	single := g.ref(0, 3).Digest
	for name, parents := range map[string][]Ref{
		"author": {g.ref(3, 3), {Round: 3, Author: 1, Digest: single}, {Round: 3, Author: 2, Digest: single}},
		"round":  {g.ref(3, 3), g.ref(0, 3), g.ref(1, 3), {Round: 2, Author: 2, Digest: g.ref(2, 3).Digest}},
		"own":    {{Round: 3, Author: 3, Digest: single}, g.ref(1, 3), g.ref(2, 3)},
	} {
		e := observer(c, Rules{})
		forged := blockBy(c, 3, 4, parents, nil)
		arrive(t, e, append(history, forged)...)
		if e.dag.has(forged.Ref()) {
			t.Errorf("a block that misnames the %s of a parent was accepted", name)
		}
	}
}

// The same lie, told before the block it misnames is here.
func TestAMisnamedReferenceIsNotSatisfiedByTheBlockOfThatDigest(t *testing.T) {
	c := testCommittee(4, nil)
	g := newGrid(c)
	e := observer(c, Rules{})
	arrive(t, e, g.rounds(1, 2, membersOf(4)...)...)
	late := g.rounds(3, 3, membersOf(4)...)
	forged := blockBy(c, 3, 4, []Ref{g.ref(3, 3), {Round: 3, Author: 1, Digest: g.ref(0, 3).Digest}, g.ref(2, 3)}, nil)
	honest := g.full(0, 4, membersOf(4)...)
	arrive(t, e, forged, honest)
	arrive(t, e, late...)
	if e.dag.has(forged.Ref()) {
		t.Error("a block that misnames the author of a parent was accepted")
	}
	if !e.dag.has(honest.Ref()) {
		t.Error("an honest block was held back by another's lie about its parent")
	}
}
