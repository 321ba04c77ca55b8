package config

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"time"
)

// Layout is the generation of a file.
type Layout int

// The layouts, named after the releases of Casper's sidecar that read them.
const (
	V1 Layout = 1 // for nodes 1.x
	V2 Layout = 2 // for nodes 2.x
)

func (l Layout) String() string { return fmt.Sprintf("%d.x", int(l)) }

// Config is what a file asks for, whatever its layout.
type Config struct {
	Layout      Layout
	NetworkName string // what nodes must say that they belong to; empty for any
	Connections []Connection

	StorageDirectory string
	SQLite           *SQLite     // at most one of the two is set; neither if events are not kept
	PostgreSQL       *PostgreSQL //
	EmulateV1        bool        // serve /events/main, /events/deploys and /events/sigs in the form of nodes 1.x; true with V1

	Events EventStream
	REST   *Server // nil for none
	Admin  *Server

	BindAddress   string        // of all servers
	SpoolBytes    int64         // that events may take on disk while the database is away
	RingBytes     int64         // that events may take in memory for subscribers who come back
	ClientTimeout time.Duration // how long a client may take nothing of what it is sent; 0 is without limit
	Retention     Retention
	LogLevel      slog.Level
}

// Connection is a node to read.
type Connection struct {
	Address     netip.Addr
	SSEPort     uint16
	RESTPort    uint16
	MaxAttempts int // without data in between
	RetryDelay  time.Duration
	Partial     bool // go on while one of its streams lives
	LogEvents   bool

	ConnectTimeout time.Duration // for a TCP connection, and for the answer to a request
	CheckEvery     time.Duration // how often it is looked whether anything came
	Silence        time.Duration // after which a stream is given up
}

// SSE is the address of the node's event streams, as host:port. It is the node's name in metrics.
func (c *Connection) SSE() string { return netip.AddrPortFrom(c.Address, c.SSEPort).String() }

// REST is the address of the node's status page, as host:port.
func (c *Connection) REST() string { return netip.AddrPortFrom(c.Address, c.RESTPort).String() }

// SQLite is a database in a file below the storage directory.
type SQLite struct {
	FileName       string
	MaxConnections uint32
	AutoCheckpoint uint16 // pages in the write-ahead log before it is folded into the file
}

// PostgreSQL is a database elsewhere.
type PostgreSQL struct {
	Host, Database, User, Password string
	Port                           uint16
	MaxConnections                 uint32
}

// EventStream is the server of event streams.
type EventStream struct {
	Port           uint16
	MaxSubscribers uint32
	Buffer         uint32 // events kept for subscribers who come back
}

// Server is a port with bounds.
type Server struct {
	Port          uint16
	MaxConcurrent uint32        // requests served at once
	MaxPerSecond  uint32        // requests begun in a second
	Timeout       time.Duration // for a request, waiting included; 0 for none
}

// Retention bounds what the database keeps. Zero fields do not bound.
type Retention struct {
	Age    time.Duration
	Events int64
	Bytes  int64
}

// Loaded is a configuration with where it came from.
type Loaded struct {
	Config
	Values []Value // every effective setting, in the order of the layout
	Notes  []Note  // what in the file has no effect
}

// Value is one effective setting.
type Value struct {
	Key    string `json:"key"`    // dotted, as "connections[0].sse_port"
	Value  string `json:"value"`  // passwords are not shown
	Origin string `json:"origin"` // "file", "default", or "environment NAME"
}

// Note is something that the file says without effect.
type Note struct {
	Key    string `json:"key"`
	Reason string `json:"reason"`
}

// Load reads a file, with the environment (as from os.Environ) above it.
func Load(path string, environ []string) (*Loaded, error) {
	document, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("configuration: %w; name the file of a Casper sidecar, 1.x or 2.x, or begin with docs/sidecar/example.toml", err)
	case err != nil:
		return nil, fmt.Errorf("configuration: %w", err)
	}
	loaded, err := Parse(document, environ)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return loaded, nil
}

// Parse is [Load] for a file's content.
func Parse(document []byte, environ []string) (*Loaded, error) {
	layout, err := layoutOf(document)
	if err != nil {
		return nil, err
	}
	r := &reader{document: document, environ: environment(environ)}
	var c Config
	if layout == V1 {
		c, err = r.readV1()
	} else {
		c, err = r.readV2()
	}
	if err != nil {
		return nil, err
	}
	if c.LogLevel, err = r.logLevel(); err != nil {
		return nil, err
	}
	return &Loaded{Config: c, Values: r.values, Notes: r.notes}, nil
}
