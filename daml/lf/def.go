package lf

// Package is a unit of upload: modules that were compiled together.
type Package struct {
	ID       PackageID // "" until encoded
	Version  Version
	Metadata Metadata
	Modules  []*Module
	// Imports are the packages that the package says it refers to, from 2.2 on.
	// Where NoImportsReason is not "", the package says instead why it has no
	// such list.
	Imports         []PackageID
	NoImportsReason string
	// Uses are the other packages that it refers to anywhere, sorted. Only packages that come from an archive say so.
	Uses []PackageID
	// IsSignature says that expressions were left out; see [Package.Signature] and [Package.Outline].
	IsSignature bool
}

// Metadata names a package among its versions.
type Metadata struct {
	Name     string
	Version  string    // numbers joined by dots
	Upgrades PackageID // the package this one upgrades, as far as it says so
}

// Module holds definitions in the order of the archive.
type Module struct {
	Name       DottedName
	Synonyms   []*TypeSynonym
	DataTypes  []*DataType
	Values     []*Value
	Templates  []*Template
	Exceptions []*Exception
	Interfaces []*Interface
}

// TypeSynonym is another name for a type.
type TypeSynonym struct {
	Name     DottedName
	Params   []TypeVarBinder
	Type     Type
	Location *Location
}

// DataType is a record, variant, enum or interface type. Every template and every
// exception is also a record, every interface also a data type.
type DataType struct {
	Name DottedName
	// Serializable says that values of the type may be stored on a ledger, given
	// serialisable arguments.
	Serializable bool
	Params       []TypeVarBinder
	Cons         DataCons
	Location     *Location
}

// DataCons says what values of a data type look like.
type DataCons interface{ dataCons() }

type (
	// Record has one value for each field.
	Record struct{ Fields []FieldType }
	// Variant has a value of one of the constructors.
	Variant struct{ Constructors []FieldType }
	// Enum is one of the constructors.
	Enum struct{ Constructors []Name }
	// InterfaceCons is any template that implements the interface.
	InterfaceCons struct{}
)

func (*Record) dataCons()       {}
func (*Variant) dataCons()      {}
func (*Enum) dataCons()         {}
func (InterfaceCons) dataCons() {}

// Value is a value at the top of a module.
type Value struct {
	Name     DottedName
	Type     Type
	Body     Expr
	Location *Location
}

// Template is a kind of contract. Its name is also that of the record that a
// contract holds. Expressions other than those of choices see Param, the record.
type Template struct {
	Name        DottedName
	Param       Name
	Precond     Expr // Bool; nil means True
	Signatories Expr // List Party
	Observers   Expr // List Party
	Choices     []*Choice
	Key         *Key // nil: no key
	Implements  []*Implementation
	Location    *Location
}

// Key is the contract key of a template.
type Key struct {
	Type        Type
	Body        Expr // Type, from Param
	Maintainers Expr // Type → List Party, without Param
}

// Choice is what may be done with a contract. Its expressions see Param of the
// template or interface; all but Controllers' see Self; all see Arg.
type Choice struct {
	Name        Name
	Consuming   bool
	Controllers Expr // List Party; does not see Self
	Observers   Expr // List Party; does not see Self; nil means none
	Authorizers Expr // List Party; 2.dev; nil means the usual rule
	Self        Name // bound to the contract id, in Body
	Arg         VarBinder
	Result      Type
	Body        Expr // Update Result
	Location    *Location
}

// Implementation makes a template an instance of an interface.
type Implementation struct {
	Interface Ref
	Methods   []Method
	View      Expr
	Location  *Location
}

// Method is the implementation of an interface's method.
type Method struct {
	Name Name
	Body Expr
}

// Interface is what contracts of several templates have in common.
type Interface struct {
	Name     DottedName
	Requires []Ref
	Param    Name // in choices: the contract seen as the interface
	Methods  []MethodType
	View     Type
	Choices  []*Choice
	Location *Location
}

// MethodType is a method of an interface.
type MethodType struct {
	Name     Name
	Type     Type
	Location *Location
}

// Exception is a record that can be thrown.
type Exception struct {
	Name     DottedName
	Message  Expr // record → Text
	Location *Location
}
