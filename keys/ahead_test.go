package keys

import "testing"

func TestAheadIsBoundedAndForgets(t *testing.T) {
	a := newAhead(4)
	signed := func(n int) Signed {
		return Signed{Message: append(make([]byte, digestSize-1), byte(n))}
	}
	known := func(n int) bool {
		valid := []bool{false}
		a.take([]Signed{signed(n)}, valid)
		return valid[0]
	}
	for n := range 10 {
		a.add([]Signed{signed(n)}, []bool{true})
	}
	if got := len(a.young) + len(a.old); got > 8 {
		t.Errorf("%d are held", got)
	}
	if known(0) || !known(5) || !known(9) {
		t.Error("the oldest should be forgotten, and no other")
	}
	if known(9) {
		t.Error("what was asked for is still there")
	}
	a.add([]Signed{signed(11), {Message: []byte("short")}, signed(12)}, []bool{false, true, true})
	if known(11) || !known(12) {
		t.Error("what was not valid is remembered, or what was is not")
	}
}
