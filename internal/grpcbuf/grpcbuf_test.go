package grpcbuf

import "testing"

// A buffer is less than twice what was asked for, or making it costs more than using it.
func TestBuffersAreOfTheSizeAskedFor(t *testing.T) {
	p := new(pool)
	for _, size := range []int{0, 1, 255, 256, 257, 300, 4096, 5000, 33 << 10, 40 << 10, 64 << 10, 300 << 10, 3 << 20, 4 << 20, 4<<20 + 1, 9 << 20} {
		for range 2 { // a new one, and one that was used
			got := p.Get(size)
			if len(*got) != size || cap(*got) >= 2*max(size, 256) {
				t.Errorf("%d bytes: length %d, capacity %d", size, len(*got), cap(*got))
			}
			*got = (*got)[:size/2] // gRPC returns a prefix
			p.Put(got)
		}
	}
}

// What is not ours does not end up where others take it for more than it is.
func TestForeignBuffers(t *testing.T) {
	p := new(pool)
	for _, capacity := range []int{0, 7, 256, 300, 1000, 5 << 20} {
		b := make([]byte, capacity)
		p.Put(&b)
	}
	for _, size := range []int{200, 256, 290, 512, 1024, 4 << 20} {
		if got := p.Get(size); len(*got) != size {
			t.Errorf("%d bytes: length %d", size, len(*got))
		}
	}
}

func TestABufferIsUsedAgainUncleared(t *testing.T) {
	p := new(pool)
	if n := testing.AllocsPerRun(100, func() { p.Put(p.Get(100 << 10)) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}
