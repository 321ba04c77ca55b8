package event

// Seq is the place of an event in the sidecar's own order, from 0 on. It never repeats in the life of a sidecar's storage.
type Seq uint64

// ID returns the number that subscribers see, which has 32 bits and starts again at 0 after 4294967295.
func (s Seq) ID() uint32 { return uint32(s) }

// Numbered is an event that the log accepted, as it goes to subscribers.
type Numbered struct {
	Event
	Seq     Seq    // meaningless for APIVersion, which subscribers see without a number
	InForce string // the newest API version that subscribers had seen when it was accepted; empty if none
}

// IsNumbered reports whether subscribers see the event with a number.
func (n *Numbered) IsNumbered() bool { return n.Kind != APIVersion && n.Kind != SidecarVersion }
