package tx

import (
	"slices"

	"github.com/synod-network/synod/daml/value"
)

// Version is the version of the form in which a node is stored and hashed. It is another thing than the version of the language.
type Version uint8

// The versions: with V2 come contract keys.
const (
	V1 Version = iota + 1
	V2
)

// String returns the version as hashes and stored transactions write it: the first one was called after a language version.
func (v Version) String() string {
	if v == V1 {
		return "2.1"
	}
	return "2"
}

// NodeID is the position of a node in the depth-first order of its transaction.
type NodeID int32

// Node is one of Create, Exercise, Fetch, QueryByKey, Rollback.
type Node interface {
	// Informees are the parties that see the node because of what it is, not of what it is part of. Sorted.
	Informees() []value.Party
}

// Key is a contract key together with those who vouch for it.
type Key struct {
	Template    value.Identifier
	PackageName string
	Value       value.Value
	Hash        Hash
	Maintainers []value.Party // sorted
}

// Contract is what is said about a contract in every node that concerns it. Parties are sorted; signatories are stakeholders.
type Contract struct {
	ID           value.ContractID
	PackageName  string
	Template     value.Identifier
	Signatories  []value.Party
	Stakeholders []value.Party
	Key          *Key // nil without a key
	Version      Version
}

// Create makes a contract.
type Create struct {
	Contract
	Arg value.Value
}

// Fetch reads a contract.
type Fetch struct {
	Contract
	Interface *value.Identifier // through which it was read, nil if through its template
	Actors    []value.Party
	ByKey     bool
}

// Exercise runs a choice of a contract, and archives the contract if it is consuming. The template may be of another version
// than the one that the contract was created with.
type Exercise struct {
	Contract
	Interface *value.Identifier // that has the choice, nil if the template has it
	Choice    string
	Consuming bool
	Actors    []value.Party // the controllers
	Observers []value.Party // the choice observers
	Arg       value.Value
	Result    value.Value // nil if the exercise was aborted
	Children  []NodeID
	ByKey     bool
}

// QueryByKey reads which contracts have a key, newest first. If Exhaustive there are no others.
type QueryByKey struct {
	Key        Key
	Result     []value.ContractID
	Exhaustive bool
	Version    Version
}

// Rollback holds what an exception undid. It counts for authorization and for which contracts were read, not for the ledger.
type Rollback struct{ Children []NodeID }

// Informees of a create are the stakeholders.
func (n *Create) Informees() []value.Party { return n.Stakeholders }

// Informees of a fetch are signatories and those who fetch.
func (n *Fetch) Informees() []value.Party { return Union(n.Signatories, n.Actors) }

// Informees of an exercise are those who act, the choice observers, the signatories, and if it archives also the other
// stakeholders.
func (n *Exercise) Informees() []value.Party {
	contract := n.Signatories
	if n.Consuming {
		contract = n.Stakeholders
	}
	return Union(Union(contract, n.Actors), n.Observers)
}

// Informees of a query are the maintainers of the key.
func (n *QueryByKey) Informees() []value.Party { return n.Key.Maintainers }

// Informees of a rollback are nobody: whoever sees what it is part of sees it.
func (n *Rollback) Informees() []value.Party { return nil }

// Children returns the nodes below a node, in order.
func Children(n Node) []NodeID {
	switch n := n.(type) {
	case *Exercise:
		return n.Children
	case *Rollback:
		return n.Children
	}
	return nil
}

func nodeVersion(n Node) Version {
	switch n := n.(type) {
	case *Create:
		return n.Version
	case *Fetch:
		return n.Version
	case *Exercise:
		return n.Version
	case *QueryByKey:
		return n.Version
	}
	return V1
}

// Transaction is a forest of nodes, by id.
type Transaction struct {
	Nodes []Node
	Roots []NodeID
	Seeds []Hash // by id; zero where a node needs none: only creates and exercises do
}

// Version is the greatest of the nodes' versions.
func (t *Transaction) Version() Version {
	version := V1
	for _, n := range t.Nodes {
		version = max(version, nodeVersion(n))
	}
	return version
}

// TimeBounds says for which ledger times a transaction would come out the same. Both ends are included.
type TimeBounds struct{ Min, Max value.Timestamp }

// Unbounded is the bounds of a transaction that did not look at the time.
func Unbounded() TimeBounds { return TimeBounds{value.MinTimestamp, value.MaxTimestamp} }

// Metadata is what interpretation tells about a transaction besides its nodes, and what views of it need to be interpreted again.
type Metadata struct {
	PreparationTime   value.Timestamp
	LedgerTime        value.Timestamp
	TimeBounds        TimeBounds
	UsedTime          bool
	UsedPackages      []string // ids, sorted
	PackageResolution map[string]string
	Inputs            []value.ContractID // contracts of the ledger or disclosed that were used, in the order of first use
}

// Union returns the members of two sorted sets. It may return one of them.
func Union(a, b []value.Party) []value.Party {
	switch {
	case Subset(b, a):
		return a
	case Subset(a, b):
		return b
	}
	both := make([]value.Party, 0, len(a)+len(b))
	both = append(append(both, a...), b...)
	return SortParties(both)
}

// Minus returns the members of a that are not in b. Both are sorted.
func Minus(a, b []value.Party) []value.Party {
	var rest []value.Party
	for _, p := range a {
		if _, found := slices.BinarySearch(b, p); !found {
			rest = append(rest, p)
		}
	}
	return rest
}

// Subset says whether all of a are in b. Both are sorted.
func Subset(a, b []value.Party) bool {
	for len(a) > 0 {
		if len(b) < len(a) {
			return false
		}
		if a[0] == b[0] {
			a = a[1:]
		} else if a[0] < b[0] {
			return false
		}
		b = b[1:]
	}
	return true
}

// Intersect returns the members of both sorted sets.
func Intersect(a, b []value.Party) []value.Party {
	var both []value.Party
	for _, p := range a {
		if _, found := slices.BinarySearch(b, p); found {
			both = append(both, p)
		}
	}
	return both
}

// SortParties makes a sorted set of parties, in place.
func SortParties(parties []value.Party) []value.Party {
	slices.Sort(parties)
	return slices.Compact(parties)
}
