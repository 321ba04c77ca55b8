package script_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/cache"
	"github.com/synod-network/synod/daml/engine"
	"github.com/synod-network/synod/daml/ledger"
	"github.com/synod-network/synod/daml/script"
	"github.com/synod-network/synod/daml/tx"
	"github.com/synod-network/synod/daml/value"
)

// open puts a real DAR on a ledger, which may have a cache. SYNOD_DAR_DIR says where DARs are, which are not part of this repository.
func open(t testing.TB, name string, folder ...*cache.Cache) *script.Runner {
	t.Helper()
	dir := os.Getenv("SYNOD_DAR_DIR")
	if dir == "" {
		t.Skip("SYNOD_DAR_DIR does not say where real DARs are")
	}
	dar, err := archive.OpenDAR(filepath.Join(dir, name), archive.Limits{})
	if err != nil {
		t.Skip(err)
	}
	l := ledger.New(engine.New(engine.DefaultLimits()))
	for _, c := range folder {
		l.Cache = c
	}
	main, err := l.Upload(dar)
	if err != nil {
		t.Fatal(err)
	}
	return &script.Runner{Ledger: l, Main: main}
}

func load(t testing.TB, name string) *script.Script {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	s, err := script.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestAmulet runs the life of a real token: rules, rounds, a tap, a transfer with fees, one without enough money, and a transfer in
// two steps through the interface of the token standard. All versions that have fees come to the same; earlier ones fetch once more.
func TestAmulet(t *testing.T) {
	for version, offer := range map[string]int{"0.1.11": 15, "0.1.12": 15, "0.1.13": 15, "0.1.14": 14, "0.1.15": 14, "0.1.16": 14} {
		t.Run(version, func(t *testing.T) { amulet(t, open(t, "splice-amulet-"+version+".dar"), offer) })
	}
	open(t, "splice-amulet-0.1.14.dar") // if it is not there, there is nothing to compare with
	folder := openCache(t, t.TempDir())
	for _, state := range []string{"just compiled", "compiled before"} {
		t.Run(state, func(t *testing.T) { amulet(t, open(t, "splice-amulet-0.1.14.dar", folder), 14) })
	}
	if s := folder.Stats(); s != (cache.Stats{Hits: 37, Misses: 37, Written: 37}) {
		t.Errorf("the cache says %+v", s)
	}
}

func amulet(t *testing.T, r *script.Runner, offer int) {
	var commits []*ledger.Commit
	err := r.Run(t.Context(), load(t, "amulet.json"), func(o *script.Outcome) error {
		if o.Commit != nil {
			commits = append(commits, o.Commit)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sizes := []int{1, 4, 4, 8, 1, offer, 1, 13}
	if len(commits) != len(sizes) {
		t.Fatalf("%d transactions, want %d", len(commits), len(sizes))
	}
	for i, c := range commits {
		if len(c.Transaction.Nodes) != sizes[i] {
			t.Errorf("transaction %d has %d nodes, want %d", c.Number, len(c.Transaction.Nodes), sizes[i])
		}
	}
	// Of 1000 tapped, 100 went to Bob, and 13 were fees: 6 for each of two outputs, and 1 % of what was paid.
	holdings := map[value.Party]string{}
	for _, n := range commits[3].Transaction.Nodes {
		if c, ok := n.(*tx.Create); ok && c.Template.Entity == "Amulet" {
			fields := c.Arg.(*value.Record).Fields
			holdings[fields[1].(value.Party)] = fields[2].(*value.Record).Fields[0].(value.Numeric).Short()
		}
	}
	if holdings["Alice"] != "887.0" || holdings["Bob"] != "100.0" {
		t.Errorf("after the transfer the holdings are %v", holdings)
	}
	// Bob sees nothing of Alice's offer but the instruction which is for him.
	view, origin := tx.Project(commits[5].Transaction, commits[5].Blinding, "Bob")
	if len(view.Nodes) != 1 || origin[0] != tx.NodeID(offer-1) {
		t.Errorf("Bob sees nodes %v of the offer, want the last only", origin)
	}
}

// TestSpliceFlows runs further scripts on real packages: what they say must fail does, and each transaction has the nodes, and the
// ledger in the end the holdings and contracts, that the source of the packages leads to.
func TestSpliceFlows(t *testing.T) {
	for _, flow := range []struct {
		script   string
		dars     []string // the first has the main package
		nodes    []int    // of each transaction
		holdings map[value.Party]string
		active   map[string]int // of each template
	}{
		{
			// Locks by time and by a holder; payments that their receiver approved before, until that ends.
			script: "splice-locks.json", dars: []string{"splice-amulet-0.1.22.dar"},
			nodes:    []int{1, 10, 1, 5, 8, 5, 5, 1, 4, 5, 4, 9, 1},
			holdings: map[value.Party]string{"Alice": "975.0", "Bob": "25.0", "Validator": "1000.0"},
			active:   map[string]int{"Amulet": 5, "LockedAmulet": 0, "TransferPreapproval": 1},
		},
		{
			// A venue settles two legs at once, through the allocations of the token standard.
			script: "splice-dvp.json", dars: []string{"splice-token-test-trading-app-1.0.2.dar", "splice-amulet-0.1.16.dar"},
			holdings: map[value.Party]string{"Alice": "920.0", "Bob": "130.0"},
			active:   map[string]int{"Amulet": 4, "LockedAmulet": 0, "AmuletAllocation": 0, "OTCTrade": 0, "OTCTradeProposal": 0},
		},
		{
			// Four who govern vote on their rules; the rules are of an older version than the code that counts.
			script: "splice-votes.json", dars: []string{"splice-dso-governance-0.1.19.dar", "splice-dso-governance-0.1.28.dar"},
			nodes:  []int{1, 2, 4, 4, 4, 6},
			active: map[string]int{"DsoRules": 1, "VoteRequest": 0},
		},
		{
			// A subscription: rejected, accepted, paid, given back, missed.
			script: "splice-subscription.json", dars: []string{"splice-wallet-payments-0.1.22.dar"},
			holdings: map[value.Party]string{"Alice": "30.0", "Pizzeria": "12.0"},
			active:   map[string]int{"TerminatedSubscription": 2, "Subscription": 0, "SubscriptionIdleState": 0, "LockedAmulet": 0},
		},
		{
			// A token of 0.1.5 is spent and unlocked by 0.1.22, and read by both, but for what the older one cannot say.
			script: "splice-upgrade.json", dars: []string{"splice-amulet-0.1.5.dar", "splice-amulet-0.1.22.dar"},
			holdings: map[value.Party]string{"Alice": "110.0", "Bob": "40.0"},
			active:   map[string]int{"Amulet": 3, "LockedAmulet": 0, "AmuletRules": 1},
		},
	} {
		t.Run(flow.script, func(t *testing.T) {
			r := open(t, flow.dars[0])
			for _, name := range flow.dars[1:] {
				addDAR(t, r, name)
			}
			if err := r.Run(t.Context(), load(t, flow.script), func(*script.Outcome) error { return nil }); err != nil {
				t.Fatal(err)
			}
			var nodes []int
			parties := map[value.Party]bool{}
			for _, c := range r.Ledger.Commits() {
				nodes = append(nodes, len(c.Transaction.Nodes))
				for _, n := range c.Transaction.Nodes {
					if create, ok := n.(*tx.Create); ok {
						for _, p := range create.Stakeholders {
							parties[p] = true
						}
					}
				}
			}
			if flow.nodes != nil && !slices.Equal(nodes, flow.nodes) {
				t.Errorf("the transactions have %v nodes, want %v", nodes, flow.nodes)
			}
			active, holdings := map[string]int{}, map[value.Party]value.Numeric{}
			seen := map[value.ContractID]bool{}
			for p := range parties {
				for _, c := range r.Ledger.Active(p) {
					if seen[c.ID] {
						continue
					}
					seen[c.ID] = true
					active[c.Template.Entity]++
					if c.Template.Entity != "Amulet" {
						continue
					}
					fields := c.Arg.(*value.Record).Fields
					owner := fields[1].(value.Party)
					amount := fields[2].(*value.Record).Fields[0].(value.Numeric)
					if sum, some := holdings[owner]; some {
						var err error
						if amount, err = sum.Add(amount); err != nil {
							t.Fatal(err)
						}
					}
					holdings[owner] = amount
				}
			}
			for owner, want := range flow.holdings {
				if got := holdings[owner].Short(); got != want {
					t.Errorf("%s holds %s, want %s", owner, got, want)
				}
			}
			for template, want := range flow.active {
				if active[template] != want {
					t.Errorf("%d contracts of %s are active, want %d", active[template], template, want)
				}
			}
		})
	}
}

// addDAR puts another real DAR on the ledger.
func addDAR(t *testing.T, r *script.Runner, name string) {
	t.Helper()
	dar, err := archive.OpenDAR(filepath.Join(os.Getenv("SYNOD_DAR_DIR"), name), archive.Limits{})
	if err != nil {
		t.Skip(err)
	}
	if _, err := r.Ledger.Upload(dar); err != nil {
		t.Fatal(err)
	}
}
