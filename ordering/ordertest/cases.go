package ordertest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/synod-network/synod/ordering"
)

func checkOneOrder(t T, c Cluster) {
	accepted := submitEverywhere(t, c, "one order", 3, 60)
	first := readAll(t, c, 0, 1, accepted)
	accepted = append(accepted, fence(t, c, "one order")...)
	first = append(first, readAll(t, c, 0, first[len(first)-1].Height+1, accepted[len(accepted)-c.Size:])...)
	checkChain(t, 0, 1, first)
	checkOnce(t, first, accepted, nil)
	for node := 1; node < c.Size; node++ {
		blocks := readTo(t, c, node, 1, first[len(first)-1].Height)
		checkSame(t, 0, node, first, blocks)
	}
}

func checkReadFromAnyHeight(t T, c Cluster) {
	var accepted []string
	for i := range 5 {
		accepted = append(accepted, fmt.Sprintf("any height: request %d", i))
		submit(t, c, i%c.Size, accepted[i])
		readAll(t, c, 0, 1, accepted)
	}
	all := readAll(t, c, 0, 1, accepted)
	head := all[len(all)-1].Height
	for node := range c.Size {
		checkSame(t, 0, node, all, readTo(t, c, node, 0, head))
		for from := ordering.Height(1); from <= head; from++ {
			checkSame(t, 0, node, all[from-1:], readTo(t, c, node, from, head))
		}
	}

	// A height beyond the head is waited for.
	ahead := c.Node(0).Status().Head + 2
	done := make(chan struct{})
	ctx, cancel := c.patient()
	defer cancel()
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil && c.Node(0).Status().Head < ahead; i++ {
			request := fmt.Sprintf("any height: filler %d", i)
			if submitPatiently(ctx, c.Node(0), request) != nil {
				return
			}
			awaitRequest(ctx, c.Node(0), request)
		}
	}()
	readTo(t, c, 0, ahead, ahead)
	<-done
}

// awaitRequest reads from the head's vicinity until a request comes by.
func awaitRequest(ctx context.Context, node ordering.Orderer, request string) {
	// Whatever error ends the read, the caller's own reading reports it.
	_ = node.Read(ctx, node.Status().Lowest, func(block ordering.Block) error {
		for ordered := range block.Requests() {
			if string(ordered.Data) == request {
				return errEnough
			}
		}
		return nil
	})
}

func checkSlowReader(t T, c Cluster) {
	submit(t, c, 0, "slow reader: first")
	ctx, cancel := c.patient()
	defer cancel()
	stuck, release, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		once := false
		ended <- c.Node(0).Read(ctx, 1, func(ordering.Block) error {
			if !once {
				once = true
				close(stuck)
				<-release
			}
			return errEnough
		})
	}()
	<-stuck
	accepted := append(submitEverywhere(t, c, "slow reader", 1, 20), "slow reader: first")
	for node := range c.Size {
		readAll(t, c, node, 1, accepted)
	}
	close(release)
	if err := returned(t, c, func() error { return <-ended }); !errors.Is(err, errEnough) {
		t.Errorf("the slow reader was sent away: %v", err)
	}
}

func checkSubmitCopies(t T, c Cluster) {
	ctx, cancel := c.patient()
	defer cancel()
	var accepted []string
	buffer := make([]byte, 0, 64)
	for i := range 50 {
		accepted = append(accepted, fmt.Sprintf("copies: request %d", i))
		buffer = append(buffer[:0], accepted[i]...)
		if err := c.Node(0).Submit(ctx, buffer); err != nil {
			t.Fatalf("submitting: %v", err)
		}
		for j := range buffer {
			buffer[j] = '!'
		}
	}
	checkOnce(t, readAll(t, c, 0, 1, accepted), accepted, nil)
}

func checkSizes(t T, c Cluster) {
	submit(t, c, 0) // Nothing to order, nothing to complain about.
	accepted := []string{"", "x", strings.Repeat("k", 1<<10), strings.Repeat("L", c.RequestLimit)}
	for _, request := range accepted {
		submit(t, c, 0, request)
	}
	for node := range c.Size {
		checkOnce(t, readAll(t, c, node, 1, accepted), accepted, nil)
	}
}

