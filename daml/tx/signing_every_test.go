package tx

import (
	"testing"

	"github.com/synod-network/synod/daml/value"
)

// everySigned is a transaction with each kind of node that scheme 2 knows and each kind of value, nested.
func everySigned(t *testing.T) *Prepared {
	t.Helper()
	id := func(n byte) value.ContractID {
		raw := make([]byte, 65)
		for i := range raw[1:] {
			raw[1+i] = n + byte(i)
		}
		return value.ContractID(raw)
	}
	typed := func(entity string, names ...string) *value.DataType {
		return &value.DataType{ID: value.Identifier{Package: "0123456789abcdef", Module: "Deep.Module.Name", Entity: entity}, Names: names}
	}
	texts, err := value.EmptyTextMap().Insert(value.Text("ключ"), value.ListOf(value.Some(value.Text("v")), value.None()))
	if err != nil {
		t.Fatal(err)
	}
	if texts, err = texts.Insert(value.Text("a"), value.ListOf()); err != nil {
		t.Fatal(err)
	}
	sorted, err := value.EmptyGenMap().Insert(value.Int64(-7), value.Date(-3))
	if err != nil {
		t.Fatal(err)
	}
	if sorted, err = sorted.Insert(value.Int64(9007199254740991), value.Date(20000)); err != nil {
		t.Fatal(err)
	}
	all := &value.Record{Type: typed("All.Values", "unit", "flag", "int", "money", "whole", "at", "day", "who", "text", "id", "texts", "sorted", "pick", "color", "deep"),
		Fields: []value.Value{
			value.Unit{}, value.Bool(true), value.Int64(-42), numeric(t, "-0.0000000001"), numeric(t, "12345678901234567890123456789012345678."),
			value.Timestamp(-1), value.Date(0), value.Party("alice::1220ff"), value.Text("naïve ☃ 😂\n\""), id(7), texts, sorted,
			&value.Variant{Type: typed("Pick", "Left", "Right"), Con: "Right", Rank: 1, Arg: value.Some(value.Some(value.None()))},
			&value.Enum{Type: typed("Color", "Red", "Green"), Con: "Green", Rank: 1},
			&value.Record{Type: typed("Empty")},
		}}
	contract := func(n byte, signatories, stakeholders string) Contract {
		return Contract{ID: id(n), PackageName: "every-value", Template: value.Identifier{Package: "0123456789abcdef", Module: "Main", Entity: "Outer.Inner"},
			Signatories: parties(signatories), Stakeholders: parties(stakeholders), Version: V1}
	}
	iface := &value.Identifier{Package: "fedcba", Module: "I", Entity: "Iface"}
	seed := func(n byte) (h Hash) {
		for i := range h {
			h[i] = n ^ byte(i*3)
		}
		return h
	}
	tx := &Transaction{
		Roots: []NodeID{0, 1, 7},
		Nodes: []Node{
			&Create{Contract: contract(1, "alice::1220ff", "alice::1220ff bob"), Arg: all},
			&Exercise{Contract: contract(2, "bob", "alice::1220ff bob"), Interface: iface, Choice: "Go", Consuming: false, Actors: parties("alice::1220ff bob"),
				Observers: parties("carol dave"), Arg: value.ListOf(all, all), Result: texts, Children: []NodeID{2, 3, 6}},
			&Fetch{Contract: contract(3, "alice::1220ff", "alice::1220ff"), Interface: iface, Actors: parties("alice::1220ff")},
			&Rollback{Children: []NodeID{4, 5}},
			&Fetch{Contract: contract(4, "bob", "bob"), Actors: parties("bob")},
			&Create{Contract: contract(5, "bob", "bob carol"), Arg: &value.Record{Type: typed("Empty")}},
			&Exercise{Contract: contract(3, "alice::1220ff", "alice::1220ff"), Choice: "Archive", Consuming: true, Actors: parties("alice::1220ff"),
				Arg: value.Unit{}, Result: value.Unit{}},
			&Exercise{Contract: contract(6, "bob", "bob"), Choice: "Failed", Consuming: true, Actors: parties("bob"), Arg: value.Int64(0)},
		},
		Seeds: []Hash{seed(10), seed(11), {}, {}, {}, seed(12), seed(13), seed(14)},
	}
	low, high := value.Timestamp(1_700_000_000_000_000), value.Timestamp(1_800_000_000_000_001)
	return &Prepared{
		Transaction: tx, ActAs: parties("alice::1220ff bob"), CommandID: "command ☃", UUID: "8b1d0cd3-58d5-4d8e-a2a1-f1fca5eb4fa5", MediatorGroup: 3,
		Synchronizer: "sync::1220aa::35-0", MinTime: &low, MaxTime: &high, Preparation: 1_750_000_000_123_456,
		Inputs: []Input{
			{CreatedAt: 1_600_000_000_000_000, Create: &Create{Contract: contract(2, "bob", "alice::1220ff bob"), Arg: all}},
			{CreatedAt: 0, Create: &Create{Contract: contract(3, "alice::1220ff", "alice::1220ff"), Arg: texts}},
		},
	}
}

