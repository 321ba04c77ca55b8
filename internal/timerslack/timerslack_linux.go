package timerslack

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// usual is what Linux gives a thread whose ancestors said nothing.
const usual = 50 * time.Microsecond

// widened marks, in the environment, the execution that Widen asked for, so that a system which forgets the slack is not asked again.
const widened = "TIMERSLACK_WIDENED"

// Widen gives all threads of this process, and of those that it will start, a timer slack of d. A thread has the slack of
// the one that made it, and those of the runtime are there before any code of a program runs: therefore the program is executed
// again, with the same arguments, environment and process id, and Widen does not return. It returns nil, having done nothing,
// if the slack is not the usual one: it was widened before, or an operator chose it (TimerSlackNSec of systemd).
func Widen(d time.Duration) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	again := os.Getenv(widened) != ""
	if err := os.Unsetenv(widened); err != nil {
		return fmt.Errorf("widen the timer slack: %w", err)
	}
	now, err := slack()
	if err != nil || now != usual {
		return err
	}
	if again {
		return errors.New("widen the timer slack: the system does not keep it")
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("widen the timer slack: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(d.Nanoseconds()), 0, 0, 0); err != nil {
		return fmt.Errorf("widen the timer slack: %w", err)
	}
	return fmt.Errorf("widen the timer slack: execute %s again: %w", program, syscall.Exec(program, os.Args, append(os.Environ(), widened+"=1")))
}

// slack is that of the calling thread.
func slack() (time.Duration, error) {
	ns, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil {
		return 0, fmt.Errorf("ask for the timer slack: %w", err)
	}
	return time.Duration(ns), nil
}
