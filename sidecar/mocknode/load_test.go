package mocknode_test

import (
	"bytes"
	"testing"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/mocknode"
)

func made(load *mocknode.Load, version mocknode.Version, count int) []mocknode.Made {
	var all []mocknode.Made
	for range count {
		all = append(all, load.Next(version))
	}
	return all
}

var (
	version1 = mocknode.Version{1, 5, 3}
	version2 = mocknode.Version{2, 0, 0}
)

func TestOneSeedTellsOneChain(t *testing.T) {
	for _, version := range []mocknode.Version{version1, version2} {
		first := made(mocknode.NewLoad(7, mocknode.DefaultShape(), "n"), version, 2000)
		second := made(mocknode.NewLoad(7, mocknode.DefaultShape(), "n"), version, 2000)
		other := made(mocknode.NewLoad(8, mocknode.DefaultShape(), "n"), version, 2000)
		for i := range first {
			if first[i].Filter != second[i].Filter || !bytes.Equal(first[i].Data, second[i].Data) {
				t.Fatalf("%s: event %d differs: %s, %s", version, i, first[i].Data, second[i].Data)
			}
		}
		if bytes.Equal(first[0].Data, other[0].Data) {
			t.Errorf("%s: another seed tells the same", version)
		}
	}
}

// TestEveryEventHasItsKey holds the load to what sidecars look at, and sees to it that no kind is forgotten.
func TestEveryEventHasItsKey(t *testing.T) {
	for _, tc := range []struct {
		version mocknode.Version
		kinds   []event.Kind
	}{
		{version1, []event.Kind{event.BlockAdded, event.DeployAccepted, event.DeployProcessed, event.DeployExpired, event.FinalitySignature, event.Fault, event.Step}},
		{version2, []event.Kind{event.BlockAdded, event.TransactionAccepted, event.TransactionProcessed, event.TransactionExpired, event.FinalitySignature, event.Fault, event.Step}},
	} {
		counts, keys, size := map[event.Kind]int{}, map[event.Kind]map[event.Key]bool{}, 0
		for _, m := range made(mocknode.NewLoad(7, mocknode.DefaultShape(), "n"), tc.version, 4000) {
			e, err := event.Parse(m.Data)
			if err != nil {
				t.Fatal(err)
			}
			key, err := e.Key()
			if err != nil {
				t.Fatalf("%s: %v", m.Data, err)
			}
			if keys[e.Kind] == nil {
				keys[e.Kind] = map[event.Key]bool{}
			}
			if keys[e.Kind][key] {
				t.Fatalf("%v of %v comes twice", key, e.Kind)
			}
			keys[e.Kind][key] = true
			counts[e.Kind]++
			size += len(m.Data)
		}
		for _, kind := range tc.kinds {
			if counts[kind] == 0 {
				t.Errorf("%s: no %s", tc.version, kind)
			}
		}
		if len(counts) != len(tc.kinds) {
			t.Errorf("%s: %v", tc.version, counts)
		}
		t.Logf("%s: %v, %d bytes on average", tc.version, counts, size/4000)
	}
}

// TestVersionsTellTheSameChain compares the blocks of nodes that run different versions.
func TestVersionsTellTheSameChain(t *testing.T) {
	blocks := func(version mocknode.Version) (hashes []string) {
		for _, m := range made(mocknode.NewLoad(7, mocknode.DefaultShape(), "n"), version, 2000) {
			e, err := event.Parse(m.Data)
			if err != nil {
				t.Fatal(err)
			}
			if key, err := e.Key(); err == nil && e.Kind == event.BlockAdded {
				hashes = append(hashes, key.Hash)
			}
		}
		return hashes
	}
	first, second := blocks(version1), blocks(version2)
	for i := range min(len(first), len(second)) {
		if first[i] != second[i] {
			t.Fatalf("block %d: %s, %s", i, first[i], second[i])
		}
	}
}

func TestStepIsAsLargeAsAskedFor(t *testing.T) {
	shape := mocknode.DefaultShape()
	shape.StepBytes, shape.EraBlocks = 3<<20, 1
	for _, m := range made(mocknode.NewLoad(1, shape, "n"), version1, 40) {
		if m.Kind == event.Step && (len(m.Data) < 3<<20 || len(m.Data) > 3<<20+1024) {
			t.Errorf("%d bytes", len(m.Data))
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	load := mocknode.NewLoad(1, mocknode.DefaultShape(), "n")
	for b.Loop() {
		load.Next(version1)
	}
}