// everySigned3 adds what scheme 3 adds: keys, queries by key, and the latest record time.
func everySigned3(t *testing.T) *Prepared {
	t.Helper()
	p := everySigned(t)
	nodes := p.Transaction.Nodes
	key := func(n byte) *Key {
		return &Key{
			Template: value.Identifier{Package: "0123456789abcdef", Module: "Main", Entity: "Outer.Inner"}, PackageName: "every-value",
			Value: nodes[0].(*Create).Arg, Maintainers: parties("alice::1220ff bob"), Hash: Hash{n, 2, 3},
		}
	}
	for i, id := range []NodeID{0, 5} {
		c := nodes[id].(*Create)
		c.Key, c.Version = key(byte(i)), V2
	}
	fetch, exercise := nodes[2].(*Fetch), nodes[6].(*Exercise)
	fetch.Key, fetch.Version, fetch.ByKey = key(2), V2, true
	exercise.Key, exercise.Version, exercise.ByKey = key(3), V2, true
	plain := nodes[1].(*Exercise)
	for i, found := range [][]value.ContractID{nil, {nodes[0].(*Create).ID, nodes[5].(*Create).ID}} {
		plain.Children = append(plain.Children, NodeID(len(p.Transaction.Nodes)))
		p.Transaction.Nodes = append(p.Transaction.Nodes, &QueryByKey{Key: *key(byte(4 + i)), Result: found, Exhaustive: i == 0, Version: V2})
		p.Transaction.Seeds = append(p.Transaction.Seeds, Hash{})
	}
	latest := value.Timestamp(1_900_000_000_000_000)
	p.MaxRecordTime = &latest
	p.Inputs[0].Create.Key, p.Inputs[0].Create.Version = key(6), V2
	return p
}

// TestSigningHashesOfEveryKindOfValue has hashes that others computed of the same transactions: the first two public
// implementations that know nothing of each other, the Python one that comes with Canton's examples of interactive submission
// (daml_transaction_hashing_v2.py) and the TypeScript one of wallets (npm @canton-network/core-tx-visualizer 1.7.0); the others
// the Python one for scheme 3. The transaction was handed to them as PreparedTransaction of the ledger's API, in its JSON form.
// Integers keep to what JavaScript holds exactly, since the TypeScript one reads them as floating point.
func TestSigningHashesOfEveryKindOfValue(t *testing.T) {
	for _, tc := range []struct {
		scheme   Scheme
		prepared *Prepared
		want     string
	}{
		{SchemeV2, everySigned(t), "ddc7f9a1119e3e3a450b49c083721991c47f35773eb2a1bda07ea19b986e7f9b"},
		{SchemeV3, everySigned3(t), "06071d76182c1a06a703c24278c47a6598d866dca7abd8bee7eeeef84aac82b8"},
	} {
		if got, err := SigningHash(tc.prepared, tc.scheme); err != nil || got.String() != tc.want {
			t.Errorf("scheme %d: got %s, %v; want %s", tc.scheme, got, err, tc.want)
		}
	}
	hashes, err := hashNodes(everySigned3(t).Transaction, SchemeV3)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[NodeID]string{
		8: "46ee2014724384f02784588c9643dab0a121ce6e09ec2f24ca097e44b0af32b1",
		9: "f17b9f50caa42a88461a63d889f4aebed4f301a9898a29414893291cfa4a719f",
	} {
		if got := hashes[id].String(); got != want {
			t.Errorf("query by key, node %d: got %s, want %s", id, got, want)
		}
	}
}

