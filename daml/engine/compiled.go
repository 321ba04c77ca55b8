package engine

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/shape"
)

// Compiled is a package in the form in which the engine runs it, as bytes. It comes from a valid package, and depends on nothing but
// that package and the code of synod: who keeps it asks package daml for what tells one code from another. Reading it is cheap: the
// outline of the package is decoded at once, and a definition's code when it is first used.
//
// The bytes are sections, each after its length (u32, little-endian as all numbers of fixed size):
//
//	outline    payload of an archive, of the package's outline
//	signature  payload of an archive, of its signature
//	uses       32 bytes for each package that it refers to, by id
//	strings    their number n; n+1 offsets into the text that follows
//	refs       3 strings each: package, module, name
//	reps       types as values: 2 strings for name and order, a ref + 1 or 0
//	code       7 numbers for each definition, sorted by symbol: part, ref, string of a name, ref + 1 or 0 of an interface, whether it
//	           is a function, where its body begins in the last section, how long it is
//	bodies     code, as package engine writes it
type Compiled struct {
	ID      lf.PackageID
	Outline *lf.Package
	// Uses are the packages that it refers to. It was validated together with them, so it may be used where they are.
	Uses []lf.PackageID

	data      string
	signature string
	offsets   string // of strings
	text      string
	refs      string
	reps      string
	code      string
	bodies    string
}

// Cache keeps compiled packages. Package cache is one, in a folder.
type Cache interface {
	// Get returns a package that was put, by this process or another, or nil.
	Get(lf.PackageID) *Compiled
	// Put keeps a package if it can. It may be forgotten at any time.
	Put(*Compiled)
}

const (
	refSize  = 3 * 4
	repSize  = 3 * 4
	codeSize = 7 * 4
)

// part says which piece of code of a definition a symbol means.
type part uint8

const (
	partNone part = iota // made up for one run
	partValue
	partInfo
	partSignatories
	partObservers
	partMaintainers
	partChoice
	partChoiceByKey
	partInterfaceChoice
	partView
	partMethod
	partMessage
	parts
)

// symbol names a piece of code of a package.
type symbol struct {
	part   part
	ref    lf.Ref // the value, template, interface or exception
	member string // of a template or interface: the name of a choice or method
	iface  lf.Ref // of an instance
}

func (s symbol) compare(t symbol) int {
	if c := cmp.Compare(s.part, t.part); c != 0 {
		return c
	}
	if c := compareRefs(s.ref, t.ref); c != 0 {
		return c
	}
	if c := strings.Compare(s.member, t.member); c != 0 {
		return c
	}
	return compareRefs(s.iface, t.iface)
}

func compareRefs(a, b lf.Ref) int {
	if c := strings.Compare(string(a.Name), string(b.Name)); c != 0 {
		return c
	}
	if c := strings.Compare(string(a.Module), string(b.Module)); c != 0 {
		return c
	}
	return strings.Compare(string(a.Package), string(b.Package))
}

// Bytes returns the compiled form, which ParseCompiled reads.
func (c *Compiled) Bytes() string { return c.data }

// ParseCompiled reads the compiled form of a package, made by the same code of synod. That its sections hang together is checked; that they are what
// the compiler wrote is for the caller to know.
func ParseCompiled(id lf.PackageID, data string) (*Compiled, error) {
	c := &Compiled{ID: id, data: data}
	if err := c.parse(); err != nil {
		return nil, fmt.Errorf("compiled form of package %s: %w", id, err)
	}
	return c, nil
}

var errSections = errors.New("its sections do not hang together")

func (c *Compiled) parse() error {
	rest := c.data
	var outline, uses, stringTable string
	for _, section := range []*string{&outline, &c.signature, &uses, &stringTable, &c.refs, &c.reps, &c.code, &c.bodies} {
		if len(rest) < 4 || uint64(number(rest, 0)) > uint64(len(rest)-4) {
			return errSections
		}
		end := 4 + int(number(rest, 0))
		*section, rest = rest[4:end], rest[end:]
	}
	if rest != "" || len(uses)%32 != 0 || len(c.refs)%refSize != 0 || len(c.reps)%repSize != 0 || len(c.code)%codeSize != 0 {
		return errSections
	}
	for ; uses != ""; uses = uses[32:] {
		c.Uses = append(c.Uses, lf.PackageID(fmt.Sprintf("%x", uses[:32])))
	}
	if !c.parseStrings(stringTable) || !c.tablesAreSound() {
		return errSections
	}
	var err error
	if c.Outline, err = c.decode(outline); err != nil {
		return err
	}
	if !c.Outline.Version.Stable() {
		return fmt.Errorf("it is of version %s of the language, which is not stable", c.Outline.Version)
	}
	return nil
}

