package topology

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/synod-network/synod/keys"
)

// Charter is what the owners of a network agree on before they sign. Its digest is a root of trust: the network id is made
// of it, and the signatures of the genesis are made for that id, so they cannot be part of it.
type Charter struct {
	Synchronizer UID
	// Began is when the network began; everything in the charter is in force from then on.
	Began Time
	// Transactions are first changes: serial 1, add-replace, one for a key.
	Transactions []Transaction
}

// maxFounding bounds the transactions of a genesis: each of the most sequencers with a namespace and keys of its own, and
// as many others.
const maxFounding = 4096

const tagGenesis = "synod/topology/genesis/1\x00"

// Digest identifies the charter, in whatever order its transactions are listed.
func (c Charter) Digest() Digest {
	w := newWriter([]byte(tagGenesis))
	w.uid(c.Synchronizer)
	w.time(c.Began)
	writeList(&w, slices.SortedFunc(slices.Values(c.Transactions), byDependence), func(t Transaction) {
		d := t.Digest()
		w.Bytes(d[:])
	})
	return sha256.Sum256(w.Buf)
}

// byDependence orders first changes so that each stands behind what it rests on: kinds grow that way, and root keys come
// before their delegates.
func byDependence(a, b Transaction) int {
	return cmp.Or(cmp.Compare(rank(a.Mapping), rank(b.Mapping)), a.Mapping.Key().Compare(b.Mapping.Key()))
}

func rank(m Mapping) int {
	if d, ok := m.(NamespaceDelegation); ok && d.IsRoot() {
		return 0
	}
	return int(m.Kind())
}

// Genesis founds a network: a charter with all signatures that it needs. It is immutable.
type Genesis struct {
	network      [32]byte
	charter      Charter
	transactions []SignedTransaction // by dependence
}

// NewGenesis puts a genesis together from signed transactions; those about the same are merged. It fails with the
// [*Rejection] of the first transaction that is not authorized by those that it rests on, and if parameters or sequencers
// are missing.
func NewGenesis(network [32]byte, synchronizer UID, began Time, signed ...SignedTransaction) (*Genesis, error) {
	g := &Genesis{network: network, charter: Charter{Synchronizer: synchronizer, Began: began}}
	if err := g.gather(signed); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	for _, t := range g.transactions {
		g.charter.Transactions = append(g.charter.Transactions, t.content)
	}
	if _, err := found(g); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	return g, nil
}

// gather sorts and merges.
func (g *Genesis) gather(signed []SignedTransaction) error {
	for _, t := range signed {
		if t.content.Mapping == nil {
			return errors.New("a transaction is empty")
		}
	}
	sorted := slices.SortedStableFunc(slices.Values(signed), func(a, b SignedTransaction) int {
		return byDependence(a.content, b.content)
	})
	for _, t := range sorted {
		last := len(g.transactions) - 1
		if last < 0 || g.transactions[last].content.Mapping.Key() != t.content.Mapping.Key() {
			g.transactions = append(g.transactions, t)
			continue
		}
		merged, err := g.transactions[last].Merge(t)
		if err != nil {
			return fmt.Errorf("%s: %w", t.content.Mapping.Key(), err)
		}
		g.transactions[last] = merged
	}
	if len(g.transactions) > maxFounding {
		return fmt.Errorf("%d transactions are more than the limit of %d: add members later", len(g.transactions), maxFounding)
	}
	return nil
}

// Digest identifies the charter: two genesis with different signatures under the same charter found the same network.
func (g *Genesis) Digest() Digest { return g.charter.Digest() }

// Charter returns what is founded.
func (g *Genesis) Charter() Charter { return g.charter }

// Encode returns the encoding that is given to every node.
func (g *Genesis) Encode() []byte {
	var w writer
	w.uid(g.charter.Synchronizer)
	w.time(g.charter.Began)
	writeList(&w, g.transactions, func(t SignedTransaction) { t.encode(&w) })
	return w.Buf
}

