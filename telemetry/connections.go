package telemetry

// Connections measures the connections of clients and operators, by listener. The listeners count for themselves; a scrape reads
// their counts. Those of peers are [Peers]'.
type Connections struct {
	scraped[map[string]ConnectionsState]
}

// ConnectionsState is what happened at one listener. Counts never fall.
type ConnectionsState struct {
	Open               int
	Limit              int // 0: none
	PushedOut, Refused uint64
}

func newConnections(d *declarer) *Connections {
	c := &Connections{}
	c.gaugeBy(d, "connections_open", "Connections open now.", "listener", byListener(func(s ConnectionsState) float64 { return float64(s.Open) }))
	c.gaugeBy(d, "connections_limit", "Connections that may be open.", "listener", byListener(func(s ConnectionsState) float64 { return float64(s.Limit) }))
	c.counterBy(d, "connections_pushed_out_total", "Connections that were closed at a limit to make room for newer ones: nobody had shown over them that they may be here.",
		"listener", byListener(func(s ConnectionsState) float64 { return float64(s.PushedOut) }))
	c.counterBy(d, "connections_refused_total", "Connections that were closed at once: at a limit, and nobody to push out.",
		"listener", byListener(func(s ConnectionsState) float64 { return float64(s.Refused) }))
	d.registry.MustRegister(c)
	return c
}

func byListener(read func(ConnectionsState) float64) func(map[string]ConnectionsState) map[string]float64 {
	return func(s map[string]ConnectionsState) map[string]float64 {
		values := map[string]float64{"public": 0, "admin": 0} // every node has these
		for listener, state := range s {
			values[listener] = read(state)
		}
		return values
	}
}
