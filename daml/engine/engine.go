package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/shape"
	"github.com/synod-network/synod/daml/tx"
	"github.com/synod-network/synod/daml/validate"
	"github.com/synod-network/synod/daml/value"
)

// Limits bound what one run may take.
type Limits struct {
	Steps  int64 // instructions
	Memory int64 // bytes of stacks and values that are alive
	Nodes  int   // actions of the transaction
}

// DefaultLimits are generous for real contracts, and end hostile ones within seconds.
func DefaultLimits() Limits { return Limits{Steps: 2_000_000_000, Memory: 256 << 20, Nodes: 100_000} }

// Engine compiles packages and runs commands. It may be used by many goroutines.
type Engine struct {
	types    *shape.Types
	limits   Limits
	builtins map[lf.Function]*builtin

	arithmeticRep  *value.TypeRep
	arithmeticData *value.DataType

	mu        sync.Mutex                 // of what follows; compiling never waits for anything
	code      map[lf.PackageID]*Compiled // of the packages that came in compiled form
	globals   map[lf.Ref]*global
	templates map[lf.Ref]*template
	ifaces    map[lf.Ref]*iface
	messages  map[value.Identifier]*global
	compile   sync.Mutex // one compilation at a time

	stacks sync.Pool // of *stacks, cleared
}

// New returns an engine without packages.
func New(limits Limits) *Engine {
	e := &Engine{
		types: shape.New(), limits: limits, builtins: builtinTable(),
		code: map[lf.PackageID]*Compiled{}, globals: map[lf.Ref]*global{}, templates: map[lf.Ref]*template{}, ifaces: map[lf.Ref]*iface{}, messages: map[value.Identifier]*global{},
	}
	e.arithmeticRep, _ = e.types.Rep(&lf.TypeCon{Ref: arithmeticRef}) // a constructor alone needs no package
	e.arithmeticData = &value.DataType{ID: arithmeticError, Names: []string{"message"}}
	return e
}

// Types describes the types of the engine's packages.
func (e *Engine) Types() *shape.Types { return e.types }

// AddPackage makes a package known that was validated. What it refers to may come later, when a run asks for it.
func (e *Engine) AddPackage(pkg *lf.Package) error {
	if !pkg.Version.Stable() {
		return fmt.Errorf("package %s is of version %s of the language, which is not stable", pkg.ID, pkg.Version)
	}
	if pkg.ID == "" {
		return errors.New("package has no id yet; encode it first")
	}
	if pkg.IsSignature {
		return fmt.Errorf("package %s is without its expressions, so it cannot be run", pkg.ID)
	}
	e.types.Add(pkg)
	return nil
}

// Validate checks packages that are not known yet, given those that are. The error is that of package validate: all faults of the
// first package that has some.
func (e *Engine) Validate(packages ...*lf.Package) error {
	together, err := e.types.Signatures(packages...)
	if err != nil {
		return err
	}
	for _, pkg := range packages {
		if err := validate.Check(pkg, together); err != nil {
			return fmt.Errorf("package %s %s is not valid: %w", pkg.Metadata.Name, pkg.ID, err)
		}
	}
	return nil
}

// CheckUpgrade checks whether a package may replace an older version of it. Both are valid. The error is of type
// validate.UpgradeFaults, without what is advisory only.
func (e *Engine) CheckUpgrade(past, present *lf.Package) error {
	var faults validate.UpgradeFaults
	err := validate.Upgrade(past, present, e.types.Together(past, present))
	if !errors.As(err, &faults) {
		return err
	}
	if binding := faults.Binding(); len(binding) > 0 {
		return binding
	}
	return nil
}

// builtin finds a stable builtin.
func (e *Engine) builtin(f lf.Function) (*builtin, error) {
	if b := e.builtins[f]; b != nil {
		return b, nil
	}
	return nil, fmt.Errorf("builtin function %d (%s) is not stable", f, f)
}

// compiled compiles code at its first use.
func (e *Engine) compiled(c *lazyCode) (*proto, error) {
	if p := c.proto.Load(); p != nil {
		return p, nil
	}
	e.compile.Lock()
	defer e.compile.Unlock()
	if p := c.proto.Load(); p != nil {
		return p, nil
	}
	p, err := c.build()
	if err != nil {
		return nil, err
	}
	c.proto.Store(p)
	c.build = nil // with the syntax tree
	return p, nil
}

// compileOnce compiles code for one use, after which it is garbage.
func (e *Engine) compileOnce(c *lazyCode) (*proto, error) {
	e.compile.Lock()
	defer e.compile.Unlock()
	if p := c.proto.Load(); p != nil {
		return p, nil
	}
	return c.build()
}

