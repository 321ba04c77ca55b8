package history

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// PutSnapshot stores a snapshot of the machine in place of the one before. It is
// durable when PutSnapshot returns, and with it all that was appended up to there:
// a restart restores it and applies the blocks after it, which the history takes or
// skips. Chunks that did not change are not written again. It may run beside
// everything but Close; appending waits only for its end. A snapshot that is older
// than the one stored changes nothing; one of a block that was not appended is
// refused. Beside is what the owner keeps with it, of a few MiB at most. The error may
// match [ErrFailed].
func (s *Store) PutSnapshot(snapshot *sequencing.Snapshot, beside []byte) error {
	s.snapshots.Lock()
	defer s.snapshots.Unlock()
	if at := s.Position().Height; snapshot.Height > at {
		return fmt.Errorf("store snapshot after block %d: only blocks up to %d were appended", snapshot.Height, at)
	}
	if err := s.failed(); err != nil {
		return err
	}
	old, err := s.Snapshot()
	if err == nil {
		err = old.Close()
	}
	if err != nil && !errors.Is(err, ErrNoSnapshot) {
		return err
	}
	if err == nil && old.Height >= snapshot.Height {
		return nil
	}
	if err := s.putChunks(snapshot); err != nil {
		return s.final(err)
	}
	s.write.Lock()
	defer s.write.Unlock()
	return s.final(s.checkpoint(true, func(b *pebble.Batch) error { return s.putManifest(b, snapshot, beside) }))
}

// putChunks writes the chunks that are not there. Until the manifest is, nothing
// refers to them.
func (s *Store) putChunks(snapshot *sequencing.Snapshot) (err error) {
	defer recovered(&err)
	for i, digest := range chunks(snapshot.Manifest) {
		_, closer, err := s.db.Get(chunkKey(digest))
		if err == nil {
			if err := closer.Close(); err != nil {
				return err
			}
			continue
		}
		if !errors.Is(err, pebble.ErrNotFound) {
			return s.unreadable("snapshot", err)
		}
		if err := s.db.Set(chunkKey(digest), snapshot.Chunk(i), pebble.NoSync); err != nil {
			return fmt.Errorf("store chunk %d of snapshot: %w", i, err)
		}
	}
	return nil
}

// putManifest names the chunks that count, and deletes the others.
func (s *Store) putManifest(b *pebble.Batch, snapshot *sequencing.Snapshot, beside []byte) error {
	wanted := map[sequencing.Digest]bool{}
	for _, digest := range chunks(snapshot.Manifest) {
		wanted[digest] = true
	}
	iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixChunk}, UpperBound: []byte{prefixChunk + 1}})
	if err != nil {
		return s.unreadable("snapshot", err)
	}
	for valid := iter.First(); valid && err == nil; valid = iter.Next() {
		if key := iter.Key(); len(key) != 1+len(sequencing.Digest{}) || !wanted[sequencing.Digest(key[1:])] {
			err = b.Delete(key, nil)
		}
	}
	if err := errors.Join(err, iter.Close()); err != nil {
		return s.unreadable("snapshot", err)
	}
	if err := b.Set(besideKey(), beside, nil); err != nil {
		return err
	}
	return b.Set(snapshotKey(), snapshot.Encode(), nil)
}

// chunks are the digests of a snapshot's chunks in order.
func chunks(m sequencing.Manifest) []sequencing.Digest {
	return append(append(make([]sequencing.Digest, 0, m.Chunks()), m.Members...), m.InFlight...)
}

// Snapshot is a stored snapshot of the state. It stays as it is, whatever is stored
// meanwhile, until Close.
type Snapshot struct {
	sequencing.Manifest
	store *Store
	at    *pebble.Snapshot
}

// Snapshot opens the newest snapshot that was stored. The error matches
// [ErrNoSnapshot] if there is none.
func (s *Store) Snapshot() (*Snapshot, error) {
	snapshot := &Snapshot{store: s, at: s.db.NewSnapshot()}
	value, err := snapshot.get(snapshotKey())
	if errors.Is(err, pebble.ErrNotFound) {
		err = ErrNoSnapshot
	} else if err == nil {
		if snapshot.Manifest, err = sequencing.DecodeManifest(value); err != nil {
			err = fmt.Errorf("%w: row %x of the index in %s: %w", ErrCorrupt, snapshotKey(), s.opts.Dir, err)
		}
	}
	if at := s.Position().Height; err == nil && snapshot.Height > at {
		err = fmt.Errorf("%w: the snapshot in %s is that of block %d, but events are there up to %d", ErrCorrupt, s.opts.Dir, snapshot.Height, at)
	}
	if err != nil {
		return nil, errors.Join(err, snapshot.Close())
	}
	return snapshot, nil
}

// Beside returns what was stored with the snapshot.
func (s *Snapshot) Beside() ([]byte, error) { return s.get(besideKey()) }

// Chunk returns one chunk, as [sequencing.Restore] asks for it. The error matches
// [ErrCorrupt] if it is gone.
func (s *Snapshot) Chunk(i int) ([]byte, error) {
	key := chunkKey(chunks(s.Manifest)[i])
	value, err := s.get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, fmt.Errorf("%w: chunk %d of the snapshot, row %x of the index in %s, is gone", ErrCorrupt, i, key, s.store.opts.Dir)
	}
	return value, err
}

func (s *Snapshot) get(key []byte) ([]byte, error) {
	value, closer, err := s.at.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, pebble.ErrNotFound
	}
	if err != nil {
		return nil, s.store.unreadable(fmt.Sprintf("row %x", key), err)
	}
	value = append([]byte(nil), value...)
	return value, closer.Close()
}

// Close ends the use of the snapshot.
func (s *Snapshot) Close() error { return s.at.Close() }
