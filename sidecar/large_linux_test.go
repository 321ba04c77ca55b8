package sidecar_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"

	"github.com/synod-network/synod/internal/pgtest"
	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/logtest"
	"github.com/synod-network/synod/sidecar/log/postgres"
	"github.com/synod-network/synod/sidecar/log/sqlite"
)

// BenchmarkLarge measures a database with many events, 100 000 or SYNOD_BENCH_EVENTS: how long it takes to open it and for the program to
// serve, what look-ups take in the store and over HTTP, each with nothing of the database in memory ("cold") and again, and how fast
// more events are stored. Run it with -benchtime 1x. SYNOD_BENCH_DIR keeps the SQLite database for the next time.
func BenchmarkLarge(b *testing.B) {
	events := 100_000
	if text := os.Getenv("SYNOD_BENCH_EVENTS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			b.Fatal(err)
		}
		events = n
	}
	synod := filepath.Join(b.TempDir(), "synod")
	if out, err := exec.Command("go", "build", "-o", synod, "../cmd/synod").CombinedOutput(); err != nil {
		b.Fatalf("build synod: %v\n%s", err, out)
	}
	b.Run("sqlite", func(b *testing.B) { largeSQLite(b, synod, events) })
	b.Run("postgres", func(b *testing.B) { largePostgres(b, synod, events) })
}

// large is a database with a chain of so many blocks.
type large struct {
	synod     string // the program
	blocks    int
	directory string // the sidecar's
	open      func(ctx context.Context) (log.Store, error)
	storage   string // of the configuration
	evict     func() // takes the database out of memory
}

func largeSQLite(b *testing.B, synod string, events int) {
	dir := b.TempDir()
	if kept := os.Getenv("SYNOD_BENCH_DIR"); kept != "" {
		dir = filepath.Join(kept, fmt.Sprint(events))
	}
	config := sqlite.Config{Path: filepath.Join(dir, "events.db3"), Layout: log.V1, Readers: 4, AutoCheckpoint: 1000}
	if _, err := os.Stat(filepath.Join(dir, "full")); err != nil {
		fillSQLite(b, config, blocksIn(events))
		if err := os.WriteFile(filepath.Join(dir, "full"), nil, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	l := large{
		synod: synod, blocks: blocksIn(events), directory: dir, storage: "[storage.sqlite_config]\nfile_name = \"events.db3\"\nmax_connections_in_pool = 4\nwal_autocheckpointing_interval = 1000\n",
		open:  func(ctx context.Context) (log.Store, error) { return sqlite.Open(ctx, config) },
		evict: func() { evict(b, dir) },
	}
	l.measure(b)
}

func fillSQLite(b *testing.B, config sqlite.Config, blocks int) {
	if err := os.MkdirAll(filepath.Dir(config.Path), 0o755); err != nil {
		b.Fatal(err)
	}
	s, err := sqlite.Open(b.Context(), config) // makes the tables
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+config.Path+"?_pragma=journal_mode(OFF)&_pragma=synchronous(OFF)&_pragma=locking_mode(EXCLUSIVE)&_pragma=cache_size(-200000)")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	fillLarge(b, sqliteDialect, blocks, func(statements []string) error {
		tx, err := db.BeginTx(b.Context(), nil)
		if err != nil {
			return err
		}
		for _, s := range statements {
			if _, err := tx.ExecContext(b.Context(), s); err != nil {
				return fmt.Errorf("%w in %s", err, s)
			}
		}
		return tx.Commit()
	})
	n := blocks * blockEvents
	if _, err := db.ExecContext(b.Context(), `UPDATE synod_head SET next = ?, events = ?, bytes = ?, in_force = '1.5.3'`, n, n, n*250); err != nil {
		b.Fatal(err)
	}
}

func largePostgres(b *testing.B, synod string, events int) {
	server := pgtest.Start(b, "fsync = on", "max_wal_size = 4GB")
	l := large{synod: synod, blocks: blocksIn(events), directory: b.TempDir()}
	dsn := server.Database(b)
	l.open = func(ctx context.Context) (log.Store, error) {
		return postgres.Open(ctx, postgres.Config{DSN: dsn, MaxConnections: 4, Layout: log.V1, Directory: l.directory})
	}
	fillPostgres(b, l.open, dsn, l.blocks)
	l.storage = fmt.Sprintf("[storage.postgresql_config]\nhost = %q\nport = 5432\ndatabase_name = \"test1\"\ndatabase_username = \"postgres\"\ndatabase_password = \"unused\"\nmax_connections_in_pool = 4\n", server.Host())
	l.evict = func() {
		server.Kill(b)
		evict(b, server.Host())
		server.Restart(b)
	}
	l.measure(b)
}

func fillPostgres(b *testing.B, open func(context.Context) (log.Store, error), dsn string, blocks int) {
	s, err := open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	conn, err := pgx.Connect(b.Context(), dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close(b.Context()) }()
	run := func(statements ...string) error {
		for _, s := range statements {
			if _, err := conn.Exec(b.Context(), s); err != nil {
				return fmt.Errorf("%w in %s", err, s)
			}
		}
		return nil
	}
	n := blocks * blockEvents
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	must(run(`SET session_replication_role = replica`, `SET synchronous_commit = off`)) // no look at references
	fillLarge(b, postgresDialect, blocks, func(statements []string) error { return run(statements...) })
	must(run(`SELECT setval(pg_get_serial_sequence('event_log', 'event_log_id'), (SELECT max(event_log_id) FROM event_log))`,
		fmt.Sprintf(`UPDATE synod_instance SET next = %d, events = %d, bytes = %d, in_force = '1.5.3'`, n, n, n*250),
		`VACUUM ANALYZE`, `CHECKPOINT`))
}

// evict asks the system to forget what it keeps of the files in a folder.
func evict(b *testing.B, dir string) {
	b.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		if err := f.Sync(); err != nil {
			return err
		}
		return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
	})
	if err != nil {
		b.Fatal(err)
	}
}

