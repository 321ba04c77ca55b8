package ordertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/synod-network/synod/ordering"
)

// A backend that breaks the promise in one place.
type plantedBug struct {
	name string
	// plant breaks one node of a correct cluster, or all of them.
	plant func(node int, sound ordering.Orderer) ordering.Orderer
	// inCluster breaks what is done to nodes instead.
	inCluster func(*Cluster)
}

// at plants a bug in what one node delivers.
func at(broken int, deliver func(ordering.Block) []ordering.Block) func(int, ordering.Orderer) ordering.Orderer {
	return func(node int, sound ordering.Orderer) ordering.Orderer {
		if node != broken {
			return sound
		}
		return &Altered{Orderer: sound, Deliver: deliver}
	}
}

// everywhere plants the same bug in what all nodes deliver.
func everywhere(deliver func(ordering.Block) []ordering.Block) func(int, ordering.Orderer) ordering.Orderer {
	return func(_ int, sound ordering.Orderer) ordering.Orderer {
		return &Altered{Orderer: sound, Deliver: deliver}
	}
}

func one(change func(*ordering.Block)) func(ordering.Block) []ordering.Block {
	return func(block ordering.Block) []ordering.Block {
		change(&block)
		return []ordering.Block{block}
	}
}

// rewrite plants a bug in the requests of every block.
func rewrite(change func([][]byte) [][]byte) func(ordering.Block) []ordering.Block {
	return one(func(block *ordering.Block) {
		var requests [][]byte
		for request := range block.Requests() {
			requests = append(requests, bytes.Clone(request.Data))
		}
		block.Payloads = []ordering.Payload{ordering.Pack(change(requests)...)}
	})
}

// onSubmit plants a bug in how a node takes requests.
func onSubmit(submit func(ctx context.Context, sound ordering.Orderer, requests [][]byte) error) func(int, ordering.Orderer) ordering.Orderer {
	return func(_ int, sound ordering.Orderer) ordering.Orderer {
		return &Altered{Orderer: sound, OnSubmit: func(ctx context.Context, requests [][]byte) error {
			return submit(ctx, sound, requests)
		}}
	}
}

// onRead plants a bug in how a node reads.
func onRead(read func(ctx context.Context, sound ordering.Orderer, from ordering.Height, fn func(ordering.Block) error) error) func(int, ordering.Orderer) ordering.Orderer {
	return func(_ int, sound ordering.Orderer) ordering.Orderer {
		return &Altered{Orderer: sound, OnRead: func(ctx context.Context, from ordering.Height, fn func(ordering.Block) error) error {
			return read(ctx, sound, from, fn)
		}}
	}
}

type lying struct {
	ordering.Orderer
	status func(ordering.Status) ordering.Status
}

func (l lying) Status() ordering.Status { return l.status(l.Orderer.Status()) }

func lies(status func(ordering.Status) ordering.Status) func(int, ordering.Orderer) ordering.Orderer {
	return func(_ int, sound ordering.Orderer) ordering.Orderer {
		return lying{Orderer: sound, status: status}
	}
}

// keepsSlices holds on to the caller's own slices and looks into them only once
// somebody reads. It spares all cases but the one about copies.
func keepsSlices() func(int, ordering.Orderer) ordering.Orderer {
	var mu sync.Mutex
	var kept [][]byte
	return func(_ int, sound ordering.Orderer) ordering.Orderer {
		return &Altered{
			Orderer: sound,
			OnSubmit: func(ctx context.Context, requests [][]byte) error {
				if len(requests) == 0 || !bytes.HasPrefix(requests[0], []byte("copies:")) {
					return sound.Submit(ctx, requests...)
				}
				mu.Lock()
				defer mu.Unlock()
				kept = append(kept, requests...)
				return nil
			},
			OnRead: func(ctx context.Context, from ordering.Height, fn func(ordering.Block) error) error {
				mu.Lock()
				err := sound.Submit(ctx, kept...)
				kept = nil
				mu.Unlock()
				if err != nil {
					return err
				}
				return sound.Read(ctx, from, fn)
			},
		}
	}
}

