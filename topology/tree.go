package topology

import "crypto/sha256"

// tree is a Merkle tree over the histories. A leaf lies where the digest of its key leads, bit by bit, as far up as no
// other leaf is below. So the shape is a function of what is in the tree, whatever order it came in, and a change costs
// as many hashes as the leaf is deep, about the logarithm of their number.
//
// Two different contents with one root would be a collision of SHA-256, with no further assumption such as sums or
// products of digests need: unfold both trees from the root. Where the digests are equal, either the hashed bytes are
// equal, and so is what is below, or they are a collision. Leaves and inner nodes begin with different bytes, nothing is
// the digest of zeros only, and a leaf holds its path and the end of its history's chain, which unfolds in the same way.
type tree struct{ root *node }

type node struct {
	digest Digest
	// Of a leaf.
	path, value Digest
	// Of an inner node; a child may be nil.
	inner bool
	child [2]*node
}

const (
	tagLeaf  = 0
	tagInner = 1
	tagPath  = "synod/topology/key/1\x00"
)

func pathOf(key Key) Digest {
	w := newWriter([]byte(tagPath))
	w.U8(uint8(key.Kind))
	w.Bytes([]byte(key.Subject))
	return sha256.Sum256(w.Buf)
}

// set gives the key a value.
func (t *tree) set(key Key, value Digest) {
	t.root = t.root.set(pathOf(key), value, 0)
}

func (n *node) set(path, value Digest, depth int) *node {
	switch {
	case n == nil || !n.inner && n.path == path:
		n = &node{path: path, value: value}
	case !n.inner:
		above := &node{inner: true}
		above.child[n.path.bit(depth)] = n
		n = above
		fallthrough
	default:
		b := path.bit(depth)
		n.child[b] = n.child[b].set(path, value, depth+1)
	}
	n.digest = n.sum()
	return n
}

func (n *node) sum() Digest {
	var w writer
	if n.inner {
		w.U8(tagInner)
		for _, c := range n.child {
			w.Bytes(c.hash())
		}
	} else {
		w.U8(tagLeaf)
		w.Bytes(n.path[:])
		w.Bytes(n.value[:])
	}
	return sha256.Sum256(w.Buf)
}

// hash is 32 zeros for what is not there.
func (n *node) hash() []byte {
	if n == nil {
		return make([]byte, len(Digest{}))
	}
	return n.digest[:]
}

func (d Digest) bit(i int) int { return int(d[i/8]>>(7-i%8)) & 1 }
