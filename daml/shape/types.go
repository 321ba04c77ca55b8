package shape

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/value"
)

// maxTypeSize bounds types after substitution: a type whose argument doubles at each level of nesting would otherwise not end.
const maxTypeSize = 20_000

var errTypeSize = errors.New("type grows without end")

// Close replaces the variables of a type and the synonyms in it.
func (t *Types) Close(ty lf.Type, env map[string]lf.Type) (lf.Type, error) {
	c := closing{types: t, left: maxTypeSize}
	return c.close(ty, env)
}

type closing struct {
	types *Types
	left  int
}

func (c *closing) close(ty lf.Type, env map[string]lf.Type) (lf.Type, error) {
	if c.left--; c.left < 0 {
		return nil, errTypeSize
	}
	switch ty := ty.(type) {
	case *lf.TypeVar:
		closed, ok := env[ty.Name]
		if !ok {
			return nil, fmt.Errorf("type variable %s is free", ty.Name)
		}
		c.left -= size(closed, c.left)
		return closed, nil
	case *lf.TypeApp:
		fun, err := c.close(ty.Fun, env)
		if err != nil {
			return nil, err
		}
		arg, err := c.close(ty.Arg, env)
		if err != nil || fun == ty.Fun && arg == ty.Arg {
			return ty, err
		}
		return &lf.TypeApp{Fun: fun, Arg: arg}, nil
	case *lf.TypeSyn:
		return c.expand(ty, env)
	case *lf.TypeStruct:
		fields := make([]lf.FieldType, len(ty.Fields))
		for i, f := range ty.Fields {
			closed, err := c.close(f.Type, env)
			if err != nil {
				return nil, err
			}
			fields[i] = lf.FieldType{Name: f.Name, Type: closed}
		}
		sort.Slice(fields, func(i, j int) bool { return fields[i].Name < fields[j].Name })
		return &lf.TypeStruct{Fields: fields}, nil
	case *lf.TypeForall:
		return nil, fmt.Errorf("type %s is polymorphic", Print(ty))
	}
	return ty, nil
}

func (c *closing) expand(ty *lf.TypeSyn, env map[string]lf.Type) (lf.Type, error) {
	set, err := c.types.Package(ty.Ref.Package)
	if err != nil {
		return nil, err
	}
	synonym := set.TypeSynonym(ty.Ref)
	if synonym == nil || len(synonym.Params) != len(ty.Args) {
		return nil, set.Missing("type synonym", ty.Ref)
	}
	inner := map[string]lf.Type{}
	for i, p := range synonym.Params {
		if inner[p.Name], err = c.close(ty.Args[i], env); err != nil {
			return nil, err
		}
	}
	return c.close(synonym.Type, inner)
}

// size counts the nodes of a type, up to a limit.
func size(ty lf.Type, limit int) int {
	if limit <= 0 {
		return 1
	}
	switch ty := ty.(type) {
	case *lf.TypeApp:
		left := size(ty.Fun, limit-1)
		return 1 + left + size(ty.Arg, limit-1-left)
	case *lf.TypeStruct:
		n := 1
		for _, f := range ty.Fields {
			n += size(f.Type, limit-n)
		}
		return n
	}
	return 1
}

// Rep returns a closed type as a value; it is the same pointer each time.
func (t *Types) Rep(ty lf.Type) (*value.TypeRep, error) {
	ty, err := t.Close(ty, nil)
	if err != nil {
		return nil, err
	}
	key := order(ty)
	t.mu.RLock()
	known := t.reps[key]
	t.mu.RUnlock()
	if known != nil {
		return known, nil
	}
	fresh := &value.TypeRep{Name: Print(ty), Order: key}
	if con, ok := ty.(*lf.TypeCon); ok {
		id := Identifier(con.Ref)
		fresh.Con = &id
	}
	return t.Intern(fresh), nil
}

// Intern returns the pointer that stands for the type everywhere in these Types.
func (t *Types) Intern(rep *value.TypeRep) *value.TypeRep {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := t.reps[rep.Order]; known != nil {
		return known
	}
	t.reps[rep.Order] = rep
	return rep
}

// order encodes a closed type such that comparing the bytes compares the types as the language orders them: builtin types by
// number, then constructors by name, numbers, structs, applications from left to right.
func order(ty lf.Type) string {
	var b strings.Builder
	appendOrder(&b, ty)
	return b.String()
}

// Names never contain these, so that a name which is the start of another comes first.
const (
	partEnd = "\x01"
	nameEnd = "\x00"
)

func appendOrder(b *strings.Builder, ty lf.Type) {
	switch ty := ty.(type) {
	case *lf.TypeBuiltin:
		b.WriteByte(0)
		b.WriteByte(byte(ty.Builtin >> 8))
		b.WriteByte(byte(ty.Builtin))
	case *lf.TypeCon:
		b.WriteByte(1)
		b.WriteString(string(ty.Ref.Package) + nameEnd)
		b.WriteString(strings.ReplaceAll(string(ty.Ref.Module), ".", partEnd) + nameEnd)
		b.WriteString(strings.ReplaceAll(string(ty.Ref.Name), ".", partEnd) + nameEnd)
	case *lf.TypeNat:
		b.WriteByte(2)
		b.WriteByte(byte(ty.Value))
	case *lf.TypeStruct:
		b.WriteByte(3)
		for _, f := range ty.Fields {
			b.WriteString(f.Name + partEnd)
		}
		b.WriteString(nameEnd)
		for _, f := range ty.Fields {
			appendOrder(b, f.Type)
		}
	case *lf.TypeApp:
		b.WriteByte(4)
		appendOrder(b, ty.Fun)
		appendOrder(b, ty.Arg)
	}
}

// Print writes a type for people, without the ids of packages.
func Print(ty lf.Type) string {
	var b strings.Builder
	printType(&b, ty, false)
	return b.String()
}

func printType(b *strings.Builder, ty lf.Type, nested bool) {
	switch ty := ty.(type) {
	case *lf.TypeVar:
		b.WriteString(ty.Name)
	case *lf.TypeCon:
		b.WriteString(ty.Ref.Qualified())
	case *lf.TypeBuiltin:
		b.WriteString(ty.Builtin.String())
	case *lf.TypeNat:
		fmt.Fprint(b, ty.Value)
	case *lf.TypeApp:
		if nested {
			b.WriteByte('(')
		}
		printType(b, ty.Fun, false)
		b.WriteByte(' ')
		printType(b, ty.Arg, true)
		if nested {
			b.WriteByte(')')
		}
	case *lf.TypeSyn:
		b.WriteString("|" + ty.Ref.Qualified())
		for _, arg := range ty.Args {
			b.WriteByte(' ')
			printType(b, arg, true)
		}
		b.WriteByte('|')
	case *lf.TypeStruct:
		b.WriteByte('<')
		for i, f := range ty.Fields {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(f.Name + ": ")
			printType(b, f.Type, false)
		}
		b.WriteByte('>')
	case *lf.TypeForall:
		b.WriteString("forall " + ty.Var.Name + ". ")
		printType(b, ty.Body, false)
	}
}
