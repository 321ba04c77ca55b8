package text

import (
	"fmt"
	"maps"
	"slices"

	"github.com/synod-network/synod/daml/lf"
)

// Parse reads a package. Its id, and the package of its references to itself, is
// "". The text may leave out the language version, which then is 2.1.
func Parse(src string) (pkg *lf.Package, err error) { return ParseWith(src, nil) }

// ParseWith is Parse where the text may name other packages by the names that are
// given with their ids: 'iou':Iou:Transfer.
func ParseWith(src string, names map[string]lf.PackageID) (pkg *lf.Package, err error) {
	tokens, err := lex(src)
	if err != nil {
		return nil, err
	}
	p := &parser{src: src, tokens: tokens, names: names}
	defer recoverError(&err)
	return p.pkg(), nil
}

// recoverError gives the error by which a parser left.
func recoverError(err *error) {
	switch r := recover().(type) {
	case nil:
	case *Error:
		*err = r
	default:
		panic(r)
	}
}

// parser reads tokens by recursive descent. It leaves by a panic with an *Error.
type parser struct {
	src     string
	tokens  []token
	at      int
	deep    int
	version lf.Version
	names   map[string]lf.PackageID // of other packages
	foreign map[lf.PackageID]bool   // packages referred to
}

func (p *parser) failf(format string, args ...any) {
	panic(newError(p.src, p.tokens[p.at].offset, fmt.Sprintf(format, args...)))
}

// enter goes one level down; whoever called it or is above sets the level back.
func (p *parser) enter() {
	if p.deep++; p.deep > lf.MaxDepth {
		p.failf("this is nested deeper than %d", lf.MaxDepth)
	}
}

func (p *parser) peek() token { return p.tokens[p.at] }

// peekAt gives a token further ahead.
func (p *parser) peekAt(n int) token {
	return p.tokens[min(p.at+n, len(p.tokens)-1)]
}

func (p *parser) take() token {
	t := p.tokens[p.at]
	if t.sort != tokEnd {
		p.at++
	}
	return t
}

// is says whether the next token is this symbol or word.
func (p *parser) is(text string) bool { return p.peek().is(text) }

func (t token) is(text string) bool {
	return (t.sort == tokSymbol || t.sort == tokWord || t.sort == tokName) && t.text == text && !t.quoted
}

// accept takes this symbol or word if it comes next.
func (p *parser) accept(text string) bool {
	if p.is(text) {
		p.at++
		return true
	}
	return false
}

func (p *parser) expect(text string) {
	if !p.accept(text) {
		p.failf("there should be %q here, not %v", text, p.peek())
	}
}

func (p *parser) name() lf.Name {
	t := p.peek()
	if t.sort == tokWord {
		p.failf("%v is a word of the syntax; to use it as a name, write `%v`", t, t)
	}
	if t.sort != tokName {
		p.failf("there should be a name here, not %v", t)
	}
	if !lf.IsName(t.text) {
		p.failf("the name is longer than 1000 characters")
	}
	p.at++
	return t.text
}

func (p *parser) dottedName() lf.DottedName {
	n := lf.DottedName(p.name())
	for p.is(".") && p.peekAt(1).sort == tokName {
		p.at++
		n += lf.DottedName("." + p.name())
	}
	return n
}

// ref reads Module:Name or 'package':Module:Name.
func (p *parser) ref() lf.Ref {
	var r lf.Ref
	if p.peek().sort == tokQuoted {
		r.Package = p.foreignPackage()
		p.expect(":")
	}
	r.Module = p.dottedName()
	p.expect(":")
	r.Name = p.dottedName()
	return r
}

// foreignPackage reads the package of a reference.
func (p *parser) foreignPackage() lf.PackageID {
	id := p.packageID()
	if p.foreign == nil {
		p.foreign = map[lf.PackageID]bool{}
	}
	p.foreign[id] = true
	return id
}

