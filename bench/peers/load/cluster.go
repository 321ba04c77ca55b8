package load

import "errors"

// A Cluster is a set of ordering nodes, numbered from 0, that run in this
// process and talk to each other over loopback TCP.
type Cluster interface {
	// Entry picks the node that request id is handed to: its home, at which
	// its latency ends. It never picks a crashed node.
	Entry(id uint64) int
	// Submit hands a request to its home. It may block while that node is
	// full. The cluster owns the request afterwards. An error wrapping
	// ErrCrashed means that the node is gone and another should be asked; any
	// other error ends the run.
	Submit(home int, request []byte) error
	// Crash stops the node whose loss hurts most (the leader, where there is
	// one) and returns it. Its peers learn of it only by its silence.
	Crash() int
	// Close stops all nodes.
	Close() error
}

// ErrCrashed is returned by Submit for a node that has crashed.
var ErrCrashed = errors.New("node has crashed")

// A Start brings up a cluster.
type Start func(Site) (Cluster, error)

// A Site is what a cluster is built on.
type Site struct {
	Nodes int
	Dir   string // empty directory on a real disk
	Size  int    // bytes per request, the same for all
	// Ordered takes the requests that a node delivers, in order. A node calls
	// it from one goroutine at a time; it does not keep the slices.
	Ordered func(node int, requests [][]byte)
	// Failed takes an error after which the cluster cannot go on.
	Failed func(error)
}
