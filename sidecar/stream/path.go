package stream

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
)

// path is an endpoint for subscribers.
type path int

const (
	pathMain path = iota
	pathDeploys
	pathSigs
	pathEvents
	pathSidecar
	paths
)

var pathNames = map[string]path{"main": pathMain, "deploys": pathDeploys, "sigs": pathSigs, "events": pathEvents, "sidecar": pathSidecar}

func (p path) String() string {
	if p == pathEvents {
		return "/events"
	}
	for name, named := range pathNames {
		if named == p {
			return "/events/" + name
		}
	}
	return "?"
}

// Names returns the endpoints, for metrics.
func Names() []string {
	names := make([]string, paths)
	for p := range paths {
		names[p] = p.String()
	}
	return names
}

// routed is what a request's path means.
type routed int

const (
	routeNone    routed = iota // no such place at all
	routeUnknown               // below /events, but not a stream
	routeStream
)

// route reads the path of a URL.
func (s *Stream) route(urlPath string) (path, routed) {
	rest, ok := strings.CutPrefix(urlPath, "/events")
	if !ok {
		return 0, routeNone
	}
	if rest == "" || rest == "/" {
		return pathEvents, routeStream
	}
	name, ok := strings.CutPrefix(rest, "/")
	name = strings.TrimSuffix(name, "/")
	if !ok || name == "" || strings.Contains(name, "/") {
		return 0, routeNone
	}
	p, known := pathNames[name]
	if !known || s.o.Layout == log.V2 && !s.o.Legacy && (p == pathMain || p == pathDeploys || p == pathSigs) {
		return 0, routeUnknown
	}
	return p, routeStream
}

// startFrom reads the query of a request: nothing, or start_from and a number alone.
func startFrom(rawQuery string) (id uint32, given, ok bool) {
	if rawQuery == "" {
		return 0, false, true
	}
	key, value, _ := strings.Cut(rawQuery, "=")
	if strings.ContainsAny(rawQuery, "&;") {
		return 0, false, false
	}
	key, errKey := url.QueryUnescape(key)
	value, errValue := url.QueryUnescape(value)
	n, errNumber := strconv.ParseUint(value, 10, 32)
	if key != "start_from" || errKey != nil || errValue != nil || errNumber != nil || strings.HasPrefix(value, "+") {
		return 0, false, false
	}
	return uint32(n), true, true
}

// The kinds that each path of a 1.x sidecar carries.
var carriedV1 = map[event.Kind][]path{
	event.BlockAdded:        {pathMain, pathEvents},
	event.DeployProcessed:   {pathMain, pathEvents},
	event.DeployExpired:     {pathMain},
	event.Fault:             {pathMain, pathEvents},
	event.Step:              {pathMain},
	event.DeployAccepted:    {pathDeploys},
	event.FinalitySignature: {pathSigs, pathEvents},
}

// The path that a filter of a node is served under.
var pathOf = map[event.Filter]path{
	event.FilterMain: pathMain, event.FilterDeploys: pathDeploys, event.FilterSigs: pathSigs, event.FilterEvents: pathEvents,
}

// where returns the paths on which an event of layout V1's generation appears.
func whereV1(kind event.Kind, filter event.Filter) []path {
	switch kind {
	case event.APIVersion:
		return []path{pathMain, pathDeploys, pathSigs, pathEvents}
	case event.Shutdown:
		return whereShutdown(filter)
	}
	if carried, known := carriedV1[kind]; known {
		return carried
	}
	if p, known := pathOf[filter]; known {
		return []path{p} // a kind that nobody knows stays on the stream it came on
	}
	return nil
}

// whereShutdown returns the paths on which a node's farewell appears; the sidecar's own, which has no filter, appears on its own.
func whereShutdown(filter event.Filter) []path {
	switch filter {
	case event.FilterMain, event.FilterEvents:
		return []path{pathMain, pathEvents}
	case event.FilterDeploys:
		return []path{pathDeploys}
	case event.FilterSigs:
		return []path{pathSigs}
	default:
		return []path{pathSidecar}
	}
}
