package topology

import (
	"slices"

	"github.com/synod-network/synod/keys"
)

// State is what was accepted, in order. It is a value with one owner: whoever shares it between goroutines guards it and
// its snapshots with one lock. The zero State is not founded yet; see [State.Load].
type State struct {
	network      [32]byte
	genesis      Digest
	synchronizer UID
	founded      bool

	// sequenced and effective are the times of the last accepted transaction; floor is the least time that can be asked for.
	sequenced, effective, floor Time

	histories table[Key, *history]
	order     []Key // of histories, ascending
	tree      tree  // of histories, for the digest

	// What follows is derived from the newest versions, and spares searching them.
	used      table[keys.Fingerprint, usage]
	listed    table[Member, Key]
	holdings  table[Namespace, holding] // of namespaces but the owners'
	strangers int                       // of them that the owners did not permit

	rules rules
}

// rules plants bugs: each field breaks one rule, so that a test can show that its harness would notice. The zero value is
// the protocol.
type rules struct {
	anySerial        bool // a replayed or skipped serial is accepted
	oneOwnerFounds   bool // the threshold counts when owners found a namespace already
	noOwnKeySigns    bool // listed keys need not sign
	unasked          bool // node keys need not agree
	delegateAnything bool // a delegate signs for kinds that it may not
	reuseKeys        bool // a key serves two purposes
	immediate        bool // a change is in force at its sequencing time
	unorderedEffect  bool // a shorter delay overtakes changes under way
	thresholdMinus1  bool // a decentralized namespace acts with one signature less
	ignoreRemoval    bool // a removed delegation still counts
	listStrangers    bool // members without keys, or disabled, are put into service
	digestNewestOnly bool // the digest forgets what was replaced
	boundless        bool // strangers add what they like
	openToAll        bool // nobody needs the owners' permission
	hasty            bool // a namespace changes as fast as it likes
	freeRemoved      bool // a removed mapping makes room for another
	freeReplaced     bool // only the first change of a mapping counts towards the rate
}

// version is what a key had from a time on.
type version struct {
	serial               Serial
	removed              bool // the mapping is the one that was removed
	mapping              Mapping
	sequenced, effective Time
	// spent is up to when the changes of the namespace that answers for it are paid for, see Limits.
	spent Time
}

// history is the versions of one key, by serial. The first are forgotten when the state is pruned.
type history struct {
	key      Key
	forgot   Digest // chain of what was forgotten
	versions []version
	chains   []Digest // up to and with each version
}

func (h *history) newest() *version { return &h.versions[len(h.versions)-1] }

// at returns the version in force at a time, nil if there is none.
func (h *history) at(t Time) *version {
	for i := range slices.Backward(h.versions) {
		if h.versions[i].effective <= t {
			return &h.versions[i]
		}
	}
	return nil
}

// change is a transaction with what it changes.
type change struct {
	Transaction
	old *version // the newest of the key, nil for its first change
}

func (c change) removes() bool      { return c.Operation == Remove }
func (c change) first() bool        { return c.old == nil }
func (c change) afterRemoval() bool { return c.old != nil && c.old.removed }

// Network returns the id of the network that the state is of.
func (s *State) Network() [32]byte { return s.network }

// Synchronizer returns the synchronizer that the state is of.
func (s *State) Synchronizer() UID { return s.synchronizer }

// Founded returns the digest of the genesis, and whether the state has one.
func (s *State) Founded() (Digest, bool) { return s.genesis, s.founded }

// Serial returns the serial of the last change of a key, 0 if there was none: the next change has one more.
func (s *State) Serial(key Key) Serial {
	if h, ok := s.histories.get(key); ok {
		return h.newest().serial
	}
	return 0
}

// Concerned returns the members whose [Status] may become another when the last change of a key comes into force.
func (s *State) Concerned(key Key) (members []Member) {
	if h, known := s.histories.get(key); known {
		for _, v := range h.versions[max(0, len(h.versions)-2):] {
			members = append(members, concerned(v.mapping)...)
		}
	}
	return members
}

// Check judges a transaction that would be sequenced at a time, and changes nothing. Of a proposal the rejection has
// CodeMissingSignature and says whose.
func (s *State) Check(at Time, t SignedTransaction) *Rejection {
	if r := s.checkGenuine(at, t); r != nil {
		return r
	}
	return s.checkLimits(at, s.changeBy(t.content)).about(t.key)
}

// checkGenuine judges everything but how much there is already, which does not concern those who found a network.
func (s *State) checkGenuine(at Time, t SignedTransaction) *Rejection {
	if r := s.checkPlace(at, t); r != nil {
		return r.about(t.key)
	}
	c := s.changeBy(t.content)
	if r := s.checkTurn(c); r != nil {
		return r.about(t.key)
	}
	if r := c.Mapping.admit(s, c); r != nil {
		return r.about(t.key)
	}
	if r := s.checkUses(c); r != nil {
		return r.about(t.key)
	}
	return s.checkAuthority(c, t.signatures).about(t.key)
}

