package admin

import (
	"fmt"
	"maps"
	"sync"

	"github.com/synod-network/synod/keys"
)

// MaxEndpoints is of how many peers operators can say something.
const MaxEndpoints = 1024

// Endpoint is an operator's word on a peer.
type Endpoint struct {
	Name    string `json:"name"`
	Address string `json:"address"` // host:port; empty to wait until it connects
	Removed bool   `json:"removed"` // neither dialed nor admitted
}

// Endpoints keeps what operators said of peers while the sequencer ran, in a file that outlives it. Per peer, it goes before
// the configuration file.
type Endpoints struct {
	path string

	mu sync.Mutex
	by map[keys.PublicKey]Endpoint
}

// OpenEndpoints reads the file at path, or begins without one.
func OpenEndpoints(path string) (*Endpoints, error) {
	e := &Endpoints{path: path, by: map[keys.PublicKey]Endpoint{}}
	if err := readFile(path, &e.by); err != nil {
		return nil, err
	}
	if len(e.by) > MaxEndpoints {
		return nil, fmt.Errorf("%s names %d peers, at most %d are allowed", path, len(e.by), MaxEndpoints)
	}
	return e, nil
}

// All returns what operators said.
func (e *Endpoints) All() map[keys.PublicKey]Endpoint {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.by)
}

// Set stores an operator's word on a peer. On an error, nothing has changed.
func (e *Endpoints) Set(peer keys.PublicKey, word Endpoint) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := maps.Clone(e.by)
	next[peer] = word
	if len(next) > MaxEndpoints {
		return fmt.Errorf("operators have said something of %d peers already, which is the most", MaxEndpoints)
	}
	if err := writeFile(e.path, next); err != nil {
		return fmt.Errorf("store the endpoint of a peer: %w", err)
	}
	e.by = next
	return nil
}
