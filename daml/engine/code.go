package engine

import (
	"sync/atomic"

	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/shape"
	"github.com/synod-network/synod/daml/value"
)

// op is what an instruction does. Operands are taken from the top of the stack: the first operand of a function is on top, since
// the language evaluates arguments from right to left and the function last.
type op uint8

const (
	opLocal      op = iota // push slot a
	opStore                // pop into slot a
	opFree                 // push captured variable a
	opConst                // push constant a
	opGlobal               // push the top-level value a, evaluating it at its first use
	opClosure              // push a function with captured variables, closures[a]
	opCall                 // call the function on top with a arguments below it
	opTailCall             // the same, and return what it returns
	opReturn               // return the value on top
	opJump                 // go on at a
	opSwitch               // pop a value, go on where tables[a] says, pushing the value's parts for the pattern to bind
	opBranch               // pop a Bool, go on at a if it is False
	opRecord               // build a record of datas[a]
	opProject              // replace a record by its field a
	opUpdate               // pop a record, replace its field a by the value below it
	opStruct               // build a struct of structs[a]
	opStructProj           // replace a struct by its field names[a]
	opStructUpd            // pop a struct, replace its field names[a] by the value below it
	opVariant              // build a variant with variants[a]
	opCons                 // pop a values and put them in front of the list below them
	opSome                 // wrap into an optional
	opBuiltin              // apply builtins[a] to as many operands as it takes

	opToAny         // wrap with reps[a]
	opFromAny       // unwrap if the type is reps[a]
	opThrow         // throw an exception
	opFromInterface // see an interface as templates[a], or None
	opUnsafeFromInterface
	opFromRequired // see an interface as refs[a], or None
	opUnsafeFromRequired
	opCallInterface // call method names[b] of the interface refs[a]
	opView
	opInterfaceSignatories
	opInterfaceObservers
	opInterfaceRep

	opTry          // run the update on top; the handler is below it
	opCreate       // create a contract of templates[a]
	opCreateAny    // create a contract of the template that an interface value holds
	opFetch        // fetch a contract of templates[a]
	opFetchAny     // fetch a contract through the interface refs[a]
	opTarget       // read the contract that a choice of templates[a] is about; b is 1 if it is found by key
	opTargetAny    // the same, through the interface refs[a]
	opPrevent      // exceptions from here on cannot be caught (a is 1), or can again
	opBegin        // begin the exercise of choices[a]
	opEnd          // end it
	opPrecondition // fail unless the precondition of templates[a] is True
	opInfo         // put what was computed about a contract of templates[a] together
	opFetchKey     // find the contract of templates[a] with a key
	opQueryKey     // find contracts of templates[a] with a key
	opFetchByKey   // fetch the contract of templates[a] that was found by key
	opGetTime
	opTimeLess
	ops // how many there are
)

type instr struct {
	op   op
	a, b int32
}

// proto is a compiled function body. Parameter i is in slot arity-1-i, where the caller's push left it; other variables follow.
type proto struct {
	name  string // for traces
	arity int
	slots int // of parameters and variables
	room  int // of slots and operands
	code  []instr

	consts    []value.Value
	globals   []*global
	closures  []closureSpec
	tables    []switchTable
	datas     []*value.DataType
	structs   []structSpec
	variants  []variantSpec
	names     []string
	builtins  []*builtin
	reps      []*value.TypeRep
	refs      []lf.Ref
	templates []*template
	choices   []*choice

	builtin *builtin // instead of code
}

type closureSpec struct {
	proto    *proto
	captures []capture
}

// capture says which variable of the function around is captured: a slot, or a variable that it captured itself.
type capture struct {
	free  bool
	index int32
}

// switchTable has the targets by rank of the constructor; -1 is none. Lists, optionals and booleans have ranks as constructors do.
type switchTable struct {
	targets []int32
	other   int32
}

// structSpec sorts fields by name after they were evaluated in the order of the source.
type structSpec struct {
	names  []string // sorted
	source []int    // position in the source
}

type variantSpec struct {
	data *value.DataType
	con  string
	rank int
}

// function is a value that can be applied: code, captured variables, and the arguments that it already has.
type function struct {
	code *proto
	free []value.Value
	args []value.Value // first to last
}

// Kind is KindFunction.
func (*function) Kind() value.Kind { return value.KindFunction }

func (f *function) missing() int { return f.code.arity - len(f.args) }

// token is what an update is applied to when it is run. Updates are functions of one argument.
var token value.Value = value.Unit{}

// global is a top-level value: compiled and evaluated when first used, and then shared by all runs.
type global struct {
	symbol
	value atomic.Pointer[value.Value]
	code  lazyCode // of the function that it is, or of what computes it
	name  string
	// function says that code is that of a function: then there is nothing to compute.
	function bool
}

// lazyCode is compiled when first used.
type lazyCode struct {
	proto atomic.Pointer[proto]
	build func() (*proto, error) // nil once proto is there
}

// template is a template with what is compiled of it.
type template struct {
	id          value.Identifier
	ref         lf.Ref
	packageName string
	def         *lf.Template
	data        *value.DataType
	rep         *value.TypeRep
	shape       *shape.Shape
	info        *global // record → contract info
	signatories *global // record → signatories
	observers   *global // record → observers
	maintainers *global // key → maintainers
	keyShape    *shape.Shape
	choices     map[string]*choice
	instances   map[lf.Ref]*instance
}

// choice is a choice of a template or of an interface.
type choice struct {
	def      *lf.Choice
	template *template // nil for a choice of an interface
	iface    *lf.Ref
	code     *global // contract id → argument → token → result
	byKey    *global // key → argument → token → result
}

// instance is an implementation of an interface by a template.
type instance struct {
	methods map[string]*global // record → method
	view    *global            // record → view
}

// iface is an interface with its choices.
type iface struct {
	ref     lf.Ref
	def     *lf.Interface
	choices map[string]*choice
}
