package tx

import (
	"fmt"
	"slices"

	"github.com/synod-network/synod/daml/value"
)

// RollbackRule says what may be rolled back.
type RollbackRule uint8

const (
	// EffectsStay is the rule of protocol version 35: a try block that created or archived a contract cannot be rolled back.
	EffectsStay RollbackRule = iota
	// EffectsRollBack is the rule of protocol version 34: everything in a try block can be rolled back.
	EffectsRollBack
)

// Builder puts a transaction together in the order in which a program acts, and knows at each moment which contracts are active.
// It checks authorization. Scopes are opened and closed like brackets.
type Builder struct {
	preparation value.Timestamp
	rule        RollbackRule
	rootSeeds   []Hash // if set, of the roots one by one

	nodes   []Node // nil where a try block ended well
	seeds   []Hash
	scopes  []scope
	pending []NodeID // children of the open scopes, one after the other

	created  map[value.ContractID]NodeID // contracts that were created and not rolled back
	gone     map[value.ContractID]bool   // contracts whose creation was rolled back
	consumed map[value.ContractID]NodeID
	effects  []effect // in order, since the outermost open try
	keys     keyState
	actions  int
}

type scope struct {
	exercise    *Exercise // nil for the root and for try blocks
	id          NodeID    // of the exercise, or of the rollback that a try block may become
	isTry       bool
	authorizers []value.Party
	seed        Hash // from which those of the actions inside derive
	next        int  // how many actions were inside so far
	children    int  // where in pending its children start
	effects     int  // how many there were when a try began
}

type effect struct {
	id       value.ContractID
	node     NodeID
	consumed bool
	key      *Key // of a create
}

// NewBuilder starts a transaction that submitters (sorted) authorize.
func NewBuilder(submitters []value.Party, seed Hash, preparation value.Timestamp, rule RollbackRule) *Builder {
	return &Builder{
		preparation: preparation,
		rule:        rule,
		scopes:      []scope{{seed: seed, authorizers: submitters}},
		created:     map[value.ContractID]NodeID{},
		consumed:    map[value.ContractID]NodeID{},
	}
}

// NewRootBuilder starts a part of a transaction, whose root has a known seed.
func NewRootBuilder(authorizers []value.Party, rootSeed Hash, preparation value.Timestamp, rule RollbackRule) *Builder {
	b := NewBuilder(authorizers, Hash{}, preparation, rule)
	b.rootSeeds = []Hash{rootSeed}
	return b
}

func (b *Builder) top() *scope { return &b.scopes[len(b.scopes)-1] }

// Authorizers are the parties with whose authority the program acts now. Sorted.
func (b *Builder) Authorizers() []value.Party { return b.top().authorizers }

// Actions counts the actions so far, also those rolled back.
func (b *Builder) Actions() int { return b.actions }

func (b *Builder) nextSeed() Hash {
	s := b.top()
	if b.rootSeeds == nil || s.exercise != nil || b.insideExercise() {
		return NodeSeed(s.seed, s.next)
	}
	if s.next < len(b.rootSeeds) {
		return b.rootSeeds[s.next]
	}
	return Hash{}
}

func (b *Builder) insideExercise() bool {
	for i := len(b.scopes) - 1; i >= 0; i-- {
		if b.scopes[i].exercise != nil {
			return true
		}
	}
	return false
}

func (b *Builder) reserve(n Node, seed Hash) NodeID {
	b.nodes = append(b.nodes, n)
	b.seeds = append(b.seeds, seed)
	return NodeID(len(b.nodes) - 1)
}

// addAction adds an action to the innermost scope.
func (b *Builder) addAction(id NodeID) {
	b.pending = append(b.pending, id)
	b.top().next++
	b.actions++
}

// NextID is the id that the next node gets, unless rollbacks are normalized: for errors.
func (b *Builder) NextID() NodeID { return NodeID(len(b.nodes)) }

// Create adds a create. It completes the node with the id of the contract.
func (b *Builder) Create(n *Create) error {
	if n.Key != nil && len(n.Key.Maintainers) == 0 {
		return &EmptyMaintainersError{Template: n.Template, Create: true}
	}
	seed := b.nextSeed()
	n.ID = LocalID(seed, b.preparation, n.Stakeholders)
	id := b.reserve(n, seed)
	b.addAction(id)
	if err := authorizeCreate(n, b.Authorizers(), id); err != nil {
		return err
	}
	if _, known := b.created[n.ID]; known || b.gone[n.ID] {
		return fmt.Errorf("contract id %s is made twice", n.ID)
	}
	b.created[n.ID] = id
	b.effects = append(b.effects, effect{n.ID, id, false, n.Key})
	if n.Key != nil {
		b.keys.created(n.Key.Hash, n.ID)
	}
	return nil
}