func plantedBugs() []plantedBug {
	var submitted atomic.Int64
	var readers sync.Mutex
	return []plantedBug{
		{name: "drops a request in a hundred", plant: onSubmit(func(ctx context.Context, sound ordering.Orderer, requests [][]byte) error {
			if len(requests) > 0 && submitted.Add(1)%100 == 0 {
				requests = requests[1:]
			}
			return sound.Submit(ctx, requests...)
		})},
		{name: "orders a request in a hundred twice", plant: onSubmit(func(ctx context.Context, sound ordering.Orderer, requests [][]byte) error {
			if len(requests) > 0 && submitted.Add(1)%100 == 0 {
				requests = append(slices.Clone(requests), requests[0])
			}
			return sound.Submit(ctx, requests...)
		})},
		{name: "drops a request at one node", plant: at(1, rewrite(func(requests [][]byte) [][]byte {
			return requests[:len(requests)-1]
		}))},
		{name: "swaps requests at one node", plant: at(2, rewrite(func(requests [][]byte) [][]byte {
			slices.Reverse(requests)
			return requests
		}))},
		{name: "alters requests everywhere", plant: everywhere(rewrite(func(requests [][]byte) [][]byte {
			for _, request := range requests {
				for i := range min(1, len(request)) {
					request[i] ^= 1
				}
			}
			return requests
		}))},
		{name: "invents requests", plant: everywhere(rewrite(func(requests [][]byte) [][]byte {
			return append(requests, []byte(fmt.Sprintf("invented %d", len(requests))))
		}))},
		{name: "leaves out a block at one node", plant: at(3, func(block ordering.Block) []ordering.Block {
			if block.Height == 2 {
				return nil
			}
			return []ordering.Block{block}
		})},
		{name: "delivers a block twice", plant: at(0, func(block ordering.Block) []ordering.Block {
			if block.Height == 2 {
				return []ordering.Block{block, block}
			}
			return []ordering.Block{block}
		})},
		{name: "time stands still between blocks", plant: everywhere(one(func(block *ordering.Block) { block.Time = 1 }))},
		{name: "time at one node is another", plant: at(1, one(func(block *ordering.Block) { block.Time++ }))},
		{name: "the chain of digests is broken", plant: everywhere(one(func(block *ordering.Block) { block.Previous[0] ^= 1 }))},
		{name: "the digest at one node is another", plant: at(1, one(func(block *ordering.Block) { block.Digest[0] ^= 1 }))},
		{name: "epochs go down", plant: everywhere(one(func(block *ordering.Block) { block.Epoch = 1000 - uint64(block.Height) }))},
		{name: "counts are wrong", plant: everywhere(one(func(block *ordering.Block) {
			block.Payloads = slices.Clone(block.Payloads)
			block.Payloads[0].Count++
		}))},
		{name: "keeps the caller's slice", plant: keepsSlices()},
		{name: "takes the part of a call that fits", plant: onSubmit(func(ctx context.Context, sound ordering.Orderer, requests [][]byte) error {
			for _, request := range requests {
				if err := sound.Submit(ctx, request); err != nil {
					return err
				}
			}
			return nil
		})},
		{name: "queues what it refuses for size", plant: onSubmit(func(ctx context.Context, sound ordering.Orderer, requests [][]byte) error {
			err := sound.Submit(ctx, requests...)
			if errors.Is(err, ordering.ErrTooLarge) {
				_ = sound.Submit(ctx, requests[0])
			}
			return err
		})},
		{name: "does not say when to try again", plant: onSubmit(func(ctx context.Context, sound ordering.Orderer, requests [][]byte) error {
			err := sound.Submit(ctx, requests...)
			if errors.Is(err, ordering.ErrOverloaded) {
				return &ordering.Overloaded{}
			}
			return err
		})},
		{name: "takes without end while stalled", plant: onSubmit(func(ctx context.Context, sound ordering.Orderer, requests [][]byte) error {
			err := sound.Submit(ctx, requests...)
			if errors.Is(err, ordering.ErrOverloaded) {
				return nil
			}
			return err
		})},
		{name: "swallows the reader's error", plant: onRead(func(ctx context.Context, sound ordering.Orderer, from ordering.Height, fn func(ordering.Block) error) error {
			return sound.Read(ctx, from, func(block ordering.Block) error {
				_ = fn(block)
				return nil
			})
		})},
		{name: "never notices the end of a context", plant: onRead(func(ctx context.Context, sound ordering.Orderer, from ordering.Height, fn func(ordering.Block) error) error {
			return sound.Read(context.WithoutCancel(ctx), from, fn)
		})},
		{name: "one reader at a time", plant: onRead(func(ctx context.Context, sound ordering.Orderer, from ordering.Height, fn func(ordering.Block) error) error {
			for !readers.TryLock() {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				runtime.Gosched()
			}
			defer readers.Unlock()
			return sound.Read(ctx, from, fn)
		})},
		{name: "begins where it can when blocks are pruned", plant: onRead(func(ctx context.Context, sound ordering.Orderer, from ordering.Height, fn func(ordering.Block) error) error {
			return sound.Read(ctx, max(from, sound.Status().Lowest), fn)
		})},
		{name: "ignores where reading is to start", plant: onRead(func(ctx context.Context, sound ordering.Orderer, _ ordering.Height, fn func(ordering.Block) error) error {
			return sound.Read(ctx, 1, fn)
		})},
		{name: "ends reads of a stopped node with nil", plant: onRead(func(ctx context.Context, sound ordering.Orderer, from ordering.Height, fn func(ordering.Block) error) error {
			if err := sound.Read(ctx, from, fn); !errors.Is(err, ordering.ErrClosed) {
				return err
			}
			return nil
		})},
		{name: "takes requests after it stopped", plant: onSubmit(func(ctx context.Context, sound ordering.Orderer, requests [][]byte) error {
			if err := sound.Submit(ctx, requests...); !errors.Is(err, ordering.ErrClosed) {
				return err
			}
			return nil
		})},
		{name: "numbers from 1 again after a restart", inCluster: func(c *Cluster) {
			start, restarted := c.Start, ordering.Height(0)
			c.Start = func(node int) {
				restarted = c.Node(0).Status().Head
				start(node)
			}
			node := c.Node
			c.Node = func(number int) ordering.Orderer {
				shift := restarted
				if number != c.Size-1 || shift == 0 {
					return node(number)
				}
				return &Altered{
					Orderer: node(number),
					OnRead: func(ctx context.Context, from ordering.Height, fn func(ordering.Block) error) error {
						return node(number).Read(ctx, max(from, 1)+shift, fn)
					},
					Deliver: one(func(block *ordering.Block) { block.Height -= shift }),
				}
			}
		}},
		{name: "the head in the status lags", plant: lies(func(status ordering.Status) ordering.Status {
			status.Head = max(status.Head, 1) - 1
			return status
		})},
		{name: "the head in the status is not there yet", plant: lies(func(status ordering.Status) ordering.Status {
			status.Head += 5
			return status
		})},
		{name: "the status forgets what was pruned", plant: lies(func(status ordering.Status) ordering.Status {
			status.Lowest = 1
			return status
		})},
	}
}

