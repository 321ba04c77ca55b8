package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// defaultStorage is where a 1.x sidecar keeps things if the file has no [storage].
const defaultStorage = "/casper/sidecar-storage/casper-event-sidecar"

// refusal is why a configuration cannot work, in the words of Casper's sidecar, capital letters and all.
type refusal string

func (r refusal) Error() string { return string(r) }

const (
	errAttempts     = refusal("Unable to run: max_attempts setting must be above 0 for the sidecar to attempt connection")
	errNothing      = refusal("At least one of RPC server or SSE server must be configured")
	errNoFolder     = refusal("Can't run SSE if no `[storage.storage_folder]` is defined")
	errNoStorage    = refusal("Can't run SSE with events persistence enabled without storage defined")
	errRESTStorage  = refusal("Can't run Rest api server without storage defined")
	errRESTNoEvents = refusal("Can't run Rest api server with SSE events persistence disabled")
	errTwoDatabases = refusal("Can't run with both postgres and sqlite enabled")
	errRPC          = refusal("asks for JSON-RPC ([rpc_server.main_server]), which needs a node's binary port and is not part of synod's sidecar: set rpc_server.main_server.enable_server = false or remove [rpc_server], and let casper-sidecar serve it beside this one")
)

func (r *reader) readV1() (Config, error) {
	var f file1
	if err := r.read(&f); err != nil {
		return Config{}, err
	}
	c := Config{Layout: V1, EmulateV1: true, StorageDirectory: defaultStorage}
	var err error
	if c.Connections, err = r.connections("connections", f.Connections); err != nil {
		return Config{}, err
	}
	if err := r.storage1(&c, f.Storage); err != nil {
		return Config{}, err
	}
	if c.Events, err = eventStream("event_stream_server", f.Events); err != nil {
		return Config{}, err
	}
	if c.REST, err = server("rest_server", f.REST); err != nil {
		return Config{}, err
	}
	if c.Admin, err = server("admin_server", f.Admin); err != nil {
		return Config{}, err
	}
	return c, c.extend(f.Synod)
}

func (r *reader) storage1(c *Config, s *storage1) (err error) {
	if s == nil {
		s = &storage1{Path: &c.StorageDirectory}
		r.values = append(r.values, Value{Key: "storage.storage_path", Value: defaultStorage, Origin: "default"})
	}
	c.StorageDirectory = *s.Path
	if s.SQLite != nil {
		if s.PostgreSQL != nil {
			r.note("storage.postgresql_config", "has no effect: sqlite_config comes first")
		}
		c.SQLite, err = sqlite(s.SQLite)
		return err
	}
	c.PostgreSQL, err = r.postgresql("storage.postgresql_config", s.PostgreSQL)
	return err
}

func (r *reader) readV2() (Config, error) {
	var f file2
	if err := r.read(&f); err != nil {
		return Config{}, err
	}
	c := Config{Layout: V2}
	if f.NetworkName != nil {
		c.NetworkName = *f.NetworkName
	}
	if err := f.validate(); err != nil {
		return Config{}, err
	}
	if f.RPC != nil {
		r.note("rpc_server", "has no effect: synod's sidecar has no JSON-RPC")
	}
	if err := r.storage2(&c, f.Storage, *f.SSE.NoPersistence); err != nil {
		return Config{}, fmt.Errorf("failed to read sidecar configuration. Underlying reason: %w", err)
	}
	var err error
	if c.EmulateV1, err = emulates(f.SSE.Emulate); err != nil {
		return Config{}, err
	}
	if c.Connections, err = r.connections("sse_server.connections", f.SSE.Connections); err != nil {
		return Config{}, err
	}
	if c.Events, err = eventStream("sse_server.event_stream_server", f.SSE.Events); err != nil {
		return Config{}, err
	}
	if f.REST.enabled() {
		if c.REST, err = server("rest_api_server", &f.REST.restricted); err != nil {
			return Config{}, err
		}
	}
	if f.Admin.enabled() {
		if c.Admin, err = server("admin_api_server", &f.Admin.restricted); err != nil {
			return Config{}, err
		}
	}
	return c, c.extend(f.Synod)
}

// validate checks what must go together, in the order and words of Casper's sidecar.
func (f *file2) validate() error {
	rpc := f.RPC != nil && (f.RPC.Main == nil || *f.RPC.Main.Enabled)
	sse := f.SSE != nil && *f.SSE.Enabled
	sqlite := f.Storage != nil && f.Storage.SQLite != nil && *f.Storage.SQLite.Enabled
	postgresql := f.Storage != nil && f.Storage.PostgreSQL != nil && *f.Storage.PostgreSQL.Enabled
	storing := sse && !*f.SSE.NoPersistence
	switch {
	case !rpc && !sse:
		return errNothing
	case sse && f.Storage == nil:
		return errNoFolder
	case storing && !sqlite && !postgresql:
		return errNoStorage
	case f.REST.enabled() && !sqlite && !postgresql:
		return errRESTStorage
	case f.REST.enabled() && !storing:
		return errRESTNoEvents
	case sqlite && postgresql:
		return errTwoDatabases
	case rpc:
		return errRPC
	}
	return nil
}

func (s *switched) enabled() bool { return s != nil && *s.Enabled }

func (r *reader) storage2(c *Config, s *storage2, noPersistence bool) (err error) {
	c.StorageDirectory = *s.Folder
	sqliteOn, postgresqlOn := s.SQLite != nil && *s.SQLite.Enabled, s.PostgreSQL != nil && *s.PostgreSQL.Enabled
	switch {
	case noPersistence && (sqliteOn || postgresqlOn):
		r.note("storage", "the database is not used, since sse_server.disable_event_persistence is true")
	case noPersistence:
	case sqliteOn:
		c.SQLite, err = sqlite(&s.SQLite.sqlite1)
	default:
		c.PostgreSQL, err = r.postgresql("storage.postgresql_config", &s.PostgreSQL.postgresql1)
	}
	return err
}

