package engine

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/synod-network/synod/daml/value"
)

// maxShown bounds how much of a value errors show.
const maxShown = 2000

// Show writes a value for people, shortened if it is long.
func Show(v value.Value) string {
	var b strings.Builder
	show(&b, v, 0)
	if b.Len() > maxShown {
		return b.String()[:maxShown] + "…"
	}
	return b.String()
}

func show(b *strings.Builder, v value.Value, depth int) {
	if depth > value.MaxNesting || b.Len() > maxShown {
		b.WriteString("…")
		return
	}
	switch v := v.(type) {
	case value.Unit:
		b.WriteString("()")
	case value.Text:
		b.WriteString(strconv.Quote(string(v)))
	case value.Party:
		b.WriteString("'" + string(v) + "'")
	case value.ContractID:
		b.WriteString(v.String())
	case value.Numeric:
		b.WriteString(v.String())
	case value.Bool, value.Int64, value.Timestamp, value.Date:
		fmt.Fprint(b, v)
	case *value.Optional:
		if v.V == nil {
			b.WriteString("None")
			return
		}
		b.WriteString("Some(")
		show(b, v.V, depth+1)
		b.WriteByte(')')
	case *value.List:
		b.WriteByte('[')
		first := true
		for e := range v.All() {
			if !first {
				b.WriteString(", ")
			}
			first = false
			if show(b, e, depth+1); b.Len() > maxShown {
				return
			}
		}
		b.WriteByte(']')
	case *value.Map:
		b.WriteByte('{')
		first := true
		for key, e := range v.All() {
			if !first {
				b.WriteString(", ")
			}
			first = false
			show(b, key, depth+1)
			b.WriteString(" -> ")
			if show(b, e, depth+1); b.Len() > maxShown {
				return
			}
		}
		b.WriteByte('}')
	case *value.Record:
		showRecord(b, v, depth)
	case *value.Variant:
		b.WriteString(v.Con + "(")
		show(b, v.Arg, depth+1)
		b.WriteByte(')')
	case *value.Enum:
		b.WriteString(v.Con)
	case *value.Any:
		show(b, v.V, depth+1)
	case *value.TypeRep:
		b.WriteString(v.Name)
	default:
		fmt.Fprintf(b, "<%T>", v)
	}
}

func showRecord(b *strings.Builder, r *value.Record, depth int) {
	if r.Type != nil {
		b.WriteString(r.Type.ID.Entity)
	}
	b.WriteByte('{')
	for i, f := range r.Fields {
		if i > 0 {
			b.WriteString(", ")
		}
		if r.Type != nil && i < len(r.Type.Names) {
			b.WriteString(r.Type.Names[i] + ": ")
		}
		show(b, f, depth+1)
	}
	b.WriteByte('}')
}
