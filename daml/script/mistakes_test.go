package script_test

import (
	"strings"
	"testing"

	"github.com/synod-network/synod/daml/engine"
	"github.com/synod-network/synod/daml/ledger"
	"github.com/synod-network/synod/daml/script"
	"github.com/synod-network/synod/daml/text"
)

// TestMistakesInScripts has scripts that somebody might write in a hurry. Each ends in one error that says where and what.
func TestMistakesInScripts(t *testing.T) {
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	for _, tc := range []struct{ name, script, want string }{
		{"nothing", ``, "script is not JSON"},
		{"two values", `[] []`, "there is more behind the JSON value"},
		{"a member twice", `[{"as": "A", "as": "B"}]`, `object has "as" twice`},
		{"too deep", `[{"as": "A", "create": "M:T", "with": ` + deep + `}]`, "value nests deeper than 100"},
		{"steps that are none", `{"steps": 3}`, `"steps" is not a list`},
		{"a step that is none", `[3]`, "step 1: not an object"},
		{"a time that is none", `{"time": "yesterday", "steps": []}`, `"time": not a timestamp: "yesterday"`},
		{"a month that is none", `[{"setTime": "2026-13-01T00:00:00Z"}]`, `step 1: "setTime": not a timestamp`},
		{"no command", `[{"as": "A"}]`, "step 1: neither create, exercise"},
		{"a command misspelled", `[{"as": "A", "creat": "M:T"}]`, `step 1: "creat" is no command`},
		{"a member misspelled", `[{"as": "A", "create": "M:T", "wiht": {}}]`, `step 1: "wiht" is not known here`},
		{"two commands", `[{"as": "A", "create": "M:T", "exercise": "Two"}]`, `step 1: both "create" and "exercise"`},
		{"no commands", `[{"as": "A", "commands": []}]`, `step 1: "commands" is empty`},
		{"nobody", `[{"create": "M:T"}]`, `step 1: "as" does not say who acts`},
		{"a party without name", `[{"as": "", "create": "M:T"}]`, "party name has 0 characters"},
		{"a party that is a number", `[{"as": ["A", 7], "create": "M:T"}]`, `step 1: "as": 7 is not the name of a party`},
		{"a party with a bad name", `[{"as": "A!", "create": "M:T"}]`, `party "A!" has a '!'`},
		{"a template without module", `[{"as": "A", "create": "T"}]`, `"T" does not name a template`},
		{"an unknown template", `[{"as": "A", "create": "M:U"}]`, "has no template U"},
		{"an unknown module", `[{"as": "A", "create": "N:T"}]`, "has no module N"},
		{"an unknown package", `[{"as": "A", "create": "#other:M:T"}]`, "no package that was uploaded is called other"},
		{"an unknown package id", `[{"as": "A", "create": "00ff:M:T"}]`, "package 00ff is missing"},
		{"a field too few", `[{"as": "A", "create": "M:T", "with": {"owner": "A"}}]`, `field "n" of M:T is missing`},
		{"a field too many", `[{"as": "A", "create": "M:T", "with": {"owner": "A", "n": 1, "m": 1}}]`, `M:T has no field "m"; it has owner, n`},
		{"a wrong type", `[{"as": "A", "create": "M:T", "with": {"owner": "A", "n": true}}]`, "field n: want Int64"},
		{"a huge number", `[{"as": "A", "create": "M:T", "with": {"owner": "A", "n": 1e999999999}}]`, "field n: want Int64"},
		{"a long number", `[{"as": "A", "create": "M:T", "with": {"owner": "A", "n": ` + strings.Repeat("9", 100_000) + `}}]`, "field n: want Int64"},
		{"a list for a party", `[{"as": "A", "create": "M:T", "with": {"owner": ["A"], "n": 1}}]`, "field owner: want Party"},
		{"an unknown choice", `[{"as": "A", "create": "M:T", "with": {"owner": "A", "n": 1}, "name": "t"}, {"as": "A", "exercise": "Three", "on": "$t"}]`, "has a choice Three"},
		{"an unknown name", `[{"as": "A", "exercise": "Two", "on": "$t"}]`, `no step before has the name "t"`},
		{"its own name", `[{"as": "A", "create": "M:T", "name": "t", "with": {"owner": "$t", "n": 1}}]`, `no step before has the name "t"`},
		{"names in a circle", `[{"as": "A", "create": "M:T", "name": "t", "with": {"owner": "A", "n": "$u"}}, {"as": "A", "create": "M:T", "name": "u", "with": {"owner": "A", "n": "$t"}}]`, `no step before has the name "u"`},
		{"no contract", `[{"as": "A", "exercise": "Two"}]`, "want a contract id, or the name of a result"},
		{"no contract id", `[{"as": "A", "exercise": "Two", "on": "zz"}]`, `contract id "zz" is not hexadecimal`},
		{"a short contract id", `[{"as": "A", "exercise": "Two", "on": "00"}]`, "contract id has 1 bytes"},
		{"a template without key", `[{"as": "A", "exerciseByKey": "Two", "template": "M:T", "key": 1}]`, "has no key"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := runScript(t, tc.script)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want %q", err, tc.want)
			}
			if message := err.Error(); len(message) > 1000 || strings.Contains(message, "\n") {
				t.Errorf("the error has %d bytes: %.200s…", len(message), message)
			}
		})
	}
}

// runScript runs a script on a new ledger that holds the package pairs, and returns what it prints.
func runScript(t *testing.T, source string) (string, error) {
	t.Helper()
	dar, err := text.Assemble(pairs, nil)
	if err != nil {
		t.Fatal(err)
	}
	l := ledger.New(engine.New(engine.DefaultLimits()))
	main, err := l.Upload(dar)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := script.Parse([]byte(source))
	if err != nil {
		return "", err
	}
	var out strings.Builder
	err = (&script.Runner{Ledger: l, Main: main}).Run(t.Context(), steps, (&script.Printer{Out: &out}).Outcome)
	return out.String(), err
}
