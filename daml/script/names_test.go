package script_test

import (
	"strings"
	"testing"
)

const pairs = `language 2.2
metadata ('pairs' : '1.0.0')
module M {
  record @serializable T = { owner: Party, n: Int64 };
  template (this: T) = {
    signatories Cons @Party [M:T {owner} this] (Nil @Party);
    observers Nil @Party;
    choice Two (self) (arg: Unit): Unit, controllers Cons @Party [M:T {owner} this] (Nil @Party)
      to ubind a: ContractId M:T <- create @M:T (M:T {this with n = 1}); b: ContractId M:T <- create @M:T (M:T {this with n = 2}) in upure @Unit ();
    choice @nonConsuming Show (self) (arg: ContractId M:T): Int64, controllers Cons @Party [M:T {owner} this] (Nil @Party)
      to ubind t: M:T <- fetch_template @M:T arg in upure @Int64 (M:T {n} t);
  };
}`

// TestContractsAreNamedAsTheyArePrinted uses contracts that no result names, by transaction and node.
func TestContractsAreNamedAsTheyArePrinted(t *testing.T) {
	for _, tc := range []struct{ name, step, want string }{
		{"used", `{"as": "A", "exercise": "Two", "on": "$#2:2"}`, "exercise and archive #2:2"},
		{"in a value", `{"as": "A", "exercise": "Show", "on": "$#2:1", "with": "$#2:2"}`, `→ "2"`},
		{"of somebody else", `{"as": "B", "exercise": "Two", "on": "$#2:2"}`, "is #2:2 M:T, a contract of A"},
		{"archived", `{"as": "A", "exercise": "Two", "on": "$t"}`, "is #1:0 M:T, a contract of A"},
		{"a node that creates nothing", `{"as": "A", "exercise": "Two", "on": "$#2:0"}`, "transaction 2 has no node 0 that creates a contract"},
		{"no such node", `{"as": "A", "exercise": "Two", "on": "$#2:9"}`, "transaction 2 has no node 9"},
		{"no such transaction", `{"as": "A", "exercise": "Two", "on": "$#7:0"}`, "transaction 7 has no node 0"},
		{"no number", `{"as": "A", "exercise": "Two", "on": "$#2"}`, "want the numbers of a transaction and of a node, like $#5:4"},
		{"too large a number", `{"as": "A", "create": "M:T", "with": {"owner": "A", "n": "9223372036854775808"}}`, "a whole number from -9223372036854775808"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, err := runScript(t, `[{"as": "A", "create": "M:T", "with": {"owner": "A", "n": "0"}, "name": "t"},
				{"as": "A", "exercise": "Two", "on": "$t"}, `+tc.step+`]`)
			if err != nil {
				out += err.Error()
			}
			if !strings.Contains(out, tc.want) {
				t.Errorf("%s\nwant %q", out, tc.want)
			}
		})
	}
}
