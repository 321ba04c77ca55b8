package lf

// Expr is an expression: one of the forms in this file or in update.go.
type Expr interface{ expr() }

// The lambda calculus.
type (
	// Var is a variable bound in the expression around it.
	Var struct{ Name Name }
	// Val is a value defined at the top of a module.
	Val struct{ Ref Ref }
	// BuiltinFun is a function that the language brings along.
	BuiltinFun struct{ Fun Function }
	// BuiltinCon is unit, False or True.
	BuiltinCon struct{ Con Con }
	// App applies a function to one or more arguments, from left to right.
	App struct {
		Fun  Expr
		Args []Expr
	}
	// TyApp applies a polymorphic expression to one or more types.
	TyApp struct {
		Expr  Expr
		Types []Type
	}
	// Abs is a function of one or more variables.
	Abs struct {
		Params []VarBinder
		Body   Expr
	}
	// TyAbs is an expression polymorphic in one or more variables.
	TyAbs struct {
		Params []TypeVarBinder
		Body   Expr
	}
	// Let binds one or more variables, each visible in those after it.
	Let struct {
		Bindings []Binding
		Body     Expr
	}
	// Case takes the first alternative whose pattern matches.
	Case struct {
		Scrutinee Expr
		Alts      []Alt
	}
	// Located says where in the Daml source an expression stood.
	Located struct {
		Location Location
		Body     Expr
	}
)

// Literals.
type (
	// LitInt64 is a literal of type Int64.
	LitInt64 struct{ Value int64 }
	// LitNumeric is a literal of type Numeric n, where n is the number of digits
	// after the point. The text has an optional sign, one to 38 digits without
	// leading zeros, and a point: "-12.50".
	LitNumeric struct{ Value string }
	// LitText is a literal of type Text; valid UTF-8.
	LitText struct{ Value string }
	// LitTimestamp is in microseconds since 1970-01-01T00:00:00Z.
	LitTimestamp struct{ Micros int64 }
	// LitDate is in days since 1970-01-01.
	LitDate struct{ Days int32 }
	// LitFailureCategory is the category of a failure with status.
	LitFailureCategory struct{ Category FailureCategory }
	// LitRoundingMode belongs to 2.dev.
	LitRoundingMode struct{ Mode RoundingMode }
)

// Data.
type (
	// RecordCon builds a record.
	RecordCon struct {
		Type   TypeConApp
		Fields []FieldExpr
	}
	// RecordProj takes a field of a record.
	RecordProj struct {
		Type   TypeConApp
		Field  Name
		Record Expr
	}
	// RecordUpd is a record with one field replaced.
	RecordUpd struct {
		Type   TypeConApp
		Field  Name
		Record Expr
		Update Expr
	}
	// VariantCon builds a variant.
	VariantCon struct {
		Type        TypeConApp
		Constructor Name
		Arg         Expr
	}
	// EnumCon is a constructor without argument.
	EnumCon struct {
		Con         Ref
		Constructor Name
	}
	// StructCon builds a structural record.
	StructCon struct{ Fields []FieldExpr }
	// StructProj takes a field of a structural record.
	StructProj struct {
		Field  Name
		Struct Expr
	}
	// StructUpd is a structural record with one field replaced.
	StructUpd struct {
		Field  Name
		Struct Expr
		Update Expr
	}
	// Nil is the empty list.
	Nil struct{ Elem Type }
	// Cons puts one or more elements before a list.
	Cons struct {
		Elem  Type
		Front []Expr
		Tail  Expr
	}
	// None is the empty optional.
	None struct{ Elem Type }
	// Some is the optional with a value.
	Some struct {
		Elem  Type
		Value Expr
	}
)

// Values that carry their type.
type (
	// ToAny packs a value with its type.
	ToAny struct {
		Type  Type
		Value Expr
	}
	// FromAny unpacks a value of that type, or is None.
	FromAny struct {
		Type  Type
		Value Expr
	}
	// TypeRep is a type as a value.
	TypeRep struct{ Type Type }
	// ToAnyException packs an exception.
	ToAnyException struct {
		Type  Type
		Value Expr
	}
	// FromAnyException unpacks an exception of that type, or is None.
	FromAnyException struct {
		Type  Type
		Value Expr
	}
	// Throw raises an exception; the expression as a whole has type Result.
	Throw struct {
		Result    Type
		Exception Type
		Value     Expr
	}
)

// Interfaces.
type (
	// ToInterface sees a template's payload as an interface.
	ToInterface struct {
		Interface, Template Ref
		Value               Expr
	}
	// FromInterface sees an interface as the template, or is None.
	FromInterface struct {
		Interface, Template Ref
		Value               Expr
	}
	// UnsafeFromInterface sees an interface as the template, or fails the
	// transaction, naming the contract.
	UnsafeFromInterface struct {
		Interface, Template Ref
		ContractID, Value   Expr
	}
	// ToRequiredInterface goes from an interface to one that it requires.
	ToRequiredInterface struct {
		Required, Requiring Ref
		Value               Expr
	}
	// FromRequiredInterface goes back, or is None.
	FromRequiredInterface struct {
		Required, Requiring Ref
		Value               Expr
	}
	// UnsafeFromRequiredInterface goes back, or fails the transaction, naming the
	// contract.
	UnsafeFromRequiredInterface struct {
		Required, Requiring Ref
		ContractID, Value   Expr
	}
	// CallInterface calls a method.
	CallInterface struct {
		Interface Ref
		Method    Name
		Value     Expr
	}
	// ViewInterface computes the view.
	ViewInterface struct {
		Interface Ref
		Value     Expr
	}
	// SignatoryInterface gives the signatories of the template behind.
	SignatoryInterface struct {
		Interface Ref
		Value     Expr
	}
	// ObserverInterface gives the observers of the template behind.
	ObserverInterface struct {
		Interface Ref
		Value     Expr
	}
	// InterfaceTemplateTypeRep gives the type of the template behind.
	InterfaceTemplateTypeRep struct {
		Interface Ref
		Value     Expr
	}
)

