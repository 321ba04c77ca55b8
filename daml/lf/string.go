package lf

import (
	"strconv"
	"strings"
)

// maxTypeString bounds what TypeString writes, since shared types can be large.
const maxTypeString = 10_000

// TypeString describes a type for people, in the syntax of the textual form but
// without package ids. Very long types are cut short.
func TypeString(t Type) string {
	var b strings.Builder
	writeType(&b, t, 0)
	return b.String()
}

// writeType writes a type; prec is 0 for anything, 1 to put arrows and
// quantifications into parentheses, 2 to put applications into them too.
func writeType(b *strings.Builder, t Type, prec int) {
	if b.Len() > maxTypeString {
		if !strings.HasSuffix(b.String(), "…") {
			b.WriteString("…")
		}
		return
	}
	parens := func(need bool, write func()) {
		if need {
			b.WriteByte('(')
			defer b.WriteByte(')')
		}
		write()
	}
	switch t := t.(type) {
	case *TypeVar:
		b.WriteString(t.Name)
	case *TypeCon:
		b.WriteString(t.Ref.Qualified())
	case *TypeBuiltin:
		b.WriteString(t.Builtin.String())
	case *TypeNat:
		b.WriteString(strconv.Itoa(t.Value))
	case *TypeSyn:
		parens(prec > 1 && len(t.Args) > 0, func() {
			b.WriteString(t.Ref.Qualified())
			writeTypes(b, t.Args)
		})
	case *TypeStruct:
		b.WriteByte('<')
		for i, f := range t.Fields {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(f.Name + ": ")
			writeType(b, f.Type, 0)
		}
		b.WriteByte('>')
	case *TypeForall:
		parens(prec > 0, func() {
			b.WriteString("forall " + t.Var.Name + ". ")
			writeType(b, t.Body, 0)
		})
	case *TypeApp:
		head, args := SplitApp(t)
		if h, ok := head.(*TypeBuiltin); ok && h.Builtin == TypeArrow && len(args) == 2 {
			parens(prec > 0, func() {
				writeType(b, args[0], 1)
				b.WriteString(" -> ")
				writeType(b, args[1], 0)
			})
			return
		}
		parens(prec > 1, func() {
			writeType(b, head, 2)
			writeTypes(b, args)
		})
	}
}

func writeTypes(b *strings.Builder, types []Type) {
	for _, t := range types {
		b.WriteByte(' ')
		writeType(b, t, 2)
	}
}

// KindString describes a kind for people.
func KindString(k Kind) string {
	switch k := k.(type) {
	case KindStar:
		return "*"
	case KindNat:
		return "nat"
	case *KindArrow:
		param := KindString(k.Param)
		if _, arrow := k.Param.(*KindArrow); arrow {
			param = "(" + param + ")"
		}
		return param + " -> " + KindString(k.Result)
	}
	return "?"
}
