package tx

import "slices"

// part is a node of a transaction whose rollbacks are in normal form: an action, or a rollback of parts.
type part struct {
	action   NodeID // in the transaction before; counts if rolled is nil
	rolled   []part // neither first nor last is a rollback
	isRolled bool
}

// normalize renumbers nodes and brings rollbacks into the form that all who see a part of the transaction agree on: none is
// empty, begins with a rollback, or ends with one.
//
// Children have greater ids than their parents, so walking the ids backwards handles children first, whatever the depth.
func normalize(nodes []Node, roots []NodeID, seeds []Hash) *Transaction {
	parts := make([][]part, len(nodes)) // of what became of each node, or of what is below it for exercises
	gather := func(ids []NodeID) (all []part) {
		for _, id := range ids {
			if _, rollback := nodes[id].(*Rollback); rollback {
				all = append(all, parts[id]...)
			} else {
				all = append(all, part{action: id})
			}
		}
		return all
	}
	for id := len(nodes) - 1; id >= 0; id-- {
		switch n := nodes[id].(type) {
		case *Rollback:
			parts[id] = rollBack(gather(n.Children))
		case *Exercise:
			parts[id] = gather(n.Children)
		}
	}
	w := renumbering{nodes: nodes, seeds: seeds, below: parts, out: &Transaction{}}
	w.run(gather(roots))
	return w.out
}

// rollBack returns what stands for a rollback of parts.
func rollBack(parts []part) (result []part) {
	for len(parts) > 0 {
		first, last := parts[0], parts[len(parts)-1]
		switch {
		case first.isRolled: // the rollback inside can stand before
			result = append(result, first)
			parts = parts[1:]
			continue
		case last.isRolled: // the rollback inside can become one with this
			parts = slices.Concat(parts[:len(parts)-1], last.rolled)
		}
		return append(result, part{rolled: parts, isRolled: true})
	}
	return result
}

type renumbering struct {
	nodes []Node
	seeds []Hash
	below [][]part
	out   *Transaction
}

// run writes nodes in depth-first order.
func (w *renumbering) run(roots []part) {
	type open struct {
		todo  []part
		owner NodeID // in the new transaction; -1 for the roots
	}
	stack := []open{{roots, -1}}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if len(top.todo) == 0 {
			stack = stack[:len(stack)-1]
			continue
		}
		next := top.todo[0]
		top.todo = top.todo[1:]
		id := NodeID(len(w.out.Nodes))
		w.attach(top.owner, id)
		if next.isRolled {
			w.add(&Rollback{}, Hash{})
			stack = append(stack, open{next.rolled, id})
			continue
		}
		n := w.nodes[next.action]
		if e, ok := n.(*Exercise); ok {
			e.Children = nil
			stack = append(stack, open{w.below[next.action], id})
		}
		w.add(n, w.seeds[next.action])
	}
}

func (w *renumbering) add(n Node, seed Hash) {
	w.out.Nodes = append(w.out.Nodes, n)
	w.out.Seeds = append(w.out.Seeds, seed)
}

func (w *renumbering) attach(owner, child NodeID) {
	if owner < 0 {
		w.out.Roots = append(w.out.Roots, child)
		return
	}
	switch n := w.out.Nodes[owner].(type) {
	case *Exercise:
		n.Children = append(n.Children, child)
	case *Rollback:
		n.Children = append(n.Children, child)
	}
}