// global finds a top-level value.
func (e *Engine) global(ref lf.Ref) (*global, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if g := e.globals[ref]; g != nil {
		return g, nil
	}
	set, err := e.types.Package(ref.Package)
	if err != nil {
		return nil, err
	}
	g := &global{symbol: symbol{part: partValue, ref: ref}, name: ref.Qualified()}
	if c := e.code[ref.Package]; c != nil {
		body, function, ok := c.find(g.symbol)
		if !ok {
			return nil, set.Missing("value", ref)
		}
		g.function = function
		g.code.build = func() (*proto, error) { return e.read(c, body, ref) }
	} else {
		def := set.Value(ref)
		if def == nil {
			return nil, set.Missing("value", ref)
		}
		e.describeValue(g, strip(def.Body))
	}
	e.globals[ref] = g
	return g, nil
}

// describeValue says how a value is compiled when it is needed.
func (e *Engine) describeValue(g *global, body lf.Expr) {
	if abs, ok := body.(*lf.Abs); ok {
		g.function = true
		g.code.build = func() (*proto, error) { return e.compileAbstraction(g.name, abs) }
		return
	}
	g.code.build = func() (*proto, error) { return e.compileValue(g.name, body) }
}

func (e *Engine) compileAbstraction(name string, abs *lf.Abs) (*proto, error) {
	u := e.newUnit(nil, name)
	if err := u.abstraction(abs); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return u.proto.consts[0].(*function).code, nil
}

func (e *Engine) compileValue(name string, body lf.Expr) (*proto, error) {
	u := e.newUnit(nil, name)
	if err := u.expr(body, true); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return u.done(), nil
}

// codeOf returns a function that is read from its package's compiled form, or built if the package came as lf. The caller holds e.mu.
func (e *Engine) codeOf(s symbol, name string, build func() (*proto, error)) *global {
	g := &global{symbol: s, name: name, function: true}
	g.code.build = build
	if c := e.code[s.ref.Package]; c != nil {
		g.code.build = func() (*proto, error) {
			body, _, ok := c.find(s)
			if !ok {
				return nil, fmt.Errorf("compiled form of package %s has no code of %s", c.ID, name)
			}
			return e.read(c, body, s.ref)
		}
	}
	return g
}

// template finds a template.
func (e *Engine) template(ref lf.Ref) (*template, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if t := e.templates[ref]; t != nil {
		return t, nil
	}
	set, err := e.types.Package(ref.Package)
	if err != nil {
		return nil, err
	}
	def := set.Template(ref)
	if def == nil {
		return nil, set.Missing("template", ref)
	}
	t := &template{
		id: shape.Identifier(ref), ref: ref, def: def, packageName: set.Package(ref.Package).Metadata.Name,
		choices: map[string]*choice{}, instances: map[lf.Ref]*instance{},
	}
	if t.data, err = e.types.Data(ref); err != nil {
		return nil, err
	}
	if t.rep, err = e.types.Rep(&lf.TypeCon{Ref: ref}); err != nil {
		return nil, err
	}
	if t.shape, err = e.types.Of(&lf.TypeCon{Ref: ref}); err != nil {
		return nil, err
	}
	if def.Key != nil {
		if t.keyShape, err = e.types.Of(def.Key.Type); err != nil {
			return nil, err
		}
	}
	e.describeTemplate(t)
	e.templates[ref] = t
	return t, nil
}

// describeTemplate says how the parts of a template are compiled when they are needed.
func (e *Engine) describeTemplate(t *template) {
	name, def := t.id.Qualified(), t.def
	function := func(s symbol, what string, body lf.Expr) *global {
		s.ref = t.ref
		return e.codeOf(s, name+" "+what, func() (*proto, error) { return e.compileFunction(name+" "+what, def.Param, body) })
	}
	t.info = e.codeOf(symbol{part: partInfo, ref: t.ref}, name, func() (*proto, error) { return e.compileInfo(t) })
	t.signatories = function(symbol{part: partSignatories}, "signatories", def.Signatories)
	t.observers = function(symbol{part: partObservers}, "observers", def.Observers)
	t.maintainers = e.codeOf(symbol{part: partMaintainers, ref: t.ref}, name+" maintainers", func() (*proto, error) { return e.compileMaintainers(t) })
	for _, c := range def.Choices {
		ch := &choice{def: c, template: t}
		ch.code = e.codeOf(symbol{part: partChoice, ref: t.ref, member: c.Name}, name+"."+c.Name,
			func() (*proto, error) { return e.compileChoice(t, ch) })
		ch.byKey = e.codeOf(symbol{part: partChoiceByKey, ref: t.ref, member: c.Name}, name+"."+c.Name,
			func() (*proto, error) { return e.compileChoiceByKey(t, ch) })
		t.choices[c.Name] = ch
	}
	for _, impl := range def.Implements {
		i := &instance{methods: map[string]*global{}, view: function(symbol{part: partView, iface: impl.Interface}, "view", impl.View)}
		for _, method := range impl.Methods {
			i.methods[method.Name] = function(symbol{part: partMethod, member: method.Name, iface: impl.Interface}, method.Name, method.Body)
		}
		t.instances[impl.Interface] = i
	}
}

