package engine

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/value"
)

// Constants of code, by what they are in its bytes.
const (
	constUnit = iota
	constFalse
	constTrue
	constInt64
	constNumeric
	constText
	constTimestamp
	constDate
	constEmptyList
	constNone
	constEnum
	constRep
	constEmptyRecord
	constFunction        // that captures nothing
	constBuiltin         // a builtin as a function
	constBuiltinConstant // a builtin without parameters
)

// packageWriter writes the compiled form of a package. Tables are filled as code refers to them.
type packageWriter struct {
	e       *Engine
	strings interner[string]
	refs    interner[lf.Ref]
	reps    interner[*value.TypeRep]
	bodies  []byte
	err     error // the first that came up
}

// interner numbers things in the order in which they come.
type interner[T comparable] struct {
	at  map[T]int
	all []T
}

func (t *interner[T]) number(item T) int {
	if i, known := t.at[item]; known {
		return i
	}
	if t.at == nil {
		t.at = map[T]int{}
	}
	t.at[item] = len(t.all)
	t.all = append(t.all, item)
	return len(t.all) - 1
}

// encodePackage compiles all of a package, which is known as lf, and writes it.
func (e *Engine) encodePackage(pkg *lf.Package) (string, error) {
	globals, err := e.allCode(pkg)
	if err != nil {
		return "", err
	}
	slices.SortFunc(globals, func(a, b *global) int { return a.symbol.compare(b.symbol) })
	w := &packageWriter{e: e}
	var code []byte
	for _, g := range globals {
		p, err := e.compileOnce(&g.code)
		if err != nil {
			return "", err
		}
		begin := len(w.bodies)
		if w.proto(p); w.err != nil {
			return "", fmt.Errorf("%s: %w", g.name, w.err)
		}
		iface, function := 0, 0
		if g.iface != (lf.Ref{}) {
			iface = w.ref(g.iface) + 1
		}
		if g.function {
			function = 1
		}
		for _, n := range [...]int{int(g.part), w.ref(g.ref), w.strings.number(g.member), iface, function, begin, len(w.bodies) - begin} {
			code = binary.LittleEndian.AppendUint32(code, uint32(n))
		}
	}
	return w.done(pkg, code)
}

func (w *packageWriter) done(pkg *lf.Package, code []byte) (string, error) {
	outline, err := archive.Encode(pkg.Outline())
	if err != nil {
		return "", err
	}
	signature, err := archive.Encode(pkg.Signature())
	if err != nil {
		return "", err
	}
	var uses, reps, refs []byte
	for _, id := range pkg.Uses {
		sum, err := hex.DecodeString(string(id))
		if err != nil {
			return "", fmt.Errorf("package %s is no package id: %w", id, err)
		}
		uses = append(uses, sum...)
	}
	for _, rep := range w.reps.all {
		con := 0
		if rep.Con != nil {
			con = w.ref(lf.Ref{Package: lf.PackageID(rep.Con.Package), Module: lf.DottedName(rep.Con.Module), Name: lf.DottedName(rep.Con.Entity)}) + 1
		}
		for _, n := range [...]int{w.strings.number(rep.Name), w.strings.number(rep.Order), con} {
			reps = binary.LittleEndian.AppendUint32(reps, uint32(n))
		}
	}
	for _, ref := range w.refs.all {
		for _, name := range [...]string{string(ref.Package), string(ref.Module), string(ref.Name)} {
			refs = binary.LittleEndian.AppendUint32(refs, uint32(w.strings.number(name)))
		}
	}
	return join(outline.Payload, signature.Payload, uses, w.stringTable(), refs, reps, code, w.bodies), nil
}

func (w *packageWriter) stringTable() []byte {
	table := binary.LittleEndian.AppendUint32(nil, uint32(len(w.strings.all)))
	offset := 0
	for _, s := range w.strings.all {
		table = binary.LittleEndian.AppendUint32(table, uint32(offset))
		offset += len(s)
	}
	table = binary.LittleEndian.AppendUint32(table, uint32(offset))
	for _, s := range w.strings.all {
		table = append(table, s...)
	}
	return table
}

func (w *packageWriter) uint(n int)   { w.bodies = binary.AppendUvarint(w.bodies, uint64(n)) }
func (w *packageWriter) int(n int64)  { w.bodies = binary.AppendVarint(w.bodies, n) }
func (w *packageWriter) str(s string) { w.uint(w.strings.number(s)) }

func (w *packageWriter) ref(r lf.Ref) int { return w.refs.number(r) }

func (w *packageWriter) identifier(id value.Identifier) {
	w.uint(w.ref(lf.Ref{Package: lf.PackageID(id.Package), Module: lf.DottedName(id.Module), Name: lf.DottedName(id.Entity)}))
}

