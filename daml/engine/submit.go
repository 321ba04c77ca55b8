package engine

import (
	"fmt"
	"slices"

	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/shape"
	"github.com/synod-network/synod/daml/tx"
	"github.com/synod-network/synod/daml/value"
)

// Command is one of CreateCommand, ExerciseCommand, ExerciseByKeyCommand, CreateAndExerciseCommand. Values may lack their types.
type Command interface{ command() }

// CreateCommand creates a contract.
type CreateCommand struct {
	Template TypeRef
	Arg      value.Value
}

// ExerciseCommand exercises a choice of a template or an interface.
type ExerciseCommand struct {
	Type   TypeRef
	ID     value.ContractID
	Choice string
	Arg    value.Value
}

// ExerciseByKeyCommand exercises a choice on the newest contract with a key.
type ExerciseByKeyCommand struct {
	Template TypeRef
	Key      value.Value
	Choice   string
	Arg      value.Value
}

// CreateAndExerciseCommand creates a contract and exercises a choice on it.
type CreateAndExerciseCommand struct {
	Template  TypeRef
	Arg       value.Value
	Choice    string
	ChoiceArg value.Value
}

// FetchCommand reads a contract. It is no command of clients: only views of transactions begin with it.
type FetchCommand struct {
	Type  TypeRef
	ID    value.ContractID
	ByKey value.Value // if not nil, instead of ID
}

func (*CreateCommand) command()            {}
func (*ExerciseCommand) command()          {}
func (*ExerciseByKeyCommand) command()     {}
func (*CreateAndExerciseCommand) command() {}
func (*FetchCommand) command()             {}

// Submit interprets commands of clients to a transaction.
func (e *Engine) Submit(commands []Command, in Input) *Run {
	r := e.newRun(in, tx.NewBuilder(in.Submitters, in.Seed, in.Preparation, in.Rollback))
	r.start = func() error {
		prepared, err := e.prepare(commands, &in)
		if err != nil {
			return err
		}
		return r.m.schedule(prepared)
	}
	return r
}

// Reinterpret interprets one root action of a transaction again, as participants do that see only this part. Submitters of the
// input are those who authorize the action, Seed is that of its node. What throws becomes a rollback, as it did when the whole
// transaction was interpreted.
func (e *Engine) Reinterpret(action Command, in Input) *Run {
	r := e.newRun(in, tx.NewRootBuilder(in.Submitters, in.Seed, in.Preparation, in.Rollback))
	r.start = func() error {
		prepared, err := e.prepare([]Command{action}, &in)
		if err != nil {
			return err
		}
		r.m.builder.BeginTry()
		if err := r.m.pushFrame(frame{kont: &try{}}); err != nil {
			return err
		}
		return r.m.schedule(prepared)
	}
	return r
}

// ReplayCommand returns the command that interprets a root node of a transaction again.
func ReplayCommand(n tx.Node) (Command, error) {
	typeRef := func(c *tx.Contract, iface *value.Identifier) TypeRef {
		id := c.Template
		if iface != nil {
			id = *iface
		}
		return TypeRef{id.Package, id.Module, id.Entity}
	}
	switch n := n.(type) {
	case *tx.Create:
		return &CreateCommand{typeRef(&n.Contract, nil), n.Arg}, nil
	case *tx.Exercise:
		if n.ByKey {
			return &ExerciseByKeyCommand{typeRef(&n.Contract, nil), n.Key.Value, n.Choice, n.Arg}, nil
		}
		return &ExerciseCommand{typeRef(&n.Contract, n.Interface), n.ID, n.Choice, n.Arg}, nil
	case *tx.Fetch:
		if n.ByKey {
			return &FetchCommand{Type: typeRef(&n.Contract, nil), ByKey: n.Key.Value}, nil
		}
		return &FetchCommand{Type: typeRef(&n.Contract, n.Interface), ID: n.ID}, nil
	}
	return nil, fmt.Errorf("a transaction cannot begin with a %T", n)
}

// View computes what a contract shows of itself through an interface.
func (e *Engine) View(template, iface TypeRef, arg value.Value, in Input) *Run {
	r := e.newRun(in, nil)
	r.start = func() error {
		t, err := e.resolveTemplate(template, &in)
		if err != nil {
			return err
		}
		ref, err := in.resolve(iface)
		if err != nil {
			return err
		}
		if _, err := e.iface(ref); err != nil {
			return preprocessing(err)
		}
		i := t.instances[ref]
		if i == nil {
			return preprocessing(fmt.Errorf("template %s does not implement interface %s", t.id, ref))
		}
		typed, err := Import(t.shape, arg, FromLedger)
		if err != nil {
			return preprocessing(err)
		}
		return r.m.callPart(i.view, typed, viewKont{})
	}
	return r
}

