// Package ledger is a ledger in memory: one process, one participant that hosts all parties, no network. It runs the engine as a
// participant does (answers its questions, gives contracts their final ids, keeps what is active), so that contracts can be tried
// and tested without anything around them.
package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/synod-network/synod/daml/engine"
	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/tx"
	"github.com/synod-network/synod/daml/value"
)

// Ledger holds contracts and transactions. Only one goroutine may use it.
type Ledger struct {
	Engine   *engine.Engine
	Rollback tx.RollbackRule
	Now      value.Timestamp // the time of the next transaction
	Cache    engine.Cache    // of compiled packages; nil for none, then code is compiled when it is first used

	packages    map[string]*lf.Package
	preferred   map[string]string // by package name, the id of the highest version
	contracts   map[value.ContractID]*Contract
	byKey       map[tx.Hash][]value.ContractID // oldest first
	commits     []*Commit
	submissions uint64
}

// Contract is a contract that was created on the ledger.
type Contract struct {
	tx.StoredContract
	Archived int // the number of the transaction that archived it; 0 while it is active
	checked  *value.DataType
}

// Commit is a transaction of the ledger.
type Commit struct {
	Number      int // from 1
	Time        value.Timestamp
	Transaction *tx.Transaction
	Blinding    *tx.Blinding
	Metadata    tx.Metadata
	Submitters  []value.Party
	Result      value.Value // of the last command
	Traces      []string
}

// New returns an empty ledger, at the beginning of 2026.
func New(e *engine.Engine) *Ledger {
	return &Ledger{
		Engine: e, Now: 1767225600_000000,
		packages: map[string]*lf.Package{}, preferred: map[string]string{},
		contracts: map[value.ContractID]*Contract{}, byKey: map[tx.Hash][]value.ContractID{},
	}
}

// Submission is what a client asks for.
type Submission struct {
	ActAs, ReadAs []value.Party
	Commands      []engine.Command
	Disclosed     []value.ContractID // usable although neither ActAs nor ReadAs are stakeholders
}

// Submit runs commands as one transaction. If it fails, nothing changes.
func (l *Ledger) Submit(ctx context.Context, s Submission) (*Commit, error) {
	submitters := engine.Submitters(s.ActAs...)
	readers := tx.Union(submitters, engine.Submitters(s.ReadAs...))
	l.submissions++
	var seed tx.Hash
	binary.BigEndian.PutUint64(seed[:], l.submissions)
	in := engine.Input{
		Submitters: submitters, Seed: tx.TransactionSeed(seed, "memory", l.Now), Preparation: l.Now, LedgerTime: l.Now,
		PackageResolution: l.preferred, Rollback: l.Rollback,
	}
	for _, id := range s.Disclosed {
		if c := l.contracts[id]; c != nil && c.Archived == 0 {
			in.Disclosed = append(in.Disclosed, l.input(c))
		}
	}
	run := l.Engine.Submit(s.Commands, in)
	if err := l.answer(ctx, run, readers); err != nil {
		return nil, err
	}
	return l.commit(run.Result(), submitters)
}

// answer answers the questions of a run from what the ledger has and readers may use.
func (l *Ledger) answer(ctx context.Context, run *engine.Run, readers []value.Party) error {
	for {
		question, err := run.Next(ctx)
		if err != nil || question == nil {
			return err
		}
		switch q := question.(type) {
		case *engine.NeedContract:
			c := l.contracts[q.ID]
			if c == nil || c.Archived != 0 || len(tx.Intersect(c.Stakeholders, readers)) == 0 {
				run.AnswerContract(nil)
			} else {
				run.AnswerContract(l.input(c))
			}
		case *engine.NeedKeys:
			run.AnswerKeys(l.keyPage(q, readers))
		case *engine.NeedPackage: // all packages of the ledger are in the engine, so it is asked for once, and fails then
		}
	}
}

// keyPage answers a question for contracts with a key. Its token is the position of the next contract, from the newest.
func (l *Ledger) keyPage(q *engine.NeedKeys, readers []value.Party) engine.KeyPage {
	var page engine.KeyPage
	all := l.byKey[q.Key.Hash]
	at := 0
	if q.Token != nil {
		at = int(binary.BigEndian.Uint64(q.Token))
	}
	for ; at < len(all); at++ {
		c := l.contracts[all[len(all)-1-at]]
		if c.Archived != 0 || len(tx.Intersect(c.Stakeholders, readers)) == 0 {
			continue
		}
		if len(page.Contracts) == q.Limit {
			page.Token = binary.BigEndian.AppendUint64(nil, uint64(at))
			break
		}
		page.Contracts = append(page.Contracts, l.input(c))
	}
	return page
}

