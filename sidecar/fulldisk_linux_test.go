package sidecar_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/synod-network/synod/sidecar"
	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log/logtest"
)

// TestReallyFullDisk fills a file system of its own: a tmpfs of a few megabytes in a mount namespace that ends with the process, which
// therefore is a second one. It needs root or user namespaces.
func TestReallyFullDisk(t *testing.T) {
	if os.Getenv("SYNOD_FULL_DISK") != "" {
		t.Run("WithTheSpoolOnIt", testDiskFullForBoth)
		t.Run("WithTheDatabaseAlone", testDiskFullForTheDatabase)
		t.Run("WithTheDatabaseBackFirst", testSpoolFullAndDatabaseBack)
		return
	}
	inside := exec.Command(os.Args[0], "-test.run=^TestReallyFullDisk$", "-test.v")
	inside.Env = append(os.Environ(), "SYNOD_FULL_DISK=1")
	inside.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		inside.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		inside.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		inside.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := inside.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || strings.Contains(string(out), notAllowed) {
		t.Skipf("needs root or user namespaces to mount a small disk: %v %s", err, out)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

const (
	notAllowed = "mounting is not allowed"
	diskSize   = 16 << 20
)

// smallDisk mounts a file system of 16 MiB, of which all but so many bytes are taken; the ballast is taken away to make room.
func smallDisk(t *testing.T, room int) (dir, ballast string) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatalf("%s: %v", notAllowed, err)
	}
	if err := unix.Mount("synod-full-disk", dir, "tmpfs", 0, fmt.Sprint("size=", diskSize)); err != nil {
		t.Fatalf("%s: %v", notAllowed, err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	ballast = filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, diskSize-room), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, ballast
}

// freed makes room on a disk.
func freed(t *testing.T, ballast string) {
	t.Helper()
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
}

// hears passes on the messages of a log that a test waits for.
type hears struct {
	messages chan string
	mu       sync.Mutex
	count    map[string]int
}

func (*hears) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (h *hears) WithAttrs([]slog.Attr) slog.Handler         { return h }
func (h *hears) WithGroup(string) slog.Handler              { return h }
func (h *hears) Handle(_ context.Context, r slog.Record) error {

	h.mu.Lock()
	h.count[r.Message]++
	h.mu.Unlock()
	h.messages <- r.Level.String() + " " + r.Message
	return nil
}

// until waits for a message.
func (h *hears) until(t *testing.T, text string) {
	t.Helper()
	var heard []string
	for limit := time.After(time.Minute); ; {
		select {
		case message := <-h.messages:
			if strings.Contains(message, text) {
				return
			}
			heard = append(heard, message)
		case <-limit:
			t.Fatalf("the log does not say %q, only\n%s", text, strings.Join(heard, "\n"))
		}
	}
}

// saysOnce wants each outage to be said once, however long it lasts.
func (h *hears) saysOnce(t *testing.T, messages ...string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, text := range messages {
		n := 0
		for message, count := range h.count {
			if strings.Contains(message, text) {
				n += count
			}
		}
		if n != 1 {
			t.Errorf("the log says %d times %q", n, text)
		}
	}
}

// outage is a sidecar that is given more than its disk holds, and one subscriber who is there all the time.
type outage struct {
	t     *testing.T
	f     *feed
	r     *running
	log   *hears
	live  func() string
	given int // events that were handed over
}

func startOutage(t *testing.T, change func(*sidecar.Options)) *outage {
	t.Helper()
	o := &outage{t: t, f: newFeed(), log: &hears{messages: make(chan string, 10_000), count: make(map[string]int)}}
	dir := t.TempDir()
	o.r = start(t, dir, o.f.read, func(so *sidecar.Options) {
		so.Log, so.Ring = slog.New(o.log), 5
		change(so)
	})
	o.live = subscribe(t, o.r.urls["events"]+"/events/main?start_from=0")
	return o
}

// give hands over one block with a large body, and reports whether it was acknowledged, or false when the log says text instead. Then
// it is still to be acknowledged.
func (o *outage) give(text string) bool {
	o.t.Helper()
	o.f.batches <- []event.Event{largeBlock(o.given)}
	o.given++
	for {
		select {
		case err := <-o.f.taken:
			if err != nil {
				o.t.Fatal(err)
			}
			return true
		case message := <-o.log.messages:
			if text != "" && strings.Contains(message, text) {
				return false
			}
		case <-time.After(time.Minute):
			o.t.Fatalf("event %d is neither acknowledged nor does the log say %q", o.given-1, text)
		}
	}
}

// acknowledged waits for the event that has no room yet.
func (o *outage) acknowledged() {
	o.t.Helper()
	select {
	case err := <-o.f.taken:
		if err != nil {
			o.t.Fatal(err)
		}
	case <-time.After(time.Minute):
		o.t.Fatal("there is room, and the event that waited is still not acknowledged")
	}
}

// largeBlock is one that fills disks: 100 kB.
func largeBlock(height int) event.Event {
	block := logtest.Block(height)
	block.Body = append(block.Body[:len(block.Body)-1], `,"ballast":"`+strings.Repeat("x", 100_000)+`"}`...)
	return block
}

// sees wants the next event of the subscriber to be a number.
func (o *outage) sees(number int) {
	o.t.Helper()
	for {
		line := o.live()
		if id, isID := strings.CutPrefix(line, "id:"); isID {
			if id != fmt.Sprint(number) {
				o.t.Fatalf("the subscriber sees %s instead of %d", id, number)
			}
			return
		}
		if strings.HasPrefix(line, "end:") {
			o.t.Fatalf("before %d the stream: %s", number, line)
		}
	}
}

func (o *outage) wants(path string, status int, texts ...string) {
	o.t.Helper()
	got, body := get(o.t, o.r.urls["admin"]+path)
	if got != status {
		o.t.Errorf("%s: status %d instead of %d: %s", path, got, status, body)
	}
	for _, text := range texts {
		if !strings.Contains(body, text) {
			o.t.Errorf("%s does not say %q", path, text)
		}
	}
}

// testDiskFullForBoth: what was acknowledged is there, what does not fit is not acknowledged and no subscriber sees it, all say so,
// and when there is room all goes on without a gap; also when the sidecar was stopped and started on the full disk.
func testDiskFullForBoth(t *testing.T) {
	disk, ballast := smallDisk(t, 4<<20)
	onDisk := func(so *sidecar.Options) {
		so.Directory, so.SQLite.Path = disk, filepath.Join(disk, "events.db3")
	}
	o := startOutage(t, onDisk)
	for o.give("NO EVENT CAN BE MADE DURABLE") {
		o.sees(o.given - 1)
	}
	if o.given < 10 {
		t.Errorf("the disk was full after %d events", o.given)
	}
	o.wants("/health", 503, "no event can be made durable", "no space left on device")
	o.wants("/metrics", 200, "synod_sidecar_blocked 1", "synod_sidecar_database_away 1", fmt.Sprint("synod_sidecar_accepted_total ", o.given-1), `error_counts{category="main",description="db_save_error_BlockAdded"}`)
	o.wants("/status", 200, "no space left on device")
	for _, last := range []int{0, o.given - 4} {
		resumed(t, o.r, last, o.given-1)
	}
	freed(t, ballast)
	o.acknowledged()
	o.sees(o.given - 1)
	o.log.until(t, "the database is back")
	o.give("")
	o.sees(o.given - 1)
	o.wants("/health", 200)
	o.wants("/metrics", 200, "synod_sidecar_blocked 0", "synod_sidecar_database_away 0", "synod_sidecar_spool_events 0", fmt.Sprint("synod_sidecar_database_events ", o.given))
	o.r.stop()
	o.log.saysOnce(t, "cannot store events in the database", "NO EVENT CAN BE MADE DURABLE", "events can be made durable again", "the database is back")

	o.r = start(t, disk, o.f.read, onDisk)
	defer o.r.stop()
	resumed(t, o.r, 0, o.given)
}

// testDiskFullForTheDatabase: the spool is elsewhere, so that nobody notices but the operator.
func testDiskFullForTheDatabase(t *testing.T) {
	disk, ballast := smallDisk(t, 4<<20)
	o := startOutage(t, func(so *sidecar.Options) { so.SQLite.Path = filepath.Join(disk, "events.db3") })
	defer func() { o.r.stop() }()
	for o.give("cannot store events in the database; keeping them in the spool") {
		o.sees(o.given - 1)
	}
	o.acknowledged()
	o.sees(o.given - 1)
	for range 10 {
		o.give("")
		o.sees(o.given - 1)
	}
	o.wants("/health", 200)
	o.wants("/metrics", 200, "synod_sidecar_blocked 0", "synod_sidecar_database_away 1", "synod_sidecar_spool_events 11")
	resumed(t, o.r, 0, o.given)
	freed(t, ballast)
	o.log.until(t, "the database is back")
	o.give("")
	o.sees(o.given - 1)
	o.wants("/metrics", 200, "synod_sidecar_database_away 0", "synod_sidecar_spool_events 0", fmt.Sprint("synod_sidecar_database_events ", o.given))
	resumed(t, o.r, 0, o.given)
}

// testSpoolFullAndDatabaseBack: two disks, full both, and only that of the database gets room. The spool holds nothing that could be
// moved, so only the database itself can tell.
func testSpoolFullAndDatabaseBack(t *testing.T) {
	spools, spoolBallast := smallDisk(t, 4<<20)
	disk, ballast := smallDisk(t, 4<<20)
	o := startOutage(t, func(so *sidecar.Options) {
		so.Directory, so.SQLite.Path = spools, filepath.Join(disk, "events.db3")
	})
	defer func() { o.r.stop() }()
	fill(t, spools)
	fill(t, disk)
	if o.give("NO EVENT CAN BE MADE DURABLE") {
		t.Fatal("acknowledged although there is no room")
	}
	o.wants("/health", 503, "no event can be made durable")
	o.wants("/metrics", 200, "synod_sidecar_blocked 1", "synod_sidecar_spool_events 0", "synod_sidecar_accepted_total 0")
	freed(t, ballast)
	o.acknowledged()
	for range 5 {
		o.sees(o.given - 1)
		o.give("")
	}
	o.wants("/health", 200)
	o.wants("/metrics", 200, "synod_sidecar_blocked 0", "synod_sidecar_database_away 0", fmt.Sprint("synod_sidecar_database_events ", o.given))
	o.log.saysOnce(t, "cannot store events in the database", "NO EVENT CAN BE MADE DURABLE", "events can be made durable again", "the database is back",
		"cannot write the file from which Casper's sidecar would number on")
	resumed(t, o.r, 0, o.given)
	freed(t, spoolBallast)
}

// fill takes all the room that a disk has left.
func fill(t *testing.T, disk string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(disk, "filler"), make([]byte, diskSize), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
}
