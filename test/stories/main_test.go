// Package stories tells what operators live through, against the real binary in real processes on loopback: a cold start, a node
// killed, two of them, a rolling restart, a full disk, a cut network, a rogue member. Each test is one story; the files without one
// hold what the stories are told with.
//
// Nothing here sleeps: a step waits for what it needs to see, until a deadline that is generous because machines are slow. Epochs
// last two seconds, so that the hand-over from one to the next happens during every story.
//
// SYNOD_STORY_RACE=1 builds the binary with the race detector.
package stories

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// binary is the synod that the stories run; it is written once, by TestMain.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		fmt.Println("stories take minutes; run them without -short")
		return
	}
	os.Exit(withBinary(m.Run))
}

// withBinary builds the binary for as long as run takes.
func withBinary(run func() int) int {
	dir, err := os.MkdirTemp("", "synod-stories-")
	if err == nil {
		defer os.RemoveAll(dir)
		binary, err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build synod:", err)
		return 1
	}
	return run()
}

func build(dir string) (string, error) {
	if err := touchSources("../.."); err != nil {
		return "", err
	}
	out := filepath.Join(dir, "synod")
	args, environment := []string{"build", "-o", out}, append(os.Environ(), "CGO_ENABLED=0")
	if os.Getenv("SYNOD_STORY_RACE") != "" {
		args, environment = append(args, "-race"), append(os.Environ(), "CGO_ENABLED=1")
	}
	command := exec.Command("go", append(args, "github.com/synod-network/synod/cmd/synod")...)
	command.Env, command.Stderr = environment, os.Stderr
	return out, command.Run()
}

// touchSources looks at every source file of the binary: what a test looks at is what "go test" remembers its result for, and it
// does not see what the build looks at.
func touchSources(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && entry.Name() != ".." && path != root {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			_, err = os.Stat(path)
		}
		return err
	})
}
