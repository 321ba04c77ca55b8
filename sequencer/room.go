package sequencer

import "sync"

// room is the memory for large messages: those above the window of a stream, which come only once somebody reads them. Small ones need none of
// it: how many there are is bounded by the number of calls.
type room struct {
	limit, strangers, each int64 // bytes

	mu    sync.Mutex
	taken int64
	by    map[string]int64 // by caller; all strangers are one, ""
}

// newRoom returns a room of so many bytes. Strangers may have an eighth of it, so that they keep out no member; each caller a quarter.
func newRoom(limit int64) *room {
	return &room{limit: limit, strangers: limit / 8, each: limit / 4, by: map[string]int64{}}
}

// take gives a caller room, if there is any.
func (r *room) take(caller string, bytes int64) bool {
	most := r.each
	if caller == "" {
		most = r.strangers
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken+bytes > r.limit || r.by[caller]+bytes > most {
		return false
	}
	r.taken += bytes
	r.by[caller] += bytes
	return true
}

// give takes back what was taken.
func (r *room) give(caller string, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken -= bytes
	if r.by[caller] -= bytes; r.by[caller] == 0 {
		delete(r.by, caller)
	}
}
