package bft

import "slices"

// vertex is an accepted block: all its ancestors above the garbage collection
// round are accepted too.
type vertex struct {
	head *Head
	// parents corresponds to head.Parents; nil where the parent is a root or
	// lay at or below the garbage collection round.
	parents []*vertex
	// commit is the commit that contains the block, 0 if none does yet.
	commit CommitIndex
	// median is the median timestamp of the parents in the round before, and
	// higher the author's newest earlier block with a higher one, if known.
	median Time
	higher *vertex
	// mark is the number of the last traversal that came by.
	mark uint64
}

// vote returns the reference of the block that the vertex votes for in the
// slot of the round before, led by leader.
func (v *vertex) vote(leader Author) (Ref, bool) {
	for _, p := range v.head.Parents {
		if p.Author == leader {
			return p, p.Round+1 == v.head.Round
		}
	}
	return Ref{}, false
}

// layer is one round of the DAG.
type layer struct {
	// first is the first accepted block of each author; variants are the
	// others of authors that equivocate.
	first    []*vertex
	variants []*vertex
	// authors counts the entries of first.
	authors int
}

// dag holds the accepted blocks of an epoch above the garbage collection
// round.
type dag struct {
	n      int
	quorum int
	start  Time  // the timestamp of roots
	depth  Round // how far back an author's blocks count for its allowance
	gc     Round // blocks up to this round are forgotten
	layers []layer
	// byRef is keyed by the whole reference: a digest alone would let a lying
	// parent reference pass one block off as another author's or round's.
	byRef map[Ref]*vertex
	size  int
	// complete is the newest round in which a quorum of authors has blocks; 0
	// at the start of an epoch, when all have their roots.
	complete Round
	// newest is each author's block of the highest round.
	newest []*vertex
	// shunned authors have provably broken a rule. Their blocks are accepted
	// where others built on them, and never newly built upon.
	shunned []bool
	marks   uint64
}

func newDAG(c *Committee) dag {
	n := c.Size()
	return dag{n: n, quorum: c.Quorum(), start: c.Start, depth: c.Params.GCDepth, byRef: map[Ref]*vertex{}, newest: make([]*vertex, n), shunned: make([]bool, n)}
}

// top returns the highest round with an accepted block.
func (d *dag) top() Round { return d.gc + Round(len(d.layers)) }

// layer returns a round's layer, or nil outside the rounds held.
func (d *dag) layer(r Round) *layer {
	if r <= d.gc || r > d.top() {
		return nil
	}
	return &d.layers[r-d.gc-1]
}

// blocks calls yield for all accepted blocks of a round, first variants first,
// by author.
func (d *dag) blocks(r Round, yield func(*vertex) bool) {
	l := d.layer(r)
	if l == nil {
		return
	}
	for _, v := range l.first {
		if v != nil && !yield(v) {
			return
		}
	}
	for _, v := range l.variants {
		if !yield(v) {
			return
		}
	}
}

// has reports whether a reference counts as accepted.
func (d *dag) has(r Ref) bool { return r.Round <= d.gc || d.byRef[r] != nil }

// insert adds a block whose parents all count as accepted, and returns the
// author's earlier block of the same round if there is one.
func (d *dag) insert(h *Head) (v, earlier *vertex) {
	v = &vertex{head: h, parents: make([]*vertex, len(h.Parents))}
	for i, p := range h.Parents {
		v.parents[i] = d.byRef[p]
	}
	v.median = d.medianOf(&h.Header, v.parents)
	v.higher = v.parents[0]
	for v.higher != nil && v.higher.median <= v.median {
		v.higher = v.higher.higher
	}
	for d.top() < h.Round {
		d.layers = append(d.layers, layer{first: make([]*vertex, d.n)})
	}
	l := d.layer(h.Round)
	d.byRef[h.Ref()] = v
	d.size++
	if earlier = l.first[h.Author]; earlier != nil {
		l.variants = append(l.variants, v)
		return v, earlier
	}
	l.first[h.Author] = v
	l.authors++
	if n := d.newest[h.Author]; n == nil || n.head.Round < h.Round {
		d.newest[h.Author] = v
	}
	d.completeRounds()
	return v, nil
}

func (d *dag) completeRounds() {
	for {
		l := d.layer(d.complete + 1)
		if l == nil || l.authors < d.quorum {
			return
		}
		d.complete++
	}
}

// newestBefore returns an author's newest block of a round before r that its
// newest block descends from, nil if there is none that is still held.
func (d *dag) newestBefore(a Author, r Round) *vertex {
	v := d.newest[a]
	for v != nil && v.head.Round >= r {
		v = v.parents[0]
	}
	if v == nil || v.head.Round <= d.gc {
		return nil
	}
	return v
}

// grounded reports whether a quorum of the newest complete round can be built
// on. It cannot where only garbage collection vouches for that round.
func (d *dag) grounded() bool {
	l := d.layer(d.complete)
	return d.complete == 0 || l != nil && l.authors >= d.quorum
}

// shun stops building on an author's blocks, except where a quorum cannot do
// without: rounds that were complete stay so, or a member exposed after the
// fact could leave honest ones with nothing to build on.
func (d *dag) shun(a Author) { d.shunned[a] = true }

// collect forgets the blocks up to a round and calls dropped for each.
func (d *dag) collect(to Round, dropped func(*vertex)) {
	for d.gc < to && len(d.layers) > 0 {
		d.blocks(d.gc+1, func(v *vertex) bool {
			delete(d.byRef, v.head.Ref())
			v.parents, v.higher = nil, nil // cut the chain that would keep all history alive
			d.size--
			dropped(v)
			return true
		})
		d.layers = d.layers[1:]
		d.gc++
	}
	d.gc = max(d.gc, to)
	d.complete = max(d.complete, d.gc)
	if cap(d.layers) > 4*len(d.layers)+64 {
		d.layers = slices.Clone(d.layers)
	}
}

// history calls yield once for every accepted ancestor of v, v included, that
// descend admits; it looks no further below those that descend refuses.
func (d *dag) history(v *vertex, descend func(*vertex) bool, yield func(*vertex)) {
	d.marks++
	stack := []*vertex{v}
	v.mark = d.marks
	for len(stack) > 0 {
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if !descend(v) {
			continue
		}
		yield(v)
		for _, p := range v.parents {
			if p != nil && p.mark != d.marks {
				p.mark = d.marks
				stack = append(stack, p)
			}
		}
	}
}
