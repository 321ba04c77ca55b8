package log_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/logtest"
	"github.com/synod-network/synod/sidecar/log/sqlite"
)

// flaky is a real store that is away when told to.
type flaky struct {
	log.Store
	mu    sync.Mutex
	away  error
	blind error         // nor can it be read
	read  func()        // called when it was read, before the reader knows
	hang  chan struct{} // committing takes until it is closed
	hung  chan struct{} // told of by those who wait for it
}

func (f *flaky) After(ctx context.Context, from event.Seq, limit, maxBytes int) ([]event.Numbered, error) {
	f.mu.Lock()
	err, read := f.blind, f.read
	f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	events, err := f.Store.After(ctx, from, limit, maxBytes)
	if read != nil {
		read()
	}
	return events, err
}

func (f *flaky) setBlind(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blind = err
}

func (f *flaky) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = err
}

func (f *flaky) state() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.away
}

func (f *flaky) Commit(ctx context.Context, group []*log.Entry, next event.Seq) (event.Seq, error) {
	f.mu.Lock()
	hang := f.hang
	f.mu.Unlock()
	if hang != nil {
		select {
		case f.hung <- struct{}{}:
		default:
		}
		select {
		case <-hang:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	if err := f.state(); err != nil {
		for _, e := range group { // as a store may that failed half way
			e.Duplicate, e.Seq = true, 99999
		}
		return 0, err
	}
	return f.Store.Commit(ctx, group, next)
}

func (f *flaky) Ping(ctx context.Context) error {
	if err := f.state(); err != nil {
		return err
	}
	return f.Store.Ping(ctx)
}

type faults struct {
	mu    sync.Mutex
	count map[string]int
}

func (*faults) Node(event.NodeState)                   {}
func (*faults) Received(event.Filter, event.Kind, int) {}
func (f *faults) Fault(category, description string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count[category+"/"+description]++
}

// bench is a log over SQLite that can fail.
type bench struct {
	t      *testing.T
	dir    string
	store  *flaky
	log    *log.Log
	faults *faults
	end    func()

	mu        sync.Mutex
	published []event.Numbered
	said      nudge
}

func openBench(t *testing.T, dir string, spoolBytes int64) *bench {
	t.Helper()
	b := &bench{t: t, dir: dir, faults: &faults{count: make(map[string]int)}, said: make(nudge, 1)}
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(dir, "db"), Layout: log.V1, Readers: 2, AutoCheckpoint: 1000})
	if err != nil {
		t.Fatal(err)
	}
	b.store = &flaky{Store: store}
	spool, err := log.OpenSpool(filepath.Join(dir, "spool"), spoolBytes)
	if err != nil {
		t.Fatal(err)
	}
	o := log.Defaults()
	o.Store, o.Spool, o.Observer, o.Log, o.Retry = b.store, spool, b.faults, slog.New(b.said), time.Millisecond
	if o.Index, err = log.OpenIndexFile(dir); err != nil {
		t.Fatal(err)
	}
	o.Publish = func(events []event.Numbered) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.published = append(b.published, events...)
	}
	if b.log, err = log.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.log.Run(ctx) }()
	b.end = sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-done, spool.Close(), store.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(b.end)
	return b
}

func (b *bench) append(events ...event.Event) {
	b.t.Helper()
	if err := b.log.Append(b.t.Context(), events); err != nil {
		b.t.Fatal(err)
	}
}

// nudge is told of when the log says something, which it does after each change that operators are to know of.
type nudge chan struct{}

func (nudge) Enabled(context.Context, slog.Level) bool { return true }
func (n nudge) WithAttrs([]slog.Attr) slog.Handler     { return n }
func (n nudge) WithGroup(string) slog.Handler          { return n }
func (n nudge) Handle(context.Context, slog.Record) error {
	select {
	case n <- struct{}{}:
	default:
	}
	return nil
}

// until waits for a condition of the log's status.
func (b *bench) until(what string, holds func(log.Status) bool) {
	b.t.Helper()
	for limit := time.After(time.Minute); !holds(b.log.Status()); {
		select {
		case <-b.said:
		case <-limit:
			b.t.Fatalf("never %s: %+v", what, b.log.Status())
		}
	}
}

