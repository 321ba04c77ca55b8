package telemetry

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// scraped computes gauges at scrape time from one snapshot S, so that all of them describe the same moment. Until a component
// calls Observe, they describe the zero S.
type scraped[S any] struct {
	snapshot atomic.Pointer[func() S]
	gauges   []scrapedGauge[S]
}

type scrapedGauge[S any] struct {
	desc *prometheus.Desc
	emit func(state S, value func(v float64, labels ...string))
}

// Observe names the function that scrapes call for the state. It is called from other goroutines, one call per scrape, and must
// neither block nor touch what another goroutine owns.
func (s *scraped[S]) Observe(snapshot func() S) { s.snapshot.Store(&snapshot) }

// gauge declares a gauge that is one number of the snapshot.
func (s *scraped[S]) gauge(d *declarer, name, help string, read func(S) float64) {
	s.gauges = append(s.gauges, scrapedGauge[S]{
		desc: prometheus.NewDesc(prefix+name, help, nil, nil),
		emit: func(state S, value func(float64, ...string)) { value(read(state)) },
	})
	d.describe(name, "gauge", help, nil)
}

// gaugeBy declares a gauge with one value for each key of a map of the snapshot.
func (s *scraped[S]) gaugeBy(d *declarer, name, help, label string, read func(S) map[string]float64) {
	s.gauges = append(s.gauges, scrapedGauge[S]{
		desc: prometheus.NewDesc(prefix+name, help, []string{label}, nil),
		emit: func(state S, value func(float64, ...string)) {
			for key, v := range read(state) {
				value(v, key)
			}
		},
	})
	d.describe(name, "gauge", help, []string{label})
}

// Describe implements prometheus.Collector.
func (s *scraped[S]) Describe(out chan<- *prometheus.Desc) {
	for _, g := range s.gauges {
		out <- g.desc
	}
}

// Collect implements prometheus.Collector.
func (s *scraped[S]) Collect(out chan<- prometheus.Metric) {
	var state S
	if snapshot := s.snapshot.Load(); snapshot != nil {
		state = (*snapshot)()
	}
	for _, g := range s.gauges {
		g.emit(state, func(v float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, v, labels...)
		})
	}
}
