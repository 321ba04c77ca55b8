package timerslack

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// asProgram has this binary be a program that widens its slack and says what it found then.
const asProgram = "TIMERSLACK_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	if err := Widen(time.Millisecond); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	// Threads of the runtime and others: whichever runs this.
	seen := make(chan time.Duration)
	for range 4 {
		go func() {
			runtime.LockOSThread()
			d, _ := slack()
			seen <- d
		}()
	}
	for range 4 {
		fmt.Print(<-seen, " ")
	}
	fmt.Println(os.Getpid(), os.Args[1:], os.Getenv(widened))
}

func TestWiden(t *testing.T) {
	for _, test := range []struct{ before, after time.Duration }{
		{usual, time.Millisecond},
		{80 * time.Microsecond, 80 * time.Microsecond}, // somebody chose it
	} {
		out, pid := runProgram(t, test.before)
		want := strings.Repeat(test.after.String()+" ", 4) + fmt.Sprint(pid) + " [one two] \n"
		if out != want {
			t.Errorf("from %s: %q, want %q", test.before, out, want)
		}
	}
}

// A system that forgets the slack, as it seems to a program that was executed again and has the usual one, is asked once.
func TestWidenIsAskedOnce(t *testing.T) {
	t.Setenv(asProgram, "1")
	t.Setenv(widened, "1")
	out, err := exec.Command(os.Args[0]).Output()
	if err == nil || string(out) != "widen the timer slack: the system does not keep it\n" {
		t.Errorf("%v: %s", err, out)
	}
}

// runProgram runs this binary as a program that begins with a slack.
func runProgram(t *testing.T, began time.Duration) (out string, pid int) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := slack()
	if err != nil {
		t.Fatal(err)
	}
	set := func(d time.Duration) {
		if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(d.Nanoseconds()), 0, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	set(began)
	defer set(before)
	var text strings.Builder
	c := exec.Command(os.Args[0], "one", "two")
	c.Env, c.Stdout, c.Stderr = append(os.Environ(), asProgram+"=1"), &text, &text
	if err := c.Run(); err != nil {
		t.Fatalf("%v: %s", err, text.String())
	}
	return text.String(), c.ProcessState.Pid()
}
