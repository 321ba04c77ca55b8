package text

import (
	"strconv"
	"strings"

	"github.com/synod-network/synod/daml/lf"
)

// quoteName puts a name that is a word of the syntax into backquotes.
func quoteName(n lf.Name) string {
	if n != "" && isWord(n) {
		return "`" + n + "`"
	}
	return n
}

func quoteDotted(n lf.DottedName) string {
	parts := strings.Split(string(n), ".")
	for i, part := range parts {
		parts[i] = quoteName(part)
	}
	return strings.Join(parts, ".")
}

func (p *printer) refText(r lf.Ref) string {
	s := quoteDotted(r.Module) + ":" + quoteDotted(r.Name)
	if r.Package != "" && r.Package != p.self {
		s = "'" + string(r.Package) + "':" + s
	}
	return s
}

func (p *printer) kindText(k lf.Kind) string {
	switch k := k.(type) {
	case lf.KindStar:
		return "*"
	case lf.KindNat:
		return "nat"
	case *lf.KindArrow:
		param, result := p.kindText(k.Param), p.kindText(k.Result)
		if _, arrow := k.Param.(*lf.KindArrow); arrow {
			param = "(" + param + ")"
		}
		if _, arrow := k.Result.(*lf.KindArrow); arrow && !k.Joined && !p.flatVersion {
			result = "(" + result + ")"
		}
		return param + " -> " + result
	}
	return "?"
}

func (p *printer) typeBinderText(v lf.TypeVarBinder) string {
	return "(" + quoteName(v.Name) + ": " + p.kindText(v.Kind) + ")"
}

// Precedences of types.
const (
	precType   = iota // anything
	precArrow         // no forall, no arrow
	precAtomic        // no application either
)

func (p *printer) typ(t lf.Type) { p.typePrec(t, precType) }

// parens writes, in parentheses if need be.
func (p *printer) parens(need bool, write func()) {
	if need {
		p.write("(")
		write()
		p.write(")")
		return
	}
	write()
}

func (p *printer) typePrec(t lf.Type, prec int) {
	if p.over && p.flat {
		return
	}
	switch t := t.(type) {
	case *lf.TypeVar:
		p.write(quoteName(t.Name))
	case *lf.TypeCon:
		p.write(p.refText(t.Ref))
	case *lf.TypeBuiltin:
		p.write(t.Builtin.String())
	case *lf.TypeNat:
		p.write(strconv.Itoa(t.Value))
	case *lf.TypeSyn:
		p.write("||", p.refText(t.Ref))
		for _, a := range t.Args {
			p.write(" ")
			_, nested := a.(*lf.TypeSyn) // whose beginning looks like the end of this one
			p.parens(nested, func() { p.typePrec(a, precAtomic) })
		}
		p.write("||")
	case *lf.TypeStruct:
		p.write("<")
		for i, f := range t.Fields {
			if i > 0 {
				p.write(", ")
			}
			p.write(quoteName(f.Name), ": ")
			p.typ(f.Type)
		}
		p.write(">")
	case *lf.TypeForall:
		p.parens(prec > precType, func() { p.typeForall(t) })
	case *lf.TypeApp:
		p.typeApp(t, prec)
	}
}

func (p *printer) typeForall(t *lf.TypeForall) {
	p.write("forall")
	var body lf.Type = t
	for f, ok := body.(*lf.TypeForall); ok; f, ok = body.(*lf.TypeForall) {
		p.write(" ", p.typeBinderText(f.Var))
		body = f.Body
	}
	p.write(". ")
	p.typ(body)
}

func (p *printer) typeApp(t *lf.TypeApp, prec int) {
	if param, result, ok := arrow(t); ok {
		p.parens(prec > precType, func() {
			p.typePrec(param, precArrow)
			p.write(" -> ")
			p.typ(result)
		})
		return
	}
	p.parens(prec > precArrow, func() {
		head, args := lf.SplitApp(t)
		p.typePrec(head, precAtomic)
		for _, a := range args {
			p.write(" ")
			p.typePrec(a, precAtomic)
		}
	})
}

// arrow takes the type of a function apart.
func arrow(t lf.Type) (param, result lf.Type, ok bool) {
	app, ok := t.(*lf.TypeApp)
	if !ok {
		return nil, nil, false
	}
	inner, ok := app.Fun.(*lf.TypeApp)
	if !ok {
		return nil, nil, false
	}
	b, ok := inner.Fun.(*lf.TypeBuiltin)
	return inner.Arg, app.Arg, ok && b.Builtin == lf.TypeArrow
}

func (p *printer) typeArg(t lf.Type) {
	p.write("@")
	p.typePrec(t, precAtomic)
}