// Forms of 2.dev: read and shown, never run.
type (
	// ChoiceController gives the controllers of a choice.
	ChoiceController struct {
		Template           Ref
		Choice             Name
		Contract, Argument Expr
	}
	// ChoiceObserver gives the observers of a choice.
	ChoiceObserver struct {
		Template           Ref
		Choice             Name
		Contract, Argument Expr
	}
	// Experimental is a primitive under trial.
	Experimental struct {
		Name string
		Type Type
	}
)

func (*Var) expr()                         {}
func (*Val) expr()                         {}
func (*BuiltinFun) expr()                  {}
func (*BuiltinCon) expr()                  {}
func (*App) expr()                         {}
func (*TyApp) expr()                       {}
func (*Abs) expr()                         {}
func (*TyAbs) expr()                       {}
func (*Let) expr()                         {}
func (*Case) expr()                        {}
func (*Located) expr()                     {}
func (*LitInt64) expr()                    {}
func (*LitNumeric) expr()                  {}
func (*LitText) expr()                     {}
func (*LitTimestamp) expr()                {}
func (*LitDate) expr()                     {}
func (*LitFailureCategory) expr()          {}
func (*LitRoundingMode) expr()             {}
func (*RecordCon) expr()                   {}
func (*RecordProj) expr()                  {}
func (*RecordUpd) expr()                   {}
func (*VariantCon) expr()                  {}
func (*EnumCon) expr()                     {}
func (*StructCon) expr()                   {}
func (*StructProj) expr()                  {}
func (*StructUpd) expr()                   {}
func (*Nil) expr()                         {}
func (*Cons) expr()                        {}
func (*None) expr()                        {}
func (*Some) expr()                        {}
func (*ToAny) expr()                       {}
func (*FromAny) expr()                     {}
func (*TypeRep) expr()                     {}
func (*ToAnyException) expr()              {}
func (*FromAnyException) expr()            {}
func (*Throw) expr()                       {}
func (*ToInterface) expr()                 {}
func (*FromInterface) expr()               {}
func (*UnsafeFromInterface) expr()         {}
func (*ToRequiredInterface) expr()         {}
func (*FromRequiredInterface) expr()       {}
func (*UnsafeFromRequiredInterface) expr() {}
func (*CallInterface) expr()               {}
func (*ViewInterface) expr()               {}
func (*SignatoryInterface) expr()          {}
func (*ObserverInterface) expr()           {}
func (*InterfaceTemplateTypeRep) expr()    {}
func (*ChoiceController) expr()            {}
func (*ChoiceObserver) expr()              {}
func (*Experimental) expr()                {}

// VarBinder binds a variable.
type VarBinder struct {
	Name Name
	Type Type
}

// FieldExpr gives a field its value.
type FieldExpr struct {
	Name  Name
	Value Expr
}

// Binding binds a variable to an expression.
type Binding struct {
	Var   Name
	Type  Type
	Bound Expr
}

// Location is a range in a Daml source file; lines and columns count from 0.
type Location struct {
	// Module is the module whose source it is, if the location says so; nil
	// means the module around it. Only Package and Module of the Ref are used.
	Module                               *Ref
	StartLine, StartCol, EndLine, EndCol int32
}

// Alt is one alternative of a case.
type Alt struct {
	Pattern Pattern
	Body    Expr
}

// Pattern is one of the forms below.
type Pattern interface{ pattern() }

type (
	// PatDefault matches anything.
	PatDefault struct{}
	// PatVariant matches a variant and binds its argument.
	PatVariant struct {
		Con         Ref
		Constructor Name
		Var         Name
	}
	// PatEnum matches an enum constructor.
	PatEnum struct {
		Con         Ref
		Constructor Name
	}
	// PatCon matches unit, False or True.
	PatCon struct{ Con Con }
	// PatNil matches the empty list.
	PatNil struct{}
	// PatCons matches a list that is not empty and binds its head and tail.
	PatCons struct{ Head, Tail Name }
	// PatNone matches the empty optional.
	PatNone struct{}
	// PatSome matches an optional with a value and binds it.
	PatSome struct{ Var Name }
)

func (PatDefault) pattern()  {}
func (*PatVariant) pattern() {}
func (*PatEnum) pattern()    {}
func (PatCon) pattern()      {}
func (PatNil) pattern()      {}
func (*PatCons) pattern()    {}
func (PatNone) pattern()     {}
func (*PatSome) pattern()    {}
