package store

import (
	"errors"
	"fmt"

	"github.com/synod-network/synod/bft"
)

var _ bft.Archive = (*Store)(nil)

// Block implements bft.Archive. The result's payload is the caller's.
func (s *Store) Block(epoch bft.Epoch, ref bft.Ref) (*bft.UnverifiedBlock, bool) {
	u, err := s.block(epoch, ref)
	return u, s.found(err)
}

func (s *Store) block(epoch bft.Epoch, ref bft.Ref) (*bft.UnverifiedBlock, error) {
	l, err := s.locate(blockKey(epoch, ref))
	if err != nil {
		return nil, err
	}
	b, err := s.read(l, 0, int(l.head)+int(l.tail))
	if err != nil {
		return nil, err
	}
	if checksum(b[:l.head]) != l.headSum || checksum(b[l.head:]) != l.tailSum {
		return nil, damaged(l)
	}
	u, err := bft.DecodeBlock(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", damaged(l), err)
	}
	if u.Digest() != ref.Digest {
		return nil, damaged(l)
	}
	return &u, nil
}

// Payload returns the payload of a block, in memory of its own. Its error is ErrNotFound or ErrCorrupt, or the file
// system's.
func (s *Store) Payload(epoch bft.Epoch, ref bft.Ref) ([]byte, error) {
	b, err := s.payload(epoch, ref)
	if err != nil {
		return nil, fmt.Errorf("payload of block %s of epoch %d: %w", ref, epoch, err)
	}
	return b, nil
}

func (s *Store) payload(epoch bft.Epoch, ref bft.Ref) ([]byte, error) {
	l, err := s.locate(blockKey(epoch, ref))
	if err != nil {
		return nil, err
	}
	b, err := s.read(l, int64(l.head), int(l.tail))
	if err != nil {
		return nil, err
	}
	if checksum(b) != l.tailSum {
		return nil, damaged(l)
	}
	return b, nil
}

// Has tells whether a block is stored.
func (s *Store) Has(epoch bft.Epoch, ref bft.Ref) bool {
	_, err := s.locate(blockKey(epoch, ref))
	return s.found(err)
}

// Refs implements bft.Archive. Blocks that are committed meanwhile may be missed.
func (s *Store) Refs(epoch bft.Epoch, above bft.Round, yield func(bft.Ref) bool) {
	if above+1 == 0 {
		return
	}
	lower, upper := roundKey(blockPoint{epoch, above + 1}), roundKey(blockPoint{epoch + 1, 0})
	s.found(s.index.scan(lower, upper, func(k, _ []byte) bool {
		_, ref := parseBlockKey(k)
		return yield(ref)
	}))
}

// Commit implements bft.Archive.
func (s *Store) Commit(i bft.CommitIndex) (*bft.Commit, bool) {
	c, err := s.CommitRecord(i)
	if !s.found(err) {
		return nil, false
	}
	return c.Commit, true
}

// CommitRecord returns a stored commit with the schedule in force after it. Its error is ErrNotFound or ErrCorrupt, or the
// file system's.
func (s *Store) CommitRecord(i bft.CommitIndex) (*bft.CommitRecord, error) {
	c, err := s.commitRecord(i)
	if err != nil {
		return nil, fmt.Errorf("commit %d: %w", i, err)
	}
	return c, nil
}

func (s *Store) commitRecord(i bft.CommitIndex) (*bft.CommitRecord, error) {
	if i < s.Lowest() {
		return nil, ErrNotFound
	}
	l, err := s.locate(commitKey(i))
	if err != nil {
		return nil, err
	}
	b, err := s.read(l, 0, int(l.head))
	if err != nil {
		return nil, err
	}
	if checksum(b) != l.headSum {
		return nil, damaged(l)
	}
	c, err := bft.DecodeCommitRecord(b, s.opts.Network)
	if err != nil || c.Index != i {
		return nil, errors.Join(damaged(l), err)
	}
	return c, nil
}

// LastCommit returns the commit with the highest index, or ErrNotFound if there is none.
func (s *Store) LastCommit() (*bft.CommitRecord, error) { return s.CommitRecord(s.Highest()) }

// Lowest implements bft.Archive; it is 0 before the first commit.
func (s *Store) Lowest() bft.CommitIndex { return s.index.snapshot().lowest }

// Highest implements bft.Archive; it is 0 before the first commit.
func (s *Store) Highest() bft.CommitIndex { return s.index.snapshot().highest }

// Handover implements bft.Archive.
func (s *Store) Handover(e bft.Epoch) (*bft.Handover, bool) {
	b, err := s.index.get(handoverKey(e))
	if !s.found(err) {
		return nil, false
	}
	h, err := bft.DecodeHandover(b)
	return h, s.found(err)
}

// LastHandover returns the hand-over of the latest epoch, or ErrNotFound if there is none.
func (s *Store) LastHandover() (*bft.Handover, error) {
	var h *bft.Handover
	err := s.index.last([]byte{prefixHandover}, []byte{prefixHandover + 1}, func(v []byte) (err error) {
		h, err = bft.DecodeHandover(v)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("last hand-over: %w", err)
	}
	return h, nil
}

// Evidence calls yield for every piece of evidence, encoded as bft.Evidence.Encode does, oldest first, until it returns
// false. The slice is valid during the call.
func (s *Store) Evidence(yield func(encoded []byte) bool) error {
	return s.index.scan([]byte{prefixEvidence}, []byte{prefixEvidence + 1}, func(_, v []byte) bool { return yield(v) })
}

// Meta returns the value set under a key, which the caller must not change, or ErrNotFound.
func (s *Store) Meta(key string) ([]byte, error) {
	b, err := s.index.get(metaKey(key))
	if err != nil {
		return nil, fmt.Errorf("value %q: %w", key, err)
	}
	return b, nil
}

func (s *Store) locate(key []byte) (location, error) {
	v, err := s.index.get(key)
	if err != nil {
		return location{}, err
	}
	return decodeLocation(v)
}

// read returns n bytes of a record. A location in a segment that was pruned since is ErrNotFound.
func (s *Store) read(l location, from int64, n int) ([]byte, error) {
	seg, err := s.segments.pin(l.segment)
	if err != nil {
		return nil, err
	}
	if seg == nil {
		return nil, ErrNotFound
	}
	defer s.segments.unpin(seg)
	b := make([]byte, n)
	if _, err := seg.file.ReadAt(b, l.offset+from); err != nil {
		return nil, fmt.Errorf("read %d bytes at %d of %s: %w", n, l.offset+from, seg.path, err)
	}
	return b, nil
}

func damaged(l location) error {
	return fmt.Errorf("%w: record at %d of segment %d does not match its checksum", ErrCorrupt, l.offset, l.segment)
}

// found turns an error into the archive's yes or no. An archive that cannot read something does not have it, as far as
// peers are concerned; the operator is told.
func (s *Store) found(err error) bool {
	if err != nil && !errors.Is(err, ErrNotFound) {
		s.readErrors.Add(1)
		s.log.Error("cannot read what was stored; check the disk", "dir", s.opts.Dir, "error", err)
	}
	return err == nil
}