func number(s string, at int) uint32 {
	_ = s[at+3]
	return uint32(s[at]) | uint32(s[at+1])<<8 | uint32(s[at+2])<<16 | uint32(s[at+3])<<24
}

func (c *Compiled) parseStrings(table string) bool {
	if len(table) < 8 || uint64(number(table, 0)) > uint64(len(table)/4-2) {
		return false
	}
	size := 4 * (int(number(table, 0)) + 1)
	c.offsets, c.text = table[4:4+size], table[4+size:]
	before := uint32(0)
	for at := 0; at < size; at += 4 {
		offset := number(c.offsets, at)
		if offset < before {
			return false
		}
		before = offset
	}
	return uint64(before) == uint64(len(c.text))
}

// tablesAreSound says whether what the tables refer to is there.
func (c *Compiled) tablesAreSound() bool {
	strings, refs := uint32(len(c.offsets)/4-1), uint32(len(c.refs)/refSize)
	for at := 0; at < len(c.refs); at += 4 {
		if number(c.refs, at) >= strings {
			return false
		}
	}
	for at := 0; at < len(c.reps); at += repSize {
		if number(c.reps, at) >= strings || number(c.reps, at+4) >= strings || number(c.reps, at+8) > refs {
			return false
		}
	}
	for at := 0; at < len(c.code); at += codeSize {
		begin, size := number(c.code, at+20), number(c.code, at+24)
		if number(c.code, at) >= uint32(parts) || number(c.code, at+4) >= refs || number(c.code, at+8) >= strings ||
			number(c.code, at+12) > refs || uint64(begin)+uint64(size) > uint64(len(c.bodies)) {
			return false
		}
	}
	return true
}

// decode decodes an outline or signature.
func (c *Compiled) decode(payload string) (*lf.Package, error) {
	pkg, err := archive.Archive{ID: c.ID, Payload: []byte(payload)}.Decode(archive.Limits{})
	if err == nil {
		pkg.IsSignature = true
	}
	return pkg, err
}

// Signature decodes what packages are validated against that refer to this one.
func (c *Compiled) Signature() (*lf.Package, error) { return c.decode(c.signature) }

// The tables by position, which is in range.

func (c *Compiled) stringAt(i uint32) string {
	return c.text[number(c.offsets, int(i)*4):number(c.offsets, int(i)*4+4)]
}

func (c *Compiled) refAt(i uint32) lf.Ref {
	at := int(i) * refSize
	return lf.Ref{
		Package: lf.PackageID(c.stringAt(number(c.refs, at))),
		Module:  lf.DottedName(c.stringAt(number(c.refs, at+4))),
		Name:    lf.DottedName(c.stringAt(number(c.refs, at+8))),
	}
}

func (c *Compiled) symbolAt(i int) symbol {
	at := i * codeSize
	s := symbol{part: part(number(c.code, at)), ref: c.refAt(number(c.code, at+4)), member: c.stringAt(number(c.code, at+8))}
	if iface := number(c.code, at+12); iface > 0 {
		s.iface = c.refAt(iface - 1)
	}
	return s
}

// find looks for the code of a symbol.
func (c *Compiled) find(s symbol) (body string, function, ok bool) {
	i, ok := sort.Find(len(c.code)/codeSize, func(i int) int {
		at := i * codeSize
		name := c.stringAt(number(c.refs, int(number(c.code, at+4))*refSize+8)) // which nearly always decides
		if first := cmp.Or(int(s.part)-int(number(c.code, at)), strings.Compare(string(s.ref.Name), name)); first != 0 {
			return first
		}
		return s.compare(c.symbolAt(i))
	})
	if !ok {
		return "", false, false
	}
	at := i * codeSize
	begin := number(c.code, at+20)
	return c.bodies[begin : begin+number(c.code, at+24)], number(c.code, at+16) != 0, true
}

