package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Members measures the service to the members of the network.
type Members struct {
	scraped[MembersState]
	authentications *prometheus.CounterVec
	submissions     *prometheus.CounterVec
	registrations   *prometheus.CounterVec
	endings         *prometheus.CounterVec
	// TokensRefused counts calls without a token that holds.
	TokensRefused prometheus.Counter
	// Events and Bytes count what subscribers were told.
	Events, Bytes prometheus.Counter
	size, cost    prometheus.Histogram
	sequenced     map[Sequenced]prometheus.Counter
	codes         *prometheus.CounterVec
	unpaid        map[Where]prometheus.Counter
}

// MembersState is the members and their subscriptions now.
type MembersState struct {
	Members, Disabled, Subscribers int
	Connected                      int // members with a subscription
	// LagSeconds is how far the slowest subscriber is behind, in agreed time.
	LagSeconds float64
	// PruningAgeSeconds is the age of the oldest event that an active member has not acknowledged.
	PruningAgeSeconds float64
	// Namespaces are those that there ever were without the owners' permission, and Mappings those of everybody.
	Namespaces, NamespacesLimit, Mappings int
}

// Sequenced is what became of an ordered request of a member.
type Sequenced string

// The outcomes of ordered requests.
const (
	Delivered       Sequenced = "delivered"
	Contributed     Sequenced = "contributed" // waits for other senders
	RefusedBySender Sequenced = "refused"     // its sender was told why
	TopologyChanged Sequenced = "topology"
	Dropped         Sequenced = "dropped" // nobody was told: it could be anybody's
)

// Where says who noticed that a sender cannot pay.
type Where string

// The places.
const (
	AtIngress Where = "ingress" // this sequencer, which did not have the submission ordered
	InOrder   Where = "order"   // every sequencer, after the submission was ordered
)

// accepted is the outcome without a reason.
const accepted = "accepted"

func newMembers(d *declarer) *Members {
	m := &Members{
		authentications: d.counterVec("members_authentications_total", "Attempts of members to get a token, by what became of them.", "outcome"),
		submissions:     d.counterVec("members_submissions_total", "Signed requests that members handed in, by what became of them.", "outcome"),
		registrations:   d.counterVec("members_registrations_total", "Topology changes handed in, by what became of them.", "outcome"),
		endings:         d.counterVec("members_ended_subscriptions_total", "Subscriptions of members that ended, by reason.", "reason"),
		TokensRefused:   d.counter("members_tokens_refused_total", "Calls without a token that holds."),
		Events:          d.counter("members_delivered_events_total", "Events told to subscribers."),
		Bytes:           d.counter("members_delivered_bytes_total", "Bytes of the events told to subscribers."),
		size:            d.histogram("members_submission_size_bytes", "Size of the signed requests that were queued.", sizeBuckets()),
		cost:            d.histogram("members_submission_cost_bytes", "Cost of the submissions that were queued, in bytes of traffic.", sizeBuckets()),
		sequenced: counters(d, "members_sequenced_requests_total", "Ordered requests, by what they led to.", "outcome",
			[]Sequenced{Delivered, Contributed, RefusedBySender, TopologyChanged, Dropped}),
		codes: d.counterVec("members_refused_requests_total", "Ordered requests that were refused or dropped, by the code of why.", "code"),
		unpaid: counters(d, "members_traffic_refused_total", "Submissions whose sender could not pay for them: at the ingress of this sequencer, or in the order, where all sequencers count those of all.",
			"where", []Where{AtIngress, InOrder}),
	}
	for _, vec := range []*prometheus.CounterVec{m.authentications, m.submissions, m.registrations} {
		vec.WithLabelValues(accepted)
	}
	m.endings.WithLabelValues(string(EndedByClient))
	m.gauge(d, "members_registered", "Members that have taken part.", func(s MembersState) float64 { return float64(s.Members) })
	m.gauge(d, "members_disabled", "Members that were shut out.", func(s MembersState) float64 { return float64(s.Disabled) })
	m.gauge(d, "members_subscribers", "Subscriptions of members open now.", func(s MembersState) float64 { return float64(s.Subscribers) })
	m.gauge(d, "members_connected", "Members with a subscription open now.", func(s MembersState) float64 { return float64(s.Connected) })
	m.gauge(d, "members_max_lag_seconds", "How far the slowest subscriber is behind, in agreed time.", func(s MembersState) float64 { return s.LagSeconds })
	m.gauge(d, "members_pruning_age_seconds", "Age of the oldest event that an active member has not acknowledged.", func(s MembersState) float64 { return s.PruningAgeSeconds })
	m.gauge(d, "members_unpermitted_namespaces", "Namespaces in the topology, ever, without the owners' permission.", func(s MembersState) float64 { return float64(s.Namespaces) })
	m.gauge(d, "members_unpermitted_namespaces_limit", "How many of them the owners allow.", func(s MembersState) float64 { return float64(s.NamespacesLimit) })
	m.gauge(d, "members_topology_mappings", "Mappings that the topology ever had.", func(s MembersState) float64 { return float64(s.Mappings) })
	d.registry.MustRegister(m)
	return m
}

// Know makes the counters of all reasons for refusing members, and of all codes of ordered requests, exist at 0.
func (m *Members) Know(reasons, codes []string) {
	for _, reason := range reasons {
		for _, vec := range []*prometheus.CounterVec{m.authentications, m.submissions, m.registrations, m.endings} {
			vec.WithLabelValues(reason)
		}
	}
	for _, code := range codes {
		m.codes.WithLabelValues(code)
	}
}

// TrafficRefused counts a submission whose sender could not pay.
func (m *Members) TrafficRefused(where Where) { m.unpaid[where].Inc() }

// Refused counts an ordered request that was refused or dropped.
func (m *Members) Refused(code string) { m.codes.WithLabelValues(code).Inc() }

// outcome is a reason as a label: the reasons are few and fixed.
func outcome(reason string) string {
	if reason == "" {
		return accepted
	}
	return reason
}

// Authenticated counts an attempt to get a token; reason is empty where one was given.
func (m *Members) Authenticated(reason string) {
	m.authentications.WithLabelValues(outcome(reason)).Inc()
}

// Submitted counts a signed request; reason is empty where it was queued.
func (m *Members) Submitted(reason string, bytes int) {
	m.submissions.WithLabelValues(outcome(reason)).Inc()
	if reason == "" {
		m.size.Observe(float64(bytes))
	}
}

// Cost records what a queued submission costs.
func (m *Members) Cost(traffic uint64) { m.cost.Observe(float64(traffic)) }

// Registered counts a topology change; reason is empty where it was queued.
func (m *Members) Registered(reason string) {
	m.registrations.WithLabelValues(outcome(reason)).Inc()
}

// SubscriptionEnded counts the end of a subscription; reason is empty where the client left.
func (m *Members) SubscriptionEnded(reason string) {
	if reason == "" {
		reason = string(EndedByClient)
	}
	m.endings.WithLabelValues(reason).Inc()
}

// Sequenced counts ordered requests.
func (m *Members) Sequenced(what Sequenced, n int) { m.sequenced[what].Add(float64(n)) }