func (l *large) measure(b *testing.B) {
	for b.Loop() {
		l.evict()
		l.measureOpen(b, "cold")
		l.measureOpen(b, "warm")
		l.evict()
		l.measureProgram(b, "cold", 1)
		l.measureProgram(b, "warm", 3)
		l.measureStoring(b)
	}
}

// measureOpen opens the log as a sidecar does, and looks things up in its store.
func (l *large) measureOpen(b *testing.B, how string) {
	began := time.Now()
	s, err := l.open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	spool, err := log.OpenSpool(filepath.Join(b.TempDir(), "spool"), 1<<20)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = spool.Close() }()
	o := log.Defaults()
	o.Store, o.Spool, o.Log, o.Publish = s, spool, slog.New(slog.DiscardHandler), func([]event.Numbered) {}
	opened, err := log.Open(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(milliseconds(time.Since(began)), "open-"+how+"-ms")
	if opened.Next() < event.Seq(l.blocks*blockEvents) {
		b.Fatalf("the log goes on at %d", opened.Next())
	}
	var took []time.Duration
	random := rand.New(rand.NewPCG(1, uint64(len(how)))) // other events the second time
	for range 600 {
		for _, lookUp := range l.lookUps(s, random) {
			began := time.Now()
			if err := lookUp(b.Context()); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(began))
		}
	}
	reportQuantiles(b, "store-"+how, took)
}

// lookUps are one of each kind, of random events.
func (l *large) lookUps(s log.Store, random *rand.Rand) []func(context.Context) error {
	h := random.IntN(l.blocks)
	n := random.IntN(l.blocks * 10)
	found := func(_ log.Found, err error) error { return err }
	some := func(all []log.Found, err error) error {
		if err == nil && len(all) == 0 {
			err = log.ErrNotFound
		}
		return err
	}
	return []func(context.Context) error{
		func(ctx context.Context) error { return found(s.Deploy(ctx, event.DeployAccepted, "", deployHash(n))) },
		func(ctx context.Context) error { return found(s.Deploy(ctx, event.DeployProcessed, "", deployHash(n))) },
		func(ctx context.Context) error { return found(s.BlockByHash(ctx, blockHash(h))) },
		func(ctx context.Context) error { return found(s.BlockByHeight(ctx, uint64(h))) },
		func(ctx context.Context) error { return some(s.Signatures(ctx, blockHash(h))) },
		func(ctx context.Context) error { return found(s.LatestBlock(ctx)) },
		func(ctx context.Context) error { return some(s.FaultsByEra(ctx, uint64(h/10*10))) },
		func(ctx context.Context) error { return some(s.FaultsByKey(ctx, fmt.Sprintf("01%064x", h/10*10))) },
		func(ctx context.Context) error {
			events, err := s.After(ctx, event.Seq(h*blockEvents), blockEvents, 1<<20)
			if err == nil && len(events) != blockEvents {
				err = fmt.Errorf("%d events after %d", len(events), h*blockEvents)
			}
			return err
		},
	}
}

