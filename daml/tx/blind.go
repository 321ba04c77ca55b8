package tx

import "github.com/synod-network/synod/daml/value"

// Blinding says who sees what of a transaction.
type Blinding struct {
	// Witnesses are by node those who see it: its informees and the witnesses of what it is part of. Sorted.
	Witnesses [][]value.Party
	// Divulged are by contract those who learn of it without being stakeholders, because they see it used. Learning of a contract
	// does not make it usable.
	Divulged map[value.ContractID][]value.Party
}

// Blind computes who sees what. Parents come before children, so one walk over the ids suffices.
func Blind(t *Transaction) *Blinding {
	b := &Blinding{Witnesses: make([][]value.Party, len(t.Nodes)), Divulged: map[value.ContractID][]value.Party{}}
	for id, n := range t.Nodes {
		outer := b.Witnesses[id] // its parent put them here
		switch n := n.(type) {
		case *Fetch:
			b.divulge(n.ID, Minus(outer, n.Stakeholders))
		case *Exercise:
			b.divulge(n.ID, Minus(Union(outer, n.Observers), n.Stakeholders))
		}
		b.Witnesses[id] = Union(outer, n.Informees())
		for _, child := range Children(n) {
			b.Witnesses[child] = b.Witnesses[id]
		}
	}
	return b
}

func (b *Blinding) divulge(id value.ContractID, to []value.Party) {
	if len(to) > 0 {
		b.Divulged[id] = Union(b.Divulged[id], to)
	}
}

// Project returns the part of a transaction that a party sees: the topmost nodes that it is a witness of, each with all below it.
// The nodes are renumbered; the second result gives their ids in t.
func Project(t *Transaction, b *Blinding, party value.Party) (*Transaction, []NodeID) {
	p := &Transaction{}
	var origin []NodeID
	renamed := make([]NodeID, len(t.Nodes))
	inside := make([]bool, len(t.Nodes)) // below a node that is seen
	for id, n := range t.Nodes {
		if !inside[id] && len(Intersect([]value.Party{party}, b.Witnesses[id])) == 0 {
			continue
		}
		renamed[id] = NodeID(len(p.Nodes))
		if !inside[id] {
			p.Roots = append(p.Roots, renamed[id])
		}
		for _, child := range Children(n) {
			inside[child] = true
		}
		p.Nodes = append(p.Nodes, n)
		if id < len(t.Seeds) {
			p.Seeds = append(p.Seeds, t.Seeds[id])
		}
		origin = append(origin, NodeID(id))
	}
	for i, n := range p.Nodes {
		p.Nodes[i] = withChildren(n, renamed)
	}
	return p, origin
}

// withChildren copies a node, giving its children new ids.
func withChildren(n Node, renamed []NodeID) Node {
	rename := func(ids []NodeID) []NodeID {
		children := make([]NodeID, len(ids))
		for i, id := range ids {
			children[i] = renamed[id]
		}
		return children
	}
	switch n := n.(type) {
	case *Exercise:
		clone := *n
		clone.Children = rename(n.Children)
		return &clone
	case *Rollback:
		return &Rollback{Children: rename(n.Children)}
	}
	return n
}
