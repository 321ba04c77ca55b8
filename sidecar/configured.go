package sidecar

import (
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"strconv"

	"github.com/synod-network/synod/sidecar/config"
	"github.com/synod-network/synod/sidecar/limit"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/postgres"
	"github.com/synod-network/synod/sidecar/log/sqlite"
	"github.com/synod-network/synod/sidecar/source/casper"
)

// Configured returns the options that a configuration of a Casper sidecar amounts to. What a configuration does not say is left
// for the caller: Version, ReadyFile, Signals.
func Configured(c *config.Config, logger *slog.Logger) (Options, error) {
	source, err := casper.New(nodesOf(c, logger))
	if err != nil {
		return Options{}, err
	}
	o := Options{
		Layout: layoutOf(c), Source: source.Run, Directory: c.StorageDirectory, SpoolBytes: c.SpoolBytes,
		Retention: log.Retention{Age: c.Retention.Age, Events: c.Retention.Events, Bytes: c.Retention.Bytes},
		Events:    address(c, c.Events.Port), MaxSubscribers: int(c.Events.MaxSubscribers), Ring: int(c.Events.Buffer), RingBytes: int(c.RingBytes),
		Legacy: c.EmulateV1, REST: server(c, c.REST), Admin: server(c, c.Admin), Patience: c.ClientTimeout, Log: logger,
	}
	o.SQLite, o.PostgreSQL = databaseOf(c)
	return o, nil
}

func layoutOf(c *config.Config) log.Layout {
	if c.Layout == config.V2 {
		return log.V2
	}
	return log.V1
}

func nodesOf(c *config.Config, logger *slog.Logger) casper.Options {
	o := casper.Options{Network: c.NetworkName, Minimum: casper.Minimum1, Log: logger}
	if c.Layout == config.V2 {
		o.Minimum = casper.Minimum2
	}
	for i := range c.Connections {
		n := &c.Connections[i]
		o.Nodes = append(o.Nodes, casper.Node{
			SSE: n.SSE(), REST: n.REST(), MaxAttempts: n.MaxAttempts, RetryDelay: n.RetryDelay, Partial: n.Partial, LogEvents: n.LogEvents,
			ConnectTimeout: n.ConnectTimeout, CheckEvery: n.CheckEvery, Silence: n.Silence,
		})
	}
	return o
}

func databaseOf(c *config.Config) (*sqlite.Config, *postgres.Config) {
	switch {
	case c.SQLite != nil:
		return &sqlite.Config{
			Path: filepath.Join(c.StorageDirectory, c.SQLite.FileName), Layout: layoutOf(c),
			Readers: int(c.SQLite.MaxConnections), AutoCheckpoint: int(c.SQLite.AutoCheckpoint),
		}, nil
	case c.PostgreSQL != nil:
		return nil, &postgres.Config{
			DSN: dsn(c.PostgreSQL), MaxConnections: int(c.PostgreSQL.MaxConnections), Layout: layoutOf(c), Directory: c.StorageDirectory,
		}
	default:
		return nil, nil
	}
}

// dsn writes how to connect as a URL. A host that is a path is the folder of a Unix socket.
func dsn(p *config.PostgreSQL) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(p.User, p.Password), Path: "/" + p.Database}
	port := strconv.Itoa(int(p.Port))
	if filepath.IsAbs(p.Host) {
		u.RawQuery = url.Values{"host": {p.Host}, "port": {port}}.Encode()
	} else {
		u.Host = net.JoinHostPort(p.Host, port)
	}
	return u.String()
}

// maxWaiting is how many requests wait for their turn, on the REST and the admin port each.
const maxWaiting = 1000

func server(c *config.Config, s *config.Server) *Server {
	if s == nil {
		return nil
	}
	return &Server{Address: address(c, s.Port), Limit: limit.Config{
		MaxConcurrent: int(s.MaxConcurrent), MaxPerSecond: int(s.MaxPerSecond), MaxWaiting: maxWaiting, Timeout: s.Timeout,
	}}
}

func address(c *config.Config, port uint16) string {
	return net.JoinHostPort(c.BindAddress, strconv.Itoa(int(port)))
}
