package engine

import (
	"errors"
	"fmt"

	"github.com/synod-network/synod/daml/shape"
	"github.com/synod-network/synod/daml/tx"
	"github.com/synod-network/synod/daml/value"
)

// ledger is what a run knows of the ledger.
type ledger struct {
	builder    *tx.Builder
	bounds     tx.TimeBounds
	usedTime   bool
	ledgerTime value.Timestamp
	resolution map[string]string
	contracts  map[value.ContractID]*Contract // that the host or the submission gave
	local      map[value.ContractID]*info     // that were created
	infos      map[infoKey]*info
	inputs     []value.ContractID
	notFound   map[value.ContractID]bool
	keyPage    *KeyPage // the answer to the last question for keys
	query      *keySearch
	disclosed  []*Contract
	traces     []string
	last       value.Value // what the last command returned
}

type infoKey struct {
	id  value.ContractID
	pkg string
}

// info is what a contract's argument says about the contract, by the code of a template. It is a value only while it is returned.
type info struct {
	template    *template
	arg         value.Value
	signatories []value.Party
	observers   []value.Party
	all         []value.Party // stakeholders
	key         *tx.Key
	hash        tx.Hash
}

// Kind is that of values which cannot be stored.
func (*info) Kind() value.Kind { return value.KindFunction }

func (i *info) contract(id value.ContractID) tx.Contract {
	c := tx.Contract{
		ID: id, PackageName: i.template.packageName, Template: i.template.id,
		Signatories: i.signatories, Stakeholders: i.all, Key: i.key, Version: tx.V1,
	}
	if i.key != nil {
		c.Version = tx.V2
	}
	return c
}

// perform runs an instruction that may push frames or need answers. It returns nil if it pushed frames.
func (m *machine) perform(code *proto, in instr) (value.Value, error) {
	switch in.op {
	case opThrow:
		return nil, &thrown{m.pop().(*value.Any)}
	case opTry:
		return nil, m.try()
	case opCreate:
		return nil, m.create(code.templates[in.a], m.pop())
	case opCreateAny:
		a := m.pop().(*value.Any)
		t, err := m.e.template(shape.Ref(*a.Type.Con))
		if err != nil {
			return nil, asNeed(err)
		}
		return nil, m.create(t, a.V)
	case opFetch:
		t := code.templates[in.a]
		return m.fetch(m.pop().(value.ContractID), t, nil, &insertFetch{template: t})
	case opFetchAny:
		ref := &code.refs[in.a]
		return m.fetchAny(m.pop().(value.ContractID), ref, true)
	case opTarget:
		return m.fetch(m.pop().(value.ContractID), code.templates[in.a], nil, takeArg{})
	case opTargetAny:
		return m.fetchAny(m.pop().(value.ContractID), &code.refs[in.a], false)
	case opBegin:
		return nil, m.begin(code.choices[in.a], in.b == 1)
	case opEnd:
		return m.end()
	case opPrecondition:
		return nil, m.precondition(code.templates[in.a])
	case opInfo:
		return m.info(code.templates[in.a])
	case opFetchKey:
		return m.fetchKey(code.templates[in.a])
	case opQueryKey:
		return m.queryKey(code.templates[in.a])
	case opFetchByKey:
		t := code.templates[in.a]
		id := m.pop().(value.ContractID)
		return m.fetch(id, t, nil, &insertFetch{template: t, byKey: true})
	case opGetTime:
		m.usedTime = true
		m.bounds = tx.TimeBounds{Min: m.ledgerTime, Max: m.ledgerTime}
		return value.Timestamp(m.ledgerTime), nil
	case opTimeLess:
		return m.timeLess(m.pop().(value.Timestamp)), nil
	}
	return m.interfaceOp(code, in)
}

func (m *machine) pop() value.Value {
	m.sp--
	return m.stack[m.sp]
}

func (m *machine) try() error {
	body := m.pop().(*function)
	handler := m.pop().(*function)
	m.builder.BeginTry()
	return m.call(&try{handler}, false, body, token)
}

func (m *machine) timeLess(t value.Timestamp) value.Value {
	m.usedTime = true
	if m.ledgerTime < t {
		m.bounds.Max = min(m.bounds.Max, t-1)
		return value.Bool(true)
	}
	m.bounds.Min = max(m.bounds.Min, t)
	return value.Bool(false)
}

