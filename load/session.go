package load

import "math/bits"

// session is one connection's life: its requests are numbered from 0, and their
// fates kept as bits. It is the ledger's, below its mutex.
type session struct {
	number   uint32
	sent     uint64 // requests handed to the connection
	answered uint64 // those whose answer came; answers keep the order
	broken   bool   // the connection ended before the run did
	rejected bitmap
	refused  int64    // size of rejected
	ordered  bitmap   // delivered by any subscriber
	came     int64    // size of ordered
	seen     []bitmap // delivered, by subscriber

	// room is signalled when something left the flight.
	room chan struct{}
}

// inFlight is what was sent, not refused, and not seen ordered yet.
func (s *session) inFlight() int { return int(int64(s.sent) - s.refused - s.came) }

// fate is what became of a session's requests, counted.
type fate struct{ lost, duplicated, unknown int64 }

// judge compares what was accepted with what those subscribers have seen that
// are up.
func (s *session) judge(up []bool) fate {
	var f fate
	for i := range int(s.sent+63) / 64 {
		sent, ordered, rejected := below(s.sent, i), s.ordered.word(i), s.rejected.word(i)
		everywhere := ^uint64(0)
		for subscriber, seen := range s.seen {
			if up[subscriber] {
				everywhere &= seen.word(i)
			}
		}
		promised := ordered
		if !s.broken {
			promised |= below(s.answered, i) &^ rejected
		}
		f.lost += int64(bits.OnesCount64(promised &^ everywhere))
		f.duplicated += int64(bits.OnesCount64(ordered & rejected))
		f.unknown += int64(bits.OnesCount64(sent &^ (promised | rejected | ordered)))
	}
	return f
}
