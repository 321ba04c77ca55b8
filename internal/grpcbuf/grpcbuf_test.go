package grpcbuf

import "testing"

// A buffer is at most twice what was asked for, or clearing it costs more than using it.
func TestBuffersAreOfTheSizeAskedFor(t *testing.T) {
	p := pool()
	for _, size := range []int{300, 5000, 33 << 10, 40 << 10, 300 << 10, 3 << 20} {
		if got := p.Get(size); len(*got) != size || cap(*got) > 4*size {
			t.Errorf("%d bytes: length %d, capacity %d", size, len(*got), cap(*got))
		} else if size > 4096 && cap(*got) >= 2*size {
			t.Errorf("%d bytes: capacity %d", size, cap(*got))
		}
	}
}
