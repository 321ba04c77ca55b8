package telemetry

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// scraped computes gauges at scrape time from one snapshot S, so that all of them describe the same moment, and counters that a
// component keeps for itself. Until a component calls Observe, they describe the zero S.
type scraped[S any] struct {
	snapshot atomic.Pointer[func() S]
	metrics  []scrapedMetric[S]
}

type scrapedMetric[S any] struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	emit func(state S, value func(v float64, labels ...string))
}

// Observe names the function that scrapes call for the state. It is called from other goroutines, one call per scrape, and must
// neither block nor touch what another goroutine owns.
func (s *scraped[S]) Observe(snapshot func() S) { s.snapshot.Store(&snapshot) }

// gauge declares a gauge that is one number of the snapshot.
func (s *scraped[S]) gauge(d *declarer, name, help string, read func(S) float64) {
	s.declare(d, prometheus.GaugeValue, name, help, nil, func(state S, value func(float64, ...string)) { value(read(state)) })
}

// counter declares a counter that is one number of the snapshot.
func (s *scraped[S]) counter(d *declarer, name, help string, read func(S) float64) {
	s.declare(d, prometheus.CounterValue, name, help, nil, func(state S, value func(float64, ...string)) { value(read(state)) })
}

// gaugeBy declares a gauge with one value for each key of a map of the snapshot.
func (s *scraped[S]) gaugeBy(d *declarer, name, help, label string, read func(S) map[string]float64) {
	s.declare(d, prometheus.GaugeValue, name, help, []string{label}, eachKey(read))
}

// counterBy declares a counter with one value for each key of a map of the snapshot.
func (s *scraped[S]) counterBy(d *declarer, name, help, label string, read func(S) map[string]float64) {
	s.declare(d, prometheus.CounterValue, name, help, []string{label}, eachKey(read))
}

// gaugeOf declares a gauge with several labels.
func (s *scraped[S]) gaugeOf(d *declarer, name, help string, labels []string, emit func(S, func(float64, ...string))) {
	s.declare(d, prometheus.GaugeValue, name, help, labels, emit)
}

// counterOf declares a counter with several labels.
func (s *scraped[S]) counterOf(d *declarer, name, help string, labels []string, emit func(S, func(float64, ...string))) {
	s.declare(d, prometheus.CounterValue, name, help, labels, emit)
}

func eachKey[S any](read func(S) map[string]float64) func(S, func(float64, ...string)) {
	return func(state S, value func(float64, ...string)) {
		for key, v := range read(state) {
			value(v, key)
		}
	}
}

func (s *scraped[S]) declare(d *declarer, kind prometheus.ValueType, name, help string, labels []string, emit func(S, func(float64, ...string))) {
	s.metrics = append(s.metrics, scrapedMetric[S]{
		desc: prometheus.NewDesc(prefix+name, help, labels, nil), kind: kind, emit: emit,
	})
	d.describe(name, map[prometheus.ValueType]string{prometheus.GaugeValue: "gauge", prometheus.CounterValue: "counter"}[kind], help, labels)
}

// Describe implements prometheus.Collector.
func (s *scraped[S]) Describe(out chan<- *prometheus.Desc) {
	for _, m := range s.metrics {
		out <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (s *scraped[S]) Collect(out chan<- prometheus.Metric) {
	var state S
	if snapshot := s.snapshot.Load(); snapshot != nil {
		state = (*snapshot)()
	}
	for _, m := range s.metrics {
		m.emit(state, func(v float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(m.desc, m.kind, v, labels...)
		})
	}
}
