// Package finetimer is a timer for waits of less than a millisecond.
//
// The runtime's own timers are exact while the process is busy. When every
// thread sleeps it waits for input and for the next timer in one system call
// whose resolution is a millisecond, so that a wait of 0.3 ms takes 1.1: too
// long where several such waits follow each other within a few milliseconds. On
// Linux this timer is a file descriptor (timerfd_create(2)) that becomes
// readable when the wait is over, which the runtime notices like any other
// input. Elsewhere it is the runtime's timer.
package finetimer

// A Timer sends on C when a wait is over. One goroutine may use it.
type Timer struct {
	// C receives once for each wait that ended. A wait that is replaced just as
	// it ends may still send: take it as a hint and look at the clock.
	C <-chan struct{}
	timer
}