// shown lists what was published: "BlockAdded 0".
func (b *bench) shown() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return lines(b.published)
}

func lines(events []event.Numbered) string {
	var all []string
	for _, e := range events {
		if e.IsNumbered() {
			all = append(all, fmt.Sprintf("%s %d", e.Tag, e.Seq))
		} else {
			all = append(all, e.Tag+" "+e.InForce)
		}
	}
	return strings.Join(all, ", ")
}

// readBack reads all from a number on, in pages, as a subscriber who comes back is served.
func (b *bench) readBack(from event.Seq, limit, maxBytes int) string {
	b.t.Helper()
	var all []event.Numbered
	for {
		page, err := b.log.After(b.t.Context(), from, limit, maxBytes)
		if err != nil {
			b.t.Fatal(err)
		}
		if len(page) == 0 {
			return lines(all)
		}
		all = append(all, page...)
		from = page[len(page)-1].Seq + 1
	}
}

func (b *bench) stored() string {
	b.t.Helper()
	all, err := b.store.After(b.t.Context(), 0, 10_000, 1<<30)
	if err != nil {
		b.t.Fatal(err)
	}
	return lines(all)
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n  got  %s\n  want %s", what, got, want)
	}
}

func TestAPIVersionOnlyRises(t *testing.T) {
	b := openBench(t, t.TempDir(), 1<<20)
	b.append(logtest.APIVersion("1.5.2"), logtest.Block(1), logtest.APIVersion("1.5.2"), logtest.APIVersion("1.4.9"), logtest.APIVersion("1.10.0"),
		logtest.Block(2), logtest.Parse(0, `{"ApiVersion":"newest"}`), logtest.Parse(0, `{"SidecarVersion":"1.0.0"}`))
	expect(t, "published", b.shown(), "ApiVersion 1.5.2, BlockAdded 0, ApiVersion 1.10.0, BlockAdded 1")
	if n := b.faults.count["connection_manager/api_version_deserialization_failed"]; n != 1 {
		t.Errorf("%d faults", n)
	}
}

func TestDuplicatesOfSeveralNodesAreDropped(t *testing.T) {
	b := openBench(t, t.TempDir(), 1<<20)
	var all sync.WaitGroup
	for n := range 3 {
		all.Go(func() {
			for height := range 100 {
				e := logtest.Block(height)
				e.Origin.Node = fmt.Sprintf("http://node%d/", n)
				b.append(e)
			}
		})
	}
	all.Wait()
	if s := b.log.Status(); s.Accepted != 100 || s.Duplicates != 200 || s.Next != 100 {
		t.Errorf("%+v", s)
	}
}

func TestUnknownAndUndecodableEventsArePassedOn(t *testing.T) {
	b := openBench(t, t.TempDir(), 1<<20)
	opaque := event.Opaque([]byte("<html>"))
	opaque.Origin, opaque.ID, opaque.HasID = event.Origin{Node: "n", Filter: event.FilterMain}, 3, true
	b.append(logtest.Parse(1, `{"Fork":1}`), logtest.Parse(2, `{"BlockAdded":{"block_hash":7}}`), opaque, logtest.Parse(1, `{"Fork":1}`))
	expect(t, "stored", b.stored(), "Fork 0, BlockAdded 1,  2")
	if s := b.log.Status(); s.Unkeyed != 1 {
		t.Errorf("%+v", s)
	}
}

