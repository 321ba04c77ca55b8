package archive

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/synod-network/synod/daml/lf"
)

// decoder holds the tables of the package being decoded. Its methods take the
// bytes of one message and give what it says; they leave by a failure.
type decoder struct {
	self    lf.PackageID
	version lf.Version
	limits  Limits
	at      string // the definition being decoded, for errors

	strings  []string
	isName   []bool // by position in strings: known to be an identifier
	names    []lf.DottedName
	kinds    []lf.Kind
	types    []lf.Type
	typeSize []extent
	exprs    []lf.Expr
	exprSize []extent
	imports  []lf.PackageID

	refs map[moduleKey]moduleRef // modules decoded before
	uses map[lf.PackageID]bool   // packages referred to

	size extent // of what is being decoded
	deep int    // how deep the decoder is in it
}

// extent measures a type or expression with all sharing undone.
type extent struct {
	nodes int64
	depth int
}

func (d *decoder) failf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	if d.at != "" {
		err = fmt.Errorf("%s: %w", d.at, err)
	}
	panic(failure{err})
}

// enter counts a node and goes one level down; whoever called it sets the level back.
func (d *decoder) enter() {
	d.deep++
	d.count(extent{nodes: 1})
}

// count adds something below the present level.
func (d *decoder) count(e extent) {
	d.size.nodes += e.nodes
	if d.size.nodes > d.limits.Nodes {
		d.failf("more than %d nodes, counting what is shared each time", d.limits.Nodes)
	}
	if depth := d.deep + e.depth; depth > d.size.depth {
		if depth > lf.MaxDepth {
			d.failf("types or expressions are nested deeper than %d", lf.MaxDepth)
		}
		d.size.depth = depth
	}
}

// entry measures a table entry while it is decoded, apart from everything else.
func (d *decoder) entry(decode func()) extent {
	outer := d.size
	d.size = extent{}
	decode()
	inner := d.size
	d.size = outer
	return inner
}

// pkg decodes the message Package.
func (d *decoder) pkg(b []byte) *lf.Package {
	p := &lf.Package{ID: d.self, Version: d.version}
	var modules, strs, names, types, kinds, exprs [][]byte
	var metadata []byte
	hasImports := false
	c := d.open("Package", b)
	for c.next() {
		switch c.num {
		case 1:
			modules = append(modules, c.item())
		case 2:
			strs = append(strs, c.item())
		case 3:
			names = append(names, c.item())
		case 4:
			metadata = c.bytes()
		case 5:
			types = append(types, c.item())
		case 6:
			d.needFlat(&c, "table of kinds")
			kinds = append(kinds, c.item())
		case 7:
			d.needFlat(&c, "table of expressions")
			exprs = append(exprs, c.item())
		case 8:
			d.needFlat(&c, "place for a reason why nothing is imported")
			p.NoImportsReason = c.text(c.bytes())
		case 9:
			d.needFlat(&c, "list of imports")
			hasImports = true
			d.packageImports(c.bytes())
		default:
			c.unknown()
		}
	}
	if hasImports && p.NoImportsReason != "" {
		c.failf("there are both imports and a reason for none")
	}
	if metadata == nil {
		c.failf("the package has no metadata")
	}
	if hasImports {
		p.Imports = d.imports
	}

	d.strings = make([]string, len(strs))
	d.isName = make([]bool, len(strs))
	for i, s := range strs {
		d.strings[i] = c.text(s)
	}
	d.names = make([]lf.DottedName, len(names))
	for i, n := range names {
		d.names[i] = d.dottedName(n)
	}
	p.Metadata = d.metadata(metadata)
	for i, k := range kinds {
		d.at = fmt.Sprintf("interned kind %d", i)
		d.entry(func() { d.kinds = append(d.kinds, d.concreteKind(k)) })
	}
	for i, t := range types {
		d.at = fmt.Sprintf("interned type %d", i)
		d.typeSize = append(d.typeSize, d.entry(func() { d.types = append(d.types, d.concreteType(t)) }))
	}
	for i, e := range exprs {
		d.at = fmt.Sprintf("interned expression %d", i)
		d.exprSize = append(d.exprSize, d.entry(func() { d.exprs = append(d.exprs, d.concreteExpr(e)) }))
	}
	d.at = ""
	for _, m := range modules {
		p.Modules = append(p.Modules, d.module(m))
	}
	delete(d.uses, d.self)
	p.Uses = slices.Sorted(maps.Keys(d.uses))
	return p
}

func (d *decoder) needFlat(c *cursor, what string) {
	if !d.version.Flat() {
		c.failf("Daml-LF %s has no %s", d.version, what)
	}
}

func (d *decoder) packageImports(b []byte) {
	d.imports = []lf.PackageID{}
	for c := d.open("PackageImports", b); c.next(); {
		if c.num != 1 {
			c.unknown()
		}
		d.imports = append(d.imports, d.packageID(c.text(c.item())))
	}
}

func (d *decoder) metadata(b []byte) lf.Metadata {
	c := d.open("PackageMetadata", b)
	var name, version int
	var m lf.Metadata
	for c.next() {
		switch c.num {
		case 1:
			name = c.index()
		case 2:
			version = c.index()
		case 3:
			u := d.open("UpgradedPackageId", c.bytes())
			id := 0
			for u.next() {
				if u.num != 1 {
					u.unknown()
				}
				id = u.index()
			}
			m.Upgrades = d.packageID(d.str(id))
		default:
			c.unknown()
		}
	}
	m.Name, m.Version = d.str(name), d.str(version)
	if !lf.IsPackageName(m.Name) {
		c.failf("%q is no package name", m.Name)
	}
	if !lf.IsPackageVersion(m.Version) {
		c.failf("%q is no package version; one looks like 1.0.2", m.Version)
	}
	return m
}