// list writes how many there are, and each of them.
func list[T any](w *packageWriter, all []T, item func(T)) {
	w.uint(len(all))
	for _, one := range all {
		item(one)
	}
}

// proto writes code. An instruction has its second operand if the highest bit of its first byte is set.
func (w *packageWriter) proto(p *proto) {
	w.str(p.name)
	w.uint(p.arity)
	w.uint(p.slots)
	w.uint(p.room)
	list(w, p.code, func(in instr) {
		if in.b == 0 {
			w.bodies = append(w.bodies, byte(in.op))
			w.uint(int(in.a))
			return
		}
		w.bodies = append(w.bodies, byte(in.op)|hasSecond)
		w.uint(int(in.a))
		w.uint(int(in.b))
	})
	list(w, p.consts, w.constant)
	list(w, p.globals, w.global)
	list(w, p.closures, func(c closureSpec) {
		list(w, c.captures, func(c capture) {
			free := 0
			if c.free {
				free = 1
			}
			w.uint(int(c.index)<<1 | free)
		})
		w.proto(c.proto)
	})
	list(w, p.tables, func(t switchTable) {
		w.uint(int(t.other + 1))
		list(w, t.targets, func(target int32) { w.uint(int(target + 1)) })
	})
	list(w, p.datas, func(d *value.DataType) { w.identifier(d.ID) })
	list(w, p.structs, func(s structSpec) {
		list(w, s.names, w.str)
		list(w, s.source, w.uint)
	})
	list(w, p.variants, func(v variantSpec) {
		w.identifier(v.data.ID)
		w.str(v.con)
		w.uint(v.rank)
	})
	list(w, p.names, w.str)
	list(w, p.builtins, func(b *builtin) { w.uint(int(b.fun)) })
	list(w, p.reps, func(r *value.TypeRep) { w.uint(w.reps.number(r)) })
	list(w, p.refs, func(r lf.Ref) { w.uint(w.ref(r)) })
	list(w, p.templates, func(t *template) { w.uint(w.ref(t.ref)) })
	list(w, p.choices, func(ch *choice) {
		if ch.template != nil {
			w.uint(w.ref(ch.template.ref) << 1)
		} else {
			w.uint(w.ref(*ch.iface)<<1 | 1)
		}
		w.str(ch.def.Name)
	})
}

const hasSecond = 0x80 // of an instruction's first byte

func (w *packageWriter) failf(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

func (w *packageWriter) global(g *global) {
	switch g.part {
	case partValue, partMaintainers, partChoice, partChoiceByKey, partInterfaceChoice:
		w.uint(int(g.part))
		w.uint(w.ref(g.ref))
		w.str(g.member)
		return
	}
	w.failf("code refers to %s, which is no code of its own", g.name)
}

func (w *packageWriter) constant(v value.Value) {
	tag := func(n byte) { w.bodies = append(w.bodies, n) }
	switch v := v.(type) {
	case value.Unit:
		tag(constUnit)
	case value.Bool:
		if v {
			tag(constTrue)
		} else {
			tag(constFalse)
		}
	case value.Int64:
		tag(constInt64)
		w.int(int64(v))
	case value.Numeric:
		tag(constNumeric)
		w.str(v.String())
	case value.Text:
		tag(constText)
		w.str(string(v))
	case value.Timestamp:
		tag(constTimestamp)
		w.int(int64(v))
	case value.Date:
		tag(constDate)
		w.int(int64(v))
	case *value.Enum:
		tag(constEnum)
		w.identifier(v.Type.ID)
		w.uint(v.Rank)
	case *value.TypeRep:
		tag(constRep)
		w.uint(w.reps.number(v))
	default:
		w.composite(v, tag)
	}
}

// composite writes constants that could have parts, but have none.
func (w *packageWriter) composite(v value.Value, tag func(byte)) {
	switch v := v.(type) {
	case *value.List:
		if v.Length == 0 {
			tag(constEmptyList)
			return
		}
	case *value.Optional:
		if v.V == nil {
			tag(constNone)
			return
		}
	case *value.Record:
		if len(v.Fields) == 0 {
			tag(constEmptyRecord)
			w.identifier(v.Type.ID)
			return
		}
	case *function:
		if b := v.code.builtin; b != nil {
			tag(constBuiltin)
			w.uint(int(b.fun))
			return
		}
		if len(v.free) == 0 && len(v.args) == 0 {
			tag(constFunction)
			w.proto(v.code)
			return
		}
	case *value.Map:
		for _, f := range []lf.Function{lf.FnGenMapEmpty, lf.FnTextMapEmpty} {
			if w.e.builtins[f].constant == v {
				tag(constBuiltinConstant)
				w.uint(int(f))
				return
			}
		}
	}
	w.failf("code has a constant of type %T, which has no bytes", v)
}
