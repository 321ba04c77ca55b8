package stream

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/synod-network/synod/internal/halfopen"
	"github.com/synod-network/synod/internal/turnstile"
	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
)

// The texts of refusals are those of Casper's sidecar.
const (
	textFull  = "server has reached limit of subscribers"
	textPath  = "invalid path: expected '/events/main', '/events/deploys' or '/events/sigs'\n"
	textQuery = "invalid query: expected single field 'start_from=<EVENT ID>'\n"
	textAway  = "the events before id %d cannot be read from the database now: try again later, or begin at that id\n"

	commentLegacy = "This endpoint is NOT a 1 to 1 representation of events coming off of the node. Events of nodes 2.x are translated to the forms of 1.x where they have one."
)

// ServeHTTP answers a request for a stream: it refuses it, or takes over the connection.
func (s *Stream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header()["Content-Type"] = nil // these answers have none
	if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	p, where := s.route(r.URL.Path)
	if where == routeNone || r.Method != http.MethodGet {
		refuse(w, http.StatusNotFound, textPath)
		return
	}
	if !s.enter(p) {
		s.refused.Add(1)
		refuse(w, http.StatusServiceUnavailable, textFull)
		return
	}
	if where == routeUnknown {
		s.leave(p)
		refuse(w, http.StatusNotFound, textPath)
		return
	}
	from, given, ok := startFrom(r.URL.RawQuery)
	if !ok {
		s.leave(p)
		refuse(w, http.StatusUnprocessableEntity, textQuery)
		return
	}
	// Only a client that comes back says what it saw last. Its address is that of the first time, start_from and all.
	if last, err := strconv.ParseUint(r.Header.Get("Last-Event-ID"), 10, 32); err == nil {
		from, given = uint32(last)+1, true
	}
	s.subscribe(w, r, p, from, given)
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // the client may have gone
}

// enter takes a place among the subscribers, and keeps Run from ending until leave or hand-over. When all places are taken, it
// first looks whether some of those who hold them have gone.
func (s *Stream) enter(p path) bool {
	for attempt := 0; ; attempt++ {
		s.mu.Lock()
		room := s.subscribers.Load() < int64(s.o.MaxSubscribers) && !s.closing
		if room {
			s.subscribers.Add(1)
			s.byPath[p].Add(1)
		}
		closing := s.closing
		s.mu.Unlock()
		if room || closing || attempt == 4 {
			return room
		}
		for _, w := range s.workers {
			w.checkNow()
		}
		pause := time.NewTimer(5 * time.Millisecond)
		<-pause.C
	}
}

func (s *Stream) leave(p path) {
	s.subscribers.Add(-1)
	s.byPath[p].Add(-1)
}

// plan is where a subscription begins.
type plan struct {
	at       *node     // the node before the first to be sent; nil: read the log first
	from     event.Seq // for the log
	announce string    // the API version to be sent first
}

// decide chooses where a subscription begins. The caller holds mu.
func (s *Stream) decide(p path, id uint32, given bool) plan {
	live := plan{at: s.newest, announce: s.inForce}
	if !given {
		return live
	}
	from, past := s.resolve(id)
	if !past {
		return live
	}
	first := s.oldest.next.Load()
	if id != 0 && s.o.History != nil && (first == nil || from < first.seq) && s.next-from <= event.Seq(s.o.MaxResume) {
		return plan{from: from}
	}
	return s.join(p, from)
}

// join returns the plan that begins in the ring at a number. The caller holds mu.
func (s *Stream) join(p path, from event.Seq) plan {
	at := s.oldest
	for n := at.next.Load(); n != nil; n = n.next.Load() {
		if n.seq >= from && n.kind != event.APIVersion && n.to[p] != nil {
			return plan{at: at, announce: n.inForce}
		}
		at = n
	}
	return plan{at: at, announce: s.inForce}
}

// resolve finds the event that a number of 32 bits means: the latest one with it. It reports false if that is still to come:
// more than half of all numbers before the newest counts as ahead of it. The caller holds mu.
func (s *Stream) resolve(id uint32) (event.Seq, bool) {
	back := event.Seq(s.next.ID() - id) // modulo 2^32
	if back > s.next || s.next > 1<<32 && back >= 1<<31 {
		return 0, false
	}
	return s.next - back, true
}