// HashContract computes the hash that binds an argument to a contract's id. The argument may lack its types.
func (e *Engine) HashContract(template lf.Ref, arg value.Value) (tx.Hash, error) {
	t, err := e.template(template)
	if err != nil {
		return tx.Hash{}, err
	}
	typed, err := Import(t.shape, arg, FromLedger)
	if err != nil {
		return tx.Hash{}, err
	}
	return tx.HashContract(t.packageName, t.id, typed)
}

// HashKey computes the hash by which contracts with a key are found. The key may lack its types.
func (e *Engine) HashKey(template lf.Ref, key value.Value) (tx.Hash, error) {
	t, err := e.template(template)
	if err != nil {
		return tx.Hash{}, err
	}
	if t.keyShape == nil {
		return tx.Hash{}, fmt.Errorf("template %s has no key", t.id)
	}
	typed, err := Import(t.keyShape, key, FromClient)
	if err != nil {
		return tx.Hash{}, err
	}
	return tx.HashKey(t.packageName, t.id, typed)
}

func preprocessing(err error) error {
	if _, missing := asMissing(err); err == nil || missing {
		return err
	}
	if _, ok := err.(*Failure); ok {
		return err
	}
	return &Failure{Code: "COMMAND_PREPROCESSING_FAILED", Message: err.Error(), Cause: err}
}

func (e *Engine) resolveTemplate(ref TypeRef, in *Input) (*template, error) {
	r, err := in.resolve(ref)
	if err != nil {
		return nil, err
	}
	t, err := e.template(r)
	return t, preprocessing(err)
}

// action is a command whose names are resolved and whose values have their types.
type action func(m *machine) (value.Value, error)

func (e *Engine) prepare(commands []Command, in *Input) ([]action, error) {
	var actions []action
	for i, c := range commands {
		more, err := e.prepareOne(c, in)
		if err != nil {
			if f, ok := err.(*Failure); ok && len(commands) > 1 {
				f.Message = fmt.Sprintf("command %d: %s", i, f.Message)
			}
			return nil, err
		}
		actions = append(actions, more...)
	}
	return actions, nil
}

func (e *Engine) prepareOne(c Command, in *Input) ([]action, error) {
	switch c := c.(type) {
	case *CreateCommand:
		a, err := e.prepareCreate(c.Template, c.Arg, in)
		return []action{a}, err
	case *ExerciseCommand:
		return e.prepareExercise(c, in)
	case *ExerciseByKeyCommand:
		return e.prepareExerciseByKey(c, in)
	case *FetchCommand:
		return e.prepareFetch(c, in)
	case *CreateAndExerciseCommand:
		create, err := e.prepareCreate(c.Template, c.Arg, in)
		if err != nil {
			return nil, err
		}
		t, err := e.resolveTemplate(c.Template, in)
		if err != nil {
			return nil, err
		}
		ch, arg, err := e.choiceArg(t.choices[c.Choice], t.id, c.Choice, c.ChoiceArg)
		if err != nil {
			return nil, err
		}
		exercise := func(m *machine) (value.Value, error) { return nil, m.callChoice(ch.code, m.last, arg) }
		return []action{create, exercise}, nil
	}
	return nil, fmt.Errorf("commands of type %T are not known", c)
}

func (e *Engine) prepareCreate(ref TypeRef, arg value.Value, in *Input) (action, error) {
	t, err := e.resolveTemplate(ref, in)
	if err != nil {
		return nil, err
	}
	typed, err := Import(t.shape, arg, FromClient)
	if err != nil {
		return nil, preprocessing(err)
	}
	return func(m *machine) (value.Value, error) { return nil, m.create(t, typed) }, nil
}

func (e *Engine) choiceArg(ch *choice, owner value.Identifier, name string, arg value.Value) (*choice, value.Value, error) {
	if ch == nil {
		return nil, nil, preprocessing(fmt.Errorf("%s has no choice %s", owner, name))
	}
	s, err := e.types.Of(ch.def.Arg.Type)
	if err != nil {
		return nil, nil, preprocessing(err)
	}
	typed, err := Import(s, arg, FromClient)
	return ch, typed, preprocessing(err)
}

