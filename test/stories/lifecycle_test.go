package stories

import (
	"errors"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/synod-network/synod/node/network"
)

// TestColdStart: what the README says: a network is founded with one command, each node started with the one that it prints.
func TestColdStart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "net")
	command := exec.Command(binary, "network", "init", "--sequencers", "4", "--dir", dir, "--base-port", strconv.Itoa(freeBase(t, 4)))
	printed, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	n, err := network.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, net: n}
	for i, line := range strings.Split(strings.TrimSpace(string(printed)), "\n") {
		s := newSequencer(t, n.Nodes[i])
		if want := "synod sequencer --config " + s.at.ConfigFile; line != want {
			t.Fatalf("init printed %q, want %q", line, want)
		}
		c.nodes = append(c.nodes, s)
	}
	began := time.Now()
	c.start()
	t.Logf("four processes ready %s after their start", time.Since(began).Round(time.Millisecond))
	traffic := driveMembers(t, c.nodes)
	c.orders(c.nodes...)
	traffic.finish()
	for _, s := range c.nodes {
		if code := s.stop(); code != 0 {
			t.Errorf("%s: exit code %d after TERM", s.name, code)
		}
	}
}

// TestTwoOfFourDown: without a quorum nothing is ordered and readiness says why; once one is back, ordering resumes by itself, and
// what had been queued meanwhile comes out.
func TestTwoOfFourDown(t *testing.T) {
	c := found(t, 4)
	c.start()
	c.nodes[2].kill()
	c.nodes[3].kill()
	alive := c.nodes[:2]
	for _, s := range alive {
		within(t, patience, s.name+" misses the quorum", func() error {
			code, report, err := s.report()
			if err != nil {
				return err
			}
			for _, check := range report.Checks {
				if code == http.StatusServiceUnavailable && strings.Contains(check.Reason, "2 of 4 sequencers connected, 3 needed for a quorum") {
					return nil
				}
			}
			return errors.New("readiness does not name the quorum")
		})
	}
	stuck := alive[0].head()
	traffic := drive(t, alive)
	within(t, patience, "requests wait", func() error {
		if alive[0].metric("synod_queue_requests") < 100 {
			return errors.New("few requests in the queue")
		}
		return nil
	})
	if head := alive[0].head(); head > stuck+1 {
		t.Errorf("went from block %d to %d without a quorum", stuck, head)
	}
	c.nodes[2].start()
	c.ready(c.nodes[:3]...)
	c.orders(c.nodes[:3]...)
	c.nodes[3].start()
	c.ready(c.nodes...)
	traffic.finish()
	c.agree()
}

// TestRollingRestart: every node is restarted with TERM while requests flow: each orders what it had accepted before it goes, so
// that only requests that were never answered may be unknown.
func TestRollingRestart(t *testing.T) {
	c := found(t, 4)
	c.start()
	traffic := drive(t, c.nodes)
	c.orders(c.nodes...)
	for _, s := range c.nodes {
		if code := s.stop(); code != 0 {
			t.Fatalf("%s: exit code %d after TERM", s.name, code)
		}
		c.orders(c.others(s)...)
		s.start()
		c.ready(s)
		c.level()
	}
	if r := traffic.finish(); r.Unknown > r.Submitted-r.Accepted-r.Rejected {
		t.Errorf("the fate of %d requests is unknown, and only %d were never answered", r.Unknown, r.Submitted-r.Accepted-r.Rejected)
	}
	c.agree()
}