func checkTooLarge(t T, c Cluster) {
	ctx, cancel := c.patient()
	defer cancel()
	tooLarge := strings.Repeat("!", c.RequestLimit+1)
	err := c.Node(0).Submit(ctx, []byte("too large: before"), []byte(tooLarge), []byte("too large: after"))
	var typed *ordering.TooLarge
	if !errors.Is(err, ordering.ErrTooLarge) || !errors.As(err, &typed) {
		t.Errorf("submitting %d bytes: %v, want a *TooLarge", len(tooLarge), err)
	} else if typed.Size != len(tooLarge) || typed.Limit != c.RequestLimit {
		t.Errorf("submitting %d bytes reports size %d and limit %d, want limit %d", len(tooLarge), typed.Size, typed.Limit, c.RequestLimit)
	}
	accepted := fence(t, c, "too large")
	checkOnce(t, readAll(t, c, 0, 1, accepted), accepted, nil)
}

func checkCancellation(t T, c Cluster) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	var accepted []string
	switch err := c.Node(0).Submit(ended, []byte("cancelled")); {
	case err == nil:
		// It needed no waiting: then the promise holds as ever.
		accepted = append(accepted, "cancelled")
	case !errors.Is(err, context.Canceled):
		t.Errorf("submitting under an ended context: %v, want the context's error", err)
	}
	accepted = append(accepted, fence(t, c, "cancelled")...)
	blocks := readAll(t, c, 0, 1, accepted)
	checkOnce(t, blocks, accepted, nil)

	waiting, cancel := context.WithCancel(context.Background())
	defer cancel()
	err := returned(t, c, func() error {
		return c.Node(0).Read(waiting, 1, func(block ordering.Block) error {
			if block.Height == blocks[len(blocks)-1].Height {
				cancel()
			}
			return nil
		})
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a read whose context ended returned %v, want the context's error", err)
	}
}

func checkReaderError(t T, c Cluster) {
	submit(t, c, 0, "reader error: 1")
	readAll(t, c, 0, 1, []string{"reader error: 1"})
	ctx, cancel := c.patient()
	defer cancel()
	calls, own := 0, errors.New("the reader's own error")
	err := returned(t, c, func() error {
		return c.Node(0).Read(ctx, 1, func(ordering.Block) error {
			calls++
			return own
		})
	})
	if !errors.Is(err, own) || calls != 1 {
		t.Errorf("after %d calls read returned %v, want the reader's error after 1", calls, err)
	}
}

func checkBackpressure(t T, c Cluster) {
	if c.Stall == nil {
		t.Skipf("this cluster cannot be stalled")
	}
	ctx, cancel := c.patient()
	defer cancel()
	resume := c.Stall()
	t.Cleanup(resume)

	// Calls of two requests, so that half a call would show.
	padding := strings.Repeat(".", min(c.RequestLimit-64, c.QueueLimit/32))
	var accepted, refused []string
	for queued := 0; len(refused) < 6; {
		call := len(accepted) + len(refused)
		pair := []string{fmt.Sprintf("pressure %d a %s", call, padding), fmt.Sprintf("pressure %d b %s", call, padding)}
		err := c.Node(0).Submit(ctx, bytesOf(pair)...)
		var overloaded *ordering.Overloaded
		switch {
		case err == nil:
			accepted = append(accepted, pair...)
			queued += 2 * len(padding)
		case errors.As(err, &overloaded):
			if overloaded.RetryAfter <= 0 || !errors.Is(err, ordering.ErrOverloaded) {
				t.Errorf("overloaded, but try again in %v: %v", overloaded.RetryAfter, err)
			}
			refused = append(refused, pair...)
		case errors.Is(err, ordering.ErrNotReady):
			refused = append(refused, pair...)
		default:
			t.Fatalf("submitting to a stalled cluster: %v", err)
		}
		if queued > c.QueueLimit {
			t.Fatalf("a stalled node queued %d bytes, its limit is %d", queued, c.QueueLimit)
		}
	}
	resume()
	accepted = append(accepted, fence(t, c, "pressure")...)
	blocks := readAll(t, c, 0, 1, accepted)
	checkOnce(t, blocks, accepted, nil)
}

func checkStopped(t T, c Cluster) {
	if c.Stop == nil {
		t.Skipf("this cluster's nodes cannot be stopped")
	}
	last := c.Size - 1
	submit(t, c, last, "stopped: before")
	readAll(t, c, last, 1, []string{"stopped: before"})
	stopped := c.Node(last)
	ctx, cancel := c.patient()
	defer cancel()

	reading, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		once := false
		ended <- stopped.Read(ctx, 1, func(ordering.Block) error {
			if !once {
				once = true
				close(reading)
			}
			return nil
		})
	}()
	<-reading
	c.Stop(last)

	if err := returned(t, c, func() error { return <-ended }); !errors.Is(err, ordering.ErrClosed) {
		t.Errorf("a read at a node that stopped returned %v", err)
	}
	if err := stopped.Submit(ctx, []byte("stopped: after")); !errors.Is(err, ordering.ErrClosed) {
		t.Errorf("submitting to a stopped node: %v", err)
	}
	if err := stopped.Ready(); !errors.Is(err, ordering.ErrClosed) {
		t.Errorf("a stopped node's readiness: %v", err)
	}
	err := returned(t, c, func() error {
		return stopped.Read(ctx, 1, func(ordering.Block) error { return nil })
	})
	if !errors.Is(err, ordering.ErrClosed) {
		t.Errorf("reading at a stopped node: %v", err)
	}
}

