package topology

import (
	"github.com/synod-network/synod/keys"
)

// usage is what a key is used for by the newest versions. A namespace key may act for several namespaces; every other key
// belongs to the one mapping that lists it.
type usage struct {
	purpose keys.Purpose
	holder  Key // the mapping, of keys that belong to one
	count   int // of mappings
}

func (s *State) index(m Mapping) {
	key := m.Key()
	for _, u := range m.uses() {
		s.used.set(u.key, usage{u.purpose, key, s.used.at(u.key).count + 1})
	}
	for _, member := range m.lists() {
		s.listed.set(member, key)
	}
}

func (s *State) unindex(m Mapping) {
	for _, u := range m.uses() {
		had := s.used.at(u.key)
		had.count--
		if had.count > 0 {
			s.used.set(u.key, had)
		} else {
			s.used.delete(u.key)
		}
	}
	for _, member := range m.lists() {
		s.listed.delete(member)
	}
}

// checkUses refuses a key that has another purpose or owner.
func (s *State) checkUses(c change) *Rejection {
	if c.removes() || s.rules.reuseKeys {
		return nil
	}
	own := c.Mapping.Key()
	for _, u := range c.Mapping.uses() {
		had, used := s.used.get(u.key)
		shared := u.purpose == keys.Namespace || had.holder == own
		if used && (had.purpose != u.purpose || !shared) {
			return rejected(CodeKeyReused, "key %s is used for %s elsewhere: make another for %s", u.key, had.purpose, u.purpose)
		}
	}
	return nil
}
