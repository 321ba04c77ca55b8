package trust_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/synod-network/synod/replica/trust"
)

// The page for operators names what each action costs as the code has it.
func TestPageHasTheCosts(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations/trust.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range trust.Actions() {
		effect, _ := trust.EffectOf(a)
		step := fmt.Sprintf("%+g", effect.Step)
		if effect.Class == trust.Provable {
			step = "to -1"
		}
		found := false
		for row := range strings.Lines(string(page)) {
			found = found || strings.HasPrefix(row, "| ") && strings.Contains(row, "`"+string(a)+"`") &&
				strings.Contains(row, "| "+effect.Class.String()+" | "+step+" |")
		}
		if !found {
			t.Errorf("no row says that %s is %s and costs %s", a, effect.Class, step)
		}
	}
}
