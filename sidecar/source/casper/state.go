package casper

import (
	"sync"
	"time"

	"github.com/synod-network/synod/sidecar/event"
)

// state is how the sidecar stands with the node, as observers see it.
type state struct {
	observer event.Observer

	mu       sync.Mutex
	now      event.NodeState
	reported time.Time
}

func (s *state) change(how func(now *event.NodeState)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	how(&s.now)
	s.reported = time.Now()
	s.observer.Node(s.now)
}

func (s *state) become(status event.Status, cause error) {
	s.change(func(now *event.NodeState) {
		now.Status = status
		if cause != nil {
			now.LastError = cause.Error()
		}
	})
}

func (s *state) identify(as standing) {
	s.change(func(now *event.NodeState) { now.Build, now.Network = as.build, as.network })
}

// lost notes that the streams ended.
func (s *state) lost() {
	s.change(func(now *event.NodeState) { now.Status = event.Reconnecting })
}

func (s *state) failed(attempts int, cause error) {
	s.change(func(now *event.NodeState) { now.Attempts, now.LastError = attempts, cause.Error() })
}

// arrived notes that an event with a number was accepted. Observers hear of the first, and then about once a second.
func (s *state) arrived(apiVersion string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := s.now.Status != event.Connected || s.now.APIVersion != apiVersion || at.Sub(s.reported) >= time.Second
	s.now.Status, s.now.APIVersion, s.now.LastEvent, s.now.Attempts, s.now.LastError = event.Connected, apiVersion, at, 0, ""
	if changed {
		s.reported = at
		s.observer.Node(s.now)
	}
}