// join puts the sections of a compiled form together.
func join(sections ...[]byte) string {
	size := 0
	for _, section := range sections {
		size += 4 + len(section)
	}
	var data strings.Builder
	data.Grow(size)
	for _, section := range sections {
		data.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(section))))
		data.Write(section)
	}
	return data.String()
}

// AddCompiled makes a package known by its compiled form.
func (e *Engine) AddCompiled(c *Compiled) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, err := e.types.Package(c.ID); err == nil {
		return // it is known already
	}
	e.code[c.ID] = c
	e.types.AddOutline(c.Outline, c.Signature)
}

// Compile brings a package into compiled form that is valid. The engine knows what it refers to. It changes nothing of the engine.
func (e *Engine) Compile(pkg *lf.Package) (*Compiled, error) {
	workshop := e.Fork() // so that syntax trees and code vanish with it
	if err := workshop.AddPackage(pkg); err != nil {
		return nil, err
	}
	data, err := workshop.encodePackage(pkg)
	if err != nil {
		return nil, fmt.Errorf("compile package %s %s: %w", pkg.Metadata.Name, pkg.ID, err)
	}
	return ParseCompiled(pkg.ID, data)
}

// Knows says whether the engine has all of the packages.
func (e *Engine) Knows(ids ...lf.PackageID) bool {
	return !slices.ContainsFunc(ids, func(id lf.PackageID) bool {
		_, err := e.types.Package(id)
		return err != nil
	})
}

// Fork returns another engine with the same packages, to try out more of them.
func (e *Engine) Fork() *Engine {
	fork := New(e.limits)
	e.mu.Lock()
	defer e.mu.Unlock()
	fork.types = e.types.Fork()
	maps.Copy(fork.code, e.code)
	return fork
}

// Adopt makes the packages of a fork known, when they turned out well.
func (e *Engine) Adopt(fork *Engine) {
	e.mu.Lock()
	defer e.mu.Unlock()
	fork.mu.Lock()
	defer fork.mu.Unlock()
	for id, c := range fork.code {
		if _, err := e.types.Package(id); err != nil {
			e.code[id] = c
		}
	}
	e.types.Adopt(fork.types)
}

// allCode lists the code of all definitions of a package.
func (e *Engine) allCode(pkg *lf.Package) ([]*global, error) {
	var all []*global
	for _, m := range pkg.Modules {
		code, err := e.moduleCode(pkg.ID, m)
		if err != nil {
			return nil, fmt.Errorf("module %s: %w", m.Name, err)
		}
		all = append(all, code...)
	}
	return all, nil
}

func (e *Engine) moduleCode(id lf.PackageID, m *lf.Module) ([]*global, error) {
	var all []*global
	ref := func(name lf.DottedName) lf.Ref { return lf.Ref{Package: id, Module: m.Name, Name: name} }
	for _, v := range m.Values {
		g, err := e.global(ref(v.Name))
		if err != nil {
			return nil, err
		}
		all = append(all, g)
	}
	for _, d := range m.Templates {
		t, err := e.template(ref(d.Name))
		if err != nil {
			return nil, err
		}
		all = t.appendCode(all)
	}
	for _, d := range m.Interfaces {
		i, err := e.iface(ref(d.Name))
		if err != nil {
			return nil, err
		}
		for _, ch := range i.choices {
			all = append(all, ch.code)
		}
	}
	for _, x := range m.Exceptions {
		g, err := e.exceptionMessage(shape.Identifier(ref(x.Name)))
		if err != nil {
			return nil, err
		}
		all = append(all, g)
	}
	return all, nil
}

func (t *template) appendCode(all []*global) []*global {
	all = append(all, t.info, t.signatories, t.observers)
	if t.def.Key != nil {
		all = append(all, t.maintainers)
	}
	for _, ch := range t.choices {
		all = append(all, ch.code)
		if t.def.Key != nil {
			all = append(all, ch.byKey)
		}
	}
	for _, i := range t.instances {
		all = append(all, i.view)
		for _, method := range i.methods {
			all = append(all, method)
		}
	}
	return all
}
