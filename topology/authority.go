package topology

import (
	"slices"

	"github.com/synod-network/synod/keys"
)

// newestOf returns the newest mapping of a key, unless it was removed.
func newestOf[M Mapping](s *State, key Key) (m M, ok bool) {
	h, known := s.histories.get(key)
	if !known || (h.newest().removed && !s.rules.ignoreRemoval) {
		return m, false
	}
	m, ok = h.newest().mapping.(M)
	return m, ok
}

// checkAuthority judges whether all have signed who must.
func (s *State) checkAuthority(c change, signatures []KeySignature) *Rejection {
	need := c.Mapping.needs(c)
	v := verdict{state: s, kind: c.Mapping.Kind(), signers: signersOf(signatures)}
	if s.rules.oneOwnerFounds && c.first() && len(need.namespaces) > 1 {
		need.namespaces = need.namespaces[:1]
	}
	for _, root := range need.roots {
		v.require(v.signers.has(keys.Fingerprint(root)), keys.Fingerprint(root))
	}
	for _, k := range need.keys {
		v.require(v.signers.has(k.Fingerprint()) || s.rules.noOwnKeySigns, k.Fingerprint())
	}
	if r := v.checkConsents(need.nodes); r != nil {
		return r
	}
	for _, n := range need.namespaces {
		if r := v.requireNamespace(n); r != nil {
			return r
		}
	}
	return v.rejection()
}

// signers is who signed, ascending.
type signers []keys.Fingerprint

func signersOf(signatures []KeySignature) signers {
	list := make(signers, len(signatures))
	for i, s := range signatures {
		list[i] = s.Key.Fingerprint()
	}
	slices.SortFunc(list, keys.Fingerprint.Compare)
	return list
}

func (s signers) has(f keys.Fingerprint) bool {
	_, found := slices.BinarySearchFunc(s, f, keys.Fingerprint.Compare)
	return found
}

// verdict gathers whose signatures are missing.
type verdict struct {
	state   *State
	kind    Kind
	signers signers

	missing []keys.Fingerprint
	// more is how many of several owners are missing; barred a delegate that signed what it may not.
	more   int
	barred *keys.Fingerprint
}

func (v *verdict) require(signed bool, who keys.Fingerprint) {
	if !signed {
		v.missing = append(v.missing, who)
	}
}

// requireNamespace asks for the signatures that a namespace needs.
func (v *verdict) requireNamespace(n Namespace) *Rejection {
	shared, ok := newestOf[DecentralizedNamespace](v.state, decentralizedKey(n))
	if !ok {
		if r := v.state.requireRoot(n); r != nil {
			return r
		}
		v.require(v.signedFor(n), keys.Fingerprint(n))
		return nil
	}
	var absent []keys.Fingerprint
	for _, owner := range shared.Owners {
		if !v.signedFor(owner) {
			absent = append(absent, keys.Fingerprint(owner))
		}
	}
	threshold := int(shared.Threshold)
	if v.state.rules.thresholdMinus1 {
		threshold--
	}
	if signed := len(shared.Owners) - len(absent); signed < threshold {
		v.missing = append(v.missing, absent...)
		v.more = threshold - signed
	}
	return nil
}

// signedFor reports whether the root key of a namespace signed, or a delegate that may.
func (v *verdict) signedFor(n Namespace) bool {
	if _, alive := v.state.root(n); !alive {
		return false
	}
	if v.signers.has(keys.Fingerprint(n)) {
		return true
	}
	signed := false
	for _, signer := range v.signers {
		d, ok := newestOf[NamespaceDelegation](v.state, delegationKey(n, signer))
		switch {
		case !ok:
		case d.Kinds.Has(v.kind) || v.state.rules.delegateAnything:
			signed = true
		case v.barred == nil:
			v.barred = &signer
		}
	}
	return signed
}

func (v *verdict) rejection() *Rejection {
	if len(v.missing) == 0 {
		return nil
	}
	slices.SortFunc(v.missing, keys.Fingerprint.Compare)
	v.missing = slices.Compact(v.missing)
	var r *Rejection
	switch {
	case v.barred != nil:
		r = rejected(CodeNotAuthorized, "key %s is a delegate that may not sign for %s: have the root key sign, or a delegate that may", v.barred, v.kind)
	case v.more > 0:
		r = rejected(CodeMissingSignature, "a proposal still: %d more of these owners must sign: %v", v.more, v.missing)
	default:
		r = rejected(CodeMissingSignature, "a proposal still: these keys, or delegates of these namespaces, must sign: %v", v.missing)
	}
	r.Missing = v.missing
	return r
}

// root returns the delegation of the root key of a namespace, if it is alive.
func (s *State) root(n Namespace) (NamespaceDelegation, bool) {
	return newestOf[NamespaceDelegation](s, delegationKey(n, keys.Fingerprint(n)))
}

// requireRoot asks for a namespace with a root key that was not removed.
func (s *State) requireRoot(n Namespace) *Rejection {
	if _, ok := s.root(n); ok {
		return nil
	}
	if _, shared := newestOf[DecentralizedNamespace](s, decentralizedKey(n)); shared {
		return rejected(CodeUnknownNamespace, "namespace %s is shared and has no root key: name one that has", n)
	}
	_, root := s.histories.get(delegationKey(n, keys.Fingerprint(n)))
	_, owners := s.histories.get(decentralizedKey(n))
	if root || owners {
		return rejected(CodeRevoked, "namespace %s was ended for good: use another", n)
	}
	return rejected(CodeUnknownNamespace, "namespace %s has no root key: submit its self-signed delegation first", n)
}

func (s *State) requireSynchronizer(u UID) *Rejection {
	if u != s.synchronizer {
		return rejected(CodeWrongSynchronizer, "this network is synchronizer %s, not %s", s.synchronizer, u)
	}
	return nil
}

// requireKept is for what a synchronizer cannot be without.
func (s *State) requireKept(u UID, c change) *Rejection {
	if c.removes() {
		return rejected(CodeInUse, "a synchronizer cannot be without it: replace it instead")
	}
	return s.requireSynchronizer(u)
}

// requireKnown asks for a member with keys.
func (s *State) requireKnown(m Member) *Rejection {
	if _, ok := newestOf[OwnerToKeys](s, ownerKey(m)); !ok && !s.rules.listStrangers {
		return rejected(CodeUnknownMember, "member %s has no keys: submit its owner-to-keys first", m)
	}
	return nil
}

// requireUsable asks for a member with keys that the owners did not disable.
func (s *State) requireUsable(m Member) *Rejection {
	if r := s.requireKnown(m); r != nil {
		return r
	}
	if _, disabled := newestOf[MemberDisabled](s, disabledKey(s.synchronizer, m)); disabled && !s.rules.listStrangers {
		return rejected(CodeMemberDisabled, "member %s is disabled: the owners must lift that first", m)
	}
	return nil
}

// requireServing asks that all of a list may serve by the change: they are usable, and serve nowhere else.
func (s *State) requireServing(c change, members []Member) *Rejection {
	for _, m := range members {
		if r := s.requireUsable(m); r != nil {
			return r
		}
		if holder, serves := s.listed.get(m); serves && holder != c.Mapping.Key() {
			return rejected(CodeInUse, "member %s serves by %s already: take it out there first", m, holder)
		}
	}
	return nil
}
