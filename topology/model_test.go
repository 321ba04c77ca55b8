package topology

import (
	"reflect"
	"slices"

	"github.com/synod-network/synod/keys"
)

// model is the topology as one would explain it: a list of what was accepted, searched from the beginning for every
// question. It shares no rule with State: each is written down a second time, without indexes, interfaces or pruning.
type model struct {
	accepted []record

	living []Mapping // what alive returned
	of     int       // when so many were accepted
}

type record struct {
	sequenced, effective Time
	interval             Time // between changes of its namespace by the rules then
	key                  Key
	Transaction
}

// found adds what the network began with.
func (m *model) found(t Transaction) {
	m.accepted = append(m.accepted, record{began, began, 0, t.Mapping.Key(), t})
}

// newest returns the last change of a key.
func (m *model) newest(key Key) (last record, ok bool) {
	for _, r := range m.accepted {
		if r.key == key {
			last, ok = r, true
		}
	}
	return last, ok
}

// alive returns what stands, by everything accepted.
func (m *model) alive() []Mapping {
	if m.of == len(m.accepted) {
		return m.living
	}
	m.living, m.of = nil, len(m.accepted)
	for i, r := range m.accepted {
		replaced := slices.ContainsFunc(m.accepted[i+1:], func(o record) bool { return o.key == r.key })
		if !replaced && r.Operation == AddReplace {
			m.living = append(m.living, r.Mapping)
		}
	}
	return m.living
}

// at returns the model of what was in force at a time.
func (m *model) at(t Time) *model {
	var past model
	for _, r := range m.accepted {
		if r.effective <= t {
			past.accepted = append(past.accepted, r)
		}
	}
	return &past
}

func find[M Mapping](m *model, is func(M) bool) (found M, ok bool) {
	for _, mapping := range m.alive() {
		if candidate, right := mapping.(M); right && is(candidate) {
			return candidate, true
		}
	}
	return found, false
}

func (m *model) delay(at Time) Time {
	p, _ := find(m.at(at), func(SynchronizerParameters) bool { return true })
	return p.TopologyChangeDelay
}

// apply accepts or refuses.
func (m *model) apply(at Time, t Transaction, signers []keys.PublicKey) (Time, bool) {
	if !m.inTurn(t) || !m.sensible(t) || !m.authorized(t, signers) || !m.allowed(at, t) {
		return 0, false
	}
	effective := max(at+m.delay(at), m.accepted[len(m.accepted)-1].effective)
	_, limits, _ := m.bounds(at, answering(t.Mapping))
	m.accepted = append(m.accepted, record{at, effective, limits.ChangeInterval, t.Mapping.Key(), t})
	return effective, true
}

// answering is the namespace that a mapping counts for.
func answering(m Mapping) Namespace {
	switch x := m.(type) {
	case NamespaceDelegation:
		return x.Namespace
	case DecentralizedNamespace:
		return x.Namespace
	case OwnerToKeys:
		return x.Member.Namespace
	case MemberTrustCertificate:
		return x.Member.Namespace
	}
	return owners.Namespace
}

func (m *model) bounds(at Time, n Namespace) (o Onboarding, l Limits, permitted bool) {
	p, _ := find(m.at(at), func(SynchronizerParameters) bool { return true })
	if permission, ok := m.permission(n); ok {
		return p.Onboarding, permission.Limits, true
	}
	return p.Onboarding, p.Onboarding.Limits, false
}

func (m *model) permission(n Namespace) (NamespacePermission, bool) {
	return find(m, func(p NamespacePermission) bool { return p.Namespace == n })
}

// allowed judges how much there is already. It counts everything that was ever accepted.
func (m *model) allowed(at Time, t Transaction) bool {
	n := answering(t.Mapping)
	if t.Operation == Remove || n == owners.Namespace {
		return true
	}
	rules, limits, permitted := m.bounds(at, n)
	mine, strangers := map[Key]bool{}, map[Namespace]bool{}
	var paid Time
	for _, r := range m.accepted {
		of := answering(r.Mapping)
		if _, known := m.permission(of); !known && of != owners.Namespace {
			strangers[of] = true
		}
		if of != n {
			continue
		}
		mine[r.key] = true
		if r.Operation == AddReplace {
			paid = max(paid, r.sequenced) + r.interval
		}
	}
	if fresh := !mine[t.Mapping.Key()]; fresh {
		if !permitted && (rules.Mode == Restricted || len(mine) == 0 && len(strangers) >= int(rules.Namespaces)) || len(mine) >= int(limits.Mappings) {
			return false
		}
	}
	return limits.ChangeInterval == 0 || max(paid, at)+limits.ChangeInterval <= at+Time(limits.Changes)*limits.ChangeInterval
}

func (m *model) inTurn(t Transaction) bool {
	last, ok := m.newest(t.Mapping.Key())
	if t.Serial != last.Serial+1 {
		return false
	}
	return t.Operation == AddReplace || ok && last.Operation == AddReplace && reflect.DeepEqual(last.Mapping, t.Mapping)
}

func (m *model) rooted(n Namespace) bool {
	_, ok := find(m, func(d NamespaceDelegation) bool { return d.Namespace == n && NamespaceOf(d.Target) == n })
	return ok
}

func (m *model) usable(member Member) bool {
	_, known := find(m, func(o OwnerToKeys) bool { return o.Member == member })
	_, off := find(m, func(d MemberDisabled) bool { return d.Member == member })
	return known && !off
}

