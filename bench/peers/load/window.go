package load

import "sync"

// A window bounds how many requests are outstanding.
type window struct {
	mu     sync.Mutex
	room   sync.Cond
	free   int
	closed bool
}

func newWindow(size int) *window {
	w := &window{free: size}
	w.room.L = &w.mu
	return w
}

// acquire waits for room; false means that the window was closed.
func (w *window) acquire() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.free == 0 && !w.closed {
		w.room.Wait()
	}
	if w.closed {
		return false
	}
	w.free--
	return true
}

func (w *window) release(n int) {
	if n == 0 {
		return
	}
	w.mu.Lock()
	w.free += n
	w.mu.Unlock()
	w.room.Broadcast()
}

// close ends all waits, now and later.
func (w *window) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.room.Broadcast()
}
