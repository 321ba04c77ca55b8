//go:build !linux

package finetimer

import "time"

type timer struct{ runtime *time.Timer }

// New returns a timer that is not set.
func New() (*Timer, error) {
	c := make(chan struct{}, 1)
	t := time.AfterFunc(time.Hour, func() {
		select {
		case c <- struct{}{}:
		default:
		}
	})
	t.Stop()
	return &Timer{C: c, timer: timer{runtime: t}}, nil
}

// Reset sets the timer to a wait from now on, instead of any running one.
func (t *timer) Reset(wait time.Duration) { t.runtime.Reset(max(0, wait)) }

// Stop releases the timer; it must not be used afterwards.
func (t *timer) Stop() { t.runtime.Stop() }