// Fetch adds a fetch of a contract that is active.
func (b *Builder) Fetch(n *Fetch) error {
	n.Actors = Intersect(b.Authorizers(), n.Stakeholders)
	if err := b.read(&n.Contract, n.ByKey); err != nil {
		return err
	}
	if len(n.Actors) == 0 {
		return &AuthorizationError{Node: b.NextID(), Kind: FetchMissing, Template: n.Template, Required: n.Stakeholders, Given: b.Authorizers()}
	}
	b.addAction(b.reserve(n, Hash{}))
	return nil
}

// AuthorizeQuery checks that a query by key may run.
func (b *Builder) AuthorizeQuery(key *Key) error {
	if !Subset(key.Maintainers, b.Authorizers()) {
		return &AuthorizationError{Node: b.NextID(), Kind: QueryMissing, Template: key.Template, Required: key.Maintainers, Given: b.Authorizers()}
	}
	return nil
}

// Query adds a query by key.
func (b *Builder) Query(n *QueryByKey) { b.addAction(b.reserve(n, Hash{})) }

// BeginExercise opens the scope of an exercise of a contract that is active. The node gets result and children when it ends.
func (b *Builder) BeginExercise(n *Exercise) error {
	if err := b.read(&n.Contract, n.ByKey); err != nil {
		return err
	}
	id := b.NextID()
	if n.Consuming {
		b.consumed[n.ID] = id
		b.effects = append(b.effects, effect{n.ID, id, true, nil})
	}
	if err := authorizeExercise(n, b.Authorizers(), id); err != nil {
		return err
	}
	seed := b.nextSeed()
	b.reserve(n, seed)
	b.scopes = append(b.scopes, scope{
		exercise: n, id: id, seed: seed, children: len(b.pending),
		authorizers: Union(n.Actors, n.Signatories),
	})
	return nil
}

// EndExercise closes the scope of an exercise; result is nil if an exception ended it.
func (b *Builder) EndExercise(result value.Value) {
	s := b.close()
	s.exercise.Result = result
	s.exercise.Children = b.take(s.children)
	b.addAction(s.id)
}

// BeginTry opens a scope that may be rolled back.
func (b *Builder) BeginTry() {
	outer := b.top()
	b.scopes = append(b.scopes, scope{
		isTry: true, id: b.reserve(nil, Hash{}), seed: outer.seed, next: outer.next, authorizers: outer.authorizers,
		children: len(b.pending), effects: len(b.effects),
	})
}

// EndTry closes the scope of a try block that ended well.
func (b *Builder) EndTry() {
	s := b.close()
	b.top().next = s.next
}

// RollbackTry closes the scope of a try block and undoes it. Exercises inside it are closed already.
func (b *Builder) RollbackTry() error {
	s := b.close()
	if undone := b.effects[s.effects:]; b.rule == EffectsStay && len(undone) > 0 {
		return b.effectfulRollback(undone)
	}
	for _, e := range slices.Backward(b.effects[s.effects:]) {
		b.undo(e)
	}
	b.effects = b.effects[:s.effects]
	b.nodes[s.id] = &Rollback{Children: b.take(s.children)}
	b.pending = append(b.pending, s.id)
	b.top().next = s.next
	return nil
}

func (b *Builder) undo(e effect) {
	if e.consumed {
		delete(b.consumed, e.id)
		return
	}
	delete(b.created, e.id)
	if b.gone == nil {
		b.gone = map[value.ContractID]bool{}
	}
	b.gone[e.id] = true
	if e.key != nil {
		b.keys.uncreated(e.key.Hash)
	}
}

func (b *Builder) close() scope {
	s := *b.top()
	b.scopes = b.scopes[:len(b.scopes)-1]
	return s
}

// take removes the children of the innermost scope, which start at a position.
func (b *Builder) take(start int) []NodeID {
	children := slices.Clone(b.pending[start:])
	b.pending = b.pending[:start]
	return children
}

// CheckActive returns an error if a contract was consumed by this transaction, or its creation rolled back.
func (b *Builder) CheckActive(id value.ContractID, template value.Identifier) error {
	if node, consumed := b.consumed[id]; consumed {
		return &NotActiveError{ID: id, Template: template, ConsumedBy: node}
	}
	if b.gone[id] {
		return &NotFoundError{ID: id}
	}
	return nil
}

// read notes that an action uses a contract.
func (b *Builder) read(c *Contract, byKey bool) error {
	if err := b.CheckActive(c.ID, c.Template); err != nil {
		return err
	}
	if _, local := b.created[c.ID]; local || c.Key == nil || byKey {
		return nil
	}
	return b.keys.readByID(c.Key, c.ID)
}

// Finish returns the transaction, its rollbacks in normal form. All scopes are closed.
func (b *Builder) Finish() *Transaction {
	for _, n := range b.nodes {
		if _, rolledBack := n.(*Rollback); rolledBack || n == nil {
			return normalize(b.nodes, b.pending, b.seeds)
		}
	}
	return &Transaction{Nodes: b.nodes, Roots: b.pending, Seeds: b.seeds}
}
