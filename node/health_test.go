package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/synod-network/synod/node"
)

func TestHealthNamesEveryCheckAndItsReason(t *testing.T) {
	health := node.NewHealth()
	health.Live("storage", func() error { return nil })
	health.Ready("quorum", func() error { return errors.New("2 of 4 sequencers connected, 3 needed") })
	for _, tc := range []struct {
		path   string
		status int
		checks int
	}{
		{"/health", http.StatusServiceUnavailable, 2},
		{"/health/ready", http.StatusServiceUnavailable, 2},
		{"/health/live", http.StatusOK, 1},
	} {
		answer := httptest.NewRecorder()
		health.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, tc.path, nil))
		var report node.Report
		if err := json.Unmarshal(answer.Body.Bytes(), &report); err != nil {
			t.Fatal(err)
		}
		if answer.Code != tc.status || len(report.Checks) != tc.checks || report.OK != (tc.status == http.StatusOK) {
			t.Errorf("%s: %d with %+v", tc.path, answer.Code, report)
		}
		if tc.checks == 2 && report.Checks[1].Reason != "2 of 4 sequencers connected, 3 needed" {
			t.Errorf("%s: the reason is missing: %+v", tc.path, report.Checks)
		}
	}
}

func TestHealthCheckThatFailsLiveIsNotReady(t *testing.T) {
	health := node.NewHealth()
	health.Live("storage", func() error { return errors.New("disk on fire") })
	if health.IsReady().OK {
		t.Fatal("ready with broken storage")
	}
}

// Every names all checks at all times, so that none appears first when it fails.
func TestEveryCheckIsNamedWhetherItFailsOrNot(t *testing.T) {
	health := node.NewHealth()
	health.Live("storage", func() error { return nil })
	var missing error
	health.Ready("quorum", func() error { return missing })
	for _, tc := range []struct {
		do   func()
		ok   bool
		want [3]bool
	}{
		{func() {}, true, [3]bool{true, true, true}},
		{func() { missing = errors.New("2 of 4 sequencers connected, 3 needed") }, false, [3]bool{true, false, true}},
		{health.Shutdown, false, [3]bool{true, false, false}},
	} {
		tc.do()
		report := health.Every()
		if report.OK != tc.ok || len(report.Checks) != 3 {
			t.Fatalf("%+v", report)
		}
		for n, name := range []string{"storage", "quorum", "shutdown"} {
			if c := report.Checks[n]; c.Name != name || c.Live != (n == 0) || c.OK != tc.want[n] {
				t.Errorf("check %d: %+v", n, c)
			}
		}
	}
}

func TestWatchReportsEachChangeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		health := node.NewHealth()
		health.Ready("quorum", func() error {
			if time.Since(began) < time.Second {
				return errors.New("connecting")
			}
			return nil
		})
		var seen []bool
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		health.Watch(ctx, func(r node.Report) bool {
			seen = append(seen, r.OK)
			if r.OK {
				health.Shutdown()
			}
			return len(seen) < 3
		})
		if len(seen) != 3 || seen[0] || !seen[1] || seen[2] {
			t.Fatalf("saw %v, want not ready, ready, not ready", seen)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Fatalf("noticed after %s", took)
		}
	})
}