// emulates reads the names of older interfaces to serve.
func emulates(names []string) (bool, error) {
	for _, name := range names {
		if name != "V1" {
			return false, fmt.Errorf("sse_server.emulate_legacy_sse_apis: %q is not known; the only one is \"V1\"", name)
		}
	}
	return len(names) > 0, nil
}

func sqlite(s *sqlite1) (*SQLite, error) {
	if *s.FileName == "" {
		return nil, errors.New("storage.sqlite_config.file_name is empty: name a file")
	}
	if *s.MaxConnections < 1 {
		return nil, errors.New("storage.sqlite_config.max_connections_in_pool is 0: it must be at least 1")
	}
	return &SQLite{FileName: *s.FileName, MaxConnections: *s.MaxConnections, AutoCheckpoint: *s.AutoCheckpoint}, nil
}

func eventStream(key string, e *events) (EventStream, error) {
	if err := positive(key, "max_concurrent_subscribers", *e.MaxSubscribers, "event_stream_buffer_length", *e.Buffer); err != nil {
		return EventStream{}, err
	}
	return EventStream{Port: *e.Port, MaxSubscribers: *e.MaxSubscribers, Buffer: *e.Buffer}, nil
}

func server(key string, s *restricted) (*Server, error) {
	if s == nil {
		return nil, nil
	}
	if err := positive(key, "max_concurrent_requests", *s.MaxConcurrent, "max_requests_per_second", *s.MaxPerSecond); err != nil {
		return nil, err
	}
	return &Server{Port: *s.Port, MaxConcurrent: *s.MaxConcurrent, MaxPerSecond: *s.MaxPerSecond, Timeout: seconds(*s.Timeout)}, nil
}

// positive takes pairs of a key and its number.
func positive(table string, pairs ...any) error {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1].(uint32) < 1 {
			return fmt.Errorf("%s.%s is 0: it must be at least 1", table, pairs[i])
		}
	}
	return nil
}

func (r *reader) connections(key string, all []connection) ([]Connection, error) {
	if len(all) == 0 {
		return nil, fmt.Errorf("no [[%s]]: name at least one node to read", key)
	}
	var made []Connection
	for i := range all {
		at := fmt.Sprintf("%s[%d]", key, i)
		c, err := node(at, &all[i])
		if err != nil {
			return nil, err
		}
		if j := slices.IndexFunc(made, func(other Connection) bool { return other.SSE() == c.SSE() }); j >= 0 {
			r.note(at, fmt.Sprintf("has no effect: the node %s is read already", c.SSE()))
			continue
		}
		made = append(made, c)
	}
	return made, nil
}

func node(key string, c *connection) (Connection, error) {
	if *c.MaxAttempts < 1 {
		return Connection{}, errAttempts
	}
	address, err := netip.ParseAddr(*c.IPAddress)
	if err != nil || strings.Contains(*c.IPAddress, "%") {
		return Connection{}, fmt.Errorf("%s.ip_address is %q, which is not an IP address; names of hosts are not looked up", key, *c.IPAddress)
	}
	err = positive(key, "connection_timeout_in_seconds", *c.ConnectTimeout, "sleep_between_keep_alive_checks_in_seconds", *c.CheckEvery, "no_message_timeout_in_seconds", *c.Silence)
	if err != nil {
		return Connection{}, err
	}
	if *c.SSEPort == 0 || *c.RESTPort == 0 {
		return Connection{}, fmt.Errorf("%s: sse_port and rest_port must be those of the node, not 0", key)
	}
	return Connection{
		Address: address, SSEPort: *c.SSEPort, RESTPort: *c.RESTPort, MaxAttempts: int(*c.MaxAttempts), RetryDelay: seconds(*c.RetryDelay),
		Partial: *c.Partial, LogEvents: *c.LogEvents,
		ConnectTimeout: seconds(*c.ConnectTimeout), CheckEvery: seconds(*c.CheckEvery), Silence: seconds(*c.Silence),
	}, nil
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }

// extend applies what only synod's sidecar knows.
func (c *Config) extend(s *synodSection) error {
	if _, err := netip.ParseAddr(*s.BindAddress); err != nil {
		return fmt.Errorf("synod.bind_address is %q, which is not an IP address", *s.BindAddress)
	}
	if *s.SpoolBytes < 1<<20 || *s.RingBytes < 1<<20 {
		return errors.New("synod.spool_max_bytes and synod.ring_max_bytes must be at least 1MiB")
	}
	if *s.RetainAge < 0 || *s.RetainEvents > 1<<62 {
		return errors.New("synod.retain_age and synod.retain_events must not be negative or absurdly large")
	}
	c.ClientTimeout = time.Duration(*s.ClientTimeout)
	if c.ClientTimeout != 0 && (c.ClientTimeout < time.Second || c.ClientTimeout > 24*time.Hour) {
		return fmt.Errorf("synod.client_timeout is %v: it must be from 1s to 24h, or 0s for no limit", c.ClientTimeout)
	}
	c.BindAddress, c.SpoolBytes, c.RingBytes = *s.BindAddress, int64(*s.SpoolBytes), int64(*s.RingBytes)
	c.Retention = Retention{Age: time.Duration(*s.RetainAge), Events: int64(*s.RetainEvents), Bytes: int64(*s.RetainBytes)}
	return nil
}
