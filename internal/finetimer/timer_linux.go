package finetimer

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

type timer struct {
	fd   int
	file *os.File
	done chan struct{}
}

// New returns a timer that is not set.
func New() (*Timer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create a timer: %w", err)
	}
	c := make(chan struct{}, 1)
	t := &Timer{C: c, timer: timer{fd: fd, file: os.NewFile(uintptr(fd), "timer"), done: make(chan struct{})}}
	go t.wait(c)
	return t, nil
}

func (t *timer) wait(c chan<- struct{}) {
	defer close(t.done)
	var expirations [8]byte
	for {
		if _, err := t.file.Read(expirations[:]); err != nil {
			return // stopped
		}
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// Reset sets the timer to a wait from now on, instead of any running one.
func (t *timer) Reset(wait time.Duration) {
	// A value of zero would disarm it.
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(1, wait.Nanoseconds()))}
	if err := unix.TimerfdSettime(t.fd, 0, &spec, nil); err != nil {
		panic(fmt.Sprintf("set a timer: %v", err)) // only after Stop
	}
}

// Stop releases the timer; it must not be used afterwards.
func (t *timer) Stop() {
	_ = t.file.Close()
	<-t.done
}