// measureProgram starts synod on the database until it says that it serves, and asks it over HTTP.
func (l *large) measureProgram(b *testing.B, how string, times int) {
	file, ready := filepath.Join(b.TempDir(), "config.toml"), filepath.Join(b.TempDir(), "ready.json")
	text := fmt.Sprintf(programConfig, l.directory) + l.storage
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
	var starts []time.Duration
	for n := range times {
		_ = os.Remove(ready)
		var errors strings.Builder
		program := exec.Command(l.synod, "sidecar", "--path-to-config", file, "--ready-file", ready)
		program.Stderr = &errors
		program.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		began := time.Now()
		if err := program.Start(); err != nil {
			b.Fatal(err)
		}
		tick := time.NewTicker(time.Millisecond)
		state, err := node.ReadReady(ready)
		for ; err != nil; state, err = node.ReadReady(ready) {
			if time.Since(began) > time.Minute {
				b.Fatalf("the program does not get ready: %v\n%s", err, errors.String())
			}
			<-tick.C
		}
		tick.Stop()
		starts = append(starts, time.Since(began))
		if n == times-1 {
			l.askProgram(b, how, "http://"+state.Nodes[0].Listeners["rest"])
		}
		if err := program.Process.Signal(syscall.SIGTERM); err != nil {
			b.Fatal(err)
		}
		if err := program.Wait(); err != nil {
			b.Fatalf("%v\n%s", err, errors.String())
		}
	}
	b.ReportMetric(milliseconds(slices.Max(starts)), "program-"+how+"-ms")
}

// programConfig reads a node that is not there.
const programConfig = `
[[connections]]
ip_address = "127.0.0.1"
sse_port = 9
rest_port = 9
max_attempts = 100000
delay_between_retries_in_seconds = 5
allow_partial_connection = false
enable_logging = false
[rest_server]
port = 0
max_concurrent_requests = 50
max_requests_per_second = 100000
[event_stream_server]
port = 0
max_concurrent_subscribers = 100
event_stream_buffer_length = 5000
[storage]
storage_path = %q
`

func (l *large) askProgram(b *testing.B, how, url string) {
	random := rand.New(rand.NewPCG(2, uint64(len(how))))
	var took []time.Duration
	for range 600 {
		h, n := random.IntN(l.blocks), random.IntN(l.blocks*10)
		for _, path := range []string{
			"/block", "/block/" + blockHash(h), "/block/" + strconv.Itoa(h), "/deploy/" + deployHash(n), "/deploy/accepted/" + deployHash(n),
			"/deploy/processed/" + deployHash(n), "/signatures/" + blockHash(h), "/faults/" + strconv.Itoa(h/10*10),
		} {
			began := time.Now()
			response, err := http.Get(url + path)
			if err != nil {
				b.Fatal(err)
			}
			text, err := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if err != nil || response.StatusCode != http.StatusOK {
				b.Fatalf("%s: %s, %s, %v", path, response.Status, text, err)
			}
			took = append(took, time.Since(began))
		}
	}
	reportQuantiles(b, "rest-"+how, took)
}

// measureStoring adds events whose hashes lie anywhere between those that are there.
func (l *large) measureStoring(b *testing.B) {
	s, err := l.open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	state, err := s.State(b.Context(), 1)
	if err != nil {
		b.Fatal(err)
	}
	const group, groups = 500, 20
	next, n := state.Next, int(state.Next)
	var storing time.Duration
	for range groups {
		var entries []*log.Entry
		for range group {
			entries = append(entries, logtest.Entries(logtest.Accepted(uint32(n), int(rand.Uint64()>>1), 1100))...)
			n++
		}
		for _, e := range entries { // spread over the hashes of the chain
			e.Key.Hash = fmt.Sprintf("%016x%s", rand.Uint64N(uint64(l.blocks)<<40), e.Key.Hash[16:])
		}
		began := time.Now()
		if next, err = s.Commit(b.Context(), entries, next); err != nil {
			b.Fatal(err)
		}
		storing += time.Since(began)
	}
	b.ReportMetric(group*groups/storing.Seconds(), "stored/s")
}

func milliseconds(span time.Duration) float64 { return float64(span.Microseconds()) / 1000 }

func reportQuantiles(b *testing.B, what string, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(milliseconds(took[len(took)/2]), what+"-p50-ms")
	b.ReportMetric(milliseconds(took[len(took)*99/100]), what+"-p99-ms")
	b.ReportMetric(milliseconds(took[len(took)-1]), what+"-max-ms")
}
