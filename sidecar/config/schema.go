package config

import "github.com/synod-network/synod/node/config"

// The structs below are the two layouts, key by key. Tags: default is the value of a key that is not there; optional marks a key or
// table that may be absent without one; unused says why a key has no effect; secret hides the value.

type file1 struct {
	InboundChannelSize  *uint64       `toml:"inbound_channel_size" optional:"-" unused:"queues between the parts of the sidecar are sized by what they hold" doc:"Events queued between nodes and the database."`
	OutboundChannelSize *uint64       `toml:"outbound_channel_size" optional:"-" unused:"queues between the parts of the sidecar are sized by what they hold" doc:"Events queued between the database and subscribers."`
	Connections         []connection  `toml:"connections" doc:"The nodes to read, one table each."`
	Storage             *storage1     `toml:"storage" optional:"-" doc:"Where events are kept. Without this table the database is PostgreSQL, configured by the environment."`
	REST                *restricted   `toml:"rest_server" doc:"The server for queries."`
	Events              *events       `toml:"event_stream_server" doc:"The server of event streams."`
	Admin               *restricted   `toml:"admin_server" optional:"-" doc:"The server of metrics. Without this table there is none."`
	Synod               *synodSection `toml:"synod" doc:"What only synod's sidecar knows; Casper's ignores this table."`
}

type file2 struct {
	MaxThreadCount         *uint64       `toml:"max_thread_count" optional:"-" unused:"set GOMAXPROCS in the environment instead" doc:"Threads."`
	MaxBlockingThreadCount *uint64       `toml:"max_blocking_thread_count" optional:"-" unused:"there are no such threads" doc:"Threads for blocking work."`
	NetworkName            *string       `toml:"network_name" optional:"-" doc:"Chainspec name that nodes must report; others are not read."`
	SSE                    *sseServer    `toml:"sse_server" optional:"-" doc:"The nodes to read and the server of event streams."`
	Storage                *storage2     `toml:"storage" optional:"-" doc:"Where events are kept."`
	REST                   *switched     `toml:"rest_api_server" optional:"-" doc:"The server for queries."`
	Admin                  *switched     `toml:"admin_api_server" optional:"-" doc:"The server of metrics."`
	RPC                    *rpcServer    `toml:"rpc_server" optional:"-" doc:"JSON-RPC over the binary port of a node, which synod's sidecar does not have."`
	Synod                  *synodSection `toml:"synod" doc:"What only synod's sidecar knows; Casper's ignores this table."`
}

type connection struct {
	IPAddress      *string `toml:"ip_address" doc:"IP address of the node."`
	SSEPort        *uint16 `toml:"sse_port" doc:"The node's port of event streams."`
	RESTPort       *uint16 `toml:"rest_port" doc:"The node's port of its status page."`
	MaxAttempts    *uint32 `toml:"max_attempts" doc:"Attempts to connect, without data in between, before the node is given up; at least 1."`
	RetryDelay     *uint32 `toml:"delay_between_retries_in_seconds" doc:"Seconds between attempts."`
	Partial        *bool   `toml:"allow_partial_connection" doc:"Read on while one of the node's streams lives; else all or none."`
	LogEvents      *bool   `toml:"enable_logging" doc:"Write a line to the log for each event of this node."`
	ConnectTimeout *uint32 `toml:"connection_timeout_in_seconds" default:"5" doc:"Seconds for the node to accept a connection, and to begin an answer."`
	CheckEvery     *uint32 `toml:"sleep_between_keep_alive_checks_in_seconds" default:"60" doc:"Seconds between looks at whether anything came."`
	Silence        *uint32 `toml:"no_message_timeout_in_seconds" default:"120" doc:"Seconds without a byte after which a stream is opened anew."`
}

type storage1 struct {
	Path       *string      `toml:"storage_path" doc:"Directory for everything that is kept."`
	SQLite     *sqlite1     `toml:"sqlite_config" optional:"-" doc:"Keep events in an SQLite file. Wins over postgresql_config."`
	PostgreSQL *postgresql1 `toml:"postgresql_config" optional:"-" doc:"Keep events in a PostgreSQL database."`
}

type storage2 struct {
	Folder     *string      `toml:"storage_folder" doc:"Directory for everything that is kept."`
	SQLite     *sqlite2     `toml:"sqlite_config" optional:"-" doc:"Keep events in an SQLite file."`
	PostgreSQL *postgresql2 `toml:"postgresql_config" optional:"-" doc:"Keep events in a PostgreSQL database."`
}

type sqlite1 struct {
	FileName       *string `toml:"file_name" doc:"Name of the file below the storage directory."`
	MaxConnections *uint32 `toml:"max_connections_in_pool" doc:"Connections to the file; more than 64 are never used."`
	AutoCheckpoint *uint16 `toml:"wal_autocheckpointing_interval" doc:"Pages in the write-ahead log before it is folded into the file."`
}

