package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/synod-network/synod/daml/lf"
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

// taker goes on once a contract was read and checked.
type taker interface {
	take(m *machine, id value.ContractID, i *info) (value.Value, error)
}

// takeArg gives the argument of the contract.
type takeArg struct{}

func (takeArg) take(_ *machine, _ value.ContractID, i *info) (value.Value, error) { return i.arg, nil }

// takeAny gives the contract as an interface value.
type takeAny struct{}

func (takeAny) take(_ *machine, _ value.ContractID, i *info) (value.Value, error) {
	return &value.Any{Type: i.template.rep, V: i.arg}, nil
}

// insertFetch adds a fetch to the transaction.
type insertFetch struct {
	template *template
	iface    *value.Identifier
	byKey    bool
}

func (f *insertFetch) take(m *machine, id value.ContractID, i *info) (value.Value, error) {
	n := &tx.Fetch{Contract: i.contract(id), Interface: f.iface, ByKey: f.byKey}
	if err := m.builder.Fetch(n); err != nil {
		return nil, failure(err)
	}
	if err := m.checkNodes(); err != nil {
		return nil, err
	}
	if f.iface != nil {
		return &value.Any{Type: i.template.rep, V: i.arg}, nil
	}
	return i.arg, nil
}

// source is a contract as it was created.
type source struct {
	id       value.ContractID
	template value.Identifier
	pkgName  string
	arg      value.Value
	local    *info     // if the transaction created it
	stored   *Contract // if it comes from the ledger or was disclosed
}

// source finds a contract, and checks that it was not archived.
func (m *machine) source(id value.ContractID) (*source, error) {
	if i := m.local[id]; i != nil {
		s := &source{id: id, template: i.template.id, pkgName: i.template.packageName, arg: i.arg, local: i}
		return s, failureOrNil(m.builder.CheckActive(id, s.template))
	}
	c := m.contracts[id]
	if c == nil {
		if m.notFound[id] {
			return nil, failure(&tx.NotFoundError{ID: id})
		}
		return nil, &need{&NeedContract{id}}
	}
	if scheme := id.Suffix(); strings.HasPrefix(scheme, "\xca\x10") || strings.HasPrefix(scheme, "\xca\x11") {
		return nil, &Failure{Code: "INTERPRETATION_UPGRADE_ERROR_AUTHENTICATION_FAILED", Message: fmt.Sprintf(
			"failed to authenticate contract %s of %s: the scheme %x of its id binds a hash older than the typed normal form, "+
				"which is not supported; create the contract anew", id, c.Template, scheme[:2])}
	}
	s := &source{id: id, template: c.Template, pkgName: c.PackageName, arg: c.Arg, stored: c}
	return s, failureOrNil(m.builder.CheckActive(id, s.template))
}

// fetch reads a contract as one of a template, which may be of another version than the one it was created with. By is the
// interface that it is read through, nil if none.
func (m *machine) fetch(id value.ContractID, t *template, by *lf.Ref, next taker) (value.Value, error) {
	s, err := m.source(id)
	if err != nil {
		return nil, err
	}
	if s.local != nil && s.local.template == t {
		return next.take(m, id, s.local)
	}
	if by == nil && s.template.Qualified() != t.id.Qualified() {
		return nil, &Failure{Code: "WRONGLY_TYPED_CONTRACT", Message: fmt.Sprintf(
			"Expected contract of type %s but got %s: contract %s", t.id, s.template, id)}
	}
	if i := m.infos[infoKey{id, t.id.Package}]; i != nil {
		return next.take(m, id, i)
	}
	arg, err := m.importArg(s, t)
	if err != nil {
		return nil, err
	}
	f, err := m.functionOf(t.info)
	if err != nil {
		return nil, err
	}
	return nil, m.call(&validation{s, next}, true, f, arg)
}