// TestDatabaseErrorLosesNothing is named after the defect of Casper's sidecar, where an event that the database did not take was
// lost to subscribers as well.
func TestDatabaseErrorLosesNothing(t *testing.T) {
	dir := t.TempDir()
	b := openBench(t, dir, 1<<20)
	b.append(logtest.APIVersion("1.5.3"), logtest.Block(1))
	b.store.set(errors.New("connection refused"))
	b.append(logtest.Block(1), logtest.Block(2), logtest.Shutdown(3))
	b.append(logtest.Block(4))
	expect(t, "subscribers are served", b.shown(), "ApiVersion 1.5.3, BlockAdded 0, BlockAdded 1, Shutdown 2, BlockAdded 3")
	if s := b.log.Status(); s.SpoolEvents != 4 || s.Away != "connection refused" {
		t.Errorf("%+v", s)
	}
	if n := b.faults.count["main/db_save_error_BlockAdded"]; n == 0 {
		t.Error("the metric db_save_error_BlockAdded says nothing")
	}
	if s := b.store.state(); s == nil {
		t.Fatal("the database is back")
	}
	expect(t, "what is read back", b.readBack(0, 2, 1<<20), "BlockAdded 0, BlockAdded 1, Shutdown 2, BlockAdded 3")
	b.store.set(nil)
	b.until("drained", func(s log.Status) bool { return s.SpoolEvents == 0 && s.Away == "" })
	b.append(logtest.Block(5), logtest.Block(2))
	expect(t, "stored", b.stored(), "BlockAdded 0, BlockAdded 1, Shutdown 2, BlockAdded 3, BlockAdded 4")
	if files, _ := filepath.Glob(filepath.Join(dir, "spool", "*.spool")); len(files) != 0 {
		t.Errorf("left in the spool: %v", files)
	}
}

func TestOutageOutlastsAKill(t *testing.T) {
	dir := t.TempDir()
	b := openBench(t, dir, 1<<20)
	b.append(logtest.Block(1))
	b.store.set(errors.New("disk full"))
	b.append(logtest.Block(2), logtest.Block(3))
	b.end() // as after a kill, the spool holds what the database lacks

	torn := filepath.Join(dir, "spool", "0000000001.spool")
	content, err := os.ReadFile(torn)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(torn, append(content, 200, 0, 0, 0, 1, 2, 3), 0o644); err != nil { // the last write was cut short
		t.Fatal(err)
	}
	b = openBench(t, dir, 1<<20)
	expect(t, "stored", b.stored(), "BlockAdded 0, BlockAdded 1, BlockAdded 2")
	if id, known, _ := b.log.Position(t.Context(), event.Origin{Node: logtest.Node, Filter: event.FilterMain}); id != 3 || !known {
		t.Errorf("position %d %v", id, known)
	}
	b.append(logtest.Block(3), logtest.Block(4))
	expect(t, "published", b.shown(), "BlockAdded 3")
}

