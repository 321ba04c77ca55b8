package lf

// Update is an expression of type Update: it describes an interaction with the
// ledger, and does nothing until it is run.
type Update interface {
	Expr
	update()
}

type (
	// Pure does nothing and returns a value.
	Pure struct {
		Type  Type
		Value Expr
	}
	// Block runs updates one after the other, binding each result, and then its
	// body.
	Block struct {
		Bindings []Binding // Bound has type Update (Type)
		Body     Expr
	}
	// EmbedExpr evaluates an expression of type Update Type only when run.
	EmbedExpr struct {
		Type Type
		Body Expr
	}
	// TryCatch runs Body; where it raises an exception, Handler maps it to an
	// optional update.
	TryCatch struct {
		Type    Type
		Body    Expr
		Var     Name
		Handler Expr
	}
	// Create creates a contract.
	Create struct {
		Template Ref
		Arg      Expr
	}
	// CreateInterface creates a contract of whatever template the interface value
	// holds.
	CreateInterface struct {
		Interface Ref
		Arg       Expr
	}
	// Fetch reads a contract.
	Fetch struct {
		Template   Ref
		ContractID Expr
	}
	// FetchInterface reads a contract that implements the interface.
	FetchInterface struct {
		Interface  Ref
		ContractID Expr
	}
	// Exercise exercises a choice.
	Exercise struct {
		Template        Ref
		Choice          Name
		ContractID, Arg Expr
	}
	// ExerciseInterface exercises a choice of an interface. Guard, a 2.dev
	// feature, is nil or a function from the interface to Bool.
	ExerciseInterface struct {
		Interface       Ref
		Choice          Name
		ContractID, Arg Expr
		Guard           Expr
	}
	// ExerciseByKey exercises a choice on the contract with the key. Since 2.3.
	ExerciseByKey struct {
		Template Ref
		Choice   Name
		Key, Arg Expr
	}
	// FetchByKey is a function from a key to the contract with it. Since 2.3.
	FetchByKey struct{ Template Ref }
	// QueryNByKey is a function from a key and a number to so many contracts.
	// Since 2.3.
	QueryNByKey struct{ Template Ref }
	// GetTime returns the ledger effective time.
	GetTime struct{}
	// LedgerTimeLT says whether the ledger effective time lies before Time, and
	// binds the transaction to the answer.
	LedgerTimeLT struct{ Time Expr }
)

func (*Pure) expr()              {}
func (*Block) expr()             {}
func (*EmbedExpr) expr()         {}
func (*TryCatch) expr()          {}
func (*Create) expr()            {}
func (*CreateInterface) expr()   {}
func (*Fetch) expr()             {}
func (*FetchInterface) expr()    {}
func (*Exercise) expr()          {}
func (*ExerciseInterface) expr() {}
func (*ExerciseByKey) expr()     {}
func (*FetchByKey) expr()        {}
func (*QueryNByKey) expr()       {}
func (*GetTime) expr()           {}
func (*LedgerTimeLT) expr()      {}

func (*Pure) update()              {}
func (*Block) update()             {}
func (*EmbedExpr) update()         {}
func (*TryCatch) update()          {}
func (*Create) update()            {}
func (*CreateInterface) update()   {}
func (*Fetch) update()             {}
func (*FetchInterface) update()    {}
func (*Exercise) update()          {}
func (*ExerciseInterface) update() {}
func (*ExerciseByKey) update()     {}
func (*FetchByKey) update()        {}
func (*QueryNByKey) update()       {}
func (*GetTime) update()           {}
func (*LedgerTimeLT) update()      {}