// subscribe takes over the connection and hands it to a worker, after reading the log if need be.
func (s *Stream) subscribe(w http.ResponseWriter, r *http.Request, p path, id uint32, given bool) {
	s.mu.Lock()
	first := s.decide(p, id, given)
	s.inFlight.Add(1)
	s.mu.Unlock()
	defer s.inFlight.Done()

	var pages *pages
	if first.at == nil {
		s.resumed.Add(1)
		pages = s.history(r.Context(), p, first.from)
		if err := pages.read(); err != nil {
			s.leave(p)
			s.o.Log.Warn("cannot serve a subscriber from the log", "from", first.from.ID(), "err", err)
			s.mu.Lock()
			oldest := s.oldest.seq.ID() + 1
			s.mu.Unlock()
			refuse(w, http.StatusServiceUnavailable, fmt.Sprintf(textAway, oldest))
			return
		}
	}
	sub, err := s.hijack(w, r, p)
	if err != nil {
		s.leave(p)
		return
	}
	if pages != nil {
		if first, err = pages.serve(sub); err != nil {
			s.lost(sub, err)
			_ = sub.conn.Close()
			s.leave(p)
			return
		}
	}
	s.hand(sub, first)
}

// hand gives a subscriber to the worker with the fewest.
func (s *Stream) hand(sub *subscriber, from plan) {
	sub.at = from.at
	if from.announce != "" && sub.path != pathSidecar {
		sub.head = append(sub.head, encodeVersion(event.APIVersion, from.announce).wire(sub.plain)...)
	}
	s.mu.Lock()
	newest := s.newest
	s.mu.Unlock()
	sub.maxBehind = newest.index - sub.at.index + uint64(s.o.MaxBehind)
	sub.maxBehindBytes = newest.bytes - sub.at.bytes + uint64(s.o.MaxBehindBytes)
	sub.wrote = time.Now()
	idlest := s.workers[0]
	for _, w := range s.workers[1:] {
		if w.loaded() < idlest.loaded() {
			idlest = w
		}
	}
	idlest.take(sub)
}

func (w *worker) loaded() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.load
}

// hijack takes the connection from the HTTP server and prepares the head of the response.
func (s *Stream) hijack(w http.ResponseWriter, r *http.Request, p path) (*subscriber, error) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	if through, ok := conn.(*turnstile.Conn); ok {
		conn = through.TakeOver() // subscribers have a limit of their own
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		_ = conn.Close()
		return nil, fmt.Errorf("serve a stream over %T: only TCP is supported", conn)
	}
	_ = tcp.SetDeadline(time.Time{}) // whatever the HTTP server had set
	if s.o.Patience > 0 {
		_ = halfopen.Limit(tcp, s.o.Patience) // fails if it has ended already, as the first write will find
	}
	sub, err := newSubscriber(tcp, p)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	sub.plain = !r.ProtoAtLeast(1, 1)
	sub.head = responseHead(r, sub.plain)
	if s.o.Layout == log.V2 && (p == pathMain || p == pathDeploys || p == pathSigs) {
		sub.head = append(sub.head, encodeComment(commentLegacy).wire(sub.plain)...)
	}
	if p == pathSidecar {
		sub.head = append(sub.head, encodeVersion(event.SidecarVersion, s.o.Version).wire(sub.plain)...)
	}
	return sub, nil
}

func responseHead(r *http.Request, plain bool) []byte {
	var head bytes.Buffer
	if plain {
		head.WriteString("HTTP/1.0 200 OK\r\nconnection: close\r\n")
	} else {
		head.WriteString("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n")
	}
	fmt.Fprintf(&head, "content-type: text/event-stream\r\ncache-control: no-cache\r\ndate: %s\r\n", time.Now().UTC().Format(http.TimeFormat))
	if origin := r.Header.Get("Origin"); origin != "" {
		fmt.Fprintf(&head, "access-control-allow-origin: %s\r\n", origin) // net/http lets no line break through
	}
	head.WriteString("\r\n")
	return head.Bytes()
}
