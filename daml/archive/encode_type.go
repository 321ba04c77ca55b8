package archive

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/synod-network/synod/daml/lf"
)

func (e *encoder) kind(k lf.Kind) []byte {
	e.enter()
	var b []byte
	switch k := k.(type) {
	case lf.KindStar:
		b = appendMessage(nil, 1, nil)
	case lf.KindNat:
		b = appendMessage(nil, 3, nil)
	case *lf.KindArrow:
		arrow := appendMessage(nil, 1, e.kind(k.Param))
		for next, ok := k.Result.(*lf.KindArrow); ok && k.Joined && !e.version.Flat(); next, ok = k.Result.(*lf.KindArrow) {
			arrow = appendMessage(arrow, 1, e.kind(next.Param))
			k = next
		}
		arrow = appendMessage(arrow, 2, e.kind(k.Result))
		b = appendMessage(nil, 2, arrow)
	default:
		e.failf("%T is no kind", k)
	}
	e.leave()
	if e.version.Flat() {
		b = appendChoice(nil, 4, uint64(e.kinds.intern(b)))
	}
	return b
}

// typ interns a type and gives the reference to it.
func (e *encoder) typ(t lf.Type) []byte {
	i, ok := e.typeAt[t]
	if !ok {
		e.enter()
		i = e.types.intern(e.typeForm(t))
		e.leave()
		e.typeAt[t] = i
	}
	return appendChoice(nil, 8, uint64(i))
}

func (e *encoder) typeForm(t lf.Type) []byte {
	var args []lf.Type
	if app, ok := t.(*lf.TypeApp); ok && e.version.Flat() {
		b := appendMessage(nil, 1, e.typ(app.Fun))
		return appendMessage(nil, 9, appendMessage(b, 2, e.typ(app.Arg)))
	} else if ok {
		t, args = lf.SplitApp(t)
	}
	switch t := t.(type) {
	case *lf.TypeVar:
		b := appendInt(nil, 3, e.name(t.Name))
		return appendMessage(nil, 1, e.appendTypes(b, 2, args))
	case *lf.TypeCon:
		b := appendMessage(nil, 1, e.ref(t.Ref))
		return appendMessage(nil, 2, e.appendTypes(b, 2, args))
	case *lf.TypeBuiltin:
		if t.Builtin.Since() > e.version || t.Builtin.String() == "" {
			e.failf("Daml-LF %s has no builtin type %s (%d)", e.version, t.Builtin, uint16(t.Builtin))
		}
		b := appendInt(nil, 1, int(t.Builtin))
		return appendMessage(nil, 3, e.appendTypes(b, 2, args))
	}
	if args != nil {
		e.failf("Daml-LF %s cannot apply a type of the form %T to types", e.version, t)
	}
	switch t := t.(type) {
	case *lf.TypeSyn:
		b := appendMessage(nil, 1, e.ref(t.Ref))
		return appendMessage(nil, 7, e.appendTypes(b, 2, t.Args))
	case *lf.TypeForall:
		return appendMessage(nil, 4, e.typeForall(t))
	case *lf.TypeStruct:
		if len(t.Fields) == 0 {
			e.failf("a struct type has no fields")
		}
		return appendMessage(nil, 5, e.fields(t.Fields))
	case *lf.TypeNat:
		if t.Value < 0 || t.Value > 37 {
			e.failf("%d is no scale of a numeric; those go from 0 to 37", t.Value)
		}
		return appendChoice(nil, 6, protowire.EncodeZigZag(int64(t.Value)))
	}
	e.failf("%T is no type", t)
	return nil
}

func (e *encoder) appendTypes(b []byte, num protowire.Number, types []lf.Type) []byte {
	for _, t := range types {
		b = appendMessage(b, num, e.typ(t))
	}
	return b
}

func (e *encoder) typeForall(t *lf.TypeForall) []byte {
	b := appendMessage(nil, 1, e.typeVarBinder(t.Var))
	body := t.Body
	if !e.version.Flat() { // all variables at once
		for inner, ok := body.(*lf.TypeForall); ok; inner, ok = body.(*lf.TypeForall) {
			b = appendMessage(b, 1, e.typeVarBinder(inner.Var))
			body = inner.Body
		}
	}
	return appendMessage(b, 2, e.typ(body))
}

func (e *encoder) typeVarBinder(v lf.TypeVarBinder) []byte {
	b := appendInt(nil, 3, e.name(v.Name))
	return appendMessage(b, 2, e.kind(v.Kind))
}

func (e *encoder) typeVarBinders(params []lf.TypeVarBinder) [][]byte {
	var list [][]byte
	for _, p := range params {
		list = append(list, e.typeVarBinder(p))
	}
	return list
}

// fieldType encodes FieldWithType and VarWithType.
func (e *encoder) fieldType(name lf.Name, t lf.Type) []byte {
	b := appendInt(nil, 3, e.name(name))
	return appendMessage(b, 2, e.typ(t))
}

// fields encodes a message that is a list of fields with types.
func (e *encoder) fields(fields []lf.FieldType) []byte {
	var b []byte
	for _, f := range fields {
		b = appendMessage(b, 1, e.fieldType(f.Name, f.Type))
	}
	return b
}

func (e *encoder) typeConApp(t lf.TypeConApp) []byte {
	b := appendMessage(nil, 1, e.ref(t.Con))
	return e.appendTypes(b, 2, t.Args)
}
