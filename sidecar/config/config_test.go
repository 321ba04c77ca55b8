package config_test

import (
	"log/slog"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/synod-network/synod/sidecar/config"
)

func file(t testing.TB, name string) string {
	t.Helper()
	content, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestFileOfA1xSidecar(t *testing.T) {
	got, err := config.Load("testdata/v1.toml", nil)
	if err != nil {
		t.Fatal(err)
	}
	localhost := netip.MustParseAddr("127.0.0.1")
	want := config.Config{
		Layout: config.V1, EmulateV1: true, StorageDirectory: "./target/storage",
		Connections: []config.Connection{
			{localhost, 18101, 14101, 10, 5 * time.Second, false, true, 3 * time.Second, 30 * time.Second, 60 * time.Second},
			{localhost, 18102, 14102, 10, 5 * time.Second, true, false, 5 * time.Second, 60 * time.Second, 120 * time.Second},
		},
		SQLite: &config.SQLite{FileName: "sqlite_database.db3", MaxConnections: 100, AutoCheckpoint: 1000},
		Events: config.EventStream{Port: 19999, MaxSubscribers: 100, Buffer: 5000},
		REST:   &config.Server{Port: 18888, MaxConcurrent: 50, MaxPerSecond: 50, Timeout: 7 * time.Second},
		Admin:  &config.Server{Port: 18887, MaxConcurrent: 1, MaxPerSecond: 1, Timeout: 10 * time.Second},

		BindAddress: "0.0.0.0", SpoolBytes: 4 << 30, RingBytes: 64 << 20, ClientTimeout: 2 * time.Minute,
	}
	if !reflect.DeepEqual(got.Config, want) {
		t.Errorf("%+v\nwant %+v", got.Config, want)
	}
	if len(got.Notes) > 0 {
		t.Error(got.Notes)
	}
}

func TestFileOfA2xSidecar(t *testing.T) {
	got, err := config.Load("testdata/v2.toml", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Config{
		Layout: config.V2, EmulateV1: true, NetworkName: "casper-test", StorageDirectory: "/var/lib/casper-sidecar",
		Connections: []config.Connection{{netip.MustParseAddr("127.0.0.1"), 18101, 14101, 10, 5 * time.Second, false, true, 5 * time.Second, 5 * time.Second, 10 * time.Second}},
		SQLite:      &config.SQLite{FileName: "sqlite_database.db3", MaxConnections: 100, AutoCheckpoint: 1000},
		Events:      config.EventStream{Port: 19999, MaxSubscribers: 100, Buffer: 5000},
		REST:        &config.Server{Port: 18888, MaxConcurrent: 50, MaxPerSecond: 50, Timeout: 10 * time.Second},

		BindAddress: "0.0.0.0", SpoolBytes: 4 << 30, RingBytes: 64 << 20, ClientTimeout: 2 * time.Minute,
	}
	if !reflect.DeepEqual(got.Config, want) {
		t.Errorf("%+v\nwant %+v", got.Config, want)
	}
	if len(got.Notes) != 1 || got.Notes[0].Key != "rpc_server" {
		t.Error(got.Notes)
	}
}

// without returns a file without the lines from one that begins with start up to the next empty line.
func without(text, start string) string {
	before, after, found := strings.Cut(text, "\n"+start)
	if !found {
		panic(start)
	}
	_, after, _ = strings.Cut(after, "\n\n")
	return before + "\n\n" + after
}

func replace(text, old, new string) string {
	if !strings.Contains(text, old) {
		panic(old)
	}
	return strings.Replace(text, old, new, 1)
}

const postgresqlTable = `[storage.postgresql_config]
host = "localhost"
database_name = "event_sidecar"
database_username = "postgres"
database_password = "p@$$w0rd"
max_connections_in_pool = 30
`

// TestRefusals has the words of Casper's sidecar where it has any.
func TestRefusals(t *testing.T) {
	one, two := file(t, "v1.toml"), file(t, "v2.toml")
	postgresql1 := replace(without(one, "[storage.sqlite_config]"), "[rest_server]", postgresqlTable+"[rest_server]")
	for _, tc := range []struct {
		name, content, want string
		environ             []string
	}{
		{name: "zero attempts", content: replace(one, "max_attempts = 10", "max_attempts = 0"), want: "Unable to run: max_attempts setting must be above 0 for the sidecar to attempt connection"},
		{name: "nothing to run", content: replace(two, "enable_server = true", "enable_server = false"), want: "At least one of RPC server or SSE server must be configured"},
		{name: "empty file", content: "", want: "At least one of RPC server or SSE server must be configured"},
		{name: "no storage", content: without(without(replace(two, "[rest_api_server]\nenable_server = true", "[rest_api_server]\nenable_server = false"), "[storage]"), "[storage.sqlite_config]"), want: "Can't run SSE if no `[storage.storage_folder]` is defined"},
		{name: "persistence without database", content: without(two, "[storage.sqlite_config]"), want: "Can't run SSE with events persistence enabled without storage defined"},
		{name: "persistence with a database that is off", content: replace(two, "enabled = true\nfile_name", "enabled = false\nfile_name"), want: "Can't run SSE with events persistence enabled without storage defined"},
		{name: "queries without database", content: replace(without(two, "[storage.sqlite_config]"), "persistence = false", "persistence = true"), want: "Can't run Rest api server without storage defined"},
		{name: "queries without persistence", content: replace(two, "persistence = false", "persistence = true"), want: "Can't run Rest api server with SSE events persistence disabled"},
		{name: "two databases", content: two + "\n" + replace(postgresqlTable, "host", "enabled = true\nhost"), want: "Can't run with both postgres and sqlite enabled"},
		{name: "JSON-RPC", content: replace(two, "[rpc_server.main_server]\nenable_server = false", "[rpc_server.main_server]\nenable_server = true"), want: "asks for JSON-RPC ([rpc_server.main_server]), which needs a node's binary port and is not part of synod's sidecar"},
		{name: "JSON-RPC alone", content: "[rpc_server.main_server]\nport = 1\n[rpc_server.node_client]\nport = 2\n", want: "asks for JSON-RPC"},
		{name: "no host of the database", content: without(one, "[storage.sqlite_config]"), want: "failed to parse the config option behind env_var SIDECAR_POSTGRES_HOST with error: Config value not set in ENV vars or config file"},
		{name: "no password of the database", content: without(one, "[storage.sqlite_config]"), environ: []string{"SIDECAR_POSTGRES_HOST=h", "SIDECAR_POSTGRES_DATABASE_NAME=d", "SIDECAR_POSTGRES_USERNAME=u"}, want: "failed to parse the config option behind env_var SIDECAR_POSTGRES_PASSWORD with error: Config value not set in ENV vars or config file"},
		{name: "bad port of the database", content: postgresql1, environ: []string{"SIDECAR_POSTGRES_PORT=many"}, want: "failed to parse the config option for Port with error: SIDECAR_POSTGRES_PORT is \"many\""},
		{name: "no connections to the database", content: postgresql1, environ: []string{"SIDECAR_POSTGRES_MAX_CONNECTIONS=0"}, want: "max_connections_in_pool is 0"},

		// Casper's sidecar would take this for a wish for PostgreSQL.
		{name: "malformed sqlite_config", content: replace(one, "file_name = \"sqlite_database.db3\"\n", ""), want: "storage.sqlite_config.file_name is missing: Name of the file below the storage directory."},
		{name: "mixed layouts", content: one + "\n[sse_server]\nenable_server = true\n", want: "mixes two layouts: admin_server belongs to sidecars 1.x, sse_server to sidecars 2.x"},
		{name: "host name", content: replace(one, `"127.0.0.1"`, `"localhost"`), want: `connections[0].ip_address is "localhost", which is not an IP address`},
		{name: "missing key", content: replace(one, "rest_port = 14102\n", ""), want: "connections[1].rest_port is missing: The node's port of its status page."},
		{name: "missing table", content: without(one, "[rest_server]"), want: "the table [rest_server] is missing: The server for queries."},
		{name: "no nodes", content: "connections = []\n" + without(without(one[strings.Index(one, "[storage]"):], "[admin_server]"), "[storage.sqlite_config]") + "[storage.sqlite_config]\nfile_name = \"f\"\nmax_connections_in_pool = 1\nwal_autocheckpointing_interval = 1\n", want: "no [[connections]]: name at least one node to read"},
		{name: "wrong type", content: replace(one, "sse_port = 18101", `sse_port = "18101"`), want: "line 3:"},
		{name: "port too large", content: replace(one, "sse_port = 18101", `sse_port = 181010`), want: "line 3:"},
		{name: "no TOML", content: "[[connections\n", want: "line 1:"},
		{name: "no subscribers", content: replace(one, "max_concurrent_subscribers = 100", "max_concurrent_subscribers = 0"), want: "event_stream_server.max_concurrent_subscribers is 0: it must be at least 1"},
		{name: "no buffer", content: replace(one, "buffer_length = 5000", "buffer_length = 0"), want: "event_stream_server.event_stream_buffer_length is 0: it must be at least 1"},
		{name: "no requests", content: replace(one, "max_requests_per_second = 50", "max_requests_per_second = 0"), want: "rest_server.max_requests_per_second is 0: it must be at least 1"},
		{name: "no silence", content: replace(one, "no_message_timeout_in_seconds = 60", "no_message_timeout_in_seconds = 0"), want: "no_message_timeout_in_seconds is 0: it must be at least 1"},
		{name: "unknown emulation", content: replace(two, `["V1"]`, `["V3"]`), want: `sse_server.emulate_legacy_sse_apis: "V3" is not known; the only one is "V1"`},
		{name: "bad own address", content: one + "\n[synod]\nbind_address = \"here\"\n", want: "synod.bind_address is \"here\""},
		{name: "tiny spool", content: one + "\n[synod]\nspool_max_bytes = \"1KiB\"\n", want: "must be at least 1MiB"},
		{name: "no patience", content: one + "\n[synod]\nclient_timeout = \"10ms\"\n", want: "synod.client_timeout is 10ms: it must be from 1s to 24h, or 0s for no limit"},
		{name: "less than no patience", content: one + "\n[synod]\nclient_timeout = \"-2m\"\n", want: "synod.client_timeout"},
	} {
		if _, err := config.Parse([]byte(tc.content), tc.environ); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v\nwant: %s", tc.name, err, tc.want)
		}
	}
}

func TestEnvironmentBeatsTheFile(t *testing.T) {
	content := replace(without(file(t, "v1.toml"), "[storage.sqlite_config]"), "[rest_server]", postgresqlTable+"[rest_server]")
	got, err := config.Parse([]byte(content), []string{"SIDECAR_POSTGRES_USERNAME=someone", "SIDECAR_POSTGRES_PASSWORD=secret", "SIDECAR_POSTGRES_PORT=5433"})
	if err != nil {
		t.Fatal(err)
	}
	want := &config.PostgreSQL{Host: "localhost", Database: "event_sidecar", User: "someone", Password: "secret", Port: 5433, MaxConnections: 30}
	if *got.PostgreSQL != *want {
		t.Errorf("%+v, want %+v", got.PostgreSQL, want)
	}
	origins := map[string]string{}
	for _, v := range got.Values {
		origins[v.Key] = v.Value + " from " + v.Origin
		if strings.Contains(v.Value, "secret") || strings.Contains(v.Value, "p@$$w0rd") {
			t.Errorf("shows the password: %v", v)
		}
	}
	for key, want := range map[string]string{
		"storage.postgresql_config.host":                    "localhost from file",
		"storage.postgresql_config.database_username":       "someone from environment SIDECAR_POSTGRES_USERNAME",
		"storage.postgresql_config.database_password":       "(hidden) from environment SIDECAR_POSTGRES_PASSWORD",
		"storage.postgresql_config.port":                    "5433 from environment SIDECAR_POSTGRES_PORT",
		"connections[1].connection_timeout_in_seconds":      "5 from default",
		"connections[0].connection_timeout_in_seconds":      "3 from file",
		"synod.spool_max_bytes":                             "4GiB from default",
		"storage.postgresql_config.max_connections_in_pool": "30 from file",
	} {
		if origins[key] != want {
			t.Errorf("%s: %s, want %s", key, origins[key], want)
		}
	}
}

// TestEnvironmentAlone is a 1.x file without [storage], as containers have it.
func TestEnvironmentAlone(t *testing.T) {
	content := without(without(file(t, "v1.toml"), "[storage.sqlite_config]"), "[storage]")
	got, err := config.Parse([]byte(content), []string{"SIDECAR_POSTGRES_HOST=h", "SIDECAR_POSTGRES_DATABASE_NAME=d", "SIDECAR_POSTGRES_USERNAME=u", "SIDECAR_POSTGRES_PASSWORD=p"})
	if err != nil {
		t.Fatal(err)
	}
	if want := (&config.PostgreSQL{Host: "h", Database: "d", User: "u", Password: "p", Port: 5432, MaxConnections: 10}); *got.PostgreSQL != *want || got.StorageDirectory != "/casper/sidecar-storage/casper-event-sidecar" {
		t.Errorf("%+v, %s", got.PostgreSQL, got.StorageDirectory)
	}
}

func TestWhatHasNoEffectIsNoted(t *testing.T) {
	one := file(t, "v1.toml")
	content := "inbound_channel_size = 7\n" + replace(replace(one, "enable_logging = false", "enable_loging = 1\nenable_logging = false"), "[rest_server]", postgresqlTable+"\n[rest_server]") +
		"\n[surprise]\nx = 1\n[[connections]]\n" + one[strings.Index(one, "ip_address"):strings.Index(one, "\n\n")]
	got, err := config.Parse([]byte(content), []string{"RUST_LOG=loud"})
	if err != nil {
		t.Fatal(err)
	}
	notes := map[string]string{}
	for _, n := range got.Notes {
		notes[n.Key] = n.Reason
	}
	for key, want := range map[string]string{
		"inbound_channel_size":      "has no effect: queues between",
		"connections.enable_loging": "there is no such key; did you mean connections.enable_logging?",
		"surprise":                  "there is no such key",
		"storage.postgresql_config": "has no effect: sqlite_config comes first",
		"connections[2]":            "has no effect: the node 127.0.0.1:18101 is read already",
		"environment RUST_LOG":      `"loud" names no level`,
	} {
		if !strings.Contains(notes[key], want) {
			t.Errorf("%s: %q, want %q", key, notes[key], want)
		}
	}
	if len(notes) != 6 {
		t.Error(notes)
	}
}

func TestOwnKeys(t *testing.T) {
	got, err := config.Parse([]byte(file(t, "v2.toml")+"\n[synod]\nretain_age = \"720h\"\nretain_events = 1000\nretain_bytes = \"1GiB\"\nbind_address = \"::1\"\nring_max_bytes = \"2MiB\"\nclient_timeout = \"40s\"\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := (config.Retention{Age: 720 * time.Hour, Events: 1000, Bytes: 1 << 30}); got.Retention != want || got.BindAddress != "::1" || got.RingBytes != 2<<20 || got.ClientTimeout != 40*time.Second || len(got.Notes) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestNoPersistence(t *testing.T) {
	content := replace(replace(file(t, "v2.toml"), "persistence = false", "persistence = true"), "[rest_api_server]\nenable_server = true", "[rest_api_server]\nenable_server = false")
	got, err := config.Parse([]byte(content), nil)
	if err != nil || got.SQLite != nil || got.PostgreSQL != nil || got.REST != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestLevelFromRustLog(t *testing.T) {
	for text, want := range map[string]slog.Level{
		"": slog.LevelInfo, "info": slog.LevelInfo, "ERROR": slog.LevelError, "trace": slog.LevelDebug - 4, "casper_event_sidecar=debug,warn": slog.LevelWarn, "hyper=debug": slog.LevelDebug, "a=": slog.LevelInfo,
	} {
		got, err := config.Parse([]byte(file(t, "v1.toml")), []string{"RUST_LOG=" + text})
		if err != nil || got.LogLevel != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// FuzzParse looks for files that make it panic, or that pass without what a sidecar cannot do without.
func FuzzParse(f *testing.F) {
	f.Add(file(f, "v1.toml"))
	f.Add(file(f, "v2.toml"))
	f.Add("[sse_server]\nenable_server = true\n[storage]\nstorage_folder = \"x\"")
	f.Add("[storage]\nstorage_path = \"x\"\n[synod]\nretain_bytes = \"9EiB\"")
	f.Fuzz(func(t *testing.T, content string) {
		c, err := config.Parse([]byte(content), nil)
		if err != nil {
			return
		}
		if len(c.Connections) == 0 || c.Events.Buffer == 0 || c.Events.MaxSubscribers == 0 || c.SQLite != nil && c.PostgreSQL != nil {
			t.Errorf("%+v", c)
		}
	})
}