// str looks up an interned string.
func (d *decoder) str(i int) string {
	if i < 0 || i >= len(d.strings) {
		d.failf("there is no interned string %d; the table has %d", i, len(d.strings))
	}
	return d.strings[i]
}

// name looks up an interned string that must be an identifier.
func (d *decoder) name(i int) lf.Name {
	s := d.str(i)
	if !d.isName[i] {
		if !lf.IsName(s) {
			d.failf("%q is no identifier", s)
		}
		d.isName[i] = true
	}
	return s
}

func (d *decoder) dottedName(b []byte) lf.DottedName {
	var at []int
	for c := d.open("InternedDottedName", b); c.next(); {
		if c.num != 1 {
			c.unknown()
		}
		at = c.indices(at)
	}
	if len(at) == 0 {
		d.failf("a dotted name is empty")
	}
	if len(at) == 1 {
		return lf.DottedName(d.name(at[0]))
	}
	segments := make([]string, len(at))
	for i, s := range at {
		segments[i] = d.name(s)
	}
	return lf.DottedName(strings.Join(segments, "."))
}

// dotted looks up an interned dotted name.
func (d *decoder) dotted(i int) lf.DottedName {
	if i < 0 || i >= len(d.names) {
		d.failf("there is no interned dotted name %d; the table has %d", i, len(d.names))
	}
	return d.names[i]
}

func (d *decoder) packageID(s string) lf.PackageID {
	if !lf.IsPackageID(s) {
		d.failf("%q is no package id", s)
	}
	return lf.PackageID(s)
}

// moduleRef is a module of this or another package.
type moduleRef struct {
	pkg    lf.PackageID
	module lf.DottedName
}

// moduleKey is the encoding of a moduleRef: short, and repeated at each reference.
type moduleKey [16]byte

func (d *decoder) moduleRef(b []byte) moduleRef {
	var key moduleKey
	cached := len(b) < len(key)
	if cached {
		copy(key[1:], b)
		key[0] = byte(len(b))
		if m, ok := d.refs[key]; ok {
			return m
		}
	}
	c := d.open("ModuleId", b)
	m := moduleRef{}
	name, hasPackage := 0, false
	for c.next() {
		switch c.num {
		case 1:
			m.pkg, hasPackage = d.packageRef(c.bytes()), true
		case 2:
			name = c.index()
		default:
			c.unknown()
		}
	}
	if !hasPackage {
		c.failf("a reference names no package")
	}
	m.module = d.dotted(name)
	if cached {
		if d.refs == nil {
			d.refs = map[moduleKey]moduleRef{}
		}
		d.refs[key] = m
	}
	return m
}

func (d *decoder) packageRef(b []byte) lf.PackageID {
	c := d.open("SelfOrImportedPackageId", b)
	id, n := d.self, 0
	for ; c.next(); n++ {
		switch c.num {
		case 1:
			c.empty()
		case 3:
			id = d.packageID(d.str(c.index()))
			if d.version.Flat() && d.version.Stable() && !lf.IsStablePackage(id) { // early 2.dev still did so
				c.failf("package %s is named outside of the list of imports", id)
			}
		case 4:
			d.needFlat(&c, "list of imports")
			i := c.index()
			if i >= len(d.imports) {
				c.failf("there is no import %d; the list has %d", i, len(d.imports))
			}
			id = d.imports[i]
		default:
			c.unknown()
		}
	}
	if n != 1 {
		c.failf("a reference names %d packages", n)
	}
	d.uses[id] = true
	return id
}

// ref decodes TypeConId, TypeSynId and ValueId.
func (d *decoder) ref(b []byte) lf.Ref {
	c := d.open("reference", b)
	var m moduleRef
	name, hasModule := 0, false
	for c.next() {
		switch c.num {
		case 1:
			m, hasModule = d.moduleRef(c.bytes()), true
		case 2:
			name = c.index()
		default:
			c.unknown()
		}
	}
	if !hasModule {
		c.failf("it names no module")
	}
	return lf.Ref{Package: m.pkg, Module: m.module, Name: d.dotted(name)}
}

// parts holds the fields of a form by number.
type parts struct {
	ref  [4]lf.Ref
	name [maxForm + 1]lf.Name
	typ  [4]lf.Type
	expr [maxForm + 1]lf.Expr
	con  lf.TypeConApp
}

// form decodes a message that is a form.
func (d *decoder) form(f form, b []byte) (p parts) {
	var at [maxForm + 1]int
	c := d.open(f.name, b)
	for c.next() {
		switch f.sort(c.num) {
		case 'r':
			p.ref[c.num] = d.ref(c.bytes())
		case 'c':
			p.con = d.typeConApp(c.bytes())
		case 'n':
			at[c.num] = c.index()
		case 't':
			p.typ[c.num] = d.typ(c.bytes())
		case 'e':
			p.expr[c.num] = d.expr(c.bytes())
		default:
			c.unknown()
		}
	}
	for i := 0; i < len(f.fields); i += 2 {
		num := protowire.Number(f.fields[i] - '0')
		if f.fields[i+1] == 'n' { // position 0 is not written
			p.name[num] = d.name(at[num])
		} else if c.seen&(1<<num) == 0 {
			c.failf("field %d is missing", num)
		}
	}
	return p
}
