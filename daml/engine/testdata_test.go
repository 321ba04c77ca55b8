package engine

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/text"
	"github.com/synod-network/synod/daml/tx"
	"github.com/synod-network/synod/daml/value"
)

// assemble makes a package from LF text, as it comes out of an archive.
func assemble(t testing.TB, source string) *lf.Package {
	t.Helper()
	dar, err := text.Assemble(source, nil)
	if err != nil {
		t.Fatal(err)
	}
	pkg, err := dar.Main().Decode(archive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return pkg
}

// newEngine returns an engine with packages made from LF text.
func newEngine(t testing.TB, sources ...string) (*Engine, []*lf.Package) {
	t.Helper()
	e := New(DefaultLimits())
	var all []*lf.Package
	for _, source := range sources {
		pkg := assemble(t, source)
		if err := e.Validate(pkg); err != nil {
			t.Fatal(err)
		}
		if err := e.AddPackage(pkg); err != nil {
			t.Fatal(err)
		}
		all = append(all, pkg)
	}
	return e, all
}

// evaluate computes a top-level value.
func (e *Engine) evaluate(ref lf.Ref, limits *Limits) (value.Value, *Result, error) {
	r := e.newRun(Input{Limits: limits}, tx.NewBuilder(nil, tx.Hash{}, 0, tx.EffectsStay))
	r.start = func() error {
		g, err := e.global(ref)
		if err != nil {
			return err
		}
		if g.function {
			f, err := r.m.functionOf(g)
			r.m.returning = f
			return err
		}
		p, err := e.compiled(&g.code)
		if err != nil {
			return err
		}
		return r.m.enter(&function{code: p}, 0) // not through the global, whose cost nobody is charged
	}
	q, err := r.Next(context.Background())
	if err == nil && q != nil {
		err = errors.New("a question came up")
	}
	if err != nil {
		return nil, nil, err
	}
	return r.result.Value, r.result, nil
}

// answerWith answers questions for contracts from a map.
func answerWith(contracts map[value.ContractID]*Contract, r *Run) error {
	for {
		q, err := r.Next(context.Background())
		if err != nil || q == nil {
			return err
		}
		switch q := q.(type) {
		case *NeedContract:
			r.AnswerContract(contracts[q.ID])
		case *NeedKeys:
			var page KeyPage
			for _, c := range contracts {
				if c.Key != nil && c.Key.Hash == q.Key.Hash {
					page.Contracts = append(page.Contracts, c)
				}
			}
			r.AnswerKeys(page)
		}
	}
}

// stored makes a contract of the ledger from a create, with an id that has a suffix.
func stored(c *tx.Create) *Contract {
	contract := c.Contract
	contract.ID += "suffix"
	return &Contract{Contract: contract, Arg: c.Arg, Authenticate: func(tx.Hash) bool { return true }}
}

func partyList(names string) []value.Party {
	var all []value.Party
	for name := range strings.FieldsSeq(names) {
		all = append(all, value.Party(name))
	}
	return Submitters(all...)
}

// iou is a small template with a choice that archives a contract and creates another.
const iou = `language 2.1
metadata ('iou' : '1.0.0')
module M {
  record @serializable Iou = { issuer: Party, owner: Party, amount: Int64 };
  record @serializable Give = { to_: Party };
  template (this: Iou) = {
    precondition GREATER_EQ @Int64 (M:Iou {amount} this) 0;
    signatories Cons @Party [M:Iou {issuer} this] (Nil @Party);
    observers Cons @Party [M:Iou {owner} this] (Nil @Party);
    choice Give (self) (arg: M:Give): ContractId M:Iou,
      controllers Cons @Party [M:Iou {owner} this] (Nil @Party)
      to create @M:Iou (M:Iou {this with owner = M:Give {to_} arg});
    choice Settle (self) (arg: Unit): Unit,
      controllers Cons @Party [M:Iou {owner} this] (Nil @Party)
      to upure @Unit ();
  };
}`

func valueRef(pkg *lf.Package, name string) lf.Ref {
	return lf.Ref{Package: pkg.ID, Module: "M", Name: lf.DottedName(name)}
}
