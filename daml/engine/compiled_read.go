package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/shape"
	"github.com/synod-network/synod/daml/value"
)

// errBody says that code is not as the compiler writes it.
var errBody = errors.New("its code is damaged")

// codeReader reads code of a compiled package, which refers to definitions of the engine. After an error it reads zeros.
type codeReader struct {
	e    *Engine
	c    *Compiled
	rest string
	deep int
	err  error
}

// read reads code of a definition. The error may be that a package is missing.
func (e *Engine) read(c *Compiled, body string, of lf.Ref) (*proto, error) {
	r := &codeReader{e: e, c: c, rest: body}
	p := r.proto()
	if r.err == nil && r.rest != "" {
		r.err = errBody
	}
	if r.err != nil {
		return nil, fmt.Errorf("compiled form of %s: %w", of, r.err)
	}
	return p, nil
}

// ReadAll reads all code of packages that came in compiled form. It is not needed: code is read when it is first used. But who wants
// no transaction to pay for it can so do the work before the first one.
func (e *Engine) ReadAll() error {
	e.mu.Lock()
	code := slices.Collect(maps.Values(e.code))
	e.mu.Unlock()
	for _, c := range code {
		for i := range len(c.code) / codeSize {
			s := c.symbolAt(i)
			g, err := e.lookup(s)
			if err == nil {
				_, err = e.compiled(&g.code)
			}
			if err != nil {
				return fmt.Errorf("package %s %s: %w", c.Outline.Metadata.Name, c.ID, err)
			}
		}
	}
	return nil
}

func (r *codeReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.rest = ""
}

