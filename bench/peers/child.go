package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/synod-network/synod/bench/peers/load"
)

// Every run is a process of its own, so that its processor time, its memory
// and its crashes are its own. An assignment is what it is told, as JSON on
// standard input; it answers with a result, as JSON on standard output.
type assignment struct {
	Engine   string        `json:"engine"`
	Dir      string        `json:"dir"`
	Workload load.Workload `json:"workload"`
}

// runFlag makes this program do one assignment instead of the comparison.
const runFlag = "--one-run"

// runAssignment is the side of the child process.
func runAssignment(in io.Reader, out io.Writer) error {
	var a assignment
	if err := json.NewDecoder(in).Decode(&a); err != nil {
		return fmt.Errorf("reading the assignment: %w", err)
	}
	for _, p := range peers() {
		if p.name != a.Engine {
			continue
		}
		result, err := load.Run(context.Background(), p.name, p.start, a.Workload, a.Dir)
		if err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(result)
	}
	return fmt.Errorf("no engine %q", a.Engine)
}

// memory is what a run may use: the collector works harder towards the soft
// bound, and a run that reaches the hard one is ended.
type memory struct{ soft, hard int64 } // bytes

// runPeer is the side of the comparison.
func runPeer(ctx context.Context, name string, w load.Workload, dir string, bound memory) (load.Result, error) {
	self, err := os.Executable()
	if err != nil {
		return load.Result{}, fmt.Errorf("finding this program, to run it again: %w", err)
	}
	site, err := os.MkdirTemp(dir, name+"-")
	if err != nil {
		return load.Result{}, fmt.Errorf("making a directory for the nodes: %w", err)
	}
	defer os.RemoveAll(site)
	told, err := json.Marshal(assignment{Engine: name, Dir: site, Workload: w})
	if err != nil {
		return load.Result{}, fmt.Errorf("writing the assignment: %w", err)
	}
	cmd := exec.Command(self, runFlag)
	cmd.Stdin = bytes.NewReader(told)
	cmd.Env = append(os.Environ(), fmt.Sprintf("GOMEMLIMIT=%d", bound.soft), "GOGC=400")
	return runCommand(ctx, cmd, w, bound)
}

// lookAtMemory is how often a running process is weighed.
const lookAtMemory = 200 * time.Millisecond

// runCommand runs a process that prints a result as its last line. It ends the
// process and what that started when the run takes longer than the workload
// allows or weighs too much.
func runCommand(ctx context.Context, cmd *exec.Cmd, w load.Workload, bound memory) (load.Result, error) {
	var out bytes.Buffer
	talk := &tail{bound: 4096}
	cmd.Stdout, cmd.Stderr = &out, talk
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, w.Bound(), fmt.Errorf("took longer than %v", w.Bound()))
	defer cancel()
	if err := cmd.Start(); err != nil {
		return load.Result{}, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := supervise(ctx, cmd.Process.Pid, ended, bound.hard); err != nil {
		return load.Result{}, fmt.Errorf("%w%s", err, talk)
	}
	result, err := load.ParseResult(lastLine(out.Bytes()))
	if err != nil {
		return load.Result{}, err
	}
	return result, result.Check(w)
}

// supervise returns when the process has ended, by itself or not.
func supervise(ctx context.Context, pid int, ended <-chan error, limit int64) error {
	end := func() {
		syscall.Kill(-pid, syscall.SIGKILL) // the group that Setpgid made
		<-ended
	}
	look := time.NewTicker(lookAtMemory)
	defer look.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
			end()
			return context.Cause(ctx)
		case <-look.C:
			if size := residentBytes(pid); size > limit {
				end()
				return fmt.Errorf("used %d MiB of memory, the bound is %d MiB", size>>20, limit>>20)
			}
		}
	}
}

// residentBytes is the resident size of a process, 0 if it is gone.
func residentBytes(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}

func lastLine(out []byte) []byte {
	out = bytes.TrimSpace(out)
	return out[bytes.LastIndexByte(out, '\n')+1:]
}

// A tail keeps the end of what is written to it.
type tail struct {
	bound int
	text  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if over := len(t.text) - t.bound; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

// String is what to append to an error.
func (t *tail) String() string {
	if text := strings.TrimSpace(string(t.text)); text != "" {
		return "; it said:\n" + text
	}
	return ""
}

// errMemoryDisk is for a directory where a sync costs nothing.
var errMemoryDisk = errors.New("is in memory; synced writes would be free there")

const tmpfsMagic = 0x01021994 // statfs(2)

func checkDisk(dir string) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return fmt.Errorf("looking at the file system of %s: %w", dir, err)
	}
	if s.Type == tmpfsMagic {
		return fmt.Errorf("%s %w: name a directory on a disk with --dir", dir, errMemoryDisk)
	}
	return nil
}
