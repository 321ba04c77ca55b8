package script

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/synod-network/synod/daml/engine"
	"github.com/synod-network/synod/daml/ledger"
	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/lfjson"
	"github.com/synod-network/synod/daml/shape"
	"github.com/synod-network/synod/daml/tx"
	"github.com/synod-network/synod/daml/value"
)

// Script is a list of steps.
type Script struct {
	Time  *value.Timestamp // of the ledger at the start
	Steps []Step
}

// Step is one transaction, or a change of the ledger's time.
type Step struct {
	Comment  string
	As, Read []value.Party
	Disclose []any // contract ids
	Commands []Command
	Name     string // of the result, for later steps
	Fails    string // what the error has to contain; "" if the step must succeed
	SetTime  *value.Timestamp
}

// Command is what a step does. Values are as Parse of package lfjson returns them, with names of results in them.
type Command struct {
	Kind     string // create, exercise, fetch, exerciseByKey or createAndExercise
	Template string
	On       any // the contract
	Key      any
	With     any
	Choice   string
	ChoiceBy any // the argument of the choice of createAndExercise
}

// Parse reads a script.
func Parse(text []byte) (*Script, error) {
	parsed, err := lfjson.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("script is not JSON: %w", err)
	}
	s := &Script{}
	steps, isList := parsed.([]any)
	if !isList {
		o, ok := parsed.(lfjson.Object)
		if !ok {
			return nil, errors.New(`script is neither a list of steps nor an object with "steps"`)
		}
		f := fields{object: o}
		s.Time = f.time("time")
		steps = f.list("steps")
		f.text("comment")
		if err := f.done(); err != nil {
			return nil, fmt.Errorf("script: %w", err)
		}
	}
	for i, step := range steps {
		parsed, err := parseStep(step)
		if err != nil {
			return nil, fmt.Errorf("step %d: %w", i+1, err)
		}
		s.Steps = append(s.Steps, *parsed)
	}
	return s, nil
}

// fields takes the members of an object one by one, and finds what is left.
type fields struct {
	object lfjson.Object
	used   []string
	err    error
}

func (f *fields) get(name string) (any, bool) {
	f.used = append(f.used, name)
	return f.object.Get(name)
}

func (f *fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf(format, args...)
	}
}

func (f *fields) text(name string) string {
	v, ok := f.get(name)
	if !ok {
		return ""
	}
	s, ok := v.(string)
	if !ok {
		f.fail("%q is not a string", name)
	}
	return s
}

func (f *fields) list(name string) []any {
	v, ok := f.get(name)
	if !ok {
		return nil
	}
	if s, ok := v.(string); ok {
		return []any{s}
	}
	l, ok := v.([]any)
	if !ok {
		f.fail("%q is not a list", name)
	}
	return l
}

func (f *fields) time(name string) *value.Timestamp {
	text := f.text(name)
	if text == "" {
		return nil
	}
	t, err := value.ParseTimestamp(text)
	if err != nil {
		f.fail("%q: %w", name, err)
	}
	return &t
}

func (f *fields) parties(name string) (all []value.Party) {
	for _, v := range f.list(name) {
		s, ok := v.(string)
		if !ok {
			f.fail("%q: %v is not the name of a party", name, v)
		}
		p, err := value.ParseParty(s)
		if err != nil {
			f.fail("%q: %w", name, err)
		}
		all = append(all, p)
	}
	return all
}

func (f *fields) done() error {
	for _, m := range f.object {
		if !contains(f.used, m.Name) {
			f.fail("%q is not known here; known are %s", m.Name, strings.Join(f.used, ", "))
		}
	}
	return f.err
}

func contains(all []string, s string) bool {
	for _, have := range all {
		if have == s {
			return true
		}
	}
	return false
}

