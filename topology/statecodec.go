package topology

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/synod-network/synod/internal/canon"
)

const (
	tagState   = "synod/topology/state/1\x00"
	tagVersion = "synod/topology/version/1\x00"
)

var errState = errors.New("no state encodes like this")

// chain binds a version to all versions before it.
func chain(last Digest, v version) Digest {
	w := newWriter([]byte(tagVersion))
	w.Bytes(last[:])
	w.U32(uint32(v.serial))
	v.encode(&w)
	return sha256.Sum256(w.Buf)
}

func (v version) encode(w *writer) {
	w.Bool(v.removed)
	w.time(v.sequenced)
	w.time(v.effective)
	w.time(v.spent)
	encodeMapping(w, v.mapping)
}

func decodeVersion(r *reader) version {
	return version{removed: r.Bool(), sequenced: r.time(), effective: r.time(), spent: r.time(), mapping: decodeMapping(r)}
}

// Digest identifies the network and every change that was ever accepted, with its times. Pruning does not change it, so
// nodes that keep more or less compare equal.
func (s *State) Digest() Digest {
	w := newWriter([]byte(tagState))
	s.encodeHead(&w)
	w.Bytes(s.tree.root.hash())
	return sha256.Sum256(w.Buf)
}

func (s *State) encodeHead(w *writer) {
	w.Bytes(s.network[:])
	w.Bytes(s.genesis[:])
	w.uid(s.synchronizer)
	w.time(s.sequenced)
	w.time(s.effective)
}

// Encode returns the state as a newcomer needs it from a time on: [DecodeState] gives a state that answers as this one does
// for that time and any later. The bytes depend on what was accepted and on from, not on what else the node kept, so that
// all nodes make the same. It fails with [ErrPruned] if the node kept less.
func (s *State) Encode(from Time) ([]byte, error) {
	if !s.founded || from < s.floor {
		return nil, ErrPruned
	}
	var w writer
	s.encodeHead(&w)
	w.time(from)
	w.U32(uint32(len(s.order)))
	for _, key := range s.order {
		s.histories.at(key).encode(&w, from)
	}
	return w.Buf, nil
}

func (h *history) encode(w *writer, from Time) {
	skip := h.forgettable(from)
	forgot := h.forgot
	if skip > 0 {
		forgot = h.chains[skip-1]
	}
	kept := h.versions[skip:]
	w.U32(uint32(kept[0].serial))
	w.Bytes(forgot[:])
	w.U32(uint32(len(kept)))
	for _, v := range kept {
		v.encode(w)
	}
}

// The least sizes of an encoded version and history, in bytes.
const (
	sizeVersion = 1 + 8 + 8 + 8 + 1 + sizeUID
	sizeHistory = 4 + 32 + 4 + sizeVersion
)

// DecodeState reads what [State.Encode] writes. A state is believed for its digest: want comes from what a quorum signed.
func DecodeState(b []byte, want Digest) (*State, error) {
	s, err := decodeState(b)
	if err != nil {
		return nil, fmt.Errorf("decode topology state: %w", err)
	}
	if got := s.Digest(); got != want {
		return nil, fmt.Errorf("decode topology state: its digest is %s, want %s: fetch it from somebody else", got, want)
	}
	return s, nil
}

func decodeState(b []byte) (*State, error) {
	r := newReader(b)
	s := newState(r.bytes32(), r.bytes32(), r.uid())
	s.sequenced, s.effective, s.floor = r.time(), r.time(), r.time()
	n := int(r.U32())
	if n > len(r.Buf)/sizeHistory {
		r.Fail(canon.ErrTooMany)
	}
	for i := 0; i < n && r.Err == nil; i++ {
		s.adopt(decodeHistory(&r, s.floor), &r)
	}
	if s.synchronizer.check() != nil {
		r.Fail(errState)
	}
	return s, r.Done()
}

// adopt adds a history that must follow those before.
func (s *State) adopt(h *history, r *reader) {
	if r.Err != nil {
		return
	}
	if n := len(s.order); n > 0 && s.order[n-1].Compare(h.key) >= 0 || h.newest().effective > s.effective {
		r.Fail(errState)
		return
	}
	s.histories.set(h.key, h)
	s.order = append(s.order, h.key)
	s.tree.set(h.key, h.chains[len(h.chains)-1])
	if v := h.newest(); !v.removed {
		s.index(v.mapping)
	}
	s.holdNewest(h, true)
}

func decodeHistory(r *reader, floor Time) *history {
	serial := Serial(r.U32())
	h := &history{forgot: r.bytes32()}
	n := int(r.U32())
	if n < 1 || n > len(r.Buf)/sizeVersion {
		r.Fail(canon.ErrTooMany)
	}
	for i := 0; i < n && r.Err == nil; i++ {
		v := decodeVersion(r)
		v.serial = serial + Serial(i)
		if r.Err == nil {
			h.adopt(v, r)
		}
	}
	if r.Err == nil && !h.complete(floor) {
		r.Fail(errState)
	}
	return h
}

// adopt adds a version that must follow those before.
func (h *history) adopt(v version, r *reader) {
	if v.mapping.check() != nil {
		r.Fail(errState)
		return
	}
	key := v.mapping.Key()
	if len(h.versions) > 0 && (key != h.key || v.effective < h.newest().effective) {
		r.Fail(errState)
		return
	}
	h.key = key
	h.add(v)
}

// complete reports whether the history answers for every time from floor on, and holds nothing older. Otherwise somebody
// left a version out, which the digest cannot tell from pruning.
func (h *history) complete(floor Time) bool {
	first := h.versions[0]
	whole := first.serial == 1 && h.forgot == Digest{}
	pruned := first.serial > 1 && first.effective <= floor
	return (whole || pruned) && h.forgettable(floor) == 0
}
