package topology

import (
	"github.com/synod-network/synod/bft"
)

// Anybody can make a root key, and what a state has once accepted it keeps for ever, since serials must not begin again. So
// what strangers may add is bounded, by numbers that the owners set: how many namespaces there are that the owners did not
// permit, how many mappings each namespace has, and how fast a namespace changes. What the owners themselves sign is not.

// Mode says who may add to the topology. Numbers are part of encodings and never change.
type Mode uint8

// The modes.
const (
	// Unrestricted lets everybody in, up to Onboarding.Namespaces.
	Unrestricted Mode = iota + 1
	// Restricted lets only namespaces add something new that the owners permit. What is there already stays, and can be
	// replaced and removed: nobody is cut off from exchanging a stolen key.
	Restricted
)

// String returns the mode in lower case.
func (m Mode) String() string {
	switch m {
	case Unrestricted:
		return "unrestricted"
	case Restricted:
		return "restricted"
	}
	return "no mode"
}

// Onboarding bounds what those add to the topology whom the owners did not permit.
type Onboarding struct {
	Mode Mode
	// Namespaces is how many namespaces without permission there may ever be. Those of the genesis count, without being bounded.
	Namespaces uint32
	// Limits are those of each of them.
	Limits Limits
}

// Limits bound what one namespace adds to the topology.
type Limits struct {
	// Mappings is how many mappings the namespace may ever have: delegations, keys of members, certificates. One that was
	// removed counts, since its serial is kept; to add it again adds none.
	Mappings uint32
	// Changes is how many mappings it may add or replace at once; another one each ChangeInterval, in µs of agreed time. An
	// interval of 0 leaves their number unbounded. Removals are free, so that a thief who uses the changes up keeps nobody
	// from revoking the stolen key; there is at most one for each change.
	Changes        uint32
	ChangeInterval Time
}

// maxLimit bounds each number of Limits, and maxChangeInterval the time.
const (
	maxLimit          = 1 << 20
	maxChangeInterval = 24 * 60 * 60 * bft.Second
)

// DefaultLimits returns the limits of a namespace in a new network: room for half a dozen members, and for exchanging all
// their keys several times a day.
func DefaultLimits() Limits {
	return Limits{Mappings: 16, Changes: 32, ChangeInterval: 5 * 60 * bft.Second}
}

// DefaultOnboarding returns the rules of a new network. Strangers can fill about 150 MiB of each node's memory.
func DefaultOnboarding() Onboarding { return Onboarding{Unrestricted, 4096, DefaultLimits()} }

func (o Onboarding) check() *Rejection {
	switch {
	case o.Mode != Unrestricted && o.Mode != Restricted:
		return rejected(CodeBadParameter, "onboarding is neither unrestricted nor restricted")
	case o.Namespaces > maxLimit:
		return rejected(CodeBadParameter, "the namespaces without permission must be at most %d", maxLimit)
	}
	return o.Limits.check()
}

func (l Limits) check() *Rejection {
	switch {
	case l.Mappings < 1 || l.Mappings > maxLimit:
		return rejected(CodeBadParameter, "the mappings of a namespace must be between 1 and %d", maxLimit)
	case l.Changes < 1 || l.Changes > maxLimit:
		return rejected(CodeBadParameter, "the changes of a namespace at once must be between 1 and %d", maxLimit)
	case l.ChangeInterval < 0 || l.ChangeInterval > maxChangeInterval:
		return rejected(CodeBadParameter, "the interval of changes must be between 0 and %d s", maxChangeInterval/bft.Second)
	}
	return nil
}

func (w *writer) limits(l Limits) {
	w.U32(l.Mappings)
	w.U32(l.Changes)
	w.time(l.ChangeInterval)
}

func (r *reader) limits() Limits {
	return Limits{Mappings: r.U32(), Changes: r.U32(), ChangeInterval: r.time()}
}

// NamespacePermission lets a namespace add to the topology that the owners know: whatever the mode and however many others
// there are, within limits of its own. The owners sign it; the namespace need not exist yet. Without it again, the namespace
// keeps what it has and counts among those without permission.
type NamespacePermission struct {
	Synchronizer UID
	Namespace    Namespace
	Limits       Limits
	plain
}

// Kind implements [Mapping].
func (NamespacePermission) Kind() Kind { return KindNamespacePermission }

// Key implements [Mapping].
func (p NamespacePermission) Key() Key { return permissionKey(p.Synchronizer, p.Namespace) }

func permissionKey(synchronizer UID, n Namespace) Key {
	return keyOf(KindNamespacePermission, synchronizer, n)
}

func (p NamespacePermission) check() *Rejection {
	if err := p.Synchronizer.check(); err != nil {
		return malformed("synchronizer %s: %v", p.Synchronizer, err)
	}
	return p.Limits.check()
}

func (p NamespacePermission) encode(w *writer) {
	w.uid(p.Synchronizer)
	w.Bytes(p.Namespace[:])
	w.limits(p.Limits)
}

func decodeNamespacePermission(r *reader) NamespacePermission {
	return NamespacePermission{Synchronizer: r.uid(), Namespace: r.bytes32(), Limits: r.limits()}
}

func (p NamespacePermission) needs(change) authority {
	return authority{namespaces: []Namespace{p.Synchronizer.Namespace}}
}

func (p NamespacePermission) admit(s *State, _ change) *Rejection {
	return s.requireSynchronizer(p.Synchronizer)
}

func (p NamespacePermission) answers() Namespace { return p.Synchronizer.Namespace }
