package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/synod-network/synod/internal/wholefile"
	"github.com/synod-network/synod/node/exit"
)

// Ready is what a ready file says: where every node of a process listens. It is how scripts and load generators find nodes that
// chose their own ports.
type Ready struct {
	PID     int         `json:"pid"`
	Network string      `json:"network"` // network id
	Nodes   []ReadyNode `json:"nodes"`
}

// ReadyNode is one node of the process.
type ReadyNode struct {
	Name      string            `json:"name"`
	Role      string            `json:"role"`      // "sequencer"
	Listeners map[string]string `json:"listeners"` // "public", "peer", "admin", "pprof", "admin-grpc" → host:port
}

// ReadyFile returns the stage that writes what to path once health says ready, and removes it at the stop. A file left behind by a
// killed process is removed at the start. The write is atomic: a reader sees all of it or none.
func ReadyFile(path string, health *Health, what func() Ready) Stage {
	return Stage{Name: "ready file", Run: func(ctx context.Context, ready func()) error {
		if err := remove(path); err != nil {
			return err
		}
		ready()
		var failed error
		health.Watch(ctx, func(report Report) bool {
			if report.OK {
				failed = writeReady(path, what())
			}
			return !report.OK
		})
		if failed != nil {
			return failed
		}
		<-ctx.Done()
		return remove(path)
	}}
}

func remove(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return exit.Errorf(exit.Usage, "ready file: %s is a directory; name a file", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the ready file of an earlier run: %w", err)
	}
	return nil
}

func writeReady(path string, what Ready) error {
	content, err := json.MarshalIndent(what, "", "  ")
	if err != nil {
		return fmt.Errorf("write ready file: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write ready file: %w", err)
	}
	if err := wholefile.Replace(path, append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("write ready file: %w", err)
	}
	return nil
}

// ReadReady reads a ready file. If there is none yet, the error has the code [exit.Unavailable].
func ReadReady(path string) (Ready, error) {
	content, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Ready{}, exit.Errorf(exit.Unavailable, "read ready file: %w; is the network running?", err)
	case err != nil:
		return Ready{}, exit.Errorf(exit.BadConfig, "read ready file: %w", err)
	}
	var ready Ready
	if err := json.Unmarshal(content, &ready); err != nil || len(ready.Nodes) == 0 {
		return Ready{}, exit.Errorf(exit.BadConfig, "%s is no ready file; name the one that the network was told to write with --ready-file", path)
	}
	return ready, nil
}
