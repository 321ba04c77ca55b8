package history

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"

	"github.com/synod-network/synod/internal/openfiles"
)

// fail makes the store unusable after the first error of the disk while writing.
func (s *Store) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return
	}
	advice := "free or repair the disk and start again"
	if openfiles.Exhausted(err) {
		advice = openfiles.Advice(err)
	}
	s.failure = fmt.Errorf("%w: %s: %w; %s", ErrFailed, s.opts.Dir, err, advice)
}

func (s *Store) failed() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.failure
}

// recovered turns a panic into an error: Pebble panics when it cannot write its own
// log, a full disk included.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("index gave up: %v", r)
	}
}

// commit writes a state, and what fill adds, in one batch. The caller holds write
// and not mu, or is alone.
func (s *Store) commit(st state, fill func(*pebble.Batch) error, sync bool) (err error) {
	defer recovered(&err)
	b := s.db.NewBatch()
	defer func() { _ = b.Close() }()
	if err := fill(b); err != nil {
		return err
	}
	if err := b.Set(stateKey(), st.encode(), nil); err != nil {
		return err
	}
	return b.Commit(&pebble.WriteOptions{Sync: sync})
}

// get returns a copy of a row.
func (s *Store) get(key []byte) (value []byte, found bool, err error) {
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, s.unreadable(fmt.Sprintf("row %x", key), err)
	}
	value = bytes.Clone(v)
	return value, true, closer.Close()
}

// unreadable says what could not be read of the index.
func (s *Store) unreadable(what string, err error) error {
	if pebble.IsCorruptionError(err) {
		return fmt.Errorf("%w: %s of the index in %s: %w", ErrCorrupt, what, s.opts.Dir, err)
	}
	return fmt.Errorf("read %s of the index in %s: %w", what, s.opts.Dir, err)
}

// indexLog passes the database's few errors on and drops its talk.
type indexLog struct {
	log  *slog.Logger
	fail func(error)
}

func (l indexLog) Infof(format string, args ...any) {
	l.log.Debug("history index", "text", fmt.Sprintf(format, args...))
}

func (l indexLog) Errorf(format string, args ...any) {
	l.log.Warn("history index", "text", fmt.Sprintf(format, args...))
}

// Fatalf is called when the database cannot go on. By its contract it ends the
// process; here it ends the store.
func (l indexLog) Fatalf(format string, args ...any) { l.fail(fmt.Errorf(format, args...)) }