// importArg gives the argument of a contract the type of a template.
func (m *machine) importArg(s *source, t *template) (value.Value, error) {
	if s.local == nil && s.stored.Checked == t.data {
		return s.arg, nil
	}
	arg, err := Import(t.shape, s.arg, FromLedger)
	if _, missing := asMissing(err); missing {
		return nil, asNeed(err)
	}
	if err != nil {
		return nil, &Failure{Code: "INTERPRETATION_UPGRADE_ERROR_TRANSLATION_FAILED", Message: fmt.Sprintf(
			"Failed to translate create argument of contract %s from %s to %s: %v", s.id, s.template, t.id, err)}
	}
	return arg, nil
}

// validation waits for what a template says about a contract, and compares it with what the contract was created with.
type validation struct {
	source *source
	next   taker
}

func (v *validation) resume(m *machine, result value.Value) (value.Value, error) {
	i, s := result.(*info), v.source
	if err := m.builder.CheckActive(s.id, i.template.id); err != nil {
		return nil, failure(err)
	}
	if err := s.check(i); err != nil {
		return nil, err
	}
	m.infos[infoKey{s.id, i.template.id.Package}] = i
	if s.stored != nil && !slices.Contains(m.inputs, s.id) {
		m.inputs = append(m.inputs, s.id)
	}
	return v.next.take(m, s.id, i)
}

// check compares a contract with what a template computes about it. All versions of a template have to agree.
func (s *source) check(i *info) error {
	var before tx.Contract
	if s.local != nil {
		before = s.local.contract(s.id)
	} else {
		before = s.stored.Contract
	}
	after := i.contract(s.id)
	var differences []string
	differ := func(what string, same bool) {
		if !same {
			differences = append(differences, what+" mismatch")
		}
	}
	differ("signatories", slices.Equal(before.Signatories, after.Signatories))
	differ("nonSignatoryStakeholders", slices.Equal(tx.Minus(before.Stakeholders, before.Signatories), tx.Minus(after.Stakeholders, after.Signatories)))
	differ("key", (before.Key == nil) == (after.Key == nil))
	if before.Key != nil && after.Key != nil {
		differ("key maintainers", slices.Equal(before.Key.Maintainers, after.Key.Maintainers))
		differ("key value", before.Key.Hash == after.Key.Hash)
	}
	differ("package name", before.PackageName == after.PackageName)
	if differences != nil {
		return &Failure{Code: "INTERPRETATION_UPGRADE_ERROR_VALIDATION_FAILED", Message: fmt.Sprintf(
			"Validation fails when trying to upgrade the contract %s from %s to %s: %v", s.id, before.Template, after.Template, differences)}
	}
	hash := i.hash
	if s.stored == nil && hash != s.local.hash || s.stored != nil && !s.stored.Authenticate(hash) {
		return &Failure{Code: "INTERPRETATION_UPGRADE_ERROR_AUTHENTICATION_FAILED", Message: fmt.Sprintf(
			"failed to authenticate contract %s of %s as %s", s.id, before.Template, after.Template)}
	}
	return nil
}

// fetchAny reads a contract through an interface, as one of the preferred version of its template.
func (m *machine) fetchAny(id value.ContractID, ref *lf.Ref, insert bool) (value.Value, error) {
	s, err := m.source(id)
	if err != nil {
		return nil, err
	}
	pkg, ok := m.resolution[s.pkgName]
	if !ok {
		return nil, &Failure{Code: "UNRESOLVED_PACKAGE_NAME", Message: fmt.Sprintf("no version of package %s is preferred", s.pkgName)}
	}
	t, err := m.e.template(lf.Ref{Package: lf.PackageID(pkg), Module: lf.DottedName(s.template.Module), Name: lf.DottedName(s.template.Entity)})
	if err != nil {
		return nil, asNeed(err)
	}
	if t.instances[*ref] == nil {
		return nil, &Failure{Code: "CONTRACT_DOES_NOT_IMPLEMENT_INTERFACE", Message: fmt.Sprintf(
			"Contract %s of template %s does not implement interface %s", id, t.id, ref)}
	}
	var next taker = takeAny{}
	if insert {
		iface := shape.Identifier(*ref)
		next = &insertFetch{template: t, iface: &iface}
	}
	return m.fetch(id, t, ref, next)
}