func parseStep(v any) (*Step, error) {
	o, ok := v.(lfjson.Object)
	if !ok {
		return nil, errors.New("not an object")
	}
	f := fields{object: o}
	s := &Step{Comment: f.text("comment"), SetTime: f.time("setTime")}
	if s.SetTime != nil {
		return s, f.done()
	}
	s.As, s.Read, s.Disclose = f.parties("as"), f.parties("readAs"), f.list("disclose")
	s.Name, s.Fails = f.text("name"), f.text("fails")
	if many := f.list("commands"); many != nil {
		if len(many) == 0 {
			f.fail(`"commands" is empty`)
		}
		for i, v := range many {
			o, ok := v.(lfjson.Object)
			if !ok {
				return nil, fmt.Errorf("command %d is not an object", i+1)
			}
			inner := fields{object: o}
			c := parseCommand(&inner)
			if err := inner.done(); err != nil {
				return nil, fmt.Errorf("command %d: %w", i+1, err)
			}
			s.Commands = append(s.Commands, c)
		}
	} else {
		s.Commands = []Command{parseCommand(&f)}
	}
	if err := f.done(); err != nil {
		return nil, err
	}
	if len(s.As) == 0 {
		return nil, errors.New(`"as" does not say who acts`)
	}
	return s, nil
}

func parseCommand(f *fields) Command {
	c := Command{}
	for _, kind := range []string{"create", "exercise", "fetch", "exerciseByKey", "createAndExercise"} {
		if _, ok := f.object.Get(kind); ok {
			if c.Kind != "" {
				f.fail("both %q and %q", c.Kind, kind)
			}
			c.Kind = kind
		}
	}
	c.With, _ = f.get("with")
	if c.With == nil {
		c.With = lfjson.Object{}
	}
	switch c.Kind {
	case "create":
		c.Template = f.text("create")
	case "createAndExercise":
		c.Template, c.Choice = f.text("createAndExercise"), f.text("choice")
		if c.ChoiceBy, _ = f.get("choiceWith"); c.ChoiceBy == nil {
			c.ChoiceBy = lfjson.Object{}
		}
	case "exercise":
		c.Choice, c.Template = f.text("exercise"), f.text("template")
		c.On, _ = f.get("on")
	case "fetch":
		c.On, _ = f.get("fetch")
		c.Template = f.text("template")
	case "exerciseByKey":
		c.Choice, c.Template = f.text("exerciseByKey"), f.text("template")
		c.Key, _ = f.get("key")
	default:
		for _, m := range f.object {
			if !contains(f.used, m.Name) {
				f.fail("%q is no command; commands are create, exercise, fetch, exerciseByKey, createAndExercise and setTime", m.Name)
			}
		}
		f.fail("neither create, exercise, fetch, exerciseByKey, createAndExercise nor setTime")
	}
	return c
}

// Outcome is what became of a step.
type Outcome struct {
	Step   *Step
	Commit *ledger.Commit // nil if it failed, or only set the time
	Err    error
}

// Runner runs scripts.
type Runner struct {
	Ledger *ledger.Ledger
	Main   *lf.Package // whose templates may be named without their package

	results map[string]any
}

// ErrExpectation says that a step failed or succeeded against what the script says.
var ErrExpectation = errors.New("not what the script expects")

