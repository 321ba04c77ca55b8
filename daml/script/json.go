package script

import (
	"encoding/json"
	"errors"

	"github.com/synod-network/synod/daml/engine"
	"github.com/synod-network/synod/daml/ledger"
	"github.com/synod-network/synod/daml/lfjson"
	"github.com/synod-network/synod/daml/tx"
	"github.com/synod-network/synod/daml/value"
)

// The JSON form of outcomes. Names are stable.
type (
	outcomeJSON struct {
		Comment     string       `json:"comment,omitempty"`
		ActAs       []string     `json:"act_as,omitempty"`
		SetTime     string       `json:"set_time,omitempty"`
		Transaction int          `json:"transaction,omitempty"` // its number, from 1
		LedgerTime  string       `json:"ledger_time,omitempty"`
		Nodes       []nodeJSON   `json:"nodes,omitempty"` // in depth-first order
		Roots       []int        `json:"roots,omitempty"`
		Result      rawJSON      `json:"result,omitempty"`
		Traces      []string     `json:"traces,omitempty"`
		Error       *failureJSON `json:"error,omitempty"`
		Expected    bool         `json:"expected"`
	}
	nodeJSON struct {
		ID           int      `json:"id"`
		Kind         string   `json:"kind"` // create, exercise, fetch, query_by_key or rollback
		ContractID   string   `json:"contract_id,omitempty"`
		Template     string   `json:"template,omitempty"`
		PackageName  string   `json:"package_name,omitempty"`
		Interface    string   `json:"interface,omitempty"`
		Choice       string   `json:"choice,omitempty"`
		Consuming    *bool    `json:"consuming,omitempty"`
		Argument     rawJSON  `json:"argument,omitempty"`
		Result       rawJSON  `json:"result,omitempty"`
		Actors       []string `json:"actors,omitempty"`
		Signatories  []string `json:"signatories,omitempty"`
		Stakeholders []string `json:"stakeholders,omitempty"`
		Found        []string `json:"found,omitempty"`
		Exhaustive   *bool    `json:"exhaustive,omitempty"`
		Witnesses    []string `json:"witnesses"`
		Children     []int    `json:"children,omitempty"`
	}
	failureJSON struct {
		Code     string            `json:"code,omitempty"`
		Category int               `json:"category,omitempty"`
		Message  string            `json:"message"`
		Metadata map[string]string `json:"metadata,omitempty"`
	}
	rawJSON = json.RawMessage
)

// MarshalJSON writes an outcome with all its nodes and who sees them.
func (o *Outcome) MarshalJSON() ([]byte, error) {
	j := outcomeJSON{Comment: o.Step.Comment, ActAs: strs(o.Step.As), Expected: o.check() == nil}
	if o.Step.SetTime != nil {
		j.SetTime = o.Step.SetTime.String()
	}
	if o.Err != nil {
		j.Error = failureOf(o.Err)
	}
	if o.Commit != nil {
		if err := j.commit(o.Commit); err != nil {
			return nil, err
		}
	}
	return json.Marshal(j)
}

func failureOf(err error) *failureJSON {
	var f *engine.Failure
	if errors.As(err, &f) {
		return &failureJSON{f.Code, f.CategoryNumber(), f.Text(), f.Metadata}
	}
	return &failureJSON{Message: err.Error()}
}

func (j *outcomeJSON) commit(c *ledger.Commit) (err error) {
	j.Transaction, j.LedgerTime, j.Traces, j.Roots = c.Number, c.Time.String(), c.Traces, ints(c.Transaction.Roots)
	if j.Result, err = lfjson.Encode(c.Result); err != nil {
		return err
	}
	for id, n := range c.Transaction.Nodes {
		node, err := nodeOf(n)
		if err != nil {
			return err
		}
		node.ID, node.Witnesses, node.Children = id, strs(c.Blinding.Witnesses[id]), ints(tx.Children(n))
		j.Nodes = append(j.Nodes, node)
	}
	return nil
}

func nodeOf(n tx.Node) (j nodeJSON, err error) {
	contract := func(kind string, c *tx.Contract) {
		j.Kind, j.ContractID, j.Template, j.PackageName = kind, c.ID.String(), c.Template.String(), c.PackageName
		j.Signatories, j.Stakeholders = strs(c.Signatories), strs(c.Stakeholders)
	}
	switch n := n.(type) {
	case *tx.Create:
		contract("create", &n.Contract)
		j.Argument, err = lfjson.Encode(n.Arg)
	case *tx.Fetch:
		contract("fetch", &n.Contract)
		j.Actors, j.Interface = strs(n.Actors), optional(n.Interface)
	case *tx.Exercise:
		contract("exercise", &n.Contract)
		j.Actors, j.Interface, j.Choice, j.Consuming = strs(n.Actors), optional(n.Interface), n.Choice, &n.Consuming
		if j.Argument, err = lfjson.Encode(n.Arg); err == nil && n.Result != nil {
			j.Result, err = lfjson.Encode(n.Result)
		}
	case *tx.QueryByKey:
		j.Kind, j.Template, j.PackageName, j.Exhaustive = "query_by_key", n.Key.Template.String(), n.Key.PackageName, &n.Exhaustive
		for _, id := range n.Result {
			j.Found = append(j.Found, id.String())
		}
		j.Argument, err = lfjson.Encode(n.Key.Value)
	case *tx.Rollback:
		j.Kind = "rollback"
	}
	return j, err
}

func optional(id *value.Identifier) string {
	if id == nil {
		return ""
	}
	return id.String()
}

func strs(parties []value.Party) []string {
	all := make([]string, len(parties))
	for i, p := range parties {
		all[i] = string(p)
	}
	return all
}

func ints(ids []tx.NodeID) []int {
	all := make([]int, len(ids))
	for i, id := range ids {
		all[i] = int(id)
	}
	return all
}
