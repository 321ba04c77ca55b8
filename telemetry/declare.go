package telemetry

import "github.com/prometheus/client_golang/prometheus"

const prefix = "synod_"

// Description is a line of the catalogue.
type Description struct {
	Name   string
	Type   string // "counter", "gauge", "histogram"
	Labels []string
	Help   string
}

// declarer registers metrics and writes the catalogue as it goes.
type declarer struct {
	registry  prometheus.Registerer
	catalogue *[]Description
}

func (d *declarer) describe(name, kind, help string, labels []string) {
	*d.catalogue = append(*d.catalogue, Description{Name: prefix + name, Type: kind, Labels: labels, Help: help})
}

func (d *declarer) counter(name, help string) prometheus.Counter {
	d.describe(name, "counter", help, nil)
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + name, Help: help})
	d.registry.MustRegister(c)
	return c
}

func (d *declarer) counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	d.describe(name, "counter", help, labels)
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, labels)
	d.registry.MustRegister(c)
	return c
}

// counters declares one counter for each value of a label, all present from the start.
func counters[L ~string](d *declarer, name, help, label string, values []L) map[L]prometheus.Counter {
	vec := d.counterVec(name, help, label)
	resolved := make(map[L]prometheus.Counter, len(values))
	for _, value := range values {
		resolved[value] = vec.WithLabelValues(string(value))
	}
	return resolved
}

func (d *declarer) gaugeVec(name, help string, labels ...string) *prometheus.GaugeVec {
	d.describe(name, "gauge", help, labels)
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: prefix + name, Help: help}, labels)
	d.registry.MustRegister(g)
	return g
}

// histogram declares a histogram with classic buckets and, for scrapers that ask, native ones of at most 10 % width.
func (d *declarer) histogram(name, help string, buckets []float64) prometheus.Histogram {
	d.describe(name, "histogram", help, nil)
	h := prometheus.NewHistogram(histogramOptions(name, help, buckets))
	d.registry.MustRegister(h)
	return h
}

// histograms declares one histogram for each value of a label, all present from the start.
func histograms[L ~string](d *declarer, name, help, label string, values []L, buckets []float64) map[L]prometheus.Observer {
	d.describe(name, "histogram", help, []string{label})
	vec := prometheus.NewHistogramVec(histogramOptions(name, help, buckets), []string{label})
	d.registry.MustRegister(vec)
	resolved := make(map[L]prometheus.Observer, len(values))
	for _, value := range values {
		resolved[value] = vec.WithLabelValues(string(value))
	}
	return resolved
}

func histogramOptions(name, help string, buckets []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: prefix + name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor:    1.1,
		NativeHistogramMaxBucketNumber: 160,
	}
}

// latencyBuckets are seconds, from a loopback round trip to a stall that somebody is paged for.
func latencyBuckets() []float64 {
	return []float64{.0005, .001, .002, .003, .004, .005, .0075, .01, .015, .02, .035, .05, .075, .1, .15, .25, .5, 1, 2.5, 5, 10}
}

// delayBuckets are seconds, on to the hours that a node may have been away.
func delayBuckets() []float64 { return append(latencyBuckets(), 30, 60, 300, 1800, 3600, 6*3600) }

// sizeBuckets are bytes, from an empty request to the largest one allowed by default.
func sizeBuckets() []float64 { return prometheus.ExponentialBuckets(64, 4, 10) }

// countBuckets are numbers of things, from 1 to more than the requests that fit in a block.
func countBuckets() []float64 { return prometheus.ExponentialBuckets(1, 4, 9) }
