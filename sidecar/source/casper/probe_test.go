package casper_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/synod-network/synod/sidecar/source/casper"
)

// TestStatusPagesThatSayTooLittle: the node is tried again, and the metric error_counts names the fault as each generation does.
func TestStatusPagesThatSayTooLittle(t *testing.T) {
	for _, tc := range []struct {
		name, page       string
		named1x, named2x string // "": read without a fault
	}{
		{"no version", `{"chainspec_name":"n"}`, "failed_getting_status_from_payload", "failed_getting_build_version_from_node_status"},
		{"no network", `{"build_version":"2.0.0-a"}`, "", "failed_getting_chainspec_name_from_node_status"},
		{"a network that is no text", `{"build_version":"2.0.0-a","chainspec_name":7}`, "", "failed_getting_chainspec_name_from_node_status"},
		{"a version that is no text", `{"build_version":2,"chainspec_name":"n"}`, "version_value_not_a_string", "version_value_not_a_string"},
		{"a version of two numbers", `{"build_version":"2.0","chainspec_name":"n"}`, "failed_parsing_protocol_version", "failed_parsing_protocol_version"},
		{"no JSON", `<html>`, "failed_getting_status_from_payload", "failed_getting_status_from_payload"},
	} {
		for minimum, named := range map[casper.Version]string{casper.Minimum1: tc.named1x, casper.Minimum2: tc.named2x} {
			node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/status" {
					w.WriteHeader(http.StatusNotFound)
					return
				}
				_, _ = w.Write([]byte(tc.page))
			}))
			address := strings.TrimPrefix(node.URL, "http://")
			s, err := casper.New(casper.Options{Minimum: minimum, Log: slog.New(slog.DiscardHandler), Nodes: []casper.Node{{
				SSE: address, REST: address, MaxAttempts: 2, RetryDelay: time.Millisecond, ConnectTimeout: patience, CheckEvery: time.Second, Silence: patience,
			}}})
			if err != nil {
				t.Fatal(err)
			}
			m := newMemory()
			if err := s.Run(context.Background(), m, m, m); err == nil {
				t.Errorf("%s, %s: a node without streams is read", tc.name, minimum)
			}
			counted := 0
			for fault, n := range m.faults {
				if strings.HasPrefix(fault, "fetching_build_version_for_node ") {
					counted += n
				}
			}
			if named == "" && counted != 0 || named != "" && (counted != 2 || m.faults["fetching_build_version_for_node "+named] != 2) {
				t.Errorf("%s, %s: %v, want two of %q", tc.name, minimum, m.faults, named)
			}
			node.Close()
		}
	}
}
