package load

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/synod-network/synod/ordering"
)

// Latencies are recorded in µs, up to ten minutes.
const (
	lowestLatency  = 1
	highestLatency = int64(10 * time.Minute / time.Microsecond)
	latencyDigits  = 3
)

// compareRequests bounds how many requests' places are remembered for
// subscribers that are behind; beyond it a difference is noticed, but not placed.
const compareRequests = 4 << 20

// ledger records what was sent, answered and delivered, and judges it.
type ledger struct {
	writer *writer
	seed   maphash.Seed
	window int // in flight, per session

	mu          sync.Mutex
	sessions    []*session
	subscribers []subscriber
	// records are the blocks that some subscriber has still to deliver.
	records    map[ordering.Height]*record
	remembered int // requests in records
	// Counts over the whole run.
	submitted, accepted, rejected, ordered int64
	reordered                              int64
	// mismatches are blocks that differ between subscribers by more than order.
	mismatches int64
	latency    *hdrhistogram.Histogram
	// When something was ordered last, since the start, and the longest pause
	// before that while submitting.
	last, pause time.Duration
	submitting  bool
}

// subscriber is how far one sequencer has delivered.
type subscriber struct {
	up         bool
	next       ordering.Height
	known      bool            // whether there was a block before next:
	digest     ordering.Digest // its digest
	time       int64           // its last time, µs
	duplicated int64
}

// record is a block as the first subscriber delivered it.
type record struct {
	fingerprint uint64
	places      []place
	waiting     int // subscribers that have not delivered it
}

// place identifies the request at one index of a block.
type place struct {
	session  uint32
	sequence uint64
}

func newLedger(w *writer, subscribers int, from ordering.Height, window int) *ledger {
	l := &ledger{
		writer:      w,
		seed:        maphash.MakeSeed(),
		window:      window,
		subscribers: make([]subscriber, subscribers),
		records:     map[ordering.Height]*record{},
		latency:     hdrhistogram.New(lowestLatency, highestLatency, latencyDigits),
		submitting:  true,
	}
	for i := range l.subscribers {
		l.subscribers[i] = subscriber{up: true, next: from}
	}
	return l
}

// open begins a session.
func (l *ledger) open() *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &session{number: uint32(len(l.sessions)), seen: make([]bitmap, len(l.subscribers)), room: make(chan struct{}, 1)}
	l.sessions = append(l.sessions, s)
	return s
}

// send notes that count requests of a session are about to be handed over, if
// they fit its window, and returns the number of the first.
func (l *ledger) send(s *session, count int) (first uint64, fits bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.inFlight()+count > l.window {
		return 0, false
	}
	first = s.sent
	s.sent += uint64(count)
	l.submitted += int64(count)
	return first, true
}

// answer notes the answer to the next unanswered requests of a session.
func (l *ledger) answer(s *session, count int, refused bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if refused {
		for i := range count {
			s.rejected.add(s.answered + uint64(i))
		}
		s.refused += int64(count)
		l.rejected += int64(count)
		s.signal()
	} else {
		l.accepted += int64(count)
	}
	s.answered += uint64(count)
}

func (s *session) signal() {
	select {
	case s.room <- struct{}{}:
	default:
	}
}

// abandon notes that a session's connection broke.
func (l *ledger) abandon(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.broken = true
}

// down notes that a subscriber cannot read its sequencer at the moment.
func (l *ledger) down(number int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.subscribers[number].up = false
}

// next is the height that a subscriber has to read from.
func (l *ledger) next(number int) ordering.Height {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.subscribers[number].next
}

// deliver notes a block that a subscriber received, at that time since the
// start.
func (l *ledger) deliver(number int, block ordering.Block, now time.Duration) {
	// What needs no shared state is done outside the mutex.
	fingerprint, labels := l.inspect(block)

	l.mu.Lock()
	defer l.mu.Unlock()
	subscriber := &l.subscribers[number]
	subscriber.up = true
	repeated := block.Height < subscriber.next
	switch {
	case block.Height != subscriber.next:
		l.reordered++
	case subscriber.known && (block.Previous != subscriber.digest || block.Time <= subscriber.time):
		l.reordered++
	}
	places, ordered := make([]place, len(labels)), l.ordered
	for i, label := range labels {
		places[i] = place{session: label.session, sequence: label.sequence}
		if label.session != foreign {
			l.mark(number, label, now)
		}
	}
	if l.ordered > ordered {
		l.noteProgress(now)
	}
	if repeated {
		return
	}
	subscriber.next = block.Height + 1
	subscriber.known, subscriber.digest, subscriber.time = true, block.Digest, block.LastTime()
	l.compare(block.Height, fingerprint, places)
}