func (r *codeReader) byte() byte {
	if r.rest == "" {
		r.fail(errBody)
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

// uint reads a number that fits 31 bits.
func (r *codeReader) uint() int {
	var n uint64
	for shift := 0; ; shift += 7 {
		b := r.byte()
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			break
		}
		if shift > 28 {
			r.fail(errBody)
		}
	}
	if n > 1<<31-1 {
		r.fail(errBody)
		return 0
	}
	return int(n)
}

func (r *codeReader) int() int64 {
	n, size := binary.Varint([]byte(r.rest[:min(len(r.rest), binary.MaxVarintLen64)]))
	if size <= 0 {
		r.fail(errBody)
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// position reads a position in a table with entries of a size.
func (r *codeReader) position(table string, size, extra int) (uint32, bool) {
	i := r.uint()
	if r.err != nil || i >= len(table)/size-extra {
		r.fail(errBody)
		return 0, false
	}
	return uint32(i), true
}

func (r *codeReader) str() string {
	if i, ok := r.position(r.c.offsets, 4, 1); ok {
		return r.c.stringAt(i)
	}
	return ""
}

func (r *codeReader) ref() lf.Ref {
	if i, ok := r.position(r.c.refs, refSize, 0); ok {
		return r.c.refAt(i)
	}
	return lf.Ref{}
}

func (r *codeReader) rep() *value.TypeRep {
	i, ok := r.position(r.c.reps, repSize, 0)
	if !ok {
		return nil
	}
	at := int(i) * repSize
	rep := &value.TypeRep{Name: r.c.stringAt(number(r.c.reps, at)), Order: r.c.stringAt(number(r.c.reps, at+4))}
	if con := number(r.c.reps, at+8); con > 0 {
		id := shape.Identifier(r.c.refAt(con - 1))
		rep.Con = &id
	}
	return r.e.types.Intern(rep)
}

func (r *codeReader) data() *value.DataType { return found(r, r.e.types.Data) }

// found reads a reference, and looks for what it refers to.
func found[T any](r *codeReader, look func(lf.Ref) (*T, error)) *T {
	ref := r.ref()
	if r.err != nil {
		return nil
	}
	t, err := look(ref)
	if err != nil {
		r.fail(err)
	}
	return t
}

// count reads how many items follow, of which each has at least one byte.
func (r *codeReader) count() int {
	n := r.uint()
	if n > len(r.rest) {
		r.fail(errBody)
		return 0
	}
	return n
}

func items[T any](r *codeReader, item func() T) []T {
	n := r.count()
	if n == 0 {
		return nil
	}
	all := make([]T, 0, min(n, 64)) // what claims to be long may not be
	for len(all) < n && r.err == nil {
		all = append(all, item())
	}
	return all
}

func (r *codeReader) proto() *proto {
	if r.deep++; r.deep > lf.MaxDepth {
		r.fail(errBody)
	}
	defer func() { r.deep-- }()
	p := &proto{name: r.str(), arity: r.uint(), slots: r.uint(), room: r.uint()}
	p.code = items(r, r.instr)
	p.consts = items(r, r.constant)
	p.globals = items(r, r.global)
	p.closures = items(r, func() closureSpec {
		captures := items(r, func() capture {
			n := r.uint()
			return capture{n&1 == 1, int32(n >> 1)}
		})
		return closureSpec{captures: captures, proto: r.proto()}
	})
	p.tables = items(r, func() switchTable {
		other := int32(r.uint()) - 1
		return switchTable{other: other, targets: items(r, func() int32 { return int32(r.uint()) - 1 })}
	})
	p.datas = items(r, r.data)
	p.structs = items(r, func() structSpec {
		return structSpec{names: items(r, r.str), source: items(r, r.uint)}
	})
	p.variants = items(r, func() variantSpec { return variantSpec{data: r.data(), con: r.str(), rank: r.uint()} })
	p.names = items(r, r.str)
	p.builtins = items(r, r.builtin)
	p.reps = items(r, r.rep)
	p.refs = items(r, r.ref)
	p.templates = items(r, func() *template { return found(r, r.e.template) })
	p.choices = items(r, r.choice)
	return p
}

func (r *codeReader) instr() instr {
	first := r.byte()
	in := instr{op: op(first &^ hasSecond), a: int32(r.uint())}
	if first&hasSecond != 0 {
		in.b = int32(r.uint())
	}
	if in.op >= ops {
		r.fail(errBody)
	}
	return in
}

func (r *codeReader) builtin() *builtin {
	f := lf.Function(r.uint())
	b, err := r.e.builtin(f)
	if err != nil {
		r.fail(err)
	}
	return b
}

func (r *codeReader) choice() *choice {
	n := r.uint()
	name := r.str()
	if r.err != nil || n>>1 >= len(r.c.refs)/refSize {
		r.fail(errBody)
		return nil
	}
	part := partChoice
	if n&1 == 1 {
		part = partInterfaceChoice
	}
	ch, err := r.e.choice(part, r.c.refAt(uint32(n>>1)), name)
	if err != nil {
		r.fail(err)
	}
	return ch
}

// choice finds a choice of a template or of an interface.
func (e *Engine) choice(p part, ref lf.Ref, name string) (*choice, error) {
	var choices map[string]*choice
	if p == partInterfaceChoice {
		i, err := e.iface(ref)
		if err != nil {
			return nil, err
		}
		choices = i.choices
	} else {
		t, err := e.template(ref)
		if err != nil {
			return nil, err
		}
		choices = t.choices
	}
	if ch := choices[name]; ch != nil {
		return ch, nil
	}
	return nil, fmt.Errorf("%s has no choice %s", ref, name)
}

func (r *codeReader) global() *global {
	s := symbol{part: part(r.uint()), ref: r.ref(), member: r.str()}
	if r.err != nil {
		return nil
	}
	g, err := r.e.lookup(s)
	if err != nil {
		r.fail(err)
	}
	return g
}

// lookup finds the code of a symbol.
func (e *Engine) lookup(s symbol) (*global, error) {
	switch s.part {
	case partValue:
		return e.global(s.ref)
	case partChoice, partChoiceByKey, partInterfaceChoice:
		ch, err := e.choice(s.part, s.ref, s.member)
		if err != nil {
			return nil, err
		}
		if s.part == partChoiceByKey {
			return ch.byKey, nil
		}
		return ch.code, nil
	case partMessage:
		return e.exceptionMessage(shape.Identifier(s.ref))
	}
	t, err := e.template(s.ref)
	if err != nil {
		return nil, err
	}
	if g := t.code(s); g != nil {
		return g, nil
	}
	return nil, fmt.Errorf("template %s has no code of the kind %d", s.ref, s.part)
}

func (t *template) code(s symbol) *global {
	switch s.part {
	case partInfo:
		return t.info
	case partSignatories:
		return t.signatories
	case partObservers:
		return t.observers
	case partMaintainers:
		return t.maintainers
	}
	i := t.instances[s.iface]
	switch {
	case i == nil:
		return nil
	case s.part == partView:
		return i.view
	}
	return i.methods[s.member]
}

func (r *codeReader) constant() value.Value {
	switch r.byte() {
	case constUnit:
		return value.Unit{}
	case constFalse:
		return value.Bool(false)
	case constTrue:
		return value.Bool(true)
	case constInt64:
		return value.Int64(r.int())
	case constNumeric:
		n, err := value.ParseNumeric(r.str())
		if err != nil {
			r.fail(err)
		}
		return n
	case constText:
		return value.Text(r.str())
	case constTimestamp:
		return value.Timestamp(r.int())
	case constDate:
		return value.Date(r.int())
	case constEmptyList:
		return value.Empty()
	case constNone:
		return value.None()
	case constEnum:
		return r.enum()
	case constRep:
		return r.rep()
	case constEmptyRecord:
		return &value.Record{Type: r.data()}
	case constFunction:
		return &function{code: r.proto()}
	case constBuiltin:
		if b := r.builtin(); b != nil {
			return &function{code: b.proto}
		}
		return nil
	case constBuiltinConstant:
		if b := r.builtin(); b != nil && b.constant != nil {
			return b.constant
		}
	}
	r.fail(errBody)
	return nil
}

func (r *codeReader) enum() value.Value {
	data, rank := r.data(), r.uint()
	if r.err != nil || rank >= len(data.Names) {
		r.fail(errBody)
		return nil
	}
	return &value.Enum{Type: data, Con: data.Names[rank], Rank: rank}
}
