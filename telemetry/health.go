package telemetry

// Health tells whether the node is usable. The checks are those that load balancers ask for over HTTP; a scrape runs them.
type Health struct{ scraped[HealthState] }

// HealthState is the outcome of all checks now.
type HealthState struct {
	Ready  bool
	Checks []CheckState
}

// CheckState is the outcome of one check.
type CheckState struct {
	Name string
	Live bool // it asks whether the process is worth keeping, else whether it is usable
	OK   bool
}

func newHealth(d *declarer) *Health {
	h := &Health{}
	h.gauge(d, "ready", "1 if the node is usable now: every check passes.", func(s HealthState) float64 { return indicator(s.Ready) })
	h.gaugeOf(d, "health_check", "1 if the check passes. Of kind live: only a restart helps if it fails. Of kind ready: the node is not usable while it fails.", []string{"check", "kind"},
		func(s HealthState, value func(float64, ...string)) {
			for _, c := range s.Checks {
				kind := "ready"
				if c.Live {
					kind = "live"
				}
				value(indicator(c.OK), c.Name, kind)
			}
		})
	d.registry.MustRegister(h)
	return h
}
