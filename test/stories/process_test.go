package stories

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a running synod. It is killed when its story ends, and its log shown if the story failed.
type process struct {
	t       *testing.T
	name    string
	command *exec.Cmd
	log     string // file of its standard error, to which each run of the same name appends
	out     *os.File
	ended   chan struct{} // closed when the process has ended, of command.ProcessState
}

// launch starts synod with arguments; its standard error goes to the file log.
func launch(t *testing.T, name, log string, arguments ...string) *process {
	t.Helper()
	return launchWith(t, name, log, binary, arguments...)
}

// launchWith starts another program, which becomes synod.
func launchWith(t *testing.T, name, log, program string, arguments ...string) *process {
	t.Helper()
	errs, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer errs.Close() // the process has its own
	out, err := os.CreateTemp(t.TempDir(), "stdout-")
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, name: name, log: log, out: out, ended: make(chan struct{})}
	p.command = exec.Command(program, arguments...)
	p.command.Stderr, p.command.Stdout = errs, out
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.command.Wait() // how it ended is in its state
	}()
	t.Cleanup(p.cleanUp)
	return p
}

func (p *process) cleanUp() {
	p.kill()
	p.out.Close()
	for _, sign := range []string{"panic: ", "fatal error: ", "WARNING: DATA RACE"} {
		if strings.Contains(p.stderr(), sign) {
			p.t.Errorf("%s: %s", p.name, sign)
		}
	}
	if p.t.Failed() {
		p.t.Logf("%s ended with %s; the end of its log:\n%s", p.name, p.command.ProcessState, p.lastLines(25))
	}
}

func (p *process) lastLines(count int) string {
	content, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}

// kill ends the process as a power failure would, and waits for its end.
func (p *process) kill() {
	_ = p.command.Process.Kill() // it may have ended
	<-p.ended
}

// stop asks the process to end and returns its exit code.
func (p *process) stop() int {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	return p.exitCode(time.Minute)
}

func (p *process) signal(signal os.Signal) {
	p.t.Helper()
	if err := p.command.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
}

// exitCode waits for the process to end by itself.
func (p *process) exitCode(limit time.Duration) int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(limit):
		p.t.Fatalf("%s did not end within %s", p.name, limit)
	}
	return p.command.ProcessState.ExitCode()
}

// stdout is what the process has printed so far.
func (p *process) stdout() string {
	content, err := io.ReadAll(io.NewSectionReader(p.out, 0, 1<<30))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(content)
}

// stderr is what the process, and those before it with the same log, have said so far.
func (p *process) stderr() string {
	content, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(content)
}

// within waits until a condition holds, and fails the story with the condition's last complaint if it takes longer than the limit.
func within(t *testing.T, limit time.Duration, what string, condition func() error) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); ; <-tick.C {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s: %v", what, limit, err)
		}
	}
}
