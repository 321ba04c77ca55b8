package admin

import "time"

// NextRun is when a schedule next begins a run.
func NextRun(s Schedule, after time.Time) time.Time { return s.next(after) }
