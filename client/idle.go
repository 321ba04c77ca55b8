package client

import (
	"fmt"
	"time"
)

// Each response costs the check of a signature, so those that bring no event are bounded. An honest sequencer tells the time once
// a second, and once more as a stream begins; what came while the client itself did not read comes at once.
const (
	idleBurst = 1000
	idleRate  = 250 // a second
)

// idleness counts the responses of one sequencer that bring no event, over all its streams. The zero value is ready.
type idleness struct {
	used float64   // of idleBurst
	at   time.Time // of the last one
}

// one more came. It reports whether that are too many.
func (i *idleness) more(now time.Time) bool {
	if !i.at.IsZero() {
		i.used = max(min(0, i.used), i.used-idleRate*now.Sub(i.at).Seconds()) // what is excused stays so
	}
	i.at = now
	i.used++
	return i.used > idleBurst
}

// excuse makes up for a time in which the client did not read, so that what waited meanwhile does not count.
func (i *idleness) excuse(unread time.Duration) {
	i.used -= idleRate * unread.Seconds()
}

// flood is the fault of a sequencer that tells too much of nothing.
func flood(p *peer) *Lie {
	return &Lie{Sequencer: p.id, Kind: Flood, Detail: fmt.Sprintf("more than %d responses, and then %d a second, brought no event", idleBurst, idleRate)}
}
