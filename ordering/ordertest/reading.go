package ordertest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/synod-network/synod/ordering"
)

// errEnough ends a read that has seen what it wanted.
var errEnough = errors.New("seen enough")

// read collects what one node delivers from a height on, until enough says so of
// a block, and holds it to the rules that one node's delivery can break alone.
// It fails the test when patience ends first.
func read(t T, c Cluster, node int, from ordering.Height, enough func(ordering.Block) bool) []ordering.Block {
	t.Helper()
	ctx, cancel := c.patient()
	defer cancel()
	var blocks []ordering.Block
	err := returned(t, c, func() error {
		return c.Node(node).Read(ctx, from, func(block ordering.Block) error {
			if err := checkEncoding(block); err != nil {
				return err
			}
			blocks = append(blocks, block)
			if enough(block) {
				return errEnough
			}
			return nil
		})
	})
	checkChain(t, node, from, blocks)
	if !errors.Is(err, errEnough) {
		t.Fatalf("node %d: after %d blocks from height %d the wanted ones did not come: %v", node, len(blocks), from, err)
	}
	return blocks
}

// readTo collects what one node delivers in [from, to].
func readTo(t T, c Cluster, node int, from, to ordering.Height) []ordering.Block {
	t.Helper()
	return read(t, c, node, from, func(block ordering.Block) bool { return block.Height >= to })
}

// readAll collects what one node delivers from a height on until it has seen
// every wanted request.
func readAll(t T, c Cluster, node int, from ordering.Height, wanted []string) []ordering.Block {
	t.Helper()
	missing := make(map[string]bool, len(wanted))
	for _, request := range wanted {
		missing[request] = true
	}
	return read(t, c, node, from, func(block ordering.Block) bool {
		for _, request := range requestsOf(block) {
			delete(missing, request)
		}
		return len(missing) == 0
	})
}

// returned calls a function that may hang, for a little longer than patience.
func returned(t T, c Cluster, call func() error) error {
	t.Helper()
	result := make(chan error, 1)
	go func() { result <- call() }()
	ctx, cancel := context.WithTimeout(context.Background(), 2*c.Patience)
	defer cancel()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		t.Fatalf("a call did not return though its context ended")
		return nil
	}
}

// checkChain holds consecutive blocks of one node to numbering, chaining, epochs
// and times.
func checkChain(t T, node int, from ordering.Height, blocks []ordering.Block) {
	t.Helper()
	for i, block := range blocks {
		if want := max(from, 1) + ordering.Height(i); block.Height != want {
			t.Fatalf("node %d: height %d came where %d was due", node, block.Height, want)
		}
		if block.Height == 1 && block.Previous != (ordering.Digest{}) {
			t.Errorf("node %d: block 1 has a previous digest", node)
		}
		if i == 0 {
			continue
		}
		previous := blocks[i-1]
		if block.Previous != previous.Digest {
			t.Errorf("node %d: block %d does not name the digest of the block before", node, block.Height)
		}
		if block.Epoch < previous.Epoch {
			t.Errorf("node %d: block %d is of epoch %d, after epoch %d", node, block.Height, block.Epoch, previous.Epoch)
		}
		if block.Time <= previous.LastTime() {
			t.Errorf("node %d: block %d begins at time %d, not after %d", node, block.Height, block.Time, previous.LastTime())
		}
	}
}

// checkSame holds two nodes' delivery of the same heights to each other.
func checkSame(t T, node, other int, blocks, others []ordering.Block) {
	t.Helper()
	for i := range min(len(blocks), len(others)) {
		a, b := blocks[i], others[i]
		switch {
		case a.Height != b.Height || a.Digest != b.Digest || a.Previous != b.Previous:
			t.Errorf("nodes %d and %d: block %d is not the same", node, other, a.Height)
		case a.Time != b.Time || a.Epoch != b.Epoch:
			t.Errorf("nodes %d and %d: block %d has another time or epoch", node, other, a.Height)
		case !slices.Equal(requestsOf(a), requestsOf(b)):
			t.Errorf("nodes %d and %d: block %d has other requests", node, other, a.Height)
		}
	}
}

// checkOnce fails unless every wanted request is in the blocks once and, other
// than that, only permitted ones are, at most once.
func checkOnce(t T, blocks []ordering.Block, wanted, permitted []string) {
	t.Helper()
	count := map[string]int{}
	for _, block := range blocks {
		for _, request := range requestsOf(block) {
			count[request]++
		}
	}
	for _, request := range wanted {
		if count[request] != 1 {
			t.Errorf("request %.40q was accepted once and ordered %d times", request, count[request])
		}
		delete(count, request)
	}
	for _, request := range permitted {
		if count[request] > 1 {
			t.Errorf("request %.40q was ordered %d times", request, count[request])
		}
		delete(count, request)
	}
	for request := range count {
		t.Errorf("request %.40q was ordered, and never accepted", request)
	}
}

// requestsOf unpacks a block whose encoding was checked.
func requestsOf(block ordering.Block) []string {
	var requests []string
	for request := range block.Requests() {
		requests = append(requests, string(request.Data))
	}
	return requests
}

// checkEncoding reports a payload that is not canonical.
func checkEncoding(block ordering.Block) error {
	for i, payload := range block.Payloads {
		if _, err := ordering.ParsePayload(payload.Count, payload.Data); err != nil {
			return fmt.Errorf("payload %d of block %d: %w", i, block.Height, err)
		}
	}
	return nil
}