// inspect checks and labels the requests of a block, and hashes all of it.
func (l *ledger) inspect(block ordering.Block) (fingerprint uint64, labels []label) {
	var hash maphash.Hash
	hash.SetSeed(l.seed)
	hash.Write(block.Digest[:])
	hash.Write(block.Previous[:])
	maphash.WriteComparable(&hash, [3]uint64{uint64(block.Height), block.Epoch, uint64(block.Time)})
	labels = make([]label, 0, block.RequestCount())
	for _, payload := range block.Payloads {
		hash.Write(payload.Data)
		for request := range payload.Requests() {
			labels = append(labels, l.writer.read(request))
		}
	}
	return hash.Sum64(), labels
}

// mark notes that a subscriber delivered a request of this run.
func (l *ledger) mark(number int, label label, now time.Duration) {
	if int(label.session) >= len(l.sessions) || label.sequence >= l.sessions[label.session].sent {
		return
	}
	s := l.sessions[label.session]
	if !s.seen[number].add(label.sequence) {
		l.subscribers[number].duplicated++
		return
	}
	if !s.ordered.add(label.sequence) {
		return
	}
	s.came++
	l.ordered++
	latency := max((now - label.due).Microseconds(), lowestLatency)
	// Only values above the highest fail, and there is none after min.
	_ = l.latency.RecordValue(min(latency, highestLatency))
	s.signal()
}

// noteProgress keeps the longest time without an ordered request.
func (l *ledger) noteProgress(now time.Duration) {
	if l.submitting {
		l.pause = max(l.pause, now-l.last)
	}
	l.last = max(l.last, now)
}

// compare holds a block against what the first subscriber delivered at its
// height.
func (l *ledger) compare(height ordering.Height, fingerprint uint64, places []place) {
	known := l.records[height]
	if known == nil {
		known = &record{fingerprint: fingerprint, waiting: len(l.subscribers)}
		if l.remembered+len(places) <= compareRequests {
			known.places = places
			l.remembered += len(places)
		}
		l.records[height] = known
	} else if known.fingerprint != fingerprint {
		if moved := movedPlaces(known.places, places); moved > 0 {
			l.reordered += moved
		} else {
			l.mismatches++
		}
	}
	if known.waiting--; known.waiting == 0 {
		l.remembered -= len(known.places)
		delete(l.records, height)
	}
}

// movedPlaces counts the places that differ between two blocks made of the same
// requests. It is 0 if they are not.
func movedPlaces(a, b []place) (moved int64) {
	if len(a) != len(b) {
		return 0
	}
	surplus := map[place]int{}
	for i := range a {
		if a[i] != b[i] {
			moved++
			surplus[a[i]]++
			surplus[b[i]]--
		}
	}
	for _, count := range surplus {
		if count != 0 {
			return 0
		}
	}
	return moved
}

// endSubmitting closes the time over which pauses count.
func (l *ledger) endSubmitting(now time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pause = max(l.pause, now-l.last)
	l.submitting = false
}

// settled tells whether all that was promised has come out at every sequencer
// that is up.
func (l *ledger) settled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	up := l.up()
	for _, s := range l.sessions {
		if !s.broken && s.answered < s.sent || s.judge(up).lost > 0 {
			return false
		}
	}
	return true
}

// up lists which subscribers can read their sequencers.
func (l *ledger) up() []bool {
	up := make([]bool, len(l.subscribers))
	for i, subscriber := range l.subscribers {
		up[i] = subscriber.up
	}
	return up
}

// progress is a glance at a run that goes on.
func (l *ledger) progress() Progress {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Progress{Submitted: l.submitted, Accepted: l.accepted, Ordered: l.ordered, Rejected: l.rejected}
}

// result is the verdict.
func (l *ledger) result() Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	up := l.up()
	r := Result{
		Submitted: l.submitted, Accepted: l.accepted, Ordered: l.ordered, Rejected: l.rejected, Reordered: l.reordered,
		P50:          l.quantile(50),
		P90:          l.quantile(90),
		P99:          l.quantile(99),
		P999:         l.quantile(99.9),
		LongestPause: milliseconds(l.pause),
		Duration:     l.last.Seconds(),
	}
	for _, subscriber := range l.subscribers {
		// A duplicate in the order shows at every subscriber: it is one all the same.
		r.Duplicated = max(r.Duplicated, subscriber.duplicated)
	}
	for _, s := range l.sessions {
		f := s.judge(up)
		r.Lost += f.lost
		r.Duplicated += f.duplicated
		r.Unknown += f.unknown
	}
	if r.Lost+r.Duplicated+r.Reordered == 0 {
		// Blocks that differ though nothing is missing: requests changed blocks,
		// or something else about the blocks is not the same.
		r.Reordered = l.mismatches
	}
	if l.last > 0 {
		r.OrderedPerSecond = float64(r.Ordered) / l.last.Seconds()
		r.BytesPerSecond = r.OrderedPerSecond * float64(l.writer.size)
	}
	r.Clean = r.Ordered > 0 && r.Lost+r.Duplicated+r.Reordered == 0
	return r
}

func (l *ledger) quantile(percentile float64) float64 {
	return milliseconds(time.Duration(l.latency.ValueAtPercentile(percentile)) * time.Microsecond)
}
