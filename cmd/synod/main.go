// Command synod is the whole network in one binary: it founds networks, runs their nodes, drives load through them and checks
// them. Each subcommand is a file here that reads flags and calls the package that does the work.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/synod-network/synod/internal/timerslack"
	"github.com/synod-network/synod/node/exit"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// run executes one command line and returns the process's exit code. Data goes to stdout, everything else to stderr; a failure
// is one line.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(stderr, "synod:", oneLine(err.Error()))
	}
	return exit.Code(err)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// lazyTimers is for a command whose process shares processors with others like it, and wakes thousands of times a second; see
// package timerslack. It executes the program again, unless that was done before.
func lazyTimers(stderr io.Writer) {
	if err := timerslack.Widen(time.Millisecond); err != nil {
		fmt.Fprintln(stderr, "synod: slower than it could be:", oneLine(err.Error()))
	}
}
