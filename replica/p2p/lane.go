package p2p

// Lane is one of the connections that each pair of peers has. Frames keep their order within a lane only.
type Lane uint8

const (
	// Live carries what decides latency: blocks of the current rounds. A peer counts as connected while its live
	// lane is.
	Live Lane = iota
	// Bulk carries what may wait: catch-up, snapshots.
	Bulk

	laneCount = 2
)

// String is the name in logs, metrics and the TLS protocol name.
func (l Lane) String() string {
	switch l {
	case Live:
		return "live"
	case Bulk:
		return "bulk"
	default:
		return "unknown lane"
	}
}