// create evaluates what a contract says of itself, and then creates it.
func (m *machine) create(t *template, arg value.Value) error {
	f, err := m.functionOf(t.info)
	if err != nil {
		return err
	}
	return m.call(createKont{}, false, f, arg)
}

type createKont struct{}

func (createKont) resume(m *machine, v value.Value) (value.Value, error) {
	i := v.(*info)
	n := &tx.Create{Contract: i.contract(""), Arg: i.arg}
	if err := m.builder.Create(n); err != nil {
		return nil, failure(err)
	}
	m.local[n.ID] = i
	return n.ID, m.checkNodes()
}

func (m *machine) checkNodes() error {
	if m.builder.Actions() > m.limits.Nodes {
		return &Failure{Code: "INTERPRETATION_BUDGET_EXCEEDED", Message: ErrNodes.Error(), Cause: ErrNodes}
	}
	return nil
}

// precondition checks the result of a template's precondition.
func (m *machine) precondition(t *template) error {
	arg := m.pop()
	if m.pop().(value.Bool) {
		return errContinue
	}
	return &Failure{Code: "TEMPLATE_PRECONDITION_VIOLATED", Message: fmt.Sprintf(
		"Template precondition violated: %s with %s", t.id, Show(arg))}
}

// errContinue says that an instruction is done, and left no value.
var errContinue = errors.New("go on")

// info puts together what was evaluated about a contract.
func (m *machine) info(t *template) (value.Value, error) {
	i := &info{template: t}
	i.arg = m.pop()
	i.signatories = parties(m.pop())
	i.observers = parties(m.pop())
	i.all = tx.Union(i.signatories, i.observers)
	var err error
	if t.def.Key != nil {
		keyValue := m.pop()
		if i.key, err = m.key(t, keyValue, m.pop()); err != nil {
			return nil, err
		}
	}
	if i.hash, err = tx.HashContract(t.packageName, t.id, i.arg); err != nil {
		return nil, failure(err)
	}
	m.alloc(512)
	return i, nil
}

func (m *machine) key(t *template, v, maintainers value.Value) (*tx.Key, error) {
	h, err := tx.HashKey(t.packageName, t.id, v)
	if errors.Is(err, tx.ErrIDInKey) {
		return nil, &Failure{Code: "CONTRACT_ID_IN_CONTRACT_KEY", Message: "Contract IDs are not supported in contract keys: " + Show(v)}
	}
	if err != nil {
		return nil, failure(err)
	}
	return &tx.Key{Template: t.id, PackageName: t.packageName, Value: v, Hash: h, Maintainers: parties(maintainers)}, nil
}

func parties(v value.Value) []value.Party {
	list := v.(*value.List)
	all := make([]value.Party, 0, list.Length)
	for p := range list.All() {
		all = append(all, p.(value.Party))
	}
	return tx.SortParties(all)
}

// begin begins an exercise. Operands: contract id, argument, controllers, observers, contract.
func (m *machine) begin(ch *choice, byKey bool) error {
	id := m.pop().(value.ContractID)
	arg := m.pop()
	actors, observers := parties(m.pop()), parties(m.pop())
	target := m.pop()
	n := &tx.Exercise{Choice: ch.def.Name, Consuming: ch.def.Consuming, Actors: actors, Observers: observers, Arg: arg, ByKey: byKey}
	var pkg string
	if ch.template != nil {
		pkg = ch.template.id.Package
	} else {
		pkg = target.(*value.Any).Type.Con.Package
		iface := shape.Identifier(*ch.iface)
		n.Interface = &iface
	}
	n.Contract = m.infoOf(id, pkg).contract(id)
	if err := value.CheckNesting(arg); err != nil {
		return failure(err)
	}
	if err := m.builder.BeginExercise(n); err != nil {
		return failure(err)
	}
	m.frames[len(m.frames)-1].exercise = true
	return errContinue
}

// end ends an exercise with the value on top.
func (m *machine) end() (value.Value, error) {
	result := m.pop()
	if err := value.CheckNesting(result); err != nil {
		return nil, failure(err)
	}
	m.builder.EndExercise(result)
	m.frames[len(m.frames)-1].exercise = false
	return result, m.checkNodes()
}
