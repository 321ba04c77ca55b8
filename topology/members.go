package topology

import (
	"cmp"
	"slices"

	"github.com/synod-network/synod/keys"
)

// MaxKeys bounds the signing keys of a member, and its encryption keys.
const MaxKeys = 16

// SigningKey is a public key and what it signs.
type SigningKey struct {
	Purpose keys.Purpose // SequencerAuthentication or Protocol
	Key     keys.PublicKey
}

// Compare orders signing keys by purpose and key.
func (k SigningKey) Compare(o SigningKey) int {
	return cmp.Or(cmp.Compare(k.Purpose, o.Purpose), k.Key.Compare(o.Key))
}

// OwnerToKeys says which keys a member has. The member's namespace signs it, and so does each signing key that is listed:
// nobody can claim a key of somebody else. To exchange a key without interruption, list both for a while.
//
// Every member has a protocol key. Participants and mediators connect to sequencers and need a key for that, and
// participants one for which views are encrypted.
type OwnerToKeys struct {
	Member     Member
	Signing    []SigningKey         // ascending
	Encryption []keys.EncryptionKey // ascending
	plain
}

// NewOwnerToKeys sorts the keys.
func NewOwnerToKeys(m Member, signing []SigningKey, encryption []keys.EncryptionKey) OwnerToKeys {
	return OwnerToKeys{
		Member:     m,
		Signing:    slices.SortedFunc(slices.Values(signing), SigningKey.Compare),
		Encryption: slices.SortedFunc(slices.Values(encryption), keys.EncryptionKey.Compare),
	}
}

// Kind implements [Mapping].
func (OwnerToKeys) Kind() Kind { return KindOwnerToKeys }

// Key implements [Mapping].
func (o OwnerToKeys) Key() Key { return ownerKey(o.Member) }

func ownerKey(m Member) Key { return keyOf(KindOwnerToKeys, m) }

func (o OwnerToKeys) check() *Rejection {
	if err := o.Member.check(); err != nil {
		return malformed("member %s: %v", o.Member, err)
	}
	if len(o.Signing) > MaxKeys || len(o.Encryption) > MaxKeys ||
		!ascending(o.Signing, SigningKey.Compare) || !ascending(o.Encryption, keys.EncryptionKey.Compare) {
		return malformed("member %s: list at most %d signing and %d encryption keys, sorted, each once", o.Member, MaxKeys, MaxKeys)
	}
	return o.checkPurposes()
}

func (o OwnerToKeys) checkPurposes() *Rejection {
	seen := map[keys.PublicKey]bool{}
	has := map[keys.Purpose]bool{keys.Encryption: len(o.Encryption) > 0}
	for _, k := range o.Signing {
		if k.Purpose != keys.SequencerAuthentication && k.Purpose != keys.Protocol {
			return rejected(CodeBadKeys, "member %s: a key for %s does not belong to a member's keys", o.Member, k.Purpose)
		}
		if seen[k.Key] {
			return rejected(CodeKeyReused, "member %s: key %s is listed for two purposes: make a key for each", o.Member, k.Key.Fingerprint())
		}
		seen[k.Key], has[k.Purpose] = true, true
	}
	for _, p := range purposesOf(o.Member.Role) {
		if !has[p] {
			return rejected(CodeBadKeys, "member %s has no key for %s: add one", o.Member, p)
		}
	}
	return nil
}

// purposesOf lists what a member of the role needs keys for.
func purposesOf(role Role) []keys.Purpose {
	switch role {
	case Participant:
		return []keys.Purpose{keys.SequencerAuthentication, keys.Protocol, keys.Encryption}
	case Mediator:
		return []keys.Purpose{keys.SequencerAuthentication, keys.Protocol}
	default:
		return []keys.Purpose{keys.Protocol}
	}
}

func (o OwnerToKeys) encode(w *writer) {
	w.member(o.Member)
	writeList(w, o.Signing, func(k SigningKey) {
		w.U8(uint8(k.Purpose))
		w.Bytes(k.Key[:])
	})
	writeList(w, o.Encryption, func(k keys.EncryptionKey) { w.Bytes(k[:]) })
}

func decodeOwnerToKeys(r *reader) OwnerToKeys {
	return OwnerToKeys{
		Member:     r.member(),
		Signing:    readList(r, MaxKeys, 33, func() SigningKey { return SigningKey{keys.Purpose(r.U8()), r.bytes32()} }),
		Encryption: readList(r, MaxKeys, 32, func() keys.EncryptionKey { return r.bytes32() }),
	}
}

