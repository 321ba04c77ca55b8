// Package rest serves what the sidecar has stored: blocks, deploys or transactions, faults, signatures and steps, with the paths,
// bodies and errors of Casper's sidecar, 1.x or 2.x by the layout of the database.
//
// One table of routes (routes.go) is what requests are matched against and what the OpenAPI document is written from.
package rest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/swaggest/swgui/v5emb"

	"github.com/synod-network/synod/sidecar/limit"
	"github.com/synod-network/synod/sidecar/log"
)

// Options is what the server is made of.
type Options struct {
	Reader  log.Reader
	Limit   limit.Config
	Version string // shown by /status and in the OpenAPI document

	// Page serves / and everything below /page/; nil for none.
	Page http.Handler
}

// server answers requests.
type server struct {
	reader  log.Reader
	routes  []route
	openAPI []byte
	version string
}

// New returns the handler of the REST port.
func New(o Options) (http.Handler, error) {
	if err := o.Limit.Validate(); err != nil {
		return nil, err
	}
	s := &server{reader: o.Reader, routes: routesOf(o.Reader.Layout()), version: o.Version}
	document, err := s.document()
	if err != nil {
		return nil, err
	}
	s.openAPI = document
	swagger := v5emb.New("Event sidecar", "/api-doc.json", "/swagger-ui/")
	limited := limit.New(o.Limit, s)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case o.Page != nil && (r.URL.Path == "/" || strings.HasPrefix(r.URL.Path, "/page/")):
			o.Page.ServeHTTP(w, r) // has bounds of its own
		case r.URL.Path == "/swagger-ui":
			http.Redirect(w, r, "/swagger-ui/", http.StatusFound)
		case strings.HasPrefix(r.URL.Path, "/swagger-ui/"):
			swagger.ServeHTTP(w, r)
		default:
			limited.ServeHTTP(w, r)
		}
	}), nil
}

// failure is an answer that is not 200.
type failure struct {
	code    int
	message string
}

func (f *failure) Error() string { return f.message }

// The messages are those of Casper's sidecar.
var (
	errPath     = &failure{http.StatusBadRequest, "Invalid request path provided"}
	errNothing  = &failure{http.StatusNotFound, "Query returned no results"}
	errTimedOut = &failure{http.StatusServiceUnavailable, "The request timed out before it was served"}
)

func invalid(what, chars, value string) error {
	return &failure{http.StatusBadRequest, "Invalid parameter in query: Expected hex-encoded " + what + " (" + chars + " chars), received: " +
		value + " (length: " + strconv.Itoa(len(value)) + ")"}
}

// ServeHTTP answers one request.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := s.answer(r)
	if err != nil {
		f := describe(err)
		limit.Refuse(w, f.code, f.message)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client may have gone
}

func describe(err error) *failure {
	var f *failure
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, log.ErrNotFound):
		return errNothing
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return errTimedOut
	default:
		return &failure{http.StatusInternalServerError, "Unhandled error occurred in storage: " + err.Error()}
	}
}

func (s *server) answer(r *http.Request) ([]byte, error) {
	segments := strings.Split(strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/"), "/"), "/")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil, errPath
	}
	for i := range s.routes {
		if args, ok := s.routes[i].match(segments); ok {
			return s.routes[i].answer(s, r.Context(), args)
		}
	}
	return nil, errPath
}

// envelope shows one stored event: as it is, or in a database of layout V2 with where it comes from.
func (s *server) envelope(f log.Found) json.RawMessage {
	if s.reader.Layout() == log.V1 {
		return f.Raw
	}
	head, _ := json.Marshal(struct { // two strings always marshal
		APIVersion  string `json:"api_version"`
		NetworkName string `json:"network_name"`
	}{f.APIVersion, f.Network})
	enveloped := make([]byte, 0, len(head)+len(f.Raw)+24)
	enveloped = append(enveloped, `{"header":`...)
	enveloped = append(enveloped, head...)
	enveloped = append(enveloped, `,"payload":`...)
	enveloped = append(enveloped, f.Raw...)
	return append(enveloped, '}')
}

func (s *server) one(f log.Found, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return s.envelope(f), nil
}

// list shows several events; none is a 404, as in Casper's sidecar.
func (s *server) list(all []log.Found, err error) ([]byte, error) {
	if err == nil && len(all) == 0 {
		err = log.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	body := []byte{'['}
	for i, f := range all {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, s.envelope(f)...)
	}
	return append(body, ']'), nil
}
