//go:build !linux

package timerslack

import "time"

// Widen does nothing where the system knows no timer slack.
func Widen(time.Duration) error { return nil }