func checkRestart(t T, c Cluster) {
	if c.Stop == nil || c.Start == nil {
		t.Skipf("this cluster's nodes cannot be restarted")
	}
	last := c.Size - 1
	accepted := submitEverywhere(t, c, "before the stop", 2, 20)
	before := readAll(t, c, last, 1, accepted)

	// What only the stopped node had queued may be ordered once or never.
	unknown := []string{"queued as the node stopped"}
	submit(t, c, last, unknown...)
	c.Stop(last)
	if c.Size > 1 {
		accepted = append(accepted, "while stopped")
		submit(t, c, 0, "while stopped")
		readAll(t, c, 0, 1, accepted)
	}
	c.Start(last)
	accepted = append(accepted, submitEverywhere(t, c, "after the start", 2, 20)...)
	after := readAll(t, c, last, 1, accepted)
	checkSame(t, last, last, before, after)
	checkOnce(t, after, accepted, unknown)
	for node := range last {
		checkSame(t, last, node, after, readTo(t, c, node, 1, after[len(after)-1].Height))
	}
	for _, from := range []ordering.Height{2, after[len(after)-1].Height} {
		checkSame(t, last, last, after[from-1:], readTo(t, c, last, from, after[len(after)-1].Height))
	}
}

func checkPruning(t T, c Cluster) {
	if c.Prune == nil {
		t.Skipf("this cluster's nodes cannot be pruned")
	}
	last := c.Size - 1
	var accepted []string
	for i := range 6 {
		accepted = append(accepted, fmt.Sprintf("pruned: request %d", i))
		submit(t, c, 0, accepted[i])
		readAll(t, c, last, 1, accepted)
	}
	all := readAll(t, c, last, 1, accepted)
	head := all[len(all)-1].Height
	c.Prune(last, head-1)

	lowest := c.Node(last).Status().Lowest
	if lowest <= 1 || lowest > head-1 {
		t.Fatalf("pruned below %d, the lowest kept is %d", head-1, lowest)
	}
	ctx, cancel := c.patient()
	defer cancel()
	for _, from := range []ordering.Height{0, 1, lowest - 1} {
		err := returned(t, c, func() error {
			return c.Node(last).Read(ctx, from, func(ordering.Block) error { return errEnough })
		})
		var pruned *ordering.Pruned
		if !errors.As(err, &pruned) || !errors.Is(err, ordering.ErrPruned) {
			t.Errorf("reading from %d: %v, want a *Pruned", from, err)
		} else if pruned.Lowest != lowest || pruned.Wanted != max(from, 1) {
			t.Errorf("reading from %d: %+v, want lowest %d", from, pruned, lowest)
		}
	}
	checkSame(t, last, last, all[lowest-1:], readTo(t, c, last, lowest, head))
	if c.Size > 1 {
		checkSame(t, last, 0, all, readTo(t, c, 0, 1, head))
	}
}

func checkStatus(t T, c Cluster) {
	fresh := c.Node(0).Status()
	if fresh.Lowest != 1 {
		t.Errorf("nothing was pruned, and the lowest height is %d", fresh.Lowest)
	}
	for i := range 3 {
		request := fmt.Sprintf("status: request %d", i)
		submit(t, c, 0, request)
		blocks := readAll(t, c, 0, 1, []string{request})
		block := blocks[len(blocks)-1]
		status := c.Node(0).Status()
		if status.Head < block.Height || status.Time < block.LastTime() || status.Epoch < block.Epoch {
			t.Errorf("block %d of epoch %d up to time %d was delivered, and the status is %+v",
				block.Height, block.Epoch, block.LastTime(), status)
		}
		if status.Head < fresh.Head || status.Time < fresh.Time {
			t.Errorf("the status went back from %+v to %+v", fresh, status)
		}
		// What the status announces can be read.
		readTo(t, c, 0, status.Head, status.Head)
		fresh = status
	}
	if err := c.Node(0).Ready(); err != nil {
		t.Errorf("a cluster that orders is not ready: %v", err)
	}
	for node := range c.Size {
		if status := c.Node(node).Status(); status.Lowest > status.Head+1 {
			t.Errorf("node %d: status %+v keeps from beyond its head", node, status)
		}
	}
}