func (o OwnerToKeys) needs(c change) authority {
	a := authority{namespaces: []Namespace{o.Member.Namespace}}
	if !c.removes() {
		for _, k := range o.Signing {
			a.keys = append(a.keys, k.Key)
		}
	}
	return a
}

func (o OwnerToKeys) answers() Namespace { return o.Member.Namespace }

func (o OwnerToKeys) admit(s *State, c change) *Rejection {
	if holder, serves := s.listed.get(o.Member); serves && c.removes() {
		return rejected(CodeInUse, "member %s serves by %s and needs its keys: take it out there first", o.Member, holder)
	}
	return nil
}

func (o OwnerToKeys) uses() []use {
	var all []use
	for _, k := range o.Signing {
		all = append(all, use{k.Key.Fingerprint(), k.Purpose})
	}
	for _, k := range o.Encryption {
		all = append(all, use{k.Fingerprint(), keys.Encryption})
	}
	return all
}

// MemberTrustCertificate says that a member takes part in the synchronizer. The member's own namespace signs it: nobody is
// made to. Participants become active by it; sequencers and mediators do by the sets in which the owners list them. A
// sequencer says by it that it is ready to order.
type MemberTrustCertificate struct {
	Synchronizer UID
	Member       Member
	plain
}

// Kind implements [Mapping].
func (MemberTrustCertificate) Kind() Kind { return KindMemberTrustCertificate }

// Key implements [Mapping].
func (m MemberTrustCertificate) Key() Key { return certificateKey(m.Synchronizer, m.Member) }

func certificateKey(synchronizer UID, m Member) Key {
	return keyOf(KindMemberTrustCertificate, synchronizer, m)
}

func (m MemberTrustCertificate) check() *Rejection { return checkMember(m.Synchronizer, m.Member) }

func (m MemberTrustCertificate) encode(w *writer) {
	w.uid(m.Synchronizer)
	w.member(m.Member)
}

func (m MemberTrustCertificate) needs(change) authority {
	return authority{namespaces: []Namespace{m.Member.Namespace}}
}

func (m MemberTrustCertificate) answers() Namespace { return m.Member.Namespace }

func (m MemberTrustCertificate) admit(s *State, c change) *Rejection {
	if r := s.requireSynchronizer(m.Synchronizer); r != nil || c.removes() {
		return r
	}
	return s.requireUsable(m.Member)
}

// MemberDisabled puts a member out of action, such as one that is dead or whose keys were stolen: the network ignores it
// and keeps nothing for it. The owners sign it, and lift it by removal. A sequencer or mediator is taken out of its set
// first, where the owners see what becomes of the threshold.
type MemberDisabled struct {
	Synchronizer UID
	Member       Member
	plain
}

// Kind implements [Mapping].
func (MemberDisabled) Kind() Kind { return KindMemberDisabled }

// Key implements [Mapping].
func (m MemberDisabled) Key() Key { return disabledKey(m.Synchronizer, m.Member) }

func disabledKey(synchronizer UID, m Member) Key { return keyOf(KindMemberDisabled, synchronizer, m) }

func (m MemberDisabled) check() *Rejection { return checkMember(m.Synchronizer, m.Member) }

func (m MemberDisabled) encode(w *writer) {
	w.uid(m.Synchronizer)
	w.member(m.Member)
}

func (m MemberDisabled) needs(change) authority {
	return authority{namespaces: []Namespace{m.Synchronizer.Namespace}}
}

func (m MemberDisabled) answers() Namespace { return m.Synchronizer.Namespace }

func (m MemberDisabled) admit(s *State, c change) *Rejection {
	if r := s.requireSynchronizer(m.Synchronizer); r != nil || c.removes() {
		return r
	}
	if holder, serves := s.listed.get(m.Member); serves {
		return rejected(CodeInUse, "member %s serves by %s: take it out there first", m.Member, holder)
	}
	return s.requireKnown(m.Member)
}

func checkMember(synchronizer UID, m Member) *Rejection {
	if err := synchronizer.check(); err != nil {
		return malformed("synchronizer %s: %v", synchronizer, err)
	}
	if err := m.check(); err != nil {
		return malformed("member %s: %v", m, err)
	}
	return nil
}
