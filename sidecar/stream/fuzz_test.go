package stream_test

import (
	"bufio"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/logtest"
	"github.com/synod-network/synod/sidecar/stream"
)

// FuzzTargets asks for streams, at addresses that are often wrong, of both generations, where there is room and where there is none.
// The answer is one of four, in Casper's words, and which one is what an independent reading of its rules says.
func FuzzTargets(f *testing.F) {
	type server struct {
		name         string
		s            *stream.Stream
		known, below *regexp.Regexp // paths of streams; paths that are below /events
		full         bool
	}
	all, below := regexp.MustCompile(`^/events(/(main|deploys|sigs|events|sidecar)?)?/?$`), regexp.MustCompile(`^/events(/[^/]+)?/?$`)
	var servers []server
	add := func(name string, change func(*stream.Options), known *regexp.Regexp) *stream.Stream {
		o := stream.Defaults(50)
		o.Log, o.SpillDir = slog.New(slog.DiscardHandler), f.TempDir()
		change(&o)
		s, err := stream.New(o, 100, "1.5.3")
		if err != nil {
			f.Fatal(err)
		}
		for n := range 10 {
			s.Publish([]event.Numbered{{Event: logtest.Block(n), Seq: event.Seq(100 + n), InForce: "1.5.3"}})
		}
		servers = append(servers, server{name: name, s: s, known: known, below: below})
		return s
	}
	add("1.x", func(*stream.Options) {}, all)
	add("2.x", func(o *stream.Options) { o.Layout = log.V2 }, regexp.MustCompile(`^/events(/(events|sidecar)?)?/?$`))
	add("2.x with older streams", func(o *stream.Options) { o.Layout, o.Legacy = log.V2, true }, all)
	occupied := add("full", func(o *stream.Options) { o.MaxSubscribers = 1 }, all)
	servers[3].full = true
	held := httptest.NewServer(occupied)
	f.Cleanup(held.Close)
	go func() { _ = occupied.Run(f.Context()) }()
	holder, err := http.Get(held.URL + "/events")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = holder.Body.Close() })

	for _, seed := range []string{
		"/events", "/events/", "/events//", "/events?", "/events/main", "/events/main/", "/events/main?start_from=0", "/events/deploys?start_from=4294967295", "/events/sigs?start_from=4294967296",
		"/events/sidecar?start_from=105", "/events/events", "/events/events/main", "/events/Main", "/events/m%61in", "/events%2Fmain", "/events/main%2F", "/events/main%00", "/events/%ff", "/eventsmain",
		"/", "//events", "/event", "*", "http://elsewhere/events", "/events;x=1", "/events/main;x", "/events/..", "/events/../events/main", "/events/" + strings.Repeat("x", 4000),
		"/events?start_from=", "/events?start_from", "/events?=5", "/events?start_from=5&", "/events?&start_from=5", "/events?start_from=5&extra=1", "/events?start_from=5;", "/events?start_from=+5",
		"/events?start_from=%2B5", "/events?start_from=-0", "/events?start_from=00005", "/events?start_from=5%20", "/events?start_from=%zz", "/events?%73tart_from=5", "/events?start_from=5=5",
		"/events?start_from=5?", "/events?start_from=%EF%BC%95", "/events?start_from=0x5", "/events?start_from=5_0", "/events?start_from=" + strings.Repeat("0", 3000) + "1", "/events?START_FROM=5",
	} {
		f.Add("GET", seed, "")
	}
	f.Add("GET", "/events/main", "7")
	f.Add("GET", "/events/main", "99999999999999999999")
	f.Add("GET", "/events/main", "-1")
	f.Add("HEAD", "/events/main", "")
	f.Add("POST", "/events/main?start_from=x", "")
	f.Add("OPTIONS", "*", "")
	f.Fuzz(func(t *testing.T, method, target, lastID string) {
		for _, s := range servers {
			if s.full && len(target)%8 != 0 {
				continue // it takes its time to look whether somebody left
			}
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(method + " " + target + " HTTP/1.1\r\nHost: x\r\nLast-Event-ID: " + lastID + "\r\n\r\n")))
			if err != nil {
				t.Skip(err) // refused before it comes to us
			}
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
				t.Skip("a preflight")
			}
			expected := http.StatusOK
			switch {
			case r.Method != http.MethodGet || !s.below.MatchString(r.URL.Path):
				expected = http.StatusNotFound
			case s.full:
				expected = http.StatusServiceUnavailable
			case !s.known.MatchString(r.URL.Path):
				expected = http.StatusNotFound
			case !asksWell(r.URL.RawQuery):
				expected = http.StatusUnprocessableEntity
			}
			w := httptest.NewRecorder() // its connection cannot be taken over, so that a stream ends before it begins
			s.s.ServeHTTP(w, r)
			if w.Code != expected || w.Body.String() != texts[expected] {
				t.Errorf("%s: %s %q: %d %q instead of %d", s.name, method, target, w.Code, w.Body, expected)
			}
		}
	})
}

var texts = map[int]string{
	http.StatusOK:                  "",
	http.StatusNotFound:            "invalid path: expected '/events/main', '/events/deploys' or '/events/sigs'\n",
	http.StatusUnprocessableEntity: "invalid query: expected single field 'start_from=<EVENT ID>'\n",
	http.StatusServiceUnavailable:  "server has reached limit of subscribers",
}

var digits = regexp.MustCompile(`^[0-9]+$`)

// asksWell reports whether a query is empty, or start_from and a number of 32 bits alone.
func asksWell(query string) bool {
	fields, err := url.ParseQuery(query)
	if query == "" {
		return true
	}
	value := fields["start_from"]
	if err != nil || len(fields) != 1 || len(value) != 1 || strings.Contains(query, "&") || !digits.MatchString(value[0]) {
		return false
	}
	_, err = strconv.ParseUint(value[0], 10, 32)
	return err == nil
}
