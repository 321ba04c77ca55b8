package sequencing

import (
	"crypto/sha256"
	"slices"
)

// arity is how many children a node of a hash tree has.
const arity = 16

// tree hashes a growing list of leaves. After a change only the way from the leaf
// to the root is hashed again.
type tree struct {
	levels [][]Digest // 0: the leaves
	dirty  []int      // leaves changed since the last root, with repetitions
}

func (t *tree) set(leaf int, d Digest) {
	if len(t.levels) == 0 {
		t.levels = make([][]Digest, 1)
	}
	if leaf == len(t.levels[0]) {
		t.levels[0] = append(t.levels[0], d)
	} else {
		t.levels[0][leaf] = d
	}
	t.dirty = append(t.dirty, leaf)
}

// root returns the digest of all leaves; zero if there are none.
func (t *tree) root() Digest {
	if len(t.levels) == 0 {
		return Digest{}
	}
	slices.Sort(t.dirty)
	for level := 0; len(t.levels[level]) > 1 || level == 0; level++ {
		if level+1 == len(t.levels) {
			t.levels = append(t.levels, nil)
		}
		last := -1
		up := t.dirty[:0]
		for _, child := range t.dirty {
			if node := child / arity; node != last {
				t.rehash(level, node)
				up, last = append(up, node), node
			}
		}
		t.dirty = up
	}
	t.dirty = t.dirty[:0]
	return t.levels[len(t.levels)-1][0]
}

// rehash computes the parent of up to arity nodes of a level. The level is hashed
// too, so that no inner node can pass for a leaf.
func (t *tree) rehash(level, node int) {
	children := t.levels[level][node*arity : min((node+1)*arity, len(t.levels[level]))]
	var buf [len(domainNode) + 1 + arity*len(Digest{})]byte
	n := copy(buf[:], domainNode)
	buf[n] = byte(level)
	n++
	for i := range children {
		n += copy(buf[n:], children[i][:])
	}
	up := t.levels[level+1]
	for node >= len(up) {
		up = append(up, Digest{})
	}
	up[node] = sha256.Sum256(buf[:n])
	t.levels[level+1] = up
}