func (t SignedTransaction) key() Key {
	if t.content.Mapping == nil {
		return Key{}
	}
	return t.content.Mapping.Key()
}

// Apply accepts or refuses the transaction that was sequenced at a time. Times never decrease. It returns the time from
// which on an accepted transaction is in force. A refused one changes nothing.
func (s *State) Apply(at Time, t SignedTransaction) (Time, *Rejection) {
	if r := s.Check(at, t); r != nil {
		return 0, r
	}
	effective := at + s.delayAt(at)
	if s.rules.immediate {
		effective = at
	}
	if !s.rules.unorderedEffect {
		effective = max(effective, s.effective)
	}
	s.accept(at, effective, s.spending(at, t.content), t.content)
	return effective, nil
}

func (s *State) checkPlace(at Time, t SignedTransaction) *Rejection {
	switch {
	case !s.founded:
		return rejected(CodeNotFounded, "the network is not founded yet: load its genesis first")
	case t.network != s.network || t.content.Mapping == nil:
		return rejected(CodeWrongNetwork, "it was signed for another network: sign it for this one")
	case at < s.sequenced || at < s.floor:
		return rejected(CodeTimeBackwards, "sequencing time %d lies before %d, which was applied already", at, max(s.sequenced, s.floor))
	}
	return nil
}

func (s *State) changeBy(t Transaction) change {
	c := change{Transaction: t}
	if h, ok := s.histories.get(t.Mapping.Key()); ok {
		c.old = h.newest()
	}
	return c
}

// checkTurn judges serial and operation.
func (s *State) checkTurn(c change) *Rejection {
	var last Serial
	if !c.first() {
		last = c.old.serial
	}
	switch {
	case c.Serial == last && last > 0 && c.removes() == c.old.removed && same(c.Mapping, c.old.mapping):
		return rejected(CodeAlreadyApplied, "this change is accepted already: nothing is left to do")
	case c.Serial != last+1 && !s.rules.anySerial:
		r := rejected(CodeWrongSerial, "serial %d is not the next one: sign the change again with serial %d", c.Serial, last+1)
		r.Want, r.Got = last+1, c.Serial
		return r
	case c.removes() && (c.first() || c.old.removed):
		return rejected(CodeNothingToRemove, "there is nothing to remove")
	case c.removes() && !same(c.Mapping, c.old.mapping):
		return rejected(CodeNothingToRemove, "what is to be removed is not what is there: name the mapping as it is")
	}
	return nil
}

func same(a, b Mapping) bool { return string(encoded(a)) == string(encoded(b)) }

func encoded(m Mapping) []byte {
	var w writer
	encodeMapping(&w, m)
	return w.Buf
}

// delayAt returns the delay in force at a time.
func (s *State) delayAt(at Time) Time {
	p, _ := inForce[SynchronizerParameters](s, parametersKey(s.synchronizer), at)
	return p.TopologyChangeDelay
}

// accept adds a version. Nothing is checked any more.
func (s *State) accept(sequenced, effective, spent Time, t Transaction) {
	key := t.Mapping.Key()
	h, known := s.histories.get(key)
	if !known {
		h = &history{key: key}
		s.histories.set(key, h)
		i, _ := slices.BinarySearchFunc(s.order, key, Key.Compare)
		s.order = slices.Insert(s.order, i, key)
	}
	if known && !h.newest().removed {
		s.unindex(h.newest().mapping)
	}
	v := version{t.Serial, t.Operation == Remove, t.Mapping, sequenced, effective, spent}
	if !v.removed {
		s.index(v.mapping)
	}
	h.add(v)
	s.holdNewest(h, !known)
	if s.rules.digestNewestOnly {
		h.chains[len(h.chains)-1] = chain(Digest{}, v)
	}
	s.tree.set(key, h.chains[len(h.chains)-1])
	s.sequenced, s.effective = sequenced, max(s.effective, effective)
}

func (h *history) add(v version) {
	last := h.forgot
	if n := len(h.chains); n > 0 {
		last = h.chains[n-1]
	}
	h.versions = append(h.versions, v)
	h.chains = append(h.chains, chain(last, v))
}

// Prune forgets what was replaced or removed before a time, at most the one up to which the order was applied. Snapshots
// before that time are gone; the digest stays the same, so nodes may prune when they like.
func (s *State) Prune(before Time) {
	if before <= s.floor {
		return
	}
	s.floor = before
	for _, key := range s.order {
		h := s.histories.at(key)
		if n := h.forgettable(before); n > 0 {
			h.forgot = h.chains[n-1]
			h.versions = slices.Clone(h.versions[n:])
			h.chains = slices.Clone(h.chains[n:])
		}
	}
}

// Effective is the time from which on everything is in force that was accepted until now.
func (s *State) Effective() Time { return s.effective }

// Floor is the least time that can be asked for.
func (s *State) Floor() Time { return s.floor }

// forgettable is the number of versions that no time from floor on asks for.
func (h *history) forgettable(floor Time) int {
	n := 0
	for n+1 < len(h.versions) && h.versions[n+1].effective <= floor {
		n++
	}
	return n
}
