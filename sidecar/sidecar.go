// Package sidecar puts a sidecar together: sources read nodes, the log makes what they say durable, the stream and the REST server
// pass it on, the board shows how all of it is.
//
//	source ──► log ──► stream ──► subscribers          each in its own package below; only this one knows them all
//	             │
//	             └──► rest, admin, page ──► operators and explorers
package sidecar

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/synod-network/synod/internal/halfopen"
	"github.com/synod-network/synod/internal/openfiles"
	"github.com/synod-network/synod/internal/turnstile"
	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/sidecar/admin"
	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/limit"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/memory"
	"github.com/synod-network/synod/sidecar/log/postgres"
	"github.com/synod-network/synod/sidecar/log/sqlite"
	"github.com/synod-network/synod/sidecar/page"
	"github.com/synod-network/synod/sidecar/rest"
	"github.com/synod-network/synod/sidecar/stream"
)

// Source reads nodes until ctx ends, or until all are given up, which it reports as an error.
type Source func(ctx context.Context, sink event.Sink, positions event.Positions, observer event.Observer) error

// Server is a port with bounds.
type Server struct {
	Address string // host:port; port 0 takes any free one
	Limit   limit.Config
}

// Options is everything that a sidecar is told.
type Options struct {
	Version string // of this program, on the page and the admin port
	Layout  log.Layout
	Source  Source

	Directory  string // for the spool, large events and what numbering needs
	SQLite     *sqlite.Config
	PostgreSQL *postgres.Config // if neither is set, events are not kept
	SpoolBytes int64
	Retention  log.Retention

	Events         string // address of the event stream
	MaxSubscribers int
	Ring           int
	RingBytes      int  // 0: the default
	Legacy         bool // serve older streams of 2.x nodes

	REST  *Server
	Admin *Server

	// Patience is how long a client of any server may take nothing of what is sent to it; 0 leaves that to the system.
	Patience time.Duration

	ReadyFile string
	Log       *slog.Logger
	Signals   <-chan os.Signal
}

// DefaultSpoolBytes bounds the spool unless the configuration says otherwise.
const DefaultSpoolBytes = 4 << 30

// Speaks is the version of Casper's sidecar whose interfaces these are: what clients see on /events/sidecar and /status.
const Speaks = "1.0.0"

// farewell is how long subscribers of /events/sidecar have to see that the sidecar ends.
const farewell = 200 * time.Millisecond

// parts are the pieces of one sidecar.
type parts struct {
	o       Options
	store   log.Store
	spool   *log.Spool
	log     *log.Log
	stream  *stream.Stream
	board   *admin.Board
	health  *node.Health
	sources admin.Sources
	stages  []node.Stage
	ports   map[string]string
}

// Run runs a sidecar until ctx or a signal ends it, which returns nil, or until it cannot go on.
func Run(ctx context.Context, o Options) error {
	p := &parts{o: o, board: admin.NewBoard(o.Version), health: node.NewHealth(), ports: make(map[string]string)}
	defer p.close()
	if err := p.open(ctx); err != nil {
		return err
	}
	if err := p.serve(ctx); err != nil {
		return err
	}
	p.stages = append(p.stages, node.Stage{Name: "sources", Run: p.read})
	if o.ReadyFile != "" {
		p.stages = append(p.stages, node.ReadyFile(o.ReadyFile, p.health, p.ready))
	}
	group := node.Group{Stages: p.stages, Health: p.health, Log: o.Log, DrainTimeout: 5 * time.Second, Signals: o.Signals}
	return group.Run(ctx)
}

// open opens the database and what stands on it.
func (p *parts) open(ctx context.Context) error {
	if err := os.MkdirAll(p.o.Directory, 0o755); err != nil {
		return fmt.Errorf("make the storage directory: %w", err)
	}
	if err := p.openStore(ctx); err != nil {
		return err
	}
	var err error
	if p.spool, err = log.OpenSpool(filepath.Join(p.o.Directory, "spool"), p.o.SpoolBytes); err != nil {
		return err
	}
	lo := log.Defaults()
	lo.Store, lo.Spool, lo.Observer, lo.Log, lo.Retention = p.store, p.spool, p.board, p.o.Log, p.o.Retention
	if lo.Index, err = log.OpenIndexFile(p.o.Directory); err != nil {
		return err
	}
	lo.Publish = func(events []event.Numbered) {
		p.board.Published(events)
		p.stream.Publish(events)
	}
	if p.log, err = log.Open(ctx, lo); err != nil {
		return err
	}
	return p.openStream(ctx)
}

func (p *parts) openStream(ctx context.Context) error {
	so := stream.Defaults(p.o.Ring)
	so.Layout, so.Legacy, so.Log, so.Version = p.o.Layout, p.o.Legacy, p.o.Log, Speaks
	so.MaxSubscribers, so.SpillDir, so.Workers = p.o.MaxSubscribers, p.o.Directory, max(1, runtime.GOMAXPROCS(0))
	so.Patience = p.o.Patience
	if p.o.RingBytes > 0 {
		so.RingBytes = p.o.RingBytes
	}
	if p.sources.Database != "none" {
		so.History = p.log
	}
	var err error
	if p.stream, err = stream.New(so, p.log.Next(), p.log.Status().APIVersion); err != nil {
		return err
	}
	if so.History == nil {
		return nil
	}
	return p.stream.Preload(ctx)
}

