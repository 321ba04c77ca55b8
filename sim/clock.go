package sim

import "github.com/synod-network/synod/bft"

// noon is the time of day at which every world begins: 2026-01-01 12:00 UTC.
const noon = bft.Time(1767268800) * bft.Second

// clock is a member's clock. The monotonic part follows the world exactly; the
// time of day is off, drifts, and is set now and then.
type clock struct {
	offset bft.Time
	drift  float64 // seconds gained in a second
}

func (c clock) read(now bft.Time) bft.Clock {
	return bft.Clock{Wall: noon + now + c.offset + bft.Time(c.drift*float64(now)), Mono: now + bft.Second}
}