// TestSigningHashBindsEverything changes one thing after the other: each has to change the hash.
func TestSigningHashBindsEverything(t *testing.T) {
	whole, err := SigningHash(everySigned3(t), SchemeV3)
	if err != nil {
		t.Fatal(err)
	}
	other := value.Timestamp(1)
	query := func(p *Prepared, id NodeID) *QueryByKey { return p.Transaction.Nodes[id].(*QueryByKey) }
	create := func(p *Prepared) *Create { return p.Transaction.Nodes[0].(*Create) }
	exercise := func(p *Prepared) *Exercise { return p.Transaction.Nodes[1].(*Exercise) }
	fetch := func(p *Prepared) *Fetch { return p.Transaction.Nodes[2].(*Fetch) }
	for name, change := range map[string]func(p *Prepared){
		"who acts":               func(p *Prepared) { p.ActAs = parties("bob") },
		"command":                func(p *Prepared) { p.CommandID += "2" },
		"uuid":                   func(p *Prepared) { p.UUID = "4c6471d3-4e09-49dd-addf-6cd90e19c583" },
		"mediator":               func(p *Prepared) { p.MediatorGroup++ },
		"synchronizer":           func(p *Prepared) { p.Synchronizer += "x" },
		"earliest time":          func(p *Prepared) { p.MinTime = &other },
		"no earliest time":       func(p *Prepared) { p.MinTime = nil },
		"latest time":            func(p *Prepared) { p.MaxTime = &other },
		"preparation":            func(p *Prepared) { p.Preparation++ },
		"latest record time":     func(p *Prepared) { p.MaxRecordTime = &other },
		"no latest record time":  func(p *Prepared) { p.MaxRecordTime = nil },
		"inputs":                 func(p *Prepared) { p.Inputs = p.Inputs[1:] },
		"when input was created": func(p *Prepared) { p.Inputs[0].CreatedAt++ },
		"roots":                  func(p *Prepared) { p.Transaction.Roots = p.Transaction.Roots[:2] },
		"seed":                   func(p *Prepared) { p.Transaction.Seeds[0][0]++ },
		"children":               func(p *Prepared) { exercise(p).Children = exercise(p).Children[1:] },
		"argument":               func(p *Prepared) { create(p).Arg = value.Unit{} },
		"signatories":            func(p *Prepared) { create(p).Signatories = parties("alice") },
		"stakeholders":           func(p *Prepared) { create(p).Stakeholders = parties("alice") },
		"template":               func(p *Prepared) { create(p).Template.Entity = "OuterXInner" },
		"package name":           func(p *Prepared) { create(p).PackageName = "x" },
		"no key":                 func(p *Prepared) { create(p).Key = nil },
		"key":                    func(p *Prepared) { create(p).Key.Value = value.Unit{} },
		"hash of the key":        func(p *Prepared) { create(p).Key.Hash[31]++ },
		"maintainers":            func(p *Prepared) { create(p).Key.Maintainers = parties("bob") },
		"choice":                 func(p *Prepared) { exercise(p).Choice = "Stop" },
		"consuming":              func(p *Prepared) { exercise(p).Consuming = true },
		"actors":                 func(p *Prepared) { exercise(p).Actors = parties("bob") },
		"choice observers":       func(p *Prepared) { exercise(p).Observers = nil },
		"interface":              func(p *Prepared) { exercise(p).Interface = nil },
		"result":                 func(p *Prepared) { exercise(p).Result = value.Unit{} },
		"no result":              func(p *Prepared) { exercise(p).Result = nil },
		"exercise by key":        func(p *Prepared) { exercise(p).ByKey = true },
		"fetch not by key":       func(p *Prepared) { fetch(p).ByKey = false },
		"fetched contract":       func(p *Prepared) { fetch(p).ID = create(p).ID },
		"query: exhaustive":      func(p *Prepared) { query(p, 8).Exhaustive = false },
		"query: found":           func(p *Prepared) { query(p, 9).Result = query(p, 9).Result[:1] },
		"query: order":           func(p *Prepared) { r := query(p, 9).Result; r[0], r[1] = r[1], r[0] },
		"query: key":             func(p *Prepared) { query(p, 9).Key.Value = value.Int64(1) },
	} {
		p := everySigned3(t)
		change(p)
		if got, err := SigningHash(p, SchemeV3); err != nil || got == whole {
			t.Errorf("%s: the hash is %s as before, or %v", name, got, err)
		}
	}
}