func (l *Ledger) input(c *Contract) *engine.Contract {
	return &engine.Contract{
		Contract: c.Contract, Arg: c.Arg, Checked: c.checked,
		Authenticate: func(h tx.Hash) bool {
			local := value.ContractID(c.ID.Local())
			return c.ID.Suffix() == string(suffix(local, h))
		},
	}
}

// suffix binds the hash of a contract to its id.
func suffix(local value.ContractID, contract tx.Hash) []byte {
	h := sha256.New()
	h.Write([]byte("synod memory ledger\x00" + string(local)))
	h.Write(contract[:])
	return h.Sum([]byte{0xca, 0x00})
}

// commit applies a transaction.
func (l *Ledger) commit(r *engine.Result, submitters []value.Party) (*Commit, error) {
	t, err := tx.Suffix(r.Transaction, suffix)
	if err != nil {
		return nil, err
	}
	c := &Commit{
		Number: len(l.commits) + 1, Time: l.Now, Transaction: t, Blinding: tx.Blind(t), Metadata: r.Metadata, Submitters: submitters,
		Traces: r.Traces,
	}
	c.Result = value.MapIDs(r.Value, finalIDs(r.Transaction, t))
	if contract, ok := c.Result.(*value.Any); ok { // it was fetched as an interface, and is still one of its template
		c.Result = contract.V
	}
	rolledBack := make([]bool, len(t.Nodes))
	for id, n := range t.Nodes {
		if _, rollback := n.(*tx.Rollback); rollback || rolledBack[id] {
			for _, child := range tx.Children(n) {
				rolledBack[child] = true
			}
			continue
		}
		switch n := n.(type) {
		case *tx.Create:
			l.create(n)
		case *tx.Exercise:
			if n.Consuming {
				l.contracts[n.ID].Archived = c.Number
			}
		}
	}
	l.commits = append(l.commits, c)
	return c, nil
}

func finalIDs(local, final *tx.Transaction) func(value.ContractID) value.ContractID {
	ids := map[value.ContractID]value.ContractID{}
	for id, n := range local.Nodes {
		if c, ok := n.(*tx.Create); ok {
			ids[c.ID] = final.Nodes[id].(*tx.Create).ID
		}
	}
	return func(id value.ContractID) value.ContractID {
		if renamed, ok := ids[id]; ok {
			return renamed
		}
		return id
	}
}

func (l *Ledger) create(n *tx.Create) {
	c := &Contract{StoredContract: tx.StoredContract{Create: *n, CreatedAt: l.Now}}
	if r, ok := n.Arg.(*value.Record); ok {
		c.checked = r.Type
	}
	l.contracts[n.ID] = c
	if n.Key != nil {
		l.byKey[n.Key.Hash] = append(l.byKey[n.Key.Hash], n.ID)
	}
}

// Contract returns a contract of the ledger, nil if there is none.
func (l *Ledger) Contract(id value.ContractID) *Contract { return l.contracts[id] }

// Active returns the active contracts that a party is a stakeholder of, in the order of their creation.
func (l *Ledger) Active(party value.Party) []*Contract {
	var active []*Contract
	for _, c := range l.commits {
		for _, n := range c.Transaction.Nodes {
			if create, ok := n.(*tx.Create); ok {
				stored := l.contracts[create.ID]
				if stored != nil && stored.Archived == 0 && slices.Contains(stored.Stakeholders, party) {
					active = append(active, stored)
				}
			}
		}
	}
	return active
}

// Commits returns the transactions of the ledger in order.
func (l *Ledger) Commits() []*Commit { return l.commits }

// Preferred returns the id of the preferred version of a package.
func (l *Ledger) Preferred(name string) string { return l.preferred[name] }

// Package returns a package of the ledger, nil if there is none. Of packages that came from the cache it is the outline.
func (l *Ledger) Package(id string) *lf.Package { return l.packages[id] }
