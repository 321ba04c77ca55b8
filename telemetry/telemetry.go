// Package telemetry is how a node is seen from outside: every metric is declared here and nowhere else, and so is the form of
// the log.
//
// [New] registers all metrics on a registry that the caller owns; there are no globals, so several nodes in one process keep
// theirs apart. Components get their area's struct and count at the boundary, where effects become real; the pure cores know
// nothing of metrics. What is a state rather than an event is a gauge computed when a scrape asks: the component hands over a
// function that returns a snapshot ([Engine.Observe] and its like), and no gauge can be stale or forgotten.
//
// Conventions: prefix synod_, base units (seconds, bytes), _total on counters, labels from small fixed sets or from the list of
// members, each label value present from the start at 0 so that a rate over the first event is right. Histograms are exposed
// in both forms, classic buckets and native.
//
// The list with meanings is docs/operations/metrics.md, generated from [Metrics.Catalogue].
package telemetry

import (
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/synod-network/synod/internal/version"
)

// Metrics holds every metric of a node, by area.
type Metrics struct {
	Ingress  *Ingress
	Ordering *Ordering
	Engine   *Engine
	Peers    *Peers
	Trust    *Trust
	Store    *Store
	Catchup  *Catchup
	Delivery *Delivery
	Members  *Members
	Health   *Health
	Replica  *Replica

	Connections *Connections

	catalogue []Description
}

// New declares all metrics on the registry. Registering twice on one registry panics: it is a mistake in the program.
func New(registry prometheus.Registerer) *Metrics {
	m := &Metrics{}
	d := &declarer{registry: registry, catalogue: &m.catalogue}
	m.Ingress = newIngress(d)
	m.Ordering = newOrdering(d)
	m.Engine = newEngine(d)
	m.Peers = newPeers(d)
	m.Trust = newTrust(d)
	m.Store = newStore(d)
	m.Catchup = newCatchup(d)
	m.Delivery = newDelivery(d)
	m.Members = newMembers(d)
	m.Health = newHealth(d)
	m.Replica = newReplica(d)
	m.Connections = newConnections(d)
	declareBuild(d)
	declareUptime(d)
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Catalogue lists the metrics of synod by name. Those of the Go runtime and the process are standard and not listed.
func (m *Metrics) Catalogue() []Description {
	catalogue := slices.Clone(m.catalogue)
	slices.SortFunc(catalogue, func(a, b Description) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return catalogue
}

// SetMembers makes the metrics that are kept for each member of the committee exist at 0, and forgets members that left.
func (m *Metrics) SetMembers(names []string) {
	m.Engine.setMembers(names)
}

func declareBuild(d *declarer) {
	build := version.Read()
	d.gaugeVec("build_info", "1, with the running build in the labels.", "version", "revision", "modified", "go_version").
		WithLabelValues(build.Version, build.Revision, strconv.FormatBool(build.Modified), build.Go).Set(1)
}

// declareUptime declares how long the node has run, which its start time and a scrape's time also say.
func declareUptime(d *declarer) {
	start := time.Now()
	const name, help = "uptime_seconds", "Time since this node started."
	d.describe(name, "gauge", help, nil)
	d.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: prefix + name, Help: help}, func() float64 { return time.Since(start).Seconds() }))
}