// infoOf returns what is known about a contract that was read.
func (m *machine) infoOf(id value.ContractID, pkg string) *info {
	if i := m.infos[infoKey{id, pkg}]; i != nil {
		return i
	}
	return m.local[id]
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

// interfaceOp runs instructions about interface values.
func (m *machine) interfaceOp(code *proto, in instr) (value.Value, error) {
	switch in.op {
	case opFromInterface:
		return m.fromInterface(code.templates[in.a], m.pop().(*value.Any))
	case opUnsafeFromInterface:
		id, a := m.pop().(value.ContractID), m.pop().(*value.Any)
		if t := code.templates[in.a]; *a.Type.Con != t.id {
			return nil, &Failure{Code: "WRONGLY_TYPED_CONTRACT", Message: fmt.Sprintf(
				"Expected contract of type %s but got %s: contract %s", t.id, a.Type.Con, id)}
		}
		return a.V, nil
	case opFromRequired:
		a := m.pop().(*value.Any)
		t, err := m.templateOf(a)
		if err != nil {
			return nil, err
		}
		if t.instances[code.refs[in.a]] == nil {
			return value.None(), nil
		}
		return value.Some(a), nil
	case opUnsafeFromRequired:
		id, a := m.pop().(value.ContractID), m.pop().(*value.Any)
		t, err := m.templateOf(a)
		if err != nil {
			return nil, err
		}
		if t.instances[code.refs[in.a]] == nil {
			return nil, &Failure{Code: "CONTRACT_DOES_NOT_IMPLEMENT_REQUIRING_INTERFACE", Message: fmt.Sprintf(
				"Contract %s of template %s does not implement interface %s, which requires %s", id, t.id, code.refs[in.a], code.refs[in.b])}
		}
		return a, nil
	case opInterfaceRep:
		return m.pop().(*value.Any).Type, nil
	}
	a := m.pop().(*value.Any)
	t, err := m.templateOf(a)
	if err != nil {
		return nil, err
	}
	switch in.op {
	case opInterfaceSignatories:
		return nil, m.callPart(t.signatories, a.V, same{})
	case opInterfaceObservers:
		return nil, m.callPart(t.observers, a.V, same{})
	}
	instance := t.instances[code.refs[in.a]]
	if instance == nil {
		return nil, fmt.Errorf("template %s has no instance of interface %s", t.id, code.refs[in.a])
	}
	if in.op == opView {
		return nil, m.callPart(instance.view, a.V, viewKont{})
	}
	return nil, m.callPart(instance.methods[code.names[in.b]], a.V, same{})
}

func (m *machine) templateOf(a *value.Any) (*template, error) {
	t, err := m.e.template(shape.Ref(*a.Type.Con))
	return t, asNeed(err)
}

func (m *machine) callPart(g *global, arg value.Value, k kont) error {
	f, err := m.functionOf(g)
	if err != nil {
		return err
	}
	return m.call(k, false, f, arg)
}

// same returns what it is given.
type same struct{}

func (same) resume(_ *machine, v value.Value) (value.Value, error) { return v, nil }

// viewKont checks that a view could be stored.
type viewKont struct{}

func (viewKont) resume(_ *machine, v value.Value) (value.Value, error) {
	return v, failureOrNil(value.CheckNesting(v))
}

// fromInterface sees an interface value as one of a template, if it is one of any version of it.
func (m *machine) fromInterface(t *template, a *value.Any) (value.Value, error) {
	id := *a.Type.Con
	if id == t.id {
		return value.Some(a.V), nil
	}
	if id.Qualified() != t.id.Qualified() {
		return value.None(), nil
	}
	name, err := m.e.types.PackageName(lf.PackageID(id.Package))
	if err != nil {
		return nil, asNeed(err)
	}
	if name != t.packageName {
		return value.None(), nil
	}
	arg, err := Import(t.shape, a.V, FromProgram)
	if _, missing := asMissing(err); missing {
		return nil, asNeed(err)
	}
	if err != nil {
		return nil, &Failure{Code: "INTERPRETATION_UPGRADE_ERROR_TRANSLATION_FAILED", Message: fmt.Sprintf(
			"Failed to translate a contract from %s to %s: %v", id, t.id, err)}
	}
	return value.Some(arg), nil
}
