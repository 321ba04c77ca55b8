package validate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/text"
)

// TestTypesThatBlowUpEndInAFault expands synonyms within synonyms, to far more nodes
// than there is memory.
func TestTypesThatBlowUpEndInAFault(t *testing.T) {
	var b strings.Builder
	b.WriteString("language 2.3 metadata ('x' : '1') module M { synonym S0 a = <l: a, r: a>;")
	for i := range 40 {
		fmt.Fprintf(&b, "synonym S%d a = ||M:S%d (||M:S%d a||)||;", i+1, i, i)
	}
	b.WriteString("val x: ||M:S40 Int64|| = M:x; }")
	pkg, err := text.Parse(b.String())
	if err != nil {
		t.Fatal(err)
	}
	c := newChecker(pkg, lf.NewPackages(pkg))
	c.budget = 500_000
	c.check()
	if len(c.faults) == 0 || c.faults[0].Rule != RuleComplexity {
		t.Fatalf("got %.500v, want a fault of complexity", c.faults)
	}
	if len(c.faults) > MaxFaults {
		t.Errorf("got %d faults", len(c.faults))
	}
}
