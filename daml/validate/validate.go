// Package validate judges packages before anything runs them: a package that
// passes [Check] is well-typed, stores only what can be stored, names nothing
// ambiguously, and cannot make the machine do what it cannot do. [Upgrade] judges
// whether one version of a package may replace another.
//
// The rules are those of the Daml-LF specification. Types carry annotations at
// every binder, so checking is one walk that computes the type of each expression
// and compares. What hostile types could blow up (synonyms expanded within
// synonyms) is counted and ends in a fault.
package validate

import (
	"fmt"
	"strings"

	"github.com/synod-network/synod/daml/lf"
)

// Rule names the rule that a package breaks. The names are stable.
type Rule string

const (
	RuleVersion      Rule = "version"      // language versions of package and dependencies
	RuleReference    Rule = "reference"    // what is referred to is not there
	RuleCycle        Rule = "cycle"        // modules, synonyms or interfaces depend on themselves
	RuleName         Rule = "name"         // names that clash
	RuleKind         Rule = "kind"         // types that do not fit together
	RuleType         Rule = "type"         // an expression has not the type it must have
	RuleScope        Rule = "scope"        // a variable is not bound
	RulePattern      Rule = "pattern"      // alternatives do not fit or cover what is matched
	RuleSerializable Rule = "serializable" // stored data must have a form that can be stored
	RuleTemplate     Rule = "template"     // templates, exceptions and keys
	RuleInterface    Rule = "interface"    // interfaces and their instances
	RuleComplexity   Rule = "complexity"   // checking takes more work than is spent on a package
)

// Fault says which rule is broken where and how.
type Fault struct {
	Rule    Rule
	Path    string // such as: module Main, template Iou, choice Transfer, update, 2nd argument
	Message string
}

func (f *Fault) Error() string { return f.Path + ": " + f.Message + " [" + string(f.Rule) + "]" }

// Faults are what is wrong with a package: at least one, at most one for each
// definition and MaxFaults in all.
type Faults []*Fault

// MaxFaults is how many faults are reported of a package.
const MaxFaults = 20

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// Check validates a package. The set must hold the package itself and all that it
// refers to; those are taken to be valid. The error is [Faults].
func Check(pkg *lf.Package, packages *lf.Packages) error {
	c := newChecker(pkg, packages)
	c.check()
	if len(c.faults) > 0 {
		return c.faults
	}
	return nil
}

// step is one part of the path to what is being checked.
type step struct {
	label string
	index int // from 0; -1 for none
	loc   *lf.Location
}

func (c *checker) pathString() string {
	var b strings.Builder
	for i, s := range c.path {
		if s.loc != nil {
			fmt.Fprintf(&b, " (line %d)", s.loc.StartLine+1)
			continue
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(s.label)
		if s.index >= 0 {
			fmt.Fprintf(&b, " %d", s.index+1)
		}
	}
	// Long paths are cut in the middle.
	const most = 1000
	if s := b.String(); len(s) > most {
		return s[:most/2] + " … " + s[len(s)-most/2:]
	}
	return b.String()
}

// broken carries a fault up to the definition that has it.
type broken struct{ fault *Fault }

func (c *checker) failf(rule Rule, format string, args ...any) {
	panic(broken{&Fault{Rule: rule, Path: c.pathString(), Message: fmt.Sprintf(format, args...)}})
}

// definition checks one definition, and notes the first fault in it.
func (c *checker) definition(label string, check func()) {
	if len(c.faults) >= MaxFaults {
		return
	}
	depth := len(c.path)
	c.path = append(c.path, step{label: label, index: -1})
	defer func() {
		switch r := recover().(type) {
		case nil:
		case broken:
			c.faults = append(c.faults, r.fault)
			c.reset()
		default:
			panic(r)
		}
		c.path = c.path[:depth]
	}()
	check()
}
