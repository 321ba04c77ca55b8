// Package timerslack lets the kernel be less exact about how long threads sleep.
//
// While a Go program does anything, a thread of its runtime (sysmon) sleeps for 20 µs at a time and looks around. Linux makes
// that about 70 µs, since a thread's timers may be late by its timer slack (prctl(2), PR_SET_TIMERSLACK), which is 50 µs unless
// somebody says otherwise. A sequencer wakes thousands of times a second, for each message of its peers, and goes to sleep
// again; its sysmon then wakes five thousand times a second, and takes the processor from threads that have work to do:
// four out of five switches between threads were that where several such processes share few processors, and requests took
// nearly twice as long. With a slack of a millisecond sysmon looks around a thousand times a second at most.
//
// What it costs: the runtime's own timers, whose resolution is a millisecond, may be late by another one (package finetimer's
// are not), and a goroutine that waits for the processor of one which blocks in a system call may wait as long, if the program
// has no other processor.
package timerslack