type sqlite2 struct {
	Enabled *bool `toml:"enabled" doc:"Use this database."`
	sqlite1
}

// postgresql1 has no defaults here, since the environment comes before them.
type postgresql1 struct {
	Host           *string `toml:"host" optional:"-" doc:"Host of the database; SIDECAR_POSTGRES_HOST comes first."`
	Database       *string `toml:"database_name" optional:"-" doc:"Name of the database; SIDECAR_POSTGRES_DATABASE_NAME comes first."`
	User           *string `toml:"database_username" optional:"-" doc:"Who to connect as; SIDECAR_POSTGRES_USERNAME comes first."`
	Password       *string `toml:"database_password" optional:"-" secret:"-" doc:"Their password; SIDECAR_POSTGRES_PASSWORD comes first."`
	MaxConnections *uint32 `toml:"max_connections_in_pool" optional:"-" doc:"Connections to the database, 10 unless given; SIDECAR_POSTGRES_MAX_CONNECTIONS comes first."`
	Port           *uint16 `toml:"port" optional:"-" doc:"Port of the database, 5432 unless given; SIDECAR_POSTGRES_PORT comes first."`
}

type postgresql2 struct {
	Enabled *bool `toml:"enabled" doc:"Use this database."`
	postgresql1
}

type events struct {
	Port           *uint16 `toml:"port" doc:"Port of the event streams; 0 takes any free one."`
	MaxSubscribers *uint32 `toml:"max_concurrent_subscribers" doc:"Subscribers at once, on all paths together; at least 1."`
	Buffer         *uint32 `toml:"event_stream_buffer_length" doc:"Events kept at hand for subscribers who come back; at least 1."`
}

type restricted struct {
	Port          *uint16 `toml:"port" doc:"Port of this server; 0 takes any free one."`
	MaxConcurrent *uint32 `toml:"max_concurrent_requests" doc:"Requests served at once; at least 1. More wait."`
	MaxPerSecond  *uint32 `toml:"max_requests_per_second" doc:"Requests begun in a second; at least 1. More wait."`
	Timeout       *uint32 `toml:"request_timeout_in_seconds" default:"10" doc:"Seconds for a request, waiting included; 0 for no limit. Casper's sidecar documents this key and ignores it."`
}

type switched struct {
	Enabled *bool `toml:"enable_server" doc:"Run this server."`
	restricted
}

type sseServer struct {
	Enabled             *bool        `toml:"enable_server" doc:"Read nodes and serve event streams."`
	NoPersistence       *bool        `toml:"disable_event_persistence" default:"false" doc:"Keep no events: serve only what comes."`
	Emulate             []string     `toml:"emulate_legacy_sse_apis" optional:"-" doc:"V1 serves /events/main, /events/deploys and /events/sigs in the form of nodes 1.x too."`
	InboundChannelSize  *uint64      `toml:"inbound_channel_size" optional:"-" unused:"queues between the parts of the sidecar are sized by what they hold" doc:"Events queued between nodes and the database."`
	OutboundChannelSize *uint64      `toml:"outbound_channel_size" optional:"-" unused:"queues between the parts of the sidecar are sized by what they hold" doc:"Events queued between the database and subscribers."`
	Connections         []connection `toml:"connections" doc:"The nodes to read, one table each."`
	Events              *events      `toml:"event_stream_server" doc:"The server of event streams."`
}

// rpcServer is read only as far as it takes to say what is asked for.
type rpcServer struct {
	Main *struct {
		Enabled *bool `toml:"enable_server" default:"true" doc:"Must be false."`
	} `toml:"main_server" optional:"-" doc:"JSON-RPC."`
	Speculative *struct {
		Enabled *bool `toml:"enable_server" default:"false" doc:"Must be false."`
	} `toml:"speculative_exec_server" optional:"-" doc:"JSON-RPC that executes without effect."`
}

type synodSection struct {
	BindAddress   *string          `toml:"bind_address" default:"0.0.0.0" doc:"Address that all servers listen on."`
	SpoolBytes    *config.Size     `toml:"spool_max_bytes" default:"4GiB" doc:"Disk space for events while the database is away."`
	RingBytes     *config.Size     `toml:"ring_max_bytes" default:"64MiB" doc:"Memory for the events that are kept at hand."`
	ClientTimeout *config.Duration `toml:"client_timeout" default:"2m" doc:"Close a connection whose other end takes nothing of what is sent to it for this long: its machine vanished, or its program stopped reading. 0s leaves it to the system."`
	RetainAge     *config.Duration `toml:"retain_age" default:"0s" doc:"Remove events from the database after this long, as 720h; 0s keeps them."`
	RetainEvents  *uint64          `toml:"retain_events" default:"0" doc:"Keep about so many events in the database; 0 keeps all."`
	RetainBytes   *config.Size     `toml:"retain_bytes" default:"0B" doc:"Keep about so much JSON in the database; 0B keeps all."`
}
