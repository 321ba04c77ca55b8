// Package memory is the store of a sidecar that is told to keep no events (disable_event_persistence). What it keeps, in one small
// file, is where numbering and the nodes' streams stand, so that ids are not used twice and a restart reads the nodes from where
// it left off.
//
// Numbers are reserved in the file ahead of their use. Positions are written at most once a second: after a kill, events of the last
// second may be read and passed on a second time, but none is passed over.
package memory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
)

// Store implements [log.Store].
type Store struct {
	path   string
	layout log.Layout

	mu       sync.Mutex
	file     file
	reserved event.Seq // what the file on disk says
	written  time.Time
	totals   log.Totals
}

// file is what is on disk.
type file struct {
	Next      event.Seq  `json:"next"`
	InForce   string     `json:"api_version"`
	Positions []position `json:"positions"`
	positions map[event.Origin]uint32
}

type position struct {
	Node   string       `json:"node"`
	Filter event.Filter `json:"filter"`
	ID     uint32       `json:"id"`
}

const (
	ahead      = 1000
	writeEvery = time.Second
)

// Open reads the file in a directory, if it is there.
func Open(dir string, layout log.Layout) (*Store, error) {
	s := &Store{path: filepath.Join(dir, "synod-state.json"), layout: layout, file: file{positions: make(map[event.Origin]uint32)}}
	content, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &s.file)
	}
	if err != nil {
		return nil, fmt.Errorf("read where numbering stands: %w; if %s is lost for good, remove it: ids then begin at 0 again", err, s.path)
	}
	for _, p := range s.file.Positions {
		s.file.positions[event.Origin{Node: p.Node, Filter: p.Filter}] = p.ID
	}
	s.reserved = s.file.Next
	return s, nil
}

// State implements [log.Store].
func (s *Store) State(context.Context, int) (log.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return log.State{Next: s.file.Next, APIVersion: s.file.InForce, Positions: maps.Clone(s.file.positions)}, nil
}

// Commit implements [log.Store]. It knows no duplicates but those that the log has found.
func (s *Store) Commit(ctx context.Context, group []*log.Entry, next event.Seq) (event.Seq, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range group {
		if !e.Duplicate {
			if !e.Fixed {
				e.Seq = next
				next++
			}
			s.totals.Events++
			s.totals.Bytes += int64(len(e.Body))
		}
	}
	if next > s.reserved {
		if err := s.write(next + ahead); err != nil {
			return 0, err
		}
	}
	s.file.Next = max(s.file.Next, next)
	for _, e := range group {
		s.file.InForce = e.InForce
		if e.HasID {
			s.file.positions[e.Origin] = e.ID
		}
	}
	if time.Since(s.written) > writeEvery {
		if err := s.write(max(s.reserved, next)); err != nil {
			return 0, err
		}
	}
	return next, nil
}

// write makes the file say a next number. The caller holds mu.
func (s *Store) write(next event.Seq) error {
	on := file{Next: next, InForce: s.file.InForce}
	for origin, id := range s.file.positions {
		on.Positions = append(on.Positions, position{origin.Node, origin.Filter, id})
	}
	content, err := json.Marshal(on)
	if err != nil {
		return err
	}
	if err := replace(s.path, content); err != nil {
		return fmt.Errorf("write where numbering stands: %w", err)
	}
	s.reserved, s.written = next, time.Now()
	return nil
}

// replace writes a file so that a crash leaves the old or the new one.
func replace(path string, content []byte) error {
	draft, err := os.Create(path + ".draft")
	if err != nil {
		return err
	}
	_, err = draft.Write(content)
	if err == nil {
		err = draft.Sync()
	}
	if err = errors.Join(err, draft.Close()); err != nil {
		return err
	}
	return os.Rename(path+".draft", path)
}

// Close implements [log.Store].
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(s.file.Next)
}

// Prune implements [log.Store]: there is nothing to remove.
func (*Store) Prune(context.Context, log.Retention, int) (int, error) { return 0, nil }

// Ping implements [log.Store].
func (*Store) Ping(context.Context) error { return nil }

// Totals implements [log.Store]: what went through since the start.
func (s *Store) Totals(context.Context) (log.Totals, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.totals, nil
}

// Layout implements [log.Reader].
func (s *Store) Layout() log.Layout { return s.layout }

// After implements [log.History]: nothing is kept.
func (*Store) After(context.Context, event.Seq, int, int) ([]event.Numbered, error) { return nil, nil }

// LatestBlock and the methods below implement [log.Reader]: nothing is kept.
func (*Store) LatestBlock(context.Context) (log.Found, error) { return log.Found{}, log.ErrNotFound }

// BlockByHash finds nothing.
func (*Store) BlockByHash(context.Context, string) (log.Found, error) {
	return log.Found{}, log.ErrNotFound
}

// BlockByHeight finds nothing.
func (*Store) BlockByHeight(context.Context, uint64) (log.Found, error) {
	return log.Found{}, log.ErrNotFound
}

// Deploy finds nothing.
func (*Store) Deploy(context.Context, event.Kind, string, string) (log.Found, error) {
	return log.Found{}, log.ErrNotFound
}

// FaultsByKey finds nothing.
func (*Store) FaultsByKey(context.Context, string) ([]log.Found, error) { return nil, nil }

// FaultsByEra finds nothing.
func (*Store) FaultsByEra(context.Context, uint64) ([]log.Found, error) { return nil, nil }

// Signatures finds nothing.
func (*Store) Signatures(context.Context, string) ([]log.Found, error) { return nil, nil }

// Step finds nothing.
func (*Store) Step(context.Context, uint64) (log.Found, error) { return log.Found{}, log.ErrNotFound }
