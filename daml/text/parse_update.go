package text

import "github.com/synod-network/synod/daml/lf"

// update reads an update whose first word was taken; nil if it is none.
func (p *parser) update(word string) lf.Expr {
	switch word {
	case "upure":
		return &lf.Pure{Type: p.typeArg(), Value: p.atom()}
	case "ubind":
		bindings := p.bindings("<-")
		return &lf.Block{Bindings: bindings, Body: p.expr()}
	case "uembed_expr":
		return &lf.EmbedExpr{Type: p.typeArg(), Body: p.atom()}
	case "try":
		e := &lf.TryCatch{Type: p.typeArg(), Body: p.atom()}
		p.expect("catch")
		e.Var = p.name()
		p.expect("->")
		e.Handler = p.expr()
		return e
	case "create":
		return &lf.Create{Template: p.refArg(), Arg: p.atom()}
	case "create_by_interface":
		return &lf.CreateInterface{Interface: p.refArg(), Arg: p.atom()}
	case "fetch_template":
		return &lf.Fetch{Template: p.refArg(), ContractID: p.atom()}
	case "fetch_interface":
		return &lf.FetchInterface{Interface: p.refArg(), ContractID: p.atom()}
	case "exercise":
		return &lf.Exercise{Template: p.refArg(), Choice: p.name(), ContractID: p.atom(), Arg: p.atom()}
	case "exercise_interface":
		return &lf.ExerciseInterface{Interface: p.refArg(), Choice: p.name(), ContractID: p.atom(), Arg: p.atom()}
	case "exercise_interface_with_guard":
		return &lf.ExerciseInterface{Interface: p.refArg(), Choice: p.name(), ContractID: p.atom(), Arg: p.atom(), Guard: p.atom()}
	case "exercise_by_key":
		return &lf.ExerciseByKey{Template: p.refArg(), Choice: p.name(), Key: p.atom(), Arg: p.atom()}
	case "fetch_by_key":
		return &lf.FetchByKey{Template: p.refArg()}
	case "query_n_by_key":
		return &lf.QueryNByKey{Template: p.refArg()}
	case "uget_time":
		return &lf.GetTime{}
	case "ledger_time_lt":
		return &lf.LedgerTimeLT{Time: p.atom()}
	}
	return nil
}
