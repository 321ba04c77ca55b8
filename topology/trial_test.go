package topology

import "testing"

func TestCheckAllLetsOneRestOnAnother(t *testing.T) {
	s := newFounded(t, rules{})
	newcomer := []SignedTransaction{
		signed(Add(1, root("dora")), "dora"),
		signed(Add(1, keysOf(par1, "par1")), append(ownKeys(par1, "par1"), "dora")...),
		signed(Add(1, trust(par1)), "dora"),
		signed(Add(2, delay(ms)), "alice", "carol"),
	}
	before := s.Digest()
	for range 2 { // the first leaves nothing behind
		for i, r := range s.CheckAll(began, newcomer...) {
			if r != nil {
				t.Errorf("transaction %d: %v", i, r)
			}
		}
	}
	if got := s.CheckAll(began, newcomer[1:]...); code(got[0]) != CodeUnknownNamespace || code(got[1]) != CodeUnknownMember || got[2] != nil {
		t.Errorf("without a namespace: %v", got)
	}
	if got := s.CheckAll(began, newcomer[2]); len(got) != 1 || code(got[0]) != CodeUnknownMember {
		t.Errorf("alone: %v", got)
	}
	if s.Digest() != before || s.Serial(parametersKey(synchronizer)) != 1 || s.Serial(ownerKey(par1)) != 0 {
		t.Fatal("checking changed the state")
	}
	for i, tx := range newcomer {
		if _, r := s.Apply(began, tx); r != nil {
			t.Errorf("transaction %d was accepted by the check and then refused: %v", i, r)
		}
	}
	if s.Sequenced() != began {
		t.Errorf("last accepted at %d", s.Sequenced())
	}
	for i, r := range s.CheckAll(began, newcomer...) {
		if code(r) != CodeAlreadyApplied {
			t.Errorf("transaction %d again: %v", i, r)
		}
	}
}