// serves reports whether a member is listed by a mapping of another key.
func (m *model) serves(member Member, except Key) bool {
	_, orders := find(m, func(q SequencerSet) bool {
		return q.Key() != except && slices.ContainsFunc(q.Sequencers, func(n SequencerNode) bool { return n.Member == member })
	})
	_, confirms := find(m, func(g MediatorSet) bool {
		return g.Key() != except && (slices.Contains(g.Active, member) || slices.Contains(g.Observers, member))
	})
	return orders || confirms
}

// sensible judges what a change says by what stands.
func (m *model) sensible(t Transaction) bool {
	removes := t.Operation == Remove
	last, before := m.newest(t.Mapping.Key())
	ended := before && last.Operation == Remove
	if !removes && m.clashes(t.Mapping) {
		return false
	}
	switch x := t.Mapping.(type) {
	case NamespaceDelegation:
		if NamespaceOf(x.Target) == x.Namespace {
			return !ended
		}
		return m.rooted(x.Namespace)
	case DecentralizedNamespace:
		if removes {
			return x.Namespace != owners.Namespace
		}
		founded := before || x.Namespace == NamespaceOfOwners(x.Owners)
		return !ended && founded && !slices.ContainsFunc(x.Owners, func(o Namespace) bool { return !m.rooted(o) })
	case OwnerToKeys:
		return !removes || !m.serves(x.Member, Key{})
	case SynchronizerParameters:
		return !removes
	case SequencerSet:
		return !removes && !slices.ContainsFunc(x.Sequencers, func(n SequencerNode) bool {
			return !m.usable(n.Member) || m.serves(n.Member, x.Key())
		})
	case MediatorSet:
		return removes || !slices.ContainsFunc(append(slices.Clone(x.Active), x.Observers...), func(member Member) bool {
			return !m.usable(member) || m.serves(member, x.Key())
		})
	case MemberTrustCertificate:
		return removes || m.usable(x.Member)
	case NamespacePermission:
		return true
	case MemberDisabled:
		_, known := find(m, func(o OwnerToKeys) bool { return o.Member == x.Member })
		return removes || known && !m.serves(x.Member, Key{})
	}
	return false
}

// purposes lists what a mapping uses keys for.
func purposes(m Mapping) map[any]keys.Purpose {
	all := map[any]keys.Purpose{}
	switch x := m.(type) {
	case NamespaceDelegation:
		all[x.Target] = keys.Namespace
	case OwnerToKeys:
		for _, k := range x.Signing {
			all[k.Key] = k.Purpose
		}
		for _, k := range x.Encryption {
			all[k] = keys.Encryption
		}
	case SequencerSet:
		for _, n := range x.Sequencers {
			all[n.Node] = keys.Ordering
		}
	}
	return all
}

// clashes reports whether a key of the mapping has another purpose, or another owner.
func (m *model) clashes(x Mapping) bool {
	for _, other := range m.alive() {
		theirs := purposes(other)
		for k, purpose := range purposes(x) {
			had, used := theirs[k]
			if used && (had != purpose || purpose != keys.Namespace && other.Key() != x.Key()) {
				return true
			}
		}
	}
	return false
}

// authorized judges the signatures.
func (m *model) authorized(t Transaction, signers []keys.PublicKey) bool {
	signed := func(k keys.PublicKey) bool { return slices.Contains(signers, k) }
	switch x := t.Mapping.(type) {
	case NamespaceDelegation:
		byRoot := slices.ContainsFunc(signers, func(k keys.PublicKey) bool { return NamespaceOf(k) == x.Namespace })
		return byRoot && (t.Operation == Remove || signed(x.Target))
	case DecentralizedNamespace:
		if t.Serial == 1 {
			return !slices.ContainsFunc(x.Owners, func(o Namespace) bool { return !m.signedFor(o, t, signers) })
		}
		return m.signedFor(x.Namespace, t, signers)
	case OwnerToKeys:
		for _, k := range x.Signing {
			if t.Operation == AddReplace && !signed(k.Key) {
				return false
			}
		}
		return m.signedFor(x.Member.Namespace, t, signers)
	case MemberTrustCertificate:
		return m.signedFor(x.Member.Namespace, t, signers)
	case SequencerSet:
		for _, n := range x.Sequencers {
			_, ordered := find(m, func(q SequencerSet) bool { return slices.Contains(q.Sequencers, n) })
			if !ordered && !signed(n.Node) {
				return false
			}
		}
		return m.signedFor(owners.Namespace, t, signers)
	default:
		return m.signedFor(owners.Namespace, t, signers)
	}
}

// signedFor reports whether the signers act for a namespace.
func (m *model) signedFor(n Namespace, t Transaction, signers []keys.PublicKey) bool {
	if shared, ok := find(m, func(d DecentralizedNamespace) bool { return d.Namespace == n }); ok {
		count := 0
		for _, o := range shared.Owners {
			if m.signedFor(o, t, signers) {
				count++
			}
		}
		return count >= int(shared.Threshold)
	}
	_, ok := find(m, func(d NamespaceDelegation) bool {
		return d.Namespace == n && slices.Contains(signers, d.Target) && d.Kinds&(1<<t.Mapping.Kind()) != 0
	})
	return ok && m.rooted(n)
}

// status says what a member is.
func (m *model) status(member Member) Status {
	if _, known := find(m, func(o OwnerToKeys) bool { return o.Member == member }); !known {
		return Unknown
	}
	if !m.usable(member) {
		return Disabled
	}
	_, trusts := find(m, func(c MemberTrustCertificate) bool { return c.Member == member })
	if m.serves(member, Key{}) || member.Role == Participant && trusts {
		return Active
	}
	return Known
}