// Run runs a script, calling each for every step. It ends at the first step that is not as the script expects.
func (r *Runner) Run(ctx context.Context, s *Script, each func(*Outcome) error) error {
	if s.Time != nil {
		r.Ledger.Now = *s.Time
	}
	if r.results == nil {
		r.results = map[string]any{}
	}
	for i := range s.Steps {
		step := &s.Steps[i]
		outcome := &Outcome{Step: step}
		if step.SetTime != nil {
			r.Ledger.Now = *step.SetTime
		} else {
			outcome.Commit, outcome.Err = r.step(ctx, step)
		}
		if err := each(outcome); err != nil {
			return err
		}
		if err := outcome.check(); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

func (o *Outcome) check() error {
	switch {
	case o.Err != nil && o.Step.Fails == "":
		return o.Err
	case o.Err == nil && o.Step.Fails != "":
		return fmt.Errorf("%w: it succeeded, and should fail with %q", ErrExpectation, o.Step.Fails)
	case o.Err != nil && !strings.Contains(o.Err.Error(), o.Step.Fails):
		return fmt.Errorf("%w: it should fail with %q, but failed with: %w", ErrExpectation, o.Step.Fails, o.Err)
	}
	return nil
}

func (r *Runner) step(ctx context.Context, s *Step) (*ledger.Commit, error) {
	submission := ledger.Submission{ActAs: s.As, ReadAs: s.Read}
	for _, v := range s.Disclose {
		id, err := r.contractID(v)
		if err != nil {
			return nil, err
		}
		submission.Disclosed = append(submission.Disclosed, id)
	}
	for i := range s.Commands {
		c, err := r.command(&s.Commands[i])
		if err != nil {
			return nil, err
		}
		submission.Commands = append(submission.Commands, c)
	}
	commit, err := r.Ledger.Submit(ctx, submission)
	if err != nil || s.Name == "" {
		return commit, err
	}
	text, err := lfjson.Encode(commit.Result)
	if err != nil {
		return nil, fmt.Errorf("result %s: %w", s.Name, err)
	}
	r.results[s.Name], err = lfjson.Parse(text)
	return commit, err
}

// typeRef reads the name of a template or interface: with its package, or of the main package.
func (r *Runner) typeRef(name string) (engine.TypeRef, lf.Ref, error) {
	if strings.Count(name, ":") == 1 {
		name = string(r.Main.ID) + ":" + name
	}
	t, err := engine.ParseTypeRef(name)
	if err != nil {
		return t, lf.Ref{}, err
	}
	if byName, ok := strings.CutPrefix(t.Package, "#"); ok {
		id := r.Ledger.Preferred(byName)
		if id == "" {
			return t, lf.Ref{}, fmt.Errorf("no package that was uploaded is called %s", byName)
		}
		t.Package = id
	}
	return t, lf.Ref{Package: lf.PackageID(t.Package), Module: lf.DottedName(t.Module), Name: lf.DottedName(t.Entity)}, nil
}

func (r *Runner) command(c *Command) (engine.Command, error) {
	e := r.Ledger.Engine
	switch c.Kind {
	case "create", "createAndExercise":
		t, ref, err := r.typeRef(c.Template)
		if err != nil {
			return nil, err
		}
		arg, err := r.value(c.With)(e.PayloadShape(ref))
		if err != nil {
			return nil, fmt.Errorf("%s of %s: %w", c.Kind, ref.Qualified(), err)
		}
		if c.Kind == "create" {
			return &engine.CreateCommand{Template: t, Arg: arg}, nil
		}
		choiceArg, err := r.value(c.ChoiceBy)(e.ChoiceShape(ref, c.Choice))
		return &engine.CreateAndExerciseCommand{Template: t, Arg: arg, Choice: c.Choice, ChoiceArg: choiceArg}, err
	case "exerciseByKey":
		t, ref, err := r.typeRef(c.Template)
		if err != nil {
			return nil, err
		}
		key, err := r.value(c.Key)(e.KeyShape(ref))
		if err != nil {
			return nil, fmt.Errorf("key of %s: %w", ref.Qualified(), err)
		}
		arg, err := r.value(c.With)(e.ChoiceShape(ref, c.Choice))
		return &engine.ExerciseByKeyCommand{Template: t, Key: key, Choice: c.Choice, Arg: arg}, err
	}
	id, err := r.contractID(c.On)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Kind, err)
	}
	t, ref, err := r.target(c, id)
	if err != nil {
		return nil, err
	}
	if c.Kind == "fetch" {
		return &engine.FetchCommand{Type: t, ID: id}, nil
	}
	arg, err := r.value(c.With)(e.ChoiceShape(ref, c.Choice))
	if err != nil {
		return nil, fmt.Errorf("exercise of %s: %w", c.Choice, err)
	}
	return &engine.ExerciseCommand{Type: t, ID: id, Choice: c.Choice, Arg: arg}, nil
}

