package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/synod-network/synod/internal/turnstile"
	"github.com/synod-network/synod/node/exit"
)

// Listen opens a TCP listener for what is named by use; key is the configuration key that holds the address. An address that
// another process has is an error with the code [exit.Unavailable].
func Listen(ctx context.Context, use, key, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, exit.Errorf(exit.Unavailable, "listen for %s: %s is in use by another process; stop it, or change %s (port 0 takes any free one)", use, address, key)
	case err != nil:
		return nil, fmt.Errorf("listen for %s: %w; change %s", use, err, key)
	}
	return listener, nil
}

// OperatorHandler serves health and metrics on one port over HTTP/1, which is what load balancers and scrapers speak.
func OperatorHandler(health *Health, metrics prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/health", health.Handler())
	mux.Handle("/health/", health.Handler())
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: 4}))
	return mux
}

// ProfileHandler serves Go's profiles under /debug/pprof/. It reveals memory contents: bind it to loopback only.
func ProfileHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// How long the answer to a request may take, from its headers on, until the connection is given up.
const (
	OperatorPatience = 30 * time.Second // of an [OperatorHandler]
	ProfilePatience  = 10 * time.Minute // of a [ProfileHandler], whose profiles and traces last as long as they are told to
)

// ServeHTTP returns the stage that serves handler on listener until its context ends, then gives requests in hand a second. A client
// that has not sent its whole request or not taken its whole answer within patience is cut off; with a patience of
// 0, for streams without an end, only one that has not sent its headers.
func ServeHTTP(name string, listener net.Listener, handler http.Handler, patience time.Duration) Stage {
	return Stage{Name: name, Run: func(ctx context.Context, ready func()) error {
		server := &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       patience,
			WriteTimeout:      patience,
			IdleTimeout:       time.Minute,
			MaxHeaderBytes:    16 << 10,
		}
		if patience == 0 {
			// Who asked for a stream keeps it: newcomers do not push it out.
			server.ConnState = func(conn net.Conn, state http.ConnState) {
				if through, ok := conn.(*turnstile.Conn); ok && state == http.StateActive {
					through.Prove()
				}
			}
		}
		served := make(chan error, 1)
		go func() { served <- server.Serve(listener) }()
		ready()
		select {
		case err := <-served:
			return err
		case <-ctx.Done():
		}
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close() // a client that does not let go; nothing of ours is lost
		}
		<-served
		return nil
	}}
}
