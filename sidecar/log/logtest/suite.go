package logtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
)

// Open opens a store. Opening again after closing finds what was stored. Each call of the function that makes an Open gives a
// database of its own.
type Open func(t *testing.T) log.Store

// Run runs the suite. New is called for each test, with the layout that the test needs.
func Run(t *testing.T, newDatabase func(t *testing.T, layout log.Layout) Open) {
	for _, tc := range []struct {
		name string
		run  func(t *testing.T, newDatabase func(t *testing.T, layout log.Layout) Open)
	}{
		{"KeepsEveryKind", testKeepsEveryKind},
		{"NumbersInOrder", testNumbersInOrder},
		{"DropsDuplicates", testDropsDuplicates},
		{"FollowsPositions", testFollowsPositions},
		{"TakesNumbersOfTheSpool", testTakesNumbersOfTheSpool},
		{"ReadsInPages", testReadsInPages},
		{"FindsDeploys", testFindsDeploys},
		{"FindsTransactions", testFindsTransactions},
		{"FindsBlocksFaultsSignaturesSteps", testFindsTheRest},
		{"Prunes", testPrunes},
		{"StoresNothingOfAGroupWhenCancelled", testCancelled},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.run(t, newDatabase) })
	}
}

// Entries prepares events for Commit as the log does.
func Entries(events ...event.Event) []*log.Entry {
	entries := make([]*log.Entry, len(events))
	for i, e := range events {
		key, err := e.Key()
		entries[i] = &log.Entry{Numbered: event.Numbered{Event: e, InForce: "1.5.3"}, Key: key, Keyed: err == nil}
	}
	return entries
}

