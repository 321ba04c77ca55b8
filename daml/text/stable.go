package text

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/synod-network/synod/daml/archive"
)

// Some packages of the standard library have had one content, and so one id, since
// Daml-LF 2.1. Those below are needed where no Daml compiler supplies them: tuples
// are what queries by key answer with, Archive is the argument of the choice that
// every template of a Daml program has, and the errors are what Daml programs
// throw. They are put together here, and a test compares their ids.

// StablePackages gives these packages.
func StablePackages() ([]archive.Archive, error) {
	sources := []string{typesSource(), templateSource}
	for _, name := range []string{"ArithmeticError", "AssertionFailed", "GeneralError", "PreconditionFailed"} {
		sources = append(sources, exceptionSource(name))
	}
	var list []archive.Archive
	for _, src := range sources {
		pkg, err := Parse(src)
		if err != nil {
			return nil, err
		}
		a, err := archive.Encode(pkg)
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}

// stableUsed gives the stable packages whose ids stand in one of the packages.
func stableUsed(packages []archive.Archive) ([]archive.Archive, error) {
	stable, err := StablePackages()
	if err != nil {
		return nil, err
	}
	var used []archive.Archive
	for _, s := range stable {
		for _, p := range packages {
			if bytes.Contains(p.Payload, []byte(s.ID)) {
				used = append(used, s)
				break
			}
		}
	}
	return used, nil
}

const templateSource = `language 2.1
metadata ('ghc-stdlib-DA-Internal-Template' : '1.0.0')
module DA.Internal.Template { record @serializable Archive = { }; }`

func exceptionSource(name string) string {
	module := "DA.Exception." + name
	return strings.NewReplacer("MODULE", module, "NAME", name, "PACKAGE", "daml-prim-DA-Exception-"+name).Replace(`language 2.1
metadata ('PACKAGE' : '1.0.0')
module MODULE {
  record @serializable NAME = { message: Text };
  val $$WNAME: Text -> MODULE:NAME = \(message: Text) -> MODULE:NAME {message = message};
  exception NAME = { message \(x: MODULE:NAME) -> MODULE:NAME {message} x };
}`)
}

// typesSource writes DA.Types: Either, and tuples with two to twenty parts.
func typesSource() string {
	list := func(n int, part, between string) string {
		var parts []string
		for i := 1; i <= n; i++ {
			parts = append(parts, strings.ReplaceAll(part, "#", fmt.Sprint(i)))
		}
		return strings.Join(parts, between)
	}
	const first, last = 2, 20
	var types, values strings.Builder
	values.WriteString(`
  val $$WLeft: forall a b. a -> DA.Types:Either a b = /\a b. \(a: a) -> DA.Types:Either:Left @a @b a;
  val $$WRight: forall a b. b -> DA.Types:Either a b = /\a b. \(b: b) -> DA.Types:Either:Right @a @b b;
`)
	for n := first; n <= last; n++ {
		fmt.Fprintf(&types, "  record @serializable Tuple%d %s = { %s };\n", n, list(n, "t#", " "), list(n, "_#: t#", ", "))
		fmt.Fprintf(&values, "  val $$WTuple%d: forall %s. %s -> DA.Types:Tuple%d %s = /\\%s. \\%s -> DA.Types:Tuple%d %s {%s};\n",
			n, list(n, "t#", " "), list(n, "t#", " -> "), n, list(n, "t#", " "),
			list(n, "t#", " "), list(n, "(a#: t#)", " "), n, list(n, "@t#", " "), list(n, "_# = a#", ", "))
	}
	return `language 2.1
metadata ('daml-prim-DA-Types' : '1.0.0')
module DA.Types {
  variant @serializable Either a b = Left: a | Right: b;
` + types.String() + values.String() + "}"
}
