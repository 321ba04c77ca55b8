package instance

import (
	"time"

	"github.com/synod-network/synod/sequencer/members"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/telemetry"
	"github.com/synod-network/synod/topology"
)

// toldToMembers turns what the members' service does into metrics.
type toldToMembers struct{ m *telemetry.Members }

var _ members.Observer = toldToMembers{}

func (o toldToMembers) Authenticated(reason members.Reason) { o.m.Authenticated(string(reason)) }
func (o toldToMembers) TokenRefused()                       { o.m.TokensRefused.Inc() }
func (o toldToMembers) Cost(traffic uint64)                 { o.m.Cost(traffic) }
func (o toldToMembers) Registered(reason members.Reason)    { o.m.Registered(string(reason)) }

func (o toldToMembers) Submitted(reason members.Reason, bytes int) {
	o.m.Submitted(string(reason), bytes)
	if reason == members.TrafficExhausted {
		o.m.TrafficRefused(telemetry.AtIngress)
	}
}

func (o toldToMembers) Delivered(events, bytes int) {
	o.m.Events.Add(float64(events))
	o.m.Bytes.Add(float64(bytes))
}

func (o toldToMembers) SubscriptionEnded(reason members.Reason) {
	o.m.SubscriptionEnded(string(reason))
}

// applied is told of each applied block: it counts, and tells of changes of the topology.
type applied struct {
	m       *telemetry.Members
	changed changes
}

// Sequenced implements [synchronizer.Observer].
func (a applied) Sequenced(out *sequencing.Output) {
	var counts [sequencing.TopologyChanged + 1]int
	for i := range out.Records {
		counts[out.Records[i].Kind]++
	}
	for kind, what := range map[sequencing.RecordKind]telemetry.Sequenced{
		sequencing.Delivered: telemetry.Delivered, sequencing.Contributed: telemetry.Contributed,
		sequencing.Refused: telemetry.RefusedBySender, sequencing.TopologyChanged: telemetry.TopologyChanged,
	} {
		a.m.Sequenced(what, counts[kind])
	}
	a.m.Sequenced(telemetry.Dropped, len(out.Dropped))
	for i := range out.Records {
		if out.Records[i].Kind == sequencing.Refused {
			a.refused(out.Records[i].Refusal.Code)
		}
	}
	for i := range out.Dropped {
		a.refused(out.Dropped[i].Code)
	}
	if counts[sequencing.TopologyChanged] > 0 {
		a.changed.tell()
	}
}

func (a applied) refused(code sequencing.Code) {
	a.m.Refused(code.String())
	if code == sequencing.TrafficExhausted || code == sequencing.CannotPay {
		a.m.TrafficRefused(telemetry.InOrder)
	}
}

// know has all that may be counted of members be there at 0.
func know(m *telemetry.Members) {
	var reasons, codes []string
	for _, reason := range members.Reasons() {
		reasons = append(reasons, string(reason))
	}
	for _, code := range sequencing.Codes() {
		codes = append(codes, code.String())
	}
	m.Know(reasons, codes)
}

// membersNow is what a scrape tells of members.
func (i *Instance) membersNow() (s telemetry.MembersState) {
	i.state.Members(func(m sequencing.Member) bool {
		s.Members++
		if m.Disabled {
			s.Disabled++
		}
		return true
	})
	usage, _ := i.state.Onboarding(func(topology.Holding) bool { return false })
	s.Namespaces, s.NamespacesLimit, s.Mappings = usage.Strangers, int(usage.Onboarding.Namespaces), usage.Mappings
	open, lag := i.members.Subscribers()
	s.Subscribers, s.LagSeconds = open, time.Duration(lag*sequencing.Time(time.Microsecond)).Seconds()
	s.Connected = i.members.Connected()
	if point, now := i.state.PruningPoint(), i.state.Time(); point > 0 && now > point {
		s.PruningAgeSeconds = time.Duration((now - point) * sequencing.Time(time.Microsecond)).Seconds()
	}
	return s
}

// healthNow is what a scrape tells of the checks, which are those of /health.
func (i *Instance) healthNow() telemetry.HealthState {
	report := i.Health.Every()
	s := telemetry.HealthState{Ready: report.OK}
	for _, c := range report.Checks {
		s.Checks = append(s.Checks, telemetry.CheckState{Name: c.Name, Live: c.Live, OK: c.OK})
	}
	return s
}
