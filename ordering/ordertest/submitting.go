package ordertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/synod-network/synod/ordering"
)

// submit hands requests to one node in one call, again and again while it is
// overloaded or not ready, and fails the test if it will not take them.
func submit(t T, c Cluster, node int, requests ...string) {
	t.Helper()
	ctx, cancel := c.patient()
	defer cancel()
	if err := submitPatiently(ctx, c.Node(node), requests...); err != nil {
		t.Fatalf("node %d refused %d requests: %v", node, len(requests), err)
	}
}

// notReadyRetry is how long to wait before asking a node again that was not
// ready.
const notReadyRetry = 10 * time.Millisecond

func submitPatiently(ctx context.Context, node ordering.Orderer, requests ...string) error {
	for {
		err := node.Submit(ctx, bytesOf(requests)...)
		wait := notReadyRetry
		switch overloaded := (*ordering.Overloaded)(nil); {
		case errors.As(err, &overloaded):
			wait = overloaded.RetryAfter
		case errors.Is(err, ordering.ErrNotReady):
		default:
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("%w, until patience ended", err)
		}
	}
}

func bytesOf(requests []string) [][]byte {
	list := make([][]byte, len(requests))
	for i, request := range requests {
		list[i] = []byte(request)
	}
	return list
}

// submitEverywhere has several clients at every node submit at the same time, in
// calls of one to three requests, and returns what was accepted.
func submitEverywhere(t T, c Cluster, story string, clients, calls int) []string {
	t.Helper()
	ctx, cancel := c.patient()
	defer cancel()
	var (
		group    sync.WaitGroup
		mu       sync.Mutex
		accepted []string
		failures []error
	)
	for node := range c.Size {
		for client := range clients {
			group.Go(func() {
				for call := range calls {
					var requests []string
					for part := range 1 + call%3 {
						requests = append(requests, fmt.Sprintf("%s: node %d client %d call %d part %d", story, node, client, call, part))
					}
					err := submitPatiently(ctx, c.Node(node), requests...)
					mu.Lock()
					if err != nil {
						failures = append(failures, fmt.Errorf("node %d: %w", node, err))
						mu.Unlock()
						return
					}
					accepted = append(accepted, requests...)
					mu.Unlock()
				}
			})
		}
	}
	group.Wait()
	if len(failures) > 0 {
		t.Fatalf("submitting: %v", errors.Join(failures...))
	}
	return accepted
}

// fence has every running node order one more request and returns them: what was
// queued before, and not yet ordered, would show up ahead of them.
func fence(t T, c Cluster, story string) []string {
	t.Helper()
	var fences []string
	for node := range c.Size {
		request := fmt.Sprintf("%s: fence at node %d", story, node)
		submit(t, c, node, request)
		fences = append(fences, request)
	}
	return fences
}
