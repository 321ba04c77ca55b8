package stories

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/network"
)

// turn keeps stories that run side by side from trying the same ports at the same time.
var turn atomic.Int64

// sequencer is one node of a cluster: its place on disk, its addresses, and its process while it runs.
type sequencer struct {
	t      *testing.T
	at     network.Node
	name   string
	config *config.Sequencer
	files  int // that it may have open; 0 for as many as the test
	// operators is where its operators' certificate lies: with the network, or with itself.
	operators string
	*process
}

func newSequencer(t *testing.T, at network.Node) *sequencer {
	t.Helper()
	c, _, err := config.LoadSequencer(config.Sources{File: at.ConfigFile})
	if err != nil {
		t.Fatal(err)
	}
	return &sequencer{t: t, at: at, name: at.Name, config: c, operators: filepath.Dir(at.Dir)}
}

func (s *sequencer) start(flags ...string) {
	s.t.Helper()
	arguments := append([]string{"sequencer", "--config", s.at.ConfigFile, "--set", "log.format=json"}, flags...)
	if s.files > 0 {
		s.process = launchWith(s.t, s.name, s.at.Dir+"/log", "sh", append([]string{"-c", `ulimit -n "$0" && exec "$@"`, strconv.Itoa(s.files), binary}, arguments...)...)
		return
	}
	s.process = launch(s.t, s.name, s.at.Dir+"/log", arguments...)
}

// client does not keep connections: the other end may be killed between two questions.
var client = &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}

// report is the node's answer about its readiness, with the status code.
func (s *sequencer) report() (code int, report node.Report, err error) {
	answer, err := client.Get("http://" + s.config.Admin.Listen + "/health/ready")
	if err != nil {
		return 0, report, err
	}
	defer answer.Body.Close()
	return answer.StatusCode, report, json.NewDecoder(answer.Body).Decode(&report)
}

// health is nil if the node can order, else says why not.
func (s *sequencer) health() error {
	code, report, err := s.report()
	if err != nil {
		return err
	}
	if code == http.StatusOK && report.OK {
		return nil
	}
	for _, check := range report.Checks {
		if !check.OK {
			return errors.New(check.Reason)
		}
	}
	return fmt.Errorf("status %d without a reason", code)
}

// metric is the sum over all series of a metric, or of those that begin so; 0 if the node does not answer or has none.
func (s *sequencer) metric(series string) (sum float64) {
	answer, err := client.Get("http://" + s.config.Admin.Listen + "/metrics")
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if name != series && !strings.HasPrefix(name, series+"{") && !(strings.Contains(series, "{") && strings.HasPrefix(name, series)) {
			continue
		}
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			sum += v
		}
	}
	return sum
}
