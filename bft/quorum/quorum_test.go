package quorum

import "testing"

func TestProperties(t *testing.T) {
	for n := 1; n <= 200; n++ {
		f, q, w := Faults(n), Size(n), Witness(n)
		if n < 3*f+1 {
			t.Errorf("n=%d: f=%d is more than a third", n, f)
		}
		if shared := 2*q - n; shared < w {
			t.Errorf("n=%d: two quorums of %d share only %d members, want %d", n, q, shared, w)
		}
		if q > n-f {
			t.Errorf("n=%d: the %d honest members do not make a quorum of %d", n, n-f, q)
		}
		if smaller := 2*(q-1) - n; smaller >= w {
			t.Errorf("n=%d: a quorum of %d would do, Size says %d", n, q-1, q)
		}
	}
}

func TestKnownSizes(t *testing.T) {
	for _, c := range []struct{ n, f, q int }{{1, 0, 1}, {2, 0, 2}, {3, 0, 2}, {4, 1, 3}, {5, 1, 4}, {6, 1, 4}, {7, 2, 5}, {10, 3, 7}, {13, 4, 9}} {
		if f, q := Faults(c.n), Size(c.n); f != c.f || q != c.q {
			t.Errorf("n=%d: f=%d q=%d, want f=%d q=%d", c.n, f, q, c.f, c.q)
		}
	}
}