// iface finds an interface.
func (e *Engine) iface(ref lf.Ref) (*iface, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if i := e.ifaces[ref]; i != nil {
		return i, nil
	}
	set, err := e.types.Package(ref.Package)
	if err != nil {
		return nil, err
	}
	def := set.Interface(ref)
	if def == nil {
		return nil, set.Missing("interface", ref)
	}
	i := &iface{ref: ref, def: def, choices: map[string]*choice{}}
	for _, c := range def.Choices {
		ch := &choice{def: c, iface: &i.ref}
		ch.code = e.codeOf(symbol{part: partInterfaceChoice, ref: ref, member: c.Name}, ref.Qualified()+"."+c.Name,
			func() (*proto, error) { return e.compileInterfaceChoice(i, ch) })
		i.choices[c.Name] = ch
	}
	e.ifaces[ref] = i
	return i, nil
}

// exceptionMessage finds the function from an exception to its message.
func (e *Engine) exceptionMessage(id value.Identifier) (*global, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if g := e.messages[id]; g != nil {
		return g, nil
	}
	ref := shape.Ref(id)
	set, err := e.types.Package(ref.Package)
	if err != nil {
		return nil, err
	}
	def := set.Exception(ref)
	if def == nil {
		return nil, set.Missing("exception", ref)
	}
	name := id.Qualified() + " message"
	g := e.codeOf(symbol{part: partMessage, ref: ref}, name, func() (*proto, error) {
		u := e.newUnit(nil, name, "\x00exception")
		err := u.application(&lf.App{Fun: def.Message, Args: []lf.Expr{&lf.Var{Name: "\x00exception"}}}, nil, true)
		return u.done(), err
	})
	e.messages[id] = g
	return g, nil
}

// Contract is a contract that a run may use.
type Contract struct {
	tx.Contract
	Arg value.Value
	// Authenticate says whether the id of the contract binds a hash of its argument.
	Authenticate func(tx.Hash) bool
	// Checked, if not nil, is the type that the argument was built at by this engine: then it is not checked again.
	Checked *value.DataType
}

// Question is what a run has to be told before it can go on: a *NeedPackage, *NeedContract or *NeedKeys.
type Question interface{ question() }

// NeedPackage asks for a package; answer by adding it to the engine. If it is still not there the next time, the run fails.
type NeedPackage struct{ ID string }

// NeedContract asks for a contract of the ledger; answer with AnswerContract.
type NeedContract struct{ ID value.ContractID }

// NeedKeys asks for contracts of the ledger with a key, newest first; answer with AnswerKeys.
type NeedKeys struct {
	Key   *tx.Key
	Limit int
	Token []byte // of the page before; nil for the first
}

func (*NeedPackage) question()  {}
func (*NeedContract) question() {}
func (*NeedKeys) question()     {}

// KeyPage answers a question for keys. No more than the limit; an empty token says that there are no more.
type KeyPage struct {
	Contracts []*Contract
	Token     []byte
}

// Input is what a run depends on besides packages and the ledger.
type Input struct {
	Submitters  []value.Party // who authorize; sorted
	Seed        tx.Hash       // of the transaction
	Preparation value.Timestamp
	LedgerTime  value.Timestamp
	// PackageResolution says by package name which version is preferred.
	PackageResolution map[string]string
	Disclosed         []*Contract
	Rollback          tx.RollbackRule
	Limits            *Limits // nil: those of the engine
}

// Result is what a run came to.
type Result struct {
	Transaction *tx.Transaction
	Metadata    tx.Metadata
	KeyAnswers  map[tx.Hash]tx.KeyAnswer
	Value       value.Value // of the last command, or the view
	Traces      []string
	Steps       int64
	Allocated   int64 // bytes
}

// Run is a program that runs until it needs an answer.
type Run struct {
	m       *machine
	start   func() error // until it succeeds
	input   Input
	limits  Limits
	pending Question
	result  *Result
	err     error
}

func (e *Engine) newRun(in Input, b *tx.Builder) *Run {
	limits := e.limits
	if in.Limits != nil {
		limits = *in.Limits
	}
	m := &machine{e: e, limits: limits, steps: limits.Steps}
	m.takeStacks()
	m.ledger = ledger{
		builder: b, bounds: tx.Unbounded(), ledgerTime: in.LedgerTime, resolution: in.PackageResolution, disclosed: in.Disclosed,
		contracts: map[value.ContractID]*Contract{}, local: map[value.ContractID]*info{}, infos: map[infoKey]*info{},
	}
	for _, c := range in.Disclosed {
		m.contracts[c.ID] = c
	}
	return &Run{m: m, input: in, limits: limits}
}

