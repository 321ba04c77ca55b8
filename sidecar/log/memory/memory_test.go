package memory_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/logtest"
	"github.com/synod-network/synod/sidecar/log/memory"
)

func open(t *testing.T, dir string) *memory.Store {
	t.Helper()
	s, err := memory.Open(dir, log.V1)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestNumbersAreNotUsedAgain: after an orderly end they go on, after a kill they skip what was reserved.
func TestNumbersAreNotUsedAgain(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	known := logtest.Entries(logtest.Block(1), logtest.Block(1), logtest.Signature(3, 1, 1))
	known[1].Duplicate = true // as the log marked it
	if next, err := s.Commit(t.Context(), known, 0); err != nil || next != 2 || known[2].Seq != 1 {
		t.Fatalf("next %d, %v", next, err)
	}
	killed := open(t, dir) // the first was not closed
	if state, err := killed.State(t.Context(), 0); err != nil || state.Next < 2 {
		t.Errorf("after a kill: %+v, %v", state, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	state, err := open(t, dir).State(t.Context(), 0)
	if err != nil || state.Next != 2 || state.APIVersion != "1.5.3" || state.Positions[event.Origin{Node: logtest.Node, Filter: event.FilterSigs}] != 3 {
		t.Errorf("after an orderly end: %+v, %v", state, err)
	}
}

func TestKeepsNothing(t *testing.T) {
	s := open(t, t.TempDir())
	if _, err := s.Commit(t.Context(), logtest.Entries(logtest.Block(7)), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.BlockByHeight(t.Context(), 7); !errors.Is(err, log.ErrNotFound) {
		t.Error(err)
	}
	if got, err := s.After(t.Context(), 0, 10, 1000); len(got) != 0 || err != nil {
		t.Errorf("%d events, %v", len(got), err)
	}
	if totals, err := s.Totals(t.Context()); totals.Events != 1 || err != nil {
		t.Errorf("%+v, %v", totals, err)
	}
}

func TestTornFileIsSaid(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "synod-state.json"), []byte(`{"next":`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := memory.Open(dir, log.V1); err == nil || !strings.Contains(err.Error(), "read where numbering stands") {
		t.Error(err)
	}
}