// The suite is worth something if no broken backend passes it.
func TestSuiteCatchesPlantedBugs(t *testing.T) {
	for _, bug := range plantedBugs() {
		t.Run(bug.name, func(t *testing.T) {
			t.Parallel()
			caught := ""
			for _, c := range Cases() {
				observer := &observer{}
				observer.watch(func() { c.run(observer, bug.factory) })
				if len(observer.complaints) > 0 {
					caught = c.Name + ": " + observer.complaints[0]
					break
				}
			}
			if caught == "" {
				t.Fatal("passes the suite")
			}
			t.Log("caught by", caught)
		})
	}
}

func (b plantedBug) factory(t T) Cluster {
	cluster := StartMemory(t, small).Cluster()
	cluster.Patience = time.Second
	if b.inCluster != nil {
		b.inCluster(&cluster)
		return cluster
	}
	sound := cluster.Node
	cluster.Node = func(number int) ordering.Orderer { return b.plant(number, sound(number)) }
	return cluster
}

// observer stands in for a test that is expected to fail.
type observer struct {
	mu         sync.Mutex
	complaints []string
	cleanups   []func()
}

// watch runs one test body to its end, which Fatalf may bring early.
func (o *observer) watch(body func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		body()
	}()
	<-done
	for _, cleanup := range slices.Backward(o.cleanups) {
		cleanup()
	}
}

func (o *observer) Helper() {}

func (o *observer) Errorf(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.complaints = append(o.complaints, strings.TrimSpace(fmt.Sprintf(format, args...)))
}

func (o *observer) Fatalf(format string, args ...any) {
	o.Errorf(format, args...)
	runtime.Goexit()
}

func (o *observer) Skipf(string, ...any) { runtime.Goexit() }

func (o *observer) Cleanup(cleanup func()) { o.cleanups = append(o.cleanups, cleanup) }