func commit(t *testing.T, s log.Store, next event.Seq, events ...event.Event) event.Seq {
	t.Helper()
	next, err := s.Commit(t.Context(), Entries(events...), next)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func all(t *testing.T, s log.Store, from event.Seq) []event.Numbered {
	t.Helper()
	events, err := s.After(t.Context(), from, 1000, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func testKeepsEveryKind(t *testing.T, newDatabase func(t *testing.T, layout log.Layout) Open) {
	for layout, events := range map[log.Layout][]event.Event{log.V1: OfNodes1(), log.V2: OfNodes2()} {
		t.Run(layout.String(), func(t *testing.T) {
			events := append(events, OfNodes1()[1], OfNodes2()[1]) // of the other generation, for one layout each
			if layout == log.V1 {
				events = append(events[:len(events)-2], OfNodes2()[1])
			} else {
				events = append(events[:len(events)-2], OfNodes1()[1])
			}
			open := newDatabase(t, layout)
			s := open(t)
			commit(t, s, 0, events...)
			shut(t, s)
			s = open(t)
			defer shut(t, s)
			got := all(t, s, 0)
			if len(got) != len(events) {
				t.Fatalf("%d events of %d", len(got), len(events))
			}
			for i, want := range events {
				g := got[i]
				if g.Seq != event.Seq(i) || g.Kind != want.Kind || g.Origin.Filter != want.Origin.Filter || g.InForce != "1.5.3" {
					t.Errorf("event %d: %d %v %v %v", i, g.Seq, g.Kind, g.Origin, g.InForce)
				}
				if a, b := string(g.AppendJSON(nil)), string(want.AppendJSON(nil)); a != b {
					t.Errorf("event %d is\n%s, stored was\n%s", i, a, b)
				}
			}
		})
	}
}

func testNumbersInOrder(t *testing.T, newDatabase func(t *testing.T, layout log.Layout) Open) {
	open := newDatabase(t, log.V1)
	s := open(t)
	state, err := s.State(t.Context(), 10)
	if err != nil || state.Next != 0 || state.APIVersion != "" || len(state.Positions) != 0 {
		t.Fatalf("a new store says %+v, %v", state, err)
	}
	next := commit(t, s, 1<<32-2, Block(1), Block(2), Block(3)) // beyond 32 bits
	if next != 1<<32+1 {
		t.Errorf("next is %d", next)
	}
	shut(t, s)
	s = open(t)
	defer shut(t, s)
	state, err = s.State(t.Context(), 2)
	if err != nil || state.Next != 1<<32+1 || state.APIVersion != "1.5.3" {
		t.Errorf("after reopening: %+v, %v", state, err)
	}
	if fmt.Sprint(state.Recent) != fmt.Sprint([]log.Identity{{Type: 1, Key: Hash(2)}, {Type: 1, Key: Hash(3)}}) {
		t.Errorf("recent: %v", state.Recent)
	}
	if got := all(t, s, 1<<32-1); len(got) != 2 || got[0].Seq != 1<<32-1 || got[1].Seq.ID() != 0 {
		t.Errorf("from the last number of 32 bits: %d", len(got))
	}
}

func testDropsDuplicates(t *testing.T, newDatabase func(t *testing.T, layout log.Layout) Open) {
	open := newDatabase(t, log.V1)
	s := open(t)
	defer func() { shut(t, s) }()
	commit(t, s, 0, Block(1), Accepted(2, 1, 0), Signature(3, 1, 1), Fault(4, 1<<64-1, 1), Step(5, 1))
	other := Signature(4, 1, 2)
	other.Origin.Node = "http://127.0.0.1:18102/"
	entries := Entries(Block(1), Accepted(2, 1, 0), Signature(3, 1, 1), other, Fault(4, 1<<64-1, 1), Step(5, 1), Processed(6, 1), Processed(7, 1), Shutdown(8), Shutdown(9))
	next, err := s.Commit(t.Context(), entries, 5)
	if err != nil {
		t.Fatal(err)
	}
	var marks strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&marks, "%d", map[bool]int{true: 1}[e.Duplicate])
	}
	if marks.String() != "1110110100" || next != 9 {
		t.Errorf("duplicates %s, next %d", marks.String(), next)
	}
	if got := all(t, s, 0); len(got) != 9 {
		t.Errorf("%d events stored, want 9", len(got))
	}
	known := Entries(Block(5))
	known[0].Duplicate = true
	if next, err := s.Commit(t.Context(), known, 9); err != nil || next != 9 {
		t.Errorf("a duplicate that the log found: next %d, %v", next, err)
	}
	if _, err := s.BlockByHeight(t.Context(), 5); !errors.Is(err, log.ErrNotFound) {
		t.Errorf("it was stored: %v", err)
	}
}

func testFollowsPositions(t *testing.T, newDatabase func(t *testing.T, layout log.Layout) Open) {
	open := newDatabase(t, log.V1)
	s := open(t)
	commit(t, s, 0, Block(1), Block(9), Signature(1<<32-1, 1, 1))
	commit(t, s, 3, Block(1)) // a duplicate; and the node counts from the start again
	shut(t, s)
	s = open(t)
	defer shut(t, s)
	state, err := s.State(t.Context(), 0)
	want := map[event.Origin]uint32{{Node: Node, Filter: event.FilterMain}: 1, {Node: Node, Filter: event.FilterSigs}: 1<<32 - 1}
	if err != nil || fmt.Sprint(state.Positions) != fmt.Sprint(want) {
		t.Errorf("positions %v, %v; want %v", state.Positions, err, want)
	}
}

func testTakesNumbersOfTheSpool(t *testing.T, newDatabase func(t *testing.T, layout log.Layout) Open) {
	open := newDatabase(t, log.V1)
	s := open(t)
	defer func() { shut(t, s) }()
	commit(t, s, 0, Block(1))
	spooled := Entries(Block(2), Shutdown(3), Block(4))
	for i, e := range spooled {
		e.Seq, e.Fixed = event.Seq(10+i), true
	}
	for range 2 { // the second time after a crash before the spool forgot them
		if next, err := s.Commit(t.Context(), spooled, 13); err != nil || next != 13 {
			t.Fatalf("next %d, %v", next, err)
		}
	}
	got := all(t, s, 0)
	if len(got) != 4 || got[1].Seq != 10 || got[2].Seq != 11 || got[3].Seq != 12 {
		t.Errorf("%d stored", len(got))
	}
	if state, err := s.State(t.Context(), 0); err != nil || state.Next != 13 {
		t.Errorf("next %d, %v", state.Next, err)
	}
}

func testReadsInPages(t *testing.T, newDatabase func(t *testing.T, layout log.Layout) Open) {
	s := newDatabase(t, log.V1)(t)
	defer shut(t, s)
	var events []event.Event
	for n := range 30 {
		events = append(events, Accepted(uint32(n), n, 1000))
	}
	commit(t, s, 0, events...)
	page, err := s.After(t.Context(), 5, 10, 1<<20)
	if err != nil || len(page) != 10 || page[0].Seq != 5 {
		t.Errorf("by count: %d, %v", len(page), err)
	}
	page, err = s.After(t.Context(), 5, 10, 3000)
	if err != nil || len(page) < 2 || len(page) > 4 {
		t.Errorf("by bytes: %d, %v", len(page), err)
	}
	page, err = s.After(t.Context(), 5, 10, 1)
	if err != nil || len(page) != 1 {
		t.Errorf("a large event alone: %d, %v", len(page), err)
	}
	page, err = s.After(t.Context(), 30, 10, 1)
	if err != nil || len(page) != 0 {
		t.Errorf("at the end: %d, %v", len(page), err)
	}
}

func testFindsDeploys(t *testing.T, newDatabase func(t *testing.T, layout log.Layout) Open) {
	s := newDatabase(t, log.V1)(t)
	defer shut(t, s)
	accepted := Accepted(1, 1, 500)
	commit(t, s, 0, accepted, Processed(2, 1), Expired(3, 2))
	check := func(what string, f log.Found, err error, want string) {
		t.Helper()
		if err != nil || string(f.Raw) != want {
			t.Errorf("%s: %s, %v; want %s", what, f.Raw, err, want)
		}
	}
	f, err := s.Deploy(t.Context(), event.DeployAccepted, "", Hash(1))
	check("accepted", f, err, `{"deploy":`+string(accepted.Body)+`}`)
	f, err = s.Deploy(t.Context(), event.DeployProcessed, "", Hash(1))
	processed := Processed(2, 1)
	check("processed", f, err, string(processed.Body))
	f, err = s.Deploy(t.Context(), event.DeployExpired, "", Hash(2))
	check("expired", f, err, `{"deploy_hash":"`+Hash(2)+`"}`)
	for _, kind := range []event.Kind{event.DeployAccepted, event.DeployProcessed, event.DeployExpired, event.TransactionAccepted} {
		if f, err := s.Deploy(t.Context(), kind, "Deploy", Hash(3)); !errors.Is(err, log.ErrNotFound) {
			t.Errorf("%s of nobody: %s, %v", kind, f.Raw, err)
		}
	}
}

func testFindsTransactions(t *testing.T, newDatabase func(t *testing.T, layout log.Layout) Open) {
	s := newDatabase(t, log.V2)(t)
	defer shut(t, s)
	commit(t, s, 0, OfNodes2()...)
	f, err := s.Deploy(t.Context(), event.TransactionAccepted, "Version1", Hash(1))
	if want := `{"transaction":{"Version1":{"hash":"` + Hash(1) + `","payload":{}}}}`; err != nil || string(f.Raw) != want || f.APIVersion != "1.5.3" || f.Network != "casper-test" {
		t.Errorf("accepted: %s %s %s, %v", f.Raw, f.APIVersion, f.Network, err)
	}
	if _, err := s.Deploy(t.Context(), event.TransactionAccepted, "Deploy", Hash(1)); !errors.Is(err, log.ErrNotFound) {
		t.Errorf("the other variant: %v", err)
	}
	if f, err := s.Deploy(t.Context(), event.TransactionExpired, "Deploy", Hash(2)); err != nil || f.Network == "" {
		t.Errorf("expired: %s, %v", f.Raw, err)
	}
	if f, err := s.Step(t.Context(), 3); err != nil || string(f.Raw) != `{"era_id":3,"execution_effect":[]}` {
		t.Errorf("step: %s, %v", f.Raw, err)
	}
	if got, err := s.Signatures(t.Context(), Hash(7)); err != nil || len(got) != 1 {
		t.Errorf("signatures: %v, %v", got, err)
	}
	if f, err := s.LatestBlock(t.Context()); err != nil || !strings.Contains(string(f.Raw), Hash(7)) {
		t.Errorf("block: %s, %v", f.Raw, err)
	}
}

func testFindsTheRest(t *testing.T, newDatabase func(t *testing.T, layout log.Layout) Open) {
	s := newDatabase(t, log.V1)(t)
	defer shut(t, s)
	ctx := t.Context()
	if _, err := s.LatestBlock(ctx); !errors.Is(err, log.ErrNotFound) {
		t.Errorf("the latest block of none: %v", err)
	}
	commit(t, s, 0, Block(5), Block(30), Block(7), Signature(1, 5, 1), Signature(2, 5, 2), Signature(3, 7, 1),
		Fault(4, 1<<64-1, 1), Fault(5, 3, 1), Fault(6, 3, 2), Step(7, 1<<64-1))
	block30, block5 := Block(30), Block(5)
	if f, err := s.LatestBlock(ctx); err != nil || string(f.Raw) != string(block30.Body) {
		t.Errorf("latest: %s, %v", f.Raw, err)
	}
	if f, err := s.BlockByHash(ctx, Hash(5)); err != nil || string(f.Raw) != string(block5.Body) {
		t.Errorf("by hash: %s, %v", f.Raw, err)
	}
	if f, err := s.BlockByHeight(ctx, 5); err != nil || string(f.Raw) != string(block5.Body) {
		t.Errorf("by height: %s, %v", f.Raw, err)
	}
	if _, err := s.BlockByHeight(ctx, 1<<64-1); !errors.Is(err, log.ErrNotFound) {
		t.Errorf("the last height: %v", err)
	}
	for what, count := range map[string]func() ([]log.Found, error){
		"2 signatures": func() ([]log.Found, error) { return s.Signatures(ctx, Hash(5)) },
		"0 signatures": func() ([]log.Found, error) { return s.Signatures(ctx, Hash(6)) },
		"2 faults":     func() ([]log.Found, error) { return s.FaultsByKey(ctx, PublicKey(1)) },
		"2 of an era":  func() ([]log.Found, error) { return s.FaultsByEra(ctx, 3) },
		"1 of the end": func() ([]log.Found, error) { return s.FaultsByEra(ctx, 1<<64-1) },
		"0 of no era":  func() ([]log.Found, error) { return s.FaultsByEra(ctx, 9) },
	} {
		if got, err := count(); err != nil || len(got) != int(what[0]-'0') {
			t.Errorf("%s: %d, %v", what, len(got), err)
		}
	}
	if f, err := s.Step(ctx, 1<<64-1); err != nil || !strings.Contains(string(f.Raw), "18446744073709551615") {
		t.Errorf("step: %s, %v", f.Raw, err)
	}
}

func testPrunes(t *testing.T, newDatabase func(t *testing.T, layout log.Layout) Open) {
	s := newDatabase(t, log.V1)(t)
	defer shut(t, s)
	ctx := t.Context()
	var events []event.Event
	for n := range 20 {
		events = append(events, Accepted(uint32(n), n, 1000), Parse(uint32(n), `{"Fork":1}`))
	}
	next := commit(t, s, 0, append(events, OfNodes1()...)...)
	stored := int64(next)
	if n, err := s.Prune(ctx, log.Retention{Age: time.Hour, Events: stored, Bytes: 1 << 30}, 100); err != nil || n != 0 {
		t.Errorf("nothing is beyond the bounds, but %d went, %v", n, err)
	}
	if n, err := s.Prune(ctx, log.Retention{Events: stored - 5}, 3); err != nil || n != 3 {
		t.Errorf("at most 3 at a time: %d, %v", n, err)
	}
	if n, err := s.Prune(ctx, log.Retention{Events: stored - 5}, 100); err != nil || n != 2 {
		t.Errorf("the rest: %d, %v", n, err)
	}
	if got := all(t, s, 0); len(got) != int(stored)-5 || got[0].Seq != 5 {
		t.Errorf("%d events, first is %d", len(got), got[0].Seq)
	}
	if _, err := s.Deploy(ctx, event.DeployAccepted, "", Hash(1)); !errors.Is(err, log.ErrNotFound) {
		t.Errorf("a removed deploy is found: %v", err)
	}
	before, err := s.Totals(ctx)
	if err != nil || before.Events != stored-5 {
		t.Fatalf("totals %+v, %v", before, err)
	}
	if n, err := s.Prune(ctx, log.Retention{Bytes: before.Bytes - 1500}, 100); err != nil || n < 2 || n > 4 {
		t.Errorf("by bytes: %d, %v", n, err)
	}
	if n, err := s.Prune(ctx, log.Retention{Age: time.Nanosecond, Events: 1}, 1000); err != nil || n == 0 {
		t.Errorf("all but one: %d, %v", n, err)
	}
	after, err := s.Totals(ctx)
	if err != nil || after.Events > 1 {
		t.Errorf("totals %+v, %v", after, err)
	}
	if next := commit(t, s, next, Block(100)); next != event.Seq(stored+1) {
		t.Errorf("numbers went back to %d", next)
	}
}

func testCancelled(t *testing.T, newDatabase func(t *testing.T, layout log.Layout) Open) {
	s := newDatabase(t, log.V1)(t)
	defer shut(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Commit(ctx, Entries(Block(1)), 0); err == nil {
		t.Fatal("stored although cancelled")
	}
	if next := commit(t, s, 0, Block(1)); next != 1 {
		t.Errorf("it was stored: next %d", next)
	}
}

func shut(t *testing.T, s log.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
