package lf

// Kind classifies types: [KindStar], [KindNat] or [*KindArrow].
type Kind interface{ kind() }

type (
	// KindStar is the kind of types that have values.
	KindStar struct{}
	// KindNat is the kind of the natural numbers that give numerics their scale.
	KindNat struct{}
	// KindArrow is the kind of functions from types to types.
	KindArrow struct {
		Param, Result Kind
		// Joined says that an archive of 2.1 writes this arrow and the one that is
		// its result as one arrow with several parameters. It means nothing else.
		Joined bool
	}
)

func (KindStar) kind()   {}
func (KindNat) kind()    {}
func (*KindArrow) kind() {}

// Type is one of the eight forms below.
type Type interface{ typ() }

type (
	// TypeVar is a type variable bound by a [TypeForall], a [TypeAbs] or the
	// parameters of a definition.
	TypeVar struct{ Name Name }
	// TypeCon is a data type, template or interface, not yet applied.
	TypeCon struct{ Ref Ref }
	// TypeSyn is a type synonym with all its arguments.
	TypeSyn struct {
		Ref  Ref
		Args []Type
	}
	// TypeBuiltin is a type that the language brings along, not yet applied.
	TypeBuiltin struct{ Builtin BuiltinType }
	// TypeApp applies a type function to one type.
	TypeApp struct{ Fun, Arg Type }
	// TypeForall is a polymorphic type with one variable.
	TypeForall struct {
		Var  TypeVarBinder
		Body Type
	}
	// TypeStruct is a structural record. Field order carries no meaning; fields
	// are kept as they were written.
	TypeStruct struct{ Fields []FieldType }
	// TypeNat is a type-level number between 0 and 37: the scale of a numeric.
	TypeNat struct{ Value int }
)

func (*TypeVar) typ()     {}
func (*TypeCon) typ()     {}
func (*TypeSyn) typ()     {}
func (*TypeBuiltin) typ() {}
func (*TypeApp) typ()     {}
func (*TypeForall) typ()  {}
func (*TypeStruct) typ()  {}
func (*TypeNat) typ()     {}

// TypeVarBinder binds a type variable.
type TypeVarBinder struct {
	Name Name
	Kind Kind
}

// FieldType is a field or constructor with its type.
type FieldType struct {
	Name Name
	Type Type
}

// TypeConApp is a data type applied to types, as constructors and projections
// name it.
type TypeConApp struct {
	Con  Ref
	Args []Type
}

// BuiltinType numbers the builtin types as the archive format does.
type BuiltinType uint16

const (
	TypeUnit            BuiltinType = 0
	TypeBool            BuiltinType = 1
	TypeInt64           BuiltinType = 2
	TypeDate            BuiltinType = 3
	TypeTimestamp       BuiltinType = 4
	TypeNumeric         BuiltinType = 5 // nat → *
	TypeParty           BuiltinType = 6
	TypeText            BuiltinType = 7
	TypeContractID      BuiltinType = 8  // * → *
	TypeOptional        BuiltinType = 9  // * → *
	TypeList            BuiltinType = 10 // * → *
	TypeGenMap          BuiltinType = 11 // * → * → *
	TypeAny             BuiltinType = 13
	TypeAnyException    BuiltinType = 14
	TypeTypeRep         BuiltinType = 15
	TypeArrow           BuiltinType = 16 // * → * → *
	TypeUpdate          BuiltinType = 17 // * → *
	TypeFailureCategory BuiltinType = 18
	TypeTextMap         BuiltinType = 19 // * → *

	TypeBigNumeric   BuiltinType = 1002 // 2.dev
	TypeRoundingMode BuiltinType = 1003 // 2.dev
)

// SplitApp gives the head of a chain of applications and its arguments in order;
// args is nil where t is no application.
func SplitApp(t Type) (head Type, args []Type) {
	n := 0
	for a, ok := t.(*TypeApp); ok; a, ok = a.Fun.(*TypeApp) {
		n++
	}
	if n == 0 {
		return t, nil
	}
	args = make([]Type, n)
	for n > 0 {
		a := t.(*TypeApp)
		n--
		args[n] = a.Arg
		t = a.Fun
	}
	return t, args
}

// AppTypes applies fun to the arguments in order.
func AppTypes(fun Type, args ...Type) Type {
	for _, a := range args {
		fun = &TypeApp{Fun: fun, Arg: a}
	}
	return fun
}

// Builtin is the builtin type applied to the arguments in order.
func Builtin(b BuiltinType, args ...Type) Type {
	return AppTypes(&TypeBuiltin{Builtin: b}, args...)
}

// Arrow is the type of functions from param to result.
func Arrow(param, result Type) Type { return Builtin(TypeArrow, param, result) }
