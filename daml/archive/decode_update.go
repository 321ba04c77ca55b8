package archive

import "github.com/synod-network/synod/daml/lf"

func (d *decoder) caseOf(b []byte) lf.Expr {
	c := d.open("Case", b)
	e := &lf.Case{}
	for c.next() {
		switch c.num {
		case 1:
			e.Scrutinee = d.expr(c.bytes())
		case 2:
			e.Alts = append(e.Alts, d.alt(c.item()))
		default:
			c.unknown()
		}
	}
	if e.Scrutinee == nil {
		c.failf("what is matched is missing")
	}
	return e
}

func (d *decoder) alt(b []byte) lf.Alt {
	c := d.open("CaseAlt", b)
	var a lf.Alt
	for c.next() {
		if c.num == 1 {
			a.Body = d.expr(c.bytes())
			continue
		}
		if a.Pattern != nil {
			c.failf("it has more than one pattern")
		}
		if a.Pattern = d.pattern(&c); a.Pattern == nil {
			c.unknown()
		}
	}
	if a.Pattern == nil || a.Body == nil {
		c.failf("pattern or body are missing")
	}
	return a
}

func (d *decoder) pattern(c *cursor) lf.Pattern {
	switch c.num {
	case 2:
		c.empty()
		return lf.PatDefault{}
	case 3:
		p := d.form(formPatVariant, c.bytes())
		return &lf.PatVariant{Con: p.ref[1], Constructor: p.name[2], Var: p.name[3]}
	case 4:
		return lf.PatCon{Con: d.builtinCon(c)}
	case 5:
		c.empty()
		return lf.PatNil{}
	case 6:
		p := d.form(formPatCons, c.bytes())
		return &lf.PatCons{Head: p.name[1], Tail: p.name[2]}
	case 7:
		c.empty()
		return lf.PatNone{}
	case 8:
		p := d.form(formPatSome, c.bytes())
		return &lf.PatSome{Var: p.name[1]}
	case 9:
		p := d.form(formPatEnum, c.bytes())
		return &lf.PatEnum{Con: p.ref[1], Constructor: p.name[2]}
	}
	return nil
}

func (d *decoder) update(b []byte) lf.Expr {
	c := d.open("Update", b)
	var u lf.Expr
	for c.next() {
		if u != nil {
			c.failf("it has more than one form")
		}
		if u = d.updateForm(&c); u == nil {
			c.unknown()
		}
	}
	if u == nil {
		c.failf("it has no form")
	}
	return u
}

func (d *decoder) updateForm(c *cursor) lf.Expr {
	switch c.num {
	case 1:
		p := d.form(formPure, c.bytes())
		return &lf.Pure{Type: p.typ[1], Value: p.expr[2]}
	case 2:
		bindings, body := d.block("Update.Block", c.bytes())
		return &lf.Block{Bindings: bindings, Body: body}
	case 3:
		p := d.form(formCreate, c.bytes())
		return &lf.Create{Template: p.ref[1], Arg: p.expr[2]}
	case 4:
		p := d.form(formExercise, c.bytes())
		return &lf.Exercise{Template: p.ref[1], Choice: p.name[6], ContractID: p.expr[3], Arg: p.expr[5]}
	case 5:
		p := d.form(formFetch, c.bytes())
		return &lf.Fetch{Template: p.ref[1], ContractID: p.expr[2]}
	case 6:
		c.empty()
		return &lf.GetTime{}
	case 7:
		p := d.form(formEmbedExpr, c.bytes())
		return &lf.EmbedExpr{Type: p.typ[1], Body: p.expr[2]}
	case 9, 10, 16:
		return d.updateByKey(c)
	case 11:
		p := d.form(formTryCatch, c.bytes())
		return &lf.TryCatch{Type: p.typ[1], Body: p.expr[2], Var: p.name[3], Handler: p.expr[4]}
	case 12:
		p := d.form(formCreateInterface, c.bytes())
		return &lf.CreateInterface{Interface: p.ref[1], Arg: p.expr[2]}
	case 13:
		return d.exerciseInterface(c.bytes())
	case 14:
		p := d.form(formFetchInterface, c.bytes())
		return &lf.FetchInterface{Interface: p.ref[1], ContractID: p.expr[2]}
	case 15:
		return &lf.LedgerTimeLT{Time: d.expr(c.bytes())}
	}
	return nil
}

func (d *decoder) updateByKey(c *cursor) lf.Expr {
	if !d.version.HasKeys() {
		c.failf("Daml-LF %s has no contract keys", d.version)
	}
	switch c.num {
	case 9:
		p := d.form(formFetchByKey, c.bytes())
		return &lf.FetchByKey{Template: p.ref[1]}
	case 10:
		p := d.form(formExerciseByKey, c.bytes())
		return &lf.ExerciseByKey{Template: p.ref[1], Choice: p.name[2], Key: p.expr[3], Arg: p.expr[4]}
	default:
		p := d.form(formQueryNByKey, c.bytes())
		return &lf.QueryNByKey{Template: p.ref[1]}
	}
}

func (d *decoder) exerciseInterface(b []byte) lf.Expr {
	c := d.open("ExerciseInterface", b)
	e := &lf.ExerciseInterface{}
	choice := 0
	for c.next() {
		switch c.num {
		case 1:
			e.Interface = d.ref(c.bytes())
		case 2:
			choice = c.index()
		case 3:
			e.ContractID = d.expr(c.bytes())
		case 4:
			e.Arg = d.expr(c.bytes())
		case 5:
			if d.version.Stable() {
				c.failf("Daml-LF %s has no guards", d.version)
			}
			e.Guard = d.expr(c.bytes())
		default:
			c.unknown()
		}
	}
	e.Choice = d.name(choice)
	if e.Interface.Name == "" || e.ContractID == nil || e.Arg == nil {
		c.failf("interface, contract id or argument are missing")
	}
	return e
}

func (d *decoder) location(b []byte) *lf.Location {
	c := d.open("Location", b)
	loc := &lf.Location{}
	hasRange := false
	for c.next() {
		switch c.num {
		case 1:
			m := d.moduleRef(c.bytes())
			loc.Module = &lf.Ref{Package: m.pkg, Module: m.module}
		case 2:
			hasRange = true
			r := d.open("Location.Range", c.bytes())
			for r.next() {
				switch r.num {
				case 1:
					loc.StartLine = r.int32()
				case 2:
					loc.StartCol = r.int32()
				case 3:
					loc.EndLine = r.int32()
				case 4:
					loc.EndCol = r.int32()
				default:
					r.unknown()
				}
			}
		default:
			c.unknown()
		}
	}
	if !hasRange {
		c.failf("it has no range")
	}
	return loc
}
