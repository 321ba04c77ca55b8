package topology

import (
	"slices"

	"github.com/synod-network/synod/keys"
)

// NamespaceDelegation lets a key act for a namespace. The first of a namespace names its root key and is signed by it
// alone: from then on the namespace exists. The others let further keys act, so that the root key can stay locked away;
// they are signed by the root key and by the new key. Such a key delegates no further: one level is what people oversee.
//
// To remove the delegation of the root key ends the namespace for good, which is what to do when that key was stolen.
type NamespaceDelegation struct {
	Namespace Namespace
	Target    keys.PublicKey
	// Kinds are what the target may sign for; of the root key AllKinds.
	Kinds Kinds
	plain
}

// IsRoot reports whether the delegation is that of the root key.
func (d NamespaceDelegation) IsRoot() bool { return NamespaceOf(d.Target) == d.Namespace }

// Kind implements [Mapping].
func (NamespaceDelegation) Kind() Kind { return KindNamespaceDelegation }

// Key implements [Mapping].
func (d NamespaceDelegation) Key() Key { return delegationKey(d.Namespace, d.Target.Fingerprint()) }

func delegationKey(n Namespace, target keys.Fingerprint) Key {
	return keyOf(KindNamespaceDelegation, n, target)
}

func (d NamespaceDelegation) check() *Rejection {
	switch {
	case d.Kinds == 0:
		return malformed("the delegation to key %s allows nothing: name at least one kind", d.Target.Fingerprint())
	case d.IsRoot() && d.Kinds != AllKinds:
		return malformed("the root key of %s cannot be restricted: allow all kinds", d.Namespace)
	}
	return nil
}

func (d NamespaceDelegation) encode(w *writer) {
	w.Bytes(d.Namespace[:])
	w.Bytes(d.Target[:])
	w.U64(uint64(d.Kinds))
}

func decodeNamespaceDelegation(r *reader) NamespaceDelegation {
	return NamespaceDelegation{Namespace: r.bytes32(), Target: r.bytes32(), Kinds: Kinds(r.U64())}
}

func (d NamespaceDelegation) needs(c change) authority {
	a := authority{roots: []Namespace{d.Namespace}}
	if !c.removes() && !d.IsRoot() {
		a.keys = []keys.PublicKey{d.Target}
	}
	return a
}

func (d NamespaceDelegation) answers() Namespace { return d.Namespace }

func (d NamespaceDelegation) admit(s *State, c change) *Rejection {
	switch {
	case !d.IsRoot():
		return s.requireRoot(d.Namespace)
	case c.afterRemoval():
		return rejected(CodeRevoked, "namespace %s was ended for good: make a new root key and a new namespace", d.Namespace)
	case c.removes() && d.Namespace == s.synchronizer.Namespace:
		return rejected(CodeInUse, "namespace %s owns synchronizer %s, which nobody could govern without it: keep it", d.Namespace, s.synchronizer)
	}
	return nil
}

func (d NamespaceDelegation) uses() []use {
	return []use{{d.Target.Fingerprint(), keys.Namespace}}
}

// MaxOwners bounds the owners of a decentralized namespace.
const MaxOwners = 64

// DecentralizedNamespace is a namespace that several owners share. All sign when it is founded, which also fixes its name;
// from then on Threshold of the owners of the day act for it, also to change who they are. Owners are namespaces with a
// root key, so that whoever counts towards the threshold is one party.
type DecentralizedNamespace struct {
	Namespace Namespace
	Owners    []Namespace // ascending
	Threshold uint16      // 1 to the number of owners
	plain
}

// NewDecentralizedNamespace returns what owners sign to found a namespace together.
func NewDecentralizedNamespace(threshold uint16, owners ...Namespace) DecentralizedNamespace {
	sorted := slices.SortedFunc(slices.Values(owners), Namespace.Compare)
	return DecentralizedNamespace{Namespace: NamespaceOfOwners(sorted), Owners: sorted, Threshold: threshold}
}

// Kind implements [Mapping].
func (DecentralizedNamespace) Kind() Kind { return KindDecentralizedNamespace }

// Key implements [Mapping].
func (d DecentralizedNamespace) Key() Key { return decentralizedKey(d.Namespace) }

func decentralizedKey(n Namespace) Key { return keyOf(KindDecentralizedNamespace, n) }

func (d DecentralizedNamespace) check() *Rejection {
	if len(d.Owners) == 0 || len(d.Owners) > MaxOwners || !ascending(d.Owners, Namespace.Compare) {
		return malformed("a decentralized namespace has 1 to %d owners, sorted, each once", MaxOwners)
	}
	return checkThreshold(d.Threshold, len(d.Owners), "owners")
}

func (d DecentralizedNamespace) encode(w *writer) {
	w.Bytes(d.Namespace[:])
	writeList(w, d.Owners, func(o Namespace) { w.Bytes(o[:]) })
	w.U16(d.Threshold)
}

func decodeDecentralizedNamespace(r *reader) DecentralizedNamespace {
	return DecentralizedNamespace{
		Namespace: r.bytes32(),
		Owners:    readList(r, MaxOwners, 32, func() Namespace { return r.bytes32() }),
		Threshold: r.U16(),
	}
}

func (d DecentralizedNamespace) needs(c change) authority {
	if c.first() {
		return authority{namespaces: d.Owners}
	}
	return authority{namespaces: []Namespace{d.Namespace}}
}

func (d DecentralizedNamespace) answers() Namespace { return d.Namespace }

func (d DecentralizedNamespace) admit(s *State, c change) *Rejection {
	switch {
	case c.removes() && d.Namespace == s.synchronizer.Namespace:
		return rejected(CodeInUse, "namespace %s owns synchronizer %s, which nobody could govern without it: keep it", d.Namespace, s.synchronizer)
	case c.removes():
		return nil
	case c.afterRemoval():
		return rejected(CodeRevoked, "namespace %s was ended for good: found a new one with other owners", d.Namespace)
	case c.first() && d.Namespace != NamespaceOfOwners(d.Owners):
		return malformed("these owners found namespace %s, not %s", NamespaceOfOwners(d.Owners), d.Namespace)
	}
	for _, o := range d.Owners {
		if r := s.requireRoot(o); r != nil {
			return r
		}
	}
	return nil
}

func checkThreshold(threshold uint16, of int, whom string) *Rejection {
	if threshold < 1 || int(threshold) > of {
		return rejected(CodeBadThreshold, "threshold %d of %d %s: it must be between 1 and %d", threshold, of, whom, of)
	}
	return nil
}

// ascending reports whether a list is sorted and holds nothing twice.
func ascending[T any](list []T, compare func(a, b T) int) bool {
	for i := 1; i < len(list); i++ {
		if compare(list[i-1], list[i]) >= 0 {
			return false
		}
	}
	return true
}