// UnverifiedGenesis is well formed and not yet believed.
type UnverifiedGenesis struct {
	synchronizer UID
	began        Time
	transactions []UnverifiedTransaction
}

// sizeTransaction is the least size of an encoded transaction, in bytes.
const sizeTransaction = 1 + 1 + 4 + 1 + sizeUID + 2

// DecodeGenesis reads what [Genesis.Encode] writes.
func DecodeGenesis(b []byte) (UnverifiedGenesis, error) {
	r := newReader(b)
	u := UnverifiedGenesis{synchronizer: r.uid(), began: r.time()}
	u.transactions = readList(&r, maxFounding, sizeTransaction, func() UnverifiedTransaction { return decodeUnverified(&r) })
	if err := r.Done(); err != nil {
		return UnverifiedGenesis{}, fmt.Errorf("decode topology genesis: %w", err)
	}
	if !ascending(u.Charter().Transactions, byDependence) {
		return UnverifiedGenesis{}, errors.New("decode topology genesis: its transactions are not sorted, one for each key")
	}
	return u, nil
}

// Charter returns what would be founded, from which the network id is made.
func (u UnverifiedGenesis) Charter() Charter {
	c := Charter{Synchronizer: u.synchronizer, Began: u.began}
	for _, t := range u.transactions {
		c.Transactions = append(c.Transactions, t.Transaction)
	}
	return c
}

// Verify checks all signatures, and that they suffice.
func (u UnverifiedGenesis) Verify(network [32]byte) (*Genesis, error) {
	signed := make([]SignedTransaction, len(u.transactions))
	for i, t := range u.transactions {
		var err error
		if signed[i], err = t.Verify(network); err != nil {
			return nil, fmt.Errorf("genesis: transaction %d: %w", i+1, err)
		}
	}
	return NewGenesis(network, u.synchronizer, u.began, signed...)
}

func newState(network [32]byte, genesis Digest, synchronizer UID) *State {
	return &State{
		network: network, genesis: genesis, synchronizer: synchronizer, founded: true,
		histories: newTable[Key, *history](), used: newTable[keys.Fingerprint, usage](), listed: newTable[Member, Key](),
		holdings: newTable[Namespace, holding](),
	}
}

// found applies a genesis to an empty state.
func found(g *Genesis) (*State, error) {
	if err := g.charter.Synchronizer.check(); err != nil {
		return nil, fmt.Errorf("synchronizer %s: %w", g.charter.Synchronizer, err)
	}
	if g.charter.Began < 0 {
		return nil, errors.New("it begins before 1970")
	}
	s := newState(g.network, g.Digest(), g.charter.Synchronizer)
	began := g.charter.Began
	for _, t := range g.transactions {
		if r := s.checkGenuine(began, t); r != nil {
			return nil, r
		}
		s.accept(began, began, 0, t.content)
	}
	s.sequenced, s.effective, s.floor = began, began, began
	return s, s.checkFounded()
}

// checkFounded asks for what no network can be without.
func (s *State) checkFounded() error {
	for _, key := range []Key{parametersKey(s.synchronizer), sequencersKey(s.synchronizer)} {
		if _, ok := s.histories.get(key); !ok {
			return fmt.Errorf("it lacks the %s", key)
		}
	}
	return nil
}

// Load founds the state. If it is founded by this genesis already, whatever was applied since stays; if by another, the
// rejection has CodeOtherGenesis.
func (s *State) Load(g *Genesis) *Rejection {
	if s.founded {
		if s.genesis != g.Digest() || s.network != g.network {
			return rejected(CodeOtherGenesis, "the state was founded by genesis %s, not %s: use another store for another network", s.genesis, g.Digest())
		}
		return nil
	}
	founded, err := found(g)
	if err != nil { // a genesis was verified when it was made
		return malformed("%v", err)
	}
	founded.rules = s.rules
	*s = *founded
	return nil
}
