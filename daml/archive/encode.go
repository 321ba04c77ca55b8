package archive

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/synod-network/synod/daml/lf"
)

// Encode writes a package. It refuses what its language version cannot express,
// but does not validate: an ill-typed package is encoded as any other.
//
// References to packages that are not among the package's imports are added to
// them where the version has such a list.
func Encode(pkg *lf.Package) (a Archive, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("encoding package %s: %w", pkg.Metadata.Name, err)
		}
	}()
	defer recoverFailure(&err)
	minor, ok := strings.CutPrefix(pkg.Version.String(), "2.")
	if !ok || pkg.Version < lf.V2_1 || pkg.Version > lf.V2_Dev {
		return Archive{}, fmt.Errorf("there is no Daml-LF version %d", pkg.Version)
	}
	imports := pkg.Imports
	b, missing := encodePackage(pkg, imports)
	if len(missing) > 0 { // again, now that all imports are known
		imports = append(slices.Clone(imports), slices.Sorted(maps.Keys(missing))...)
		b, _ = encodePackage(pkg, imports)
	}
	payload := protowire.AppendTag(nil, 3, protowire.BytesType)
	payload = protowire.AppendString(payload, minor)
	return NewArchive(appendMessage(payload, 4, b)), nil
}

// encodePackage encodes with these imports and gives those that are missing.
func encodePackage(pkg *lf.Package, imports []lf.PackageID) (b []byte, missing map[lf.PackageID]bool) {
	e := &encoder{
		self:    pkg.ID,
		version: pkg.Version,
		imports: imports,
		missing: map[lf.PackageID]bool{},
		strings: map[string]int{},
		names:   map[string]int{},
		kinds:   table{at: map[string]int{}},
		types:   table{at: map[string]int{}},
		typeAt:  map[lf.Type]int{},
		exprAt:  map[lf.Expr]int{},
	}
	return e.pkg(pkg), e.missing
}

// encoder holds the tables of the package being encoded, in the order in which
// their entries came up.
type encoder struct {
	self    lf.PackageID
	version lf.Version
	imports []lf.PackageID
	missing map[lf.PackageID]bool // packages referred to that should be imports
	at      string

	strings    map[string]int
	stringList []string
	names      map[string]int // by the encoding of its positions in strings
	nameList   [][]byte
	kinds      table
	types      table
	typeAt     map[lf.Type]int // types encoded before
	exprs      [][]byte
	exprAt     map[lf.Expr]int
	deep       int
}

// table holds different encodings in the order in which they came.
type table struct {
	at   map[string]int
	list [][]byte
}

func (t *table) intern(b []byte) int {
	if i, ok := t.at[string(b)]; ok {
		return i
	}
	i := len(t.list)
	t.at[string(b)] = i
	t.list = append(t.list, b)
	return i
}

func (e *encoder) failf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	if e.at != "" {
		err = fmt.Errorf("%s: %w", e.at, err)
	}
	panic(failure{err})
}

// enter goes one level down; leave goes back up.
func (e *encoder) enter() {
	if e.deep++; e.deep > lf.MaxDepth {
		e.failf("types or expressions are nested deeper than %d", lf.MaxDepth)
	}
}

func (e *encoder) leave() { e.deep-- }

func appendMessage(b []byte, num protowire.Number, message []byte) []byte {
	b = protowire.AppendTag(b, num, protowire.BytesType)
	return protowire.AppendBytes(b, message)
}

// appendOptional appends a message unless it is nil.
func appendOptional(b []byte, num protowire.Number, message []byte) []byte {
	if message == nil {
		return b
	}
	return appendMessage(b, num, message)
}

// appendAll appends a field for each message.
func appendAll(b []byte, num protowire.Number, messages [][]byte) []byte {
	for _, m := range messages {
		b = appendMessage(b, num, m)
	}
	return b
}

// appendChoice appends a number even where it is 0, as members of a oneof are.
func appendChoice(b []byte, num protowire.Number, v uint64) []byte {
	b = protowire.AppendTag(b, num, protowire.VarintType)
	return protowire.AppendVarint(b, v)
}

// appendInt appends a number unless it is 0.
func appendInt(b []byte, num protowire.Number, v int) []byte {
	if v == 0 {
		return b
	}
	return appendChoice(b, num, uint64(v))
}

func appendBool(b []byte, num protowire.Number, v bool) []byte {
	if !v {
		return b
	}
	return appendChoice(b, num, 1)
}

