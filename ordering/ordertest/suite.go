package ordertest

import (
	"context"
	"testing"
	"time"

	"github.com/synod-network/synod/ordering"
)

// T is the part of [testing.TB] that the suite needs, so that a test of the
// suite can stand in and see it fail.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
	Cleanup(func())
}

// Cluster is a running network as the suite sees it.
type Cluster struct {
	// Size is the number of nodes, at least 1.
	Size int
	// Node returns the node of that number, from 0; after Start the new one.
	Node func(number int) ordering.Orderer
	// RequestLimit is the largest request that is admitted, in bytes.
	RequestLimit int
	// QueueLimit is a bound on what one node queues, in bytes.
	QueueLimit int
	// Patience is how long to wait for what must happen before calling it lost.
	// Default one minute.
	Patience time.Duration

	// What follows is optional.

	// Stop ends a node abruptly, as kill would: what it had only queued may be
	// lost. Start brings it back on the same store. The rest of the cluster must
	// be able to go on without one node.
	Stop, Start func(number int)
	// Stall keeps the cluster from ordering until resume is called.
	Stall func() (resume func())
	// Prune makes a node forget blocks below lowest; it may keep some of them.
	Prune func(number int, lowest ordering.Height)
}

// Factory starts a fresh cluster, to be stopped by t.Cleanup.
type Factory func(t T) Cluster

// Case is one part of the promise.
type Case struct {
	Name  string
	Check func(t T, cluster Cluster)
}

// Cases lists the whole promise, case by case.
func Cases() []Case {
	return []Case{
		{"every node delivers all requests once in one order", checkOneOrder},
		{"reading starts at any height", checkReadFromAnyHeight},
		{"a slow reader delays nobody", checkSlowReader},
		{"submit copies requests", checkSubmitCopies},
		{"requests of every admitted size are ordered", checkSizes},
		{"a call with a request too large is refused whole", checkTooLarge},
		{"an ended context ends calls", checkCancellation},
		{"an error of the reader ends its read", checkReaderError},
		{"a full queue refuses whole calls and recovers", checkBackpressure},
		{"a stopped node refuses everything", checkStopped},
		{"a restarted node delivers the same and orders again", checkRestart},
		{"pruned blocks are refused and the rest is kept", checkPruning},
		{"status tells where the order stands", checkStatus},
	}
}

// Run holds the clusters of a backend to the promise, one fresh cluster a case.
func Run(t *testing.T, factory Factory) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) { c.run(t, factory) })
	}
}

func (c Case) run(t T, factory Factory) {
	cluster := factory(t)
	if cluster.Patience == 0 {
		cluster.Patience = time.Minute
	}
	c.Check(t, cluster)
}

// patient returns a context that ends when the cluster's patience does.
func (c Cluster) patient() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), c.Patience)
}