func (p *parts) openStore(ctx context.Context) error {
	var err error
	switch {
	case p.o.SQLite != nil:
		p.sources.Database = "sqlite"
		p.store, err = opened(sqlite.Open(ctx, *p.o.SQLite))
	case p.o.PostgreSQL != nil:
		p.sources.Database = "postgresql"
		p.store, err = opened(postgres.Open(ctx, *p.o.PostgreSQL))
	default:
		p.sources.Database = "none"
		p.store, err = opened(memory.Open(p.o.Directory, p.o.Layout))
	}
	return err
}

// opened keeps a nil store of some type from becoming a store that is not nil.
func opened[S log.Store](s S, err error) (log.Store, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

// serve prepares the stages that run the log and the servers, in the order in which they start.
func (p *parts) serve(ctx context.Context) error {
	p.sources.Log, p.sources.Stream, p.sources.Totals, p.sources.Layout = p.log.Status, p.stream.Stats, p.store.Totals, p.o.Layout
	p.board.Register(p.sources)
	p.health.Ready("log", func() error {
		if blocked := p.log.Status().Blocked; blocked != "" {
			return fmt.Errorf("no event can be made durable: %s", blocked)
		}
		return nil
	})
	p.stages = append(p.stages,
		node.Stage{Name: "log", Run: running(p.log.Run)},
		node.Stage{Name: "stream", Run: running(p.stream.Run)})
	if err := p.listen(ctx, "events", "event_stream_server.port", p.o.Events, p.stream, 0); err != nil {
		return err
	}
	if p.o.REST != nil {
		if err := p.serveREST(ctx); err != nil {
			return err
		}
	}
	if p.o.Admin == nil {
		return nil
	}
	handler, err := p.board.Handler(p.sources, p.health, p.o.Admin.Limit)
	if err != nil {
		return fmt.Errorf("admin server: %w", err)
	}
	return p.listen(ctx, "admin", "admin_server.port", p.o.Admin.Address, handler, node.OperatorPatience)
}

func (p *parts) serveREST(ctx context.Context) error {
	overview := page.New(func(ctx context.Context) any { return p.board.Overview(ctx, p.sources) }, time.Second)
	handler, err := rest.New(rest.Options{Reader: p.board.Reader(p.store), Limit: p.o.REST.Limit, Version: Speaks, Page: overview})
	if err != nil {
		return fmt.Errorf("REST server: %w", err)
	}
	p.stages = append(p.stages, node.Stage{Name: "page", Run: running(overview.Run)})
	return p.listen(ctx, "rest", "rest_server.port", p.o.REST.Address, p.board.Timed(handler), 0)
}

// servers share the connections that the limit of open files allows.
const servers = 3

// listen adds a server. Its answers may take as long as patience, or 0 where some are streams: who takes nothing of those is given up by
// [halfopen].
func (p *parts) listen(ctx context.Context, name, key, address string, handler http.Handler, patience time.Duration) error {
	var listener net.Listener
	listener, err := node.Listen(ctx, "the "+name+" server", key, address)
	if err != nil {
		return err
	}
	gate := turnstile.New(turnstile.Limits{Total: openfiles.Connections(openfiles.Limit()) / servers})
	p.ports[name] = listener.Addr().String()
	p.o.Log.Info("listening", "server", name, "address", listener.Addr().String())
	p.stages = append(p.stages, node.ServeHTTP(name, gate.Listener(halfopen.Listener(listener, p.o.Patience)), handler, patience))
	return nil
}

func running(run func(context.Context) error) func(context.Context, func()) error {
	return func(ctx context.Context, ready func()) error {
		ready()
		return run(ctx)
	}
}

// read runs the source. If it gives up, subscribers of /events/sidecar are told before everything ends.
func (p *parts) read(ctx context.Context, ready func()) error {
	ready()
	err := p.o.Source(ctx, p.board.Sink(p.log), p.log, p.board)
	if ctx.Err() != nil {
		return nil
	}
	if err == nil {
		err = errors.New("nothing is left to read")
	}
	last := event.Event{Kind: event.Shutdown, Tag: event.Shutdown.String(), Received: time.Now().UTC()}
	if appended := p.log.Append(ctx, []event.Event{last}); appended != nil {
		p.o.Log.Warn("cannot tell subscribers that the sidecar ends", "err", appended)
	}
	wait := time.NewTimer(farewell)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
	return err
}

func (p *parts) ready() node.Ready {
	return node.Ready{PID: os.Getpid(), Nodes: []node.ReadyNode{{Name: "sidecar", Role: "sidecar", Listeners: p.ports}}}
}

func (p *parts) close() {
	if p.spool != nil {
		if err := p.spool.Close(); err != nil {
			p.o.Log.Warn("close the spool", "err", err)
		}
	}
	if p.store != nil {
		if err := p.store.Close(); err != nil {
			p.o.Log.Warn("close the event database", "err", err)
		}
	}
}