func (e *encoder) pkg(p *lf.Package) []byte {
	var modules [][]byte
	for _, m := range p.Modules {
		modules = append(modules, e.module(m))
	}
	e.at = "metadata"
	if !lf.IsPackageName(p.Metadata.Name) || !lf.IsPackageVersion(p.Metadata.Version) {
		e.failf("%q, version %q, is no name and version of a package", p.Metadata.Name, p.Metadata.Version)
	}
	var metadata []byte
	metadata = appendInt(metadata, 1, e.str(p.Metadata.Name))
	metadata = appendInt(metadata, 2, e.str(p.Metadata.Version))
	if u := p.Metadata.Upgrades; u != "" {
		metadata = appendMessage(metadata, 3, appendInt(nil, 1, e.str(string(u))))
	}

	b := appendAll(nil, 1, modules)
	for _, s := range e.stringList {
		b = protowire.AppendTag(b, 2, protowire.BytesType)
		b = protowire.AppendString(b, s)
	}
	b = appendAll(b, 3, e.nameList)
	b = appendMessage(b, 4, metadata)
	b = appendAll(b, 5, e.types.list)
	b = appendAll(b, 6, e.kinds.list)
	b = appendAll(b, 7, e.exprs)
	return e.appendImports(b, p)
}

func (e *encoder) appendImports(b []byte, p *lf.Package) []byte {
	switch {
	case !e.version.Flat():
		return b
	case p.NoImportsReason != "" && len(e.imports) == 0:
		b = protowire.AppendTag(b, 8, protowire.BytesType)
		return protowire.AppendString(b, p.NoImportsReason)
	case e.imports == nil:
		return b
	}
	var list []byte
	for _, id := range e.imports {
		list = protowire.AppendTag(list, 1, protowire.BytesType)
		list = protowire.AppendString(list, string(id))
	}
	return appendMessage(b, 9, list)
}

// str interns a string.
func (e *encoder) str(s string) int {
	if i, ok := e.strings[s]; ok {
		return i
	}
	i := len(e.stringList)
	e.strings[s] = i
	e.stringList = append(e.stringList, s)
	return i
}

// name interns an identifier.
func (e *encoder) name(s lf.Name) int {
	if _, known := e.strings[s]; !known && !lf.IsName(s) {
		e.failf("%q is no identifier", s)
	}
	return e.str(s)
}

// dotted interns a dotted name.
func (e *encoder) dotted(n lf.DottedName) int {
	var positions []byte
	for part := range strings.SplitSeq(string(n), ".") {
		if !lf.IsName(part) {
			e.failf("%q is no name of a definition", n)
		}
		positions = protowire.AppendVarint(positions, uint64(e.str(part)))
	}
	if i, ok := e.names[string(positions)]; ok {
		return i
	}
	i := len(e.nameList)
	e.names[string(positions)] = i
	e.nameList = append(e.nameList, appendMessage(nil, 1, positions))
	return i
}

func (e *encoder) moduleRef(pkg lf.PackageID, module lf.DottedName) []byte {
	b := appendMessage(nil, 1, e.packageRef(pkg))
	return appendInt(b, 2, e.dotted(module))
}

func (e *encoder) packageRef(id lf.PackageID) []byte {
	switch {
	case id == e.self || id == "":
		return appendMessage(nil, 1, nil)
	case !lf.IsPackageID(string(id)):
		e.failf("%q is no package id", id)
	case e.version.Flat() && !lf.IsStablePackage(id):
		i := slices.Index(e.imports, id)
		if i < 0 {
			e.missing[id], i = true, 0
		}
		return appendChoice(nil, 4, uint64(i))
	}
	return appendChoice(nil, 3, uint64(e.str(string(id))))
}

func (e *encoder) ref(r lf.Ref) []byte {
	b := appendMessage(nil, 1, e.moduleRef(r.Package, r.Module))
	return appendInt(b, 2, e.dotted(r.Name))
}

// form encodes a message that is a form; the values come as its string lists them.
func (e *encoder) form(f form, values ...any) []byte {
	var b []byte
	for i, v := range values {
		num := protowire.Number(f.fields[2*i] - '0')
		switch v := v.(type) {
		case lf.Ref:
			b = appendMessage(b, num, e.ref(v))
		case lf.TypeConApp:
			b = appendMessage(b, num, e.typeConApp(v))
		case lf.Name:
			b = appendInt(b, num, e.name(v))
		case lf.Type:
			b = appendMessage(b, num, e.typ(v))
		case lf.Expr:
			b = appendMessage(b, num, e.expr(v))
		default:
			e.failf("%s: field %d is missing", f.name, num)
		}
	}
	return b
}