// target finds what a command on a contract is about: what it says, or what has the choice.
func (r *Runner) target(c *Command, id value.ContractID) (engine.TypeRef, lf.Ref, error) {
	if c.Template != "" {
		return r.typeRef(c.Template)
	}
	contract := r.Ledger.Contract(id)
	if contract == nil {
		return engine.TypeRef{}, lf.Ref{}, fmt.Errorf("contract %s is not on the ledger", id)
	}
	template := contract.Template
	template.Package = r.Ledger.Preferred(contract.PackageName)
	ref := shape.Ref(template)
	if c.Kind == "exercise" {
		var err error
		if ref, err = r.Ledger.Engine.ChoiceOwner(ref, c.Choice); err != nil {
			return engine.TypeRef{}, lf.Ref{}, err
		}
	}
	return engine.TypeRef{Package: string(ref.Package), Module: string(ref.Module), Entity: string(ref.Name)}, ref, nil
}

// value reads a value of a shape, after putting results in the place of their names.
func (r *Runner) value(parsed any) func(*shape.Shape, error) (value.Value, error) {
	return func(s *shape.Shape, err error) (value.Value, error) {
		if err != nil {
			return nil, err
		}
		resolved, err := r.resolve(parsed)
		if err != nil {
			return nil, err
		}
		return lfjson.FromParsed(s, resolved)
	}
}

func (r *Runner) contractID(v any) (value.ContractID, error) {
	resolved, err := r.resolve(v)
	if err != nil {
		return "", err
	}
	text, ok := resolved.(string)
	if !ok {
		return "", errors.New(`want a contract id, or the name of a result like "$iou"`)
	}
	return value.ParseContractID(text)
}

// resolve replaces strings that begin with $ by results. A string that begins with $$ stands for itself, without the first $.
func (r *Runner) resolve(v any) (any, error) {
	switch v := v.(type) {
	case string:
		path, isName := strings.CutPrefix(v, "$")
		switch {
		case !isName:
			return v, nil
		case strings.HasPrefix(path, "$"):
			return path, nil
		}
		return r.result(path)
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			var err error
			if list[i], err = r.resolve(e); err != nil {
				return nil, err
			}
		}
		return list, nil
	case lfjson.Object:
		object := make(lfjson.Object, len(v))
		for i, m := range v {
			resolved, err := r.resolve(m.Value)
			if err != nil {
				return nil, err
			}
			object[i] = lfjson.Member{Name: m.Name, Value: resolved}
		}
		return object, nil
	}
	return v, nil
}

// result finds a result, or a part of it: the names of fields and the positions in lists follow behind dots. Behind # stand the numbers
// of a transaction and of the node in it that created a contract, as they are printed.
func (r *Runner) result(path string) (any, error) {
	if at, ok := strings.CutPrefix(path, "#"); ok {
		return r.created(at)
	}
	parts := strings.Split(path, ".")
	v, ok := r.results[parts[0]]
	if !ok {
		return nil, fmt.Errorf("no step before has the name %q", parts[0])
	}
	for _, part := range parts[1:] {
		switch inner := v.(type) {
		case lfjson.Object:
			if v, ok = inner.Get(part); ok {
				continue
			}
		case []any:
			if i, err := strconv.Atoi(part); err == nil && i >= 0 && i < len(inner) {
				v = inner[i]
				continue
			}
		}
		return nil, fmt.Errorf("$%s: there is no %q in the result", path, part)
	}
	return v, nil
}

// created finds the contract that a node created, such as 5:4.
func (r *Runner) created(at string) (any, error) {
	transaction, node, ok := strings.Cut(at, ":")
	number, err1 := strconv.Atoi(transaction)
	id, err2 := strconv.Atoi(node)
	if !ok || err1 != nil || err2 != nil {
		return nil, fmt.Errorf("$#%s: want the numbers of a transaction and of a node, like $#5:4", at)
	}
	if commits := r.Ledger.Commits(); number >= 1 && number <= len(commits) {
		if nodes := commits[number-1].Transaction.Nodes; id >= 0 && id < len(nodes) {
			if create, ok := nodes[id].(*tx.Create); ok {
				return create.ID.String(), nil
			}
		}
	}
	return nil, fmt.Errorf("$#%s: transaction %d has no node %d that creates a contract", at, number, id)
}
