package node

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// Check reports nil when a thing is well, else the reason for a person to read. It runs at every question about health, so it
// looks at state that is kept anyway and never blocks.
type Check func() error

// Health answers the two questions that supervisors and load balancers ask. Live: is this process worth keeping, or should it be
// restarted? Ready: can it be used now?
//
// Checks are named, and an answer carries every check with its reason, so that whoever reads it knows what to do next.
type Health struct {
	mu       sync.Mutex
	live     []namedCheck
	ready    []namedCheck
	stopping bool
	changed  chan struct{} // closed and replaced by whatever changes the answer at once
}

type namedCheck struct {
	name  string
	check Check
}

// NewHealth returns a Health without checks: live and ready.
func NewHealth() *Health { return &Health{changed: make(chan struct{})} }

// Live adds a check whose failure means that only a restart can help.
func (h *Health) Live(name string, check Check) { h.add(&h.live, name, check) }

// Ready adds a check whose failure means that the process cannot be used now.
func (h *Health) Ready(name string, check Check) { h.add(&h.ready, name, check) }

func (h *Health) add(to *[]namedCheck, name string, check Check) {
	h.mu.Lock()
	defer h.mu.Unlock()
	*to = append(*to, namedCheck{name, check})
	h.signal()
}

// Shutdown makes the process not ready for good.
func (h *Health) Shutdown() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopping = true
	h.signal()
}

// signal wakes the watchers. The caller holds mu.
func (h *Health) signal() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// Report is the answer to one question about health, as it is served in JSON.
type Report struct {
	OK     bool          `json:"ok"`
	Checks []CheckResult `json:"checks"`
}

// CheckResult is the outcome of one check.
type CheckResult struct {
	Name   string `json:"name"`
	Live   bool   `json:"-"` // it asks whether the process is worth keeping, else whether it is usable
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"` // why it is not OK, for people
}

// IsLive runs the checks for being worth keeping.
func (h *Health) IsLive() Report {
	h.mu.Lock()
	checks := h.live
	h.mu.Unlock()
	return run(checks, true)
}

// IsReady runs the checks for being usable, those for being live included.
func (h *Health) IsReady() Report {
	report := h.Every()
	if n := len(report.Checks) - 1; report.Checks[n].OK {
		report.Checks = report.Checks[:n] // that it does not stop is nothing to tell of
	}
	return report
}

// Every is IsReady with all checks at all times, "shutdown" as the last, for what follows each of them.
func (h *Health) Every() Report {
	h.mu.Lock()
	live, ready, stopping := h.live, h.ready, h.stopping
	h.mu.Unlock()
	report, rest := run(live, true), run(ready, false)
	shutdown := CheckResult{Name: "shutdown", OK: !stopping}
	if stopping {
		shutdown.Reason = "the process is stopping"
	}
	return Report{OK: report.OK && rest.OK && !stopping, Checks: append(append(report.Checks, rest.Checks...), shutdown)}
}

func run(checks []namedCheck, live bool) Report {
	report := Report{OK: true, Checks: make([]CheckResult, 0, len(checks)+2)}
	for _, c := range checks {
		result := CheckResult{Name: c.name, Live: live, OK: true}
		if err := c.check(); err != nil {
			result.OK, result.Reason = false, err.Error()
			report.OK = false
		}
		report.Checks = append(report.Checks, result)
	}
	return report
}

// watchInterval is how soon a watcher notices a check that changed by itself.
const watchInterval = 50 * time.Millisecond

// Watch calls notify with the first report on readiness and then with each that differs in OK, until ctx ends or notify
// returns false.
func (h *Health) Watch(ctx context.Context, notify func(Report) bool) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for first, last := true, false; ; {
		h.mu.Lock()
		changed := h.changed
		h.mu.Unlock()
		report := h.IsReady()
		if first || report.OK != last {
			if !notify(report) {
				return
			}
			first, last = false, report.OK
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-tick.C:
		}
	}
}

// Handler serves /health and /health/ready (usable now) and /health/live (worth keeping): 200 or 503, and a JSON [Report].
func (h *Health) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", serveReport(h.IsReady))
	mux.HandleFunc("GET /health/ready", serveReport(h.IsReady))
	mux.HandleFunc("GET /health/live", serveReport(h.IsLive))
	return mux
}

func serveReport(ask func() Report) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		report := ask()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if !report.OK {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(report) // the client may have gone
	}
}