func (p *parser) packageID() lf.PackageID {
	t := p.peek()
	if t.sort != tokQuoted || !lf.IsPackageID(t.text) {
		p.failf("there should be a package id in single quotes here, not %v", t)
	}
	p.at++
	if id, ok := p.names[t.text]; ok {
		return id
	}
	return lf.PackageID(t.text)
}

// startsRef says whether a reference comes next, and not a variable.
func (p *parser) startsRef() bool {
	if p.peek().sort == tokQuoted {
		return true
	}
	n := 0
	for p.peekAt(n).sort == tokName {
		switch p.peekAt(n + 1).text {
		case ":":
			return p.peekAt(n+1).sort == tokSymbol && p.peekAt(n+2).sort == tokName
		case ".":
			n += 2
		default:
			return false
		}
	}
	return false
}

func (p *parser) int32() int32 {
	t := p.peek()
	if t.sort != tokInt || int64(int32(t.number)) != t.number {
		p.failf("there should be a number of 32 bits here, not %v", t)
	}
	p.at++
	return int32(t.number)
}

func (p *parser) pkg() *lf.Package {
	pkg := &lf.Package{Version: lf.V2_1}
	if p.accept("language") {
		pkg.Version = p.languageVersion()
	}
	p.version = pkg.Version
	p.metadata(&pkg.Metadata)
	if p.accept("upgrades") {
		pkg.Metadata.Upgrades = p.packageID()
	}
	if p.is("imports") || p.is("no_imports") {
		if !p.version.Flat() {
			p.failf("Daml-LF %s has no list of imports", p.version)
		}
	}
	if p.accept("imports") {
		pkg.Imports = []lf.PackageID{}
		for p.peek().sort == tokQuoted {
			pkg.Imports = append(pkg.Imports, p.packageID())
		}
	} else if p.is("no_imports") {
		p.at++
		pkg.NoImportsReason = p.text()
	}
	for p.is("module") {
		pkg.Modules = append(pkg.Modules, p.module())
	}
	if p.peek().sort != tokEnd {
		p.failf("there should be a module here, not %v", p.peek())
	}
	p.addImports(pkg)
	return pkg
}

// addImports adds the packages that the text refers to, to those that it lists.
func (p *parser) addImports(pkg *lf.Package) {
	if !p.version.Flat() {
		return
	}
	listed := slices.Clone(pkg.Imports)
	for _, id := range slices.Sorted(maps.Keys(p.foreign)) {
		if lf.IsStablePackage(id) || slices.Contains(listed, id) {
			continue
		}
		if pkg.NoImportsReason != "" {
			p.failf("the package says that it imports nothing, but refers to package %s", id)
		}
		pkg.Imports = append(pkg.Imports, id)
	}
}

func (p *parser) languageVersion() lf.Version {
	t := p.peek()
	s := t.text
	p.at++
	if s == "2." && p.accept("dev") {
		s = "2.dev"
	}
	v, ok := lf.ParseVersion(s)
	if !ok {
		p.at--
		p.failf("%s is no version of the language; those are 2.1, 2.2, 2.3 and 2.dev", s)
	}
	return v
}

// metadata reads metadata ('name' : 'version').
func (p *parser) metadata(m *lf.Metadata) {
	p.expect("metadata")
	p.expect("(")
	if t := p.peek(); (t.sort != tokQuoted && t.sort != tokName) || !lf.IsPackageName(t.text) {
		p.failf("there should be the name of a package in single quotes here, not %v", t)
	}
	m.Name = p.take().text
	p.expect(":")
	if t := p.peek(); (t.sort != tokQuoted && t.sort != tokNumeric) || !lf.IsPackageVersion(t.text) {
		p.failf("there should be the version of a package in single quotes here, such as '1.0.0', not %v", t)
	}
	m.Version = p.take().text
	p.expect(")")
}

func (p *parser) text() string {
	t := p.peek()
	if t.sort != tokText {
		p.failf("there should be a text in double quotes here, not %v", t)
	}
	p.at++
	return t.text
}
