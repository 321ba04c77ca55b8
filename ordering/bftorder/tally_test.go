package bftorder_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/replica"
)

// tally is an application that counts, and keeps the committee as it is. It keeps its state in a file. Its state may have
// ballast: pieces that never change.
type tally struct {
	members []bft.PublicKey
	params  bft.Params
	file    string

	blocks   uint64
	requests uint64
	last     bft.Digest
	ballast  tallyState
}

var _ replica.Application = (*tally)(nil)

func newTally(genesis *bft.Committee, dir string) *tally {
	return &tally{members: genesis.Members, params: genesis.Params, file: filepath.Join(dir, "tally")}
}

// tallyState is a snapshot in pieces; its manifest lists their digests.
type tallyState [][]byte

// tallyPiece is the size of a piece in bytes.
const tallyPiece = 16

func (t *tally) state() tallyState {
	b := binary.BigEndian.AppendUint64(nil, t.blocks)
	b = binary.BigEndian.AppendUint64(b, t.requests)
	return append(slices.Collect(slices.Chunk(append(b, t.last[:]...), tallyPiece)), t.ballast...)
}

func (s tallyState) Manifest() (m []byte) {
	for _, p := range s {
		d := sha256.Sum256(p)
		m = append(m, d[:]...)
	}
	return m
}

func (s tallyState) Count() int                  { return len(s) }
func (s tallyState) Piece(i int) ([]byte, error) { return s[i], nil }

func (t *tally) Start() (bft.CommitIndex, replica.Snapshot, error) {
	data, err := os.ReadFile(t.file)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil, nil
	}
	if err == nil {
		err = t.set(data)
	}
	return bft.CommitIndex(t.blocks), t.state(), err
}

func (t *tally) set(data []byte) error {
	const counts = 8 + 8 + len(t.last)
	if len(data) < counts || len(data)%tallyPiece != 0 {
		return fmt.Errorf("the state of the tally has %d bytes", len(data))
	}
	t.blocks, t.requests = binary.BigEndian.Uint64(data), binary.BigEndian.Uint64(data[8:])
	copy(t.last[:], data[16:])
	t.ballast = slices.Collect(slices.Chunk(data[counts:], tallyPiece))
	return nil
}

func (t *tally) Apply(b ordering.Block) error {
	if uint64(b.Height) != t.blocks+1 || b.Previous != t.last {
		return fmt.Errorf("block %d does not follow %d", b.Height, t.blocks)
	}
	t.blocks++
	t.requests += uint64(b.RequestCount())
	t.last = b.Digest
	return nil
}

func (t *tally) EndEpoch() (replica.Ended, error) {
	s := t.state()
	return replica.Ended{State: sha256.Sum256(s.Manifest()), Members: t.members, Params: t.params, Snapshot: s}, nil
}

func (t *tally) Keep(s replica.Snapshot) error {
	draft := t.file + ".draft"
	if err := os.WriteFile(draft, slices.Concat(s.(tallyState)...), 0o600); err != nil {
		return err
	}
	return os.Rename(draft, t.file)
}

// tallyPieces are the digests of a manifest.
type tallyPieces []bft.Digest

func (p tallyPieces) Count() int          { return len(p) }
func (p tallyPieces) ID(i int) bft.Digest { return p[i] }
func (p tallyPieces) Check(i int, data []byte) error {
	if sha256.Sum256(data) != p[i] {
		return errors.New("not the piece")
	}
	return nil
}

func (t *tally) Verify(state bft.Digest, manifest []byte) (replica.Pieces, error) {
	if sha256.Sum256(manifest) != state {
		return nil, errors.New("not the manifest")
	}
	var list tallyPieces
	for d := range slices.Chunk(manifest, 32) {
		list = append(list, bft.Digest(d))
	}
	return list, nil
}

func (t *tally) Install(manifest []byte, piece func(int) ([]byte, error)) (replica.Snapshot, error) {
	var s tallyState
	for i := range len(manifest) / 32 {
		data, err := piece(i)
		if err != nil {
			return nil, err
		}
		s = append(s, data)
	}
	if err := t.set(slices.Concat(s...)); err != nil {
		return nil, err
	}
	return s, t.Keep(s)
}
