package admin

import "time"

// NextRun is when a schedule next begins a run.
func NextRun(s Schedule, after time.Time) time.Time { return s.next(after) }

// Planned is when a pruner's next run is, on a clock that shows now.
func Planned(p *Pruner, now time.Time) time.Time {
	_, next := p.plan(now)
	return next
}
