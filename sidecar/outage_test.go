package sidecar_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/synod-network/synod/internal/pgtest"
	"github.com/synod-network/synod/sidecar"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/logtest"
	"github.com/synod-network/synod/sidecar/log/postgres"
)

// TestPostgreSQLOutageAsClientsSeeIt: while the server is down, live subscribers notice nothing, those who come back get what the
// spool and the ring hold, and only those who want what the server alone has are told to come back. Afterwards there is no gap.
func TestPostgreSQLOutageAsClientsSeeIt(t *testing.T) {
	if testing.Short() {
		t.Skip("stops and starts a server")
	}
	server, dir := pgtest.Start(t), t.TempDir()
	f := newFeed()
	r := start(t, dir, f.read, func(o *sidecar.Options) {
		o.SQLite, o.PostgreSQL = nil, &postgres.Config{DSN: server.Database(t), MaxConnections: 4, Layout: log.V1, Directory: dir}
		o.Ring = 5
	})
	defer r.stop()
	f.say(t, logtest.APIVersion("1.5.3"))
	height := 0
	blocks := func(count int) {
		for range count {
			f.say(t, logtest.Block(height))
			height++
		}
	}
	live := subscribe(t, r.urls["events"]+"/events/main?start_from=0")
	live()
	blocks(20)
	server.Kill(t)
	blocks(30) // 20 to 49; the ring has 45 and on
	for n := range height {
		if got := live() + live(); !strings.HasSuffix(got, fmt.Sprint("id:", n)) {
			t.Fatalf("live: %s instead of %d", got, n)
		}
	}
	for _, last := range []int{19, 20, 33, 44, 47} {
		resumed(t, r, last, height)
	}
	if status, body := get(t, r.urls["events"]+"/events/main?start_from=7"); status != http.StatusServiceUnavailable || !strings.Contains(body, "cannot be read from the database now") {
		t.Errorf("what the server alone has: %d %s", status, body)
	}
	if _, metrics := get(t, r.urls["admin"]+"/metrics"); !strings.Contains(metrics, "synod_sidecar_database_away 1") || !strings.Contains(metrics, "synod_sidecar_spool_events 30") {
		t.Error("the metrics do not tell of the outage")
	}
	server.Restart(t)
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for drained := false; !drained; {
		_, metrics := get(t, r.urls["admin"]+"/metrics")
		drained = strings.Contains(metrics, "synod_sidecar_database_away 0")
		select {
		case <-deadline.C:
			t.Fatal("the database is back, and the spool is not drained")
		case <-time.After(10 * time.Millisecond): // a condition, polled
		}
	}
	blocks(3)
	for _, last := range []int{0, 19, 20, 44} {
		resumed(t, r, last, height)
	}
}

// resumed comes back after an event, and wants all that follow, once.
func resumed(t *testing.T, r *running, last, height int) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, r.urls["events"]+"/events/main", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Last-Event-ID", fmt.Sprint(last))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(resp.Body)
		t.Errorf("after %d: %s: %s", last, resp.Status, body)
		return
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 64<<20)
	for next := last + 1; next < height; {
		if !lines.Scan() {
			t.Fatalf("after %d: the stream ended before %d: %v", last, next, lines.Err())
		}
		id, isID := strings.CutPrefix(lines.Text(), "id:")
		if !isID {
			continue
		}
		if id != fmt.Sprint(next) {
			t.Fatalf("after %d: got %s instead of %d", last, id, next)
		}
		next++
	}
}
