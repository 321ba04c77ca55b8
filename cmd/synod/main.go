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

	"github.com/spf13/cobra"

	"github.com/synod-network/synod/internal/timerslack"
	"github.com/synod-network/synod/node/exit"
)

func main() {
	if args := os.Args[1:]; wakesOften(args) {
		if err := timerslack.Widen(time.Millisecond); err != nil {
			fmt.Fprintln(os.Stderr, "synod: slower than it could be:", oneLine(err.Error()))
		}
	}
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

// often marks a command as one whose process wakes and sleeps thousands of times a second; see package timerslack.
const often = "often"

// wakeful marks a command so.
func wakeful(cmd *cobra.Command) *cobra.Command {
	cmd.Annotations = map[string]string{often: ""}
	return cmd
}

// wakesOften tells whether a command line runs such a command.
func wakesOften(args []string) bool {
	cmd, _, err := newRoot().Find(args)
	if err != nil {
		return false
	}
	_, is := cmd.Annotations[often]
	return is
}