// Next works until the run needs an answer, which it returns, or has ended: then the question is nil, and Result has the outcome.
func (r *Run) Next(ctx context.Context) (Question, error) {
	if r.err != nil || r.result != nil {
		return nil, r.err
	}
	v, err := r.advance(ctx)
	defer func() {
		if r.err != nil || r.result != nil {
			r.m.giveStacks()
		}
	}()
	var n *need
	switch {
	case errors.As(err, &n):
		if p, ok := n.question.(*NeedPackage); ok && r.pending != nil && *p == askedPackage(r.pending) {
			r.err = &Failure{Code: "PACKAGE_NOT_FOUND", Message: fmt.Sprintf("package %s is needed, and could not be found", p.ID)}
			return nil, r.err
		}
		r.pending = n.question
		return n.question, nil
	case err != nil:
		r.err = err
		return nil, err
	}
	r.finish(v)
	return nil, nil
}

func askedPackage(q Question) NeedPackage {
	if p, ok := q.(*NeedPackage); ok {
		return *p
	}
	return NeedPackage{}
}

func (r *Run) advance(ctx context.Context) (value.Value, error) {
	if r.start != nil {
		if err := r.start(); err != nil {
			return nil, asNeed(err)
		}
		r.start = nil
	}
	return r.m.run(ctx)
}

// AnswerContract answers a question for a contract; nil says that there is none that may be used.
func (r *Run) AnswerContract(c *Contract) {
	id := r.pending.(*NeedContract).ID
	if c == nil {
		if r.m.notFound == nil {
			r.m.notFound = map[value.ContractID]bool{}
		}
		r.m.notFound[id] = true
		return
	}
	r.m.contracts[id] = c
}

// AnswerKeys answers a question for contracts with a key.
func (r *Run) AnswerKeys(page KeyPage) { r.m.keyPage = &page }

func (r *Run) finish(v value.Value) {
	m := r.m
	r.result = &Result{
		Value: v, Traces: m.traces, Steps: r.limits.Steps - m.steps - m.tick, Allocated: m.total + m.allocated,
	}
	if m.builder == nil {
		return
	}
	r.result.Transaction = m.builder.Finish()
	r.result.KeyAnswers = m.builder.KeyAnswers()
	r.result.Metadata = tx.Metadata{
		PreparationTime: r.input.Preparation, LedgerTime: r.input.LedgerTime, TimeBounds: m.bounds, UsedTime: m.usedTime,
		UsedPackages: usedPackages(r.result.Transaction), PackageResolution: r.input.PackageResolution, Inputs: m.inputs,
	}
}

// usedPackages lists the packages that nodes name.
func usedPackages(t *tx.Transaction) []string {
	used := map[string]bool{}
	for _, n := range t.Nodes {
		switch n := n.(type) {
		case *tx.Create:
			used[n.Template.Package] = true
		case *tx.Fetch:
			used[n.Template.Package] = true
			if n.Interface != nil {
				used[n.Interface.Package] = true
			}
		case *tx.Exercise:
			used[n.Template.Package] = true
			if n.Interface != nil {
				used[n.Interface.Package] = true
			}
		case *tx.QueryByKey:
			used[n.Key.Template.Package] = true
		}
	}
	return slices.Sorted(maps.Keys(used))
}

// Result returns the outcome of a run that ended well.
func (r *Run) Result() *Result { return r.result }

// TypeRef names a template or interface: by the id of its package, or by "#" and the name of its package, which stands for the
// preferred version.
type TypeRef struct{ Package, Module, Entity string }

// ParseTypeRef reads package:Module:Entity.
func ParseTypeRef(text string) (TypeRef, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return TypeRef{}, fmt.Errorf("%q does not name a template; want package:Module:Entity or #package-name:Module:Entity", text)
	}
	return TypeRef{parts[0], parts[1], parts[2]}, nil
}

// resolve replaces the name of a package by the id of its preferred version.
func (in *Input) resolve(t TypeRef) (lf.Ref, error) {
	ref := lf.Ref{Package: lf.PackageID(t.Package), Module: lf.DottedName(t.Module), Name: lf.DottedName(t.Entity)}
	name, byName := strings.CutPrefix(t.Package, "#")
	if !byName {
		return ref, nil
	}
	id, ok := in.PackageResolution[name]
	if !ok {
		return ref, &Failure{Code: "UNRESOLVED_PACKAGE_NAME", Message: fmt.Sprintf("no version of package %s is preferred", name)}
	}
	ref.Package = lf.PackageID(id)
	return ref, nil
}