func TestDamagedSpoolIsNotPassedOver(t *testing.T) {
	dir := t.TempDir()
	b := openBench(t, dir, 1<<20)
	b.store.set(errors.New("away"))
	b.append(logtest.Block(1))
	b.end()
	first := filepath.Join(dir, "spool", "0000000001.spool")
	content, _ := os.ReadFile(first)
	content[20] ^= 1
	if err := os.WriteFile(first, content, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "spool", "0000000002.spool"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	spool, err := log.OpenSpool(filepath.Join(dir, "spool"), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if err := spool.Recover(func(*log.Entry) bool { return true }); err == nil || !strings.Contains(err.Error(), "is damaged at byte 0") {
		t.Errorf("recovering says %v", err)
	}
}

// TestFullDiskStopsReadingAndLosesNothing: when neither database nor spool takes anything, sources wait.
func TestFullDiskStopsReadingAndLosesNothing(t *testing.T) {
	b := openBench(t, t.TempDir(), 2000)
	b.store.set(errors.New("database or disk is full"))
	b.append(logtest.Accepted(1, 1, 1500))
	blocked := make(chan error, 1)
	go func() { blocked <- b.log.Append(context.Background(), []event.Event{logtest.Accepted(2, 2, 1500)}) }()
	b.until("blocked", func(s log.Status) bool { return strings.Contains(s.Blocked, "spool is full") })
	select {
	case err := <-blocked:
		t.Fatalf("acknowledged although nothing is durable: %v", err)
	default:
	}
	expect(t, "published", b.shown(), "DeployAccepted 0")
	b.store.set(nil) // room again
	if err := <-blocked; err != nil {
		t.Fatal(err)
	}
	b.until("drained", func(s log.Status) bool { return s.SpoolEvents == 0 && s.Away == "" && s.Blocked == "" })
	expect(t, "stored", b.stored(), "DeployAccepted 0, DeployAccepted 1")
}

func TestWhoWaitsForAFullDiskCanGiveUp(t *testing.T) {
	b := openBench(t, t.TempDir(), 100)
	b.store.set(errors.New("full"))
	b.append(logtest.Accepted(1, 1, 1500)) // one record always fits
	ctx, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error, 1)
	go func() { gaveUp <- b.log.Append(ctx, []event.Event{logtest.Block(2)}) }()
	b.until("blocked", func(s log.Status) bool { return s.Blocked != "" })
	cancel()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	b.end()
	if err := b.log.Append(t.Context(), []event.Event{logtest.Block(3)}); !errors.Is(err, log.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

func TestIndexFileOfCaspersSidecar(t *testing.T) {
	for _, tc := range []struct {
		name    string
		content string
		next    event.Seq
	}{
		{"of an earlier run of theirs", "\x2a\x00\x00\x00", 42},
		{"of the wrong length", "\x2a\x00\x00", 0},
		{"about to wrap", "\xff\xff\xff\xff", 1<<32 - 1},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "sse_index"), []byte(tc.content), 0o644); err != nil {
			t.Fatal(err)
		}
		b := openBench(t, dir, 1<<20)
		if got := b.log.Next(); got != tc.next {
			t.Errorf("%s: next %d, want %d", tc.name, got, tc.next)
		}
		b.append(logtest.Block(1), logtest.Block(2))
		content, _ := os.ReadFile(filepath.Join(dir, "sse_index"))
		if ahead := uint32(content[0]) | uint32(content[1])<<8 | uint32(content[2])<<16 | uint32(content[3])<<24; ahead-(tc.next+2).ID() > 2000 {
			t.Errorf("%s: while running the file says %d", tc.name, ahead)
		}
		b.end()
		content, _ = os.ReadFile(filepath.Join(dir, "sse_index"))
		if got := uint32(content[0]) | uint32(content[1])<<8 | uint32(content[2])<<16 | uint32(content[3])<<24; got != (tc.next + 2).ID() {
			t.Errorf("%s: at the end the file says %d", tc.name, got)
		}
	}
}

// TestOutagesAtRandom: whatever fails when, what was acknowledged is stored once, in the order and under the numbers that
// subscribers saw.
func TestOutagesAtRandom(t *testing.T) {
	base := t.TempDir()
	run := 0
	rapid.Check(t, func(r *rapid.T) {
		run++
		dir := filepath.Join(base, fmt.Sprint(run))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		b := openBench(t, dir, 1<<20)
		var shown []string
		height := 0
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			switch rapid.SampledFrom([]string{"append", "append", "away", "back", "restart"}).Draw(r, "step") {
			case "append":
				var batch []event.Event
				for range rapid.IntRange(1, 4).Draw(r, "events") {
					if height > 0 && rapid.Bool().Draw(r, "repeat") {
						batch = append(batch, logtest.Block(rapid.IntRange(1, height).Draw(r, "which")))
						continue
					}
					height++
					batch = append(batch, logtest.Block(height))
				}
				b.append(batch...)
			case "away":
				b.store.set(errors.New("away"))
			case "back":
				b.store.set(nil)
			case "restart":
				b.end()
				shown = append(shown, b.shown())
				b = openBench(t, dir, 1<<20)
			}
		}
		b.store.set(nil)
		b.until("drained", func(s log.Status) bool { return s.SpoolEvents == 0 && s.Away == "" })
		shown = append(shown, b.shown())
		var all []string
		for _, s := range shown {
			if s != "" {
				all = append(all, s)
			}
		}
		stored := b.stored()
		b.end()
		if want := strings.Join(all, ", "); stored != want {
			r.Fatalf("stored    %s\npublished %s", stored, want)
		}
		if strings.Count(stored, "BlockAdded") != height {
			r.Fatalf("%d blocks were sent, stored are %s", height, stored)
		}
	})
}