func (e *Engine) prepareExercise(c *ExerciseCommand, in *Input) ([]action, error) {
	ref, err := in.resolve(c.Type)
	if err != nil {
		return nil, err
	}
	set, err := e.types.Package(ref.Package)
	if err != nil {
		return nil, err
	}
	var ch *choice
	if set.Interface(ref) != nil {
		i, err := e.iface(ref)
		if err != nil {
			return nil, preprocessing(err)
		}
		ch = i.choices[c.Choice]
	} else {
		t, err := e.template(ref)
		if err != nil {
			return nil, preprocessing(err)
		}
		ch = t.choices[c.Choice]
	}
	if c.ID.Suffix() == "" {
		return nil, preprocessing(fmt.Errorf("contract id %s is local to the transaction that creates the contract", c.ID))
	}
	ch, arg, err := e.choiceArg(ch, shape.Identifier(ref), c.Choice, c.Arg)
	if err != nil {
		return nil, err
	}
	return []action{func(m *machine) (value.Value, error) { return nil, m.callChoice(ch.code, c.ID, arg) }}, nil
}

func (e *Engine) prepareExerciseByKey(c *ExerciseByKeyCommand, in *Input) ([]action, error) {
	t, err := e.resolveTemplate(c.Template, in)
	if err != nil {
		return nil, err
	}
	if t.keyShape == nil {
		return nil, preprocessing(fmt.Errorf("template %s has no key", t.id))
	}
	key, err := Import(t.keyShape, c.Key, FromClient)
	if err != nil {
		return nil, preprocessing(err)
	}
	ch, arg, err := e.choiceArg(t.choices[c.Choice], t.id, c.Choice, c.Arg)
	if err != nil {
		return nil, err
	}
	return []action{func(m *machine) (value.Value, error) { return nil, m.callChoice(ch.byKey, key, arg) }}, nil
}

func (e *Engine) prepareFetch(c *FetchCommand, in *Input) ([]action, error) {
	ref, err := in.resolve(c.Type)
	if err != nil {
		return nil, err
	}
	set, err := e.types.Package(ref.Package)
	if err != nil {
		return nil, err
	}
	if set.Interface(ref) != nil {
		return []action{func(m *machine) (value.Value, error) { return m.fetchAny(c.ID, &ref, true) }}, nil
	}
	t, err := e.template(ref)
	if err != nil {
		return nil, preprocessing(err)
	}
	if c.ByKey == nil {
		return []action{func(m *machine) (value.Value, error) { return m.fetch(c.ID, t, nil, &insertFetch{template: t}) }}, nil
	}
	if t.keyShape == nil {
		return nil, preprocessing(fmt.Errorf("template %s has no key", t.id))
	}
	key, err := Import(t.keyShape, c.ByKey, FromClient)
	if err != nil {
		return nil, preprocessing(err)
	}
	code := &global{name: t.id.Qualified() + " by key", function: true}
	code.code.build = func() (*proto, error) {
		u := e.newUnit(nil, code.name, "\x00key", "\x00token")
		err := u.fetchByKey(t)
		return u.done(), err
	}
	return []action{func(m *machine) (value.Value, error) {
		f, err := m.functionOf(code)
		if err != nil {
			return nil, err
		}
		return nil, m.call(same{}, false, f, key, token)
	}}, nil
}

func (m *machine) callChoice(code *global, target, arg value.Value) error {
	f, err := m.functionOf(code)
	if err != nil {
		return err
	}
	return m.call(same{}, false, f, target, arg, token)
}

// sequence runs actions one after the other; last is what the one before returned.
type sequence struct{ rest []action }

// schedule makes actions the next thing that the machine does.
func (m *machine) schedule(actions []action) error {
	m.last, m.returning = value.Unit{}, value.Unit{}
	return m.pushFrame(frame{kont: &sequence{actions}, base: int32(m.sp)})
}

func (m *machine) runNext(actions []action) error {
	for len(actions) > 0 {
		if err := m.pushFrame(frame{kont: &sequence{actions[1:]}, base: int32(m.sp)}); err != nil {
			return err
		}
		v, err := actions[0](m)
		if err != nil {
			m.frames = m.frames[:len(m.frames)-1]
			return err
		}
		if v == nil {
			return nil
		}
		m.frames = m.frames[:len(m.frames)-1]
		m.last = v
		actions = actions[1:]
	}
	m.returning = m.last
	return nil
}

func (s *sequence) resume(m *machine, v value.Value) (value.Value, error) {
	m.last = v
	return nil, m.runNext(s.rest)
}

// Submitters makes the sorted set of parties that a submission acts as.
func Submitters(parties ...value.Party) []value.Party { return tx.SortParties(slices.Clone(parties)) }
