package telemetry_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/synod-network/synod/telemetry"
)

var update = flag.Bool("update", false, "rewrite the generated page")

// TestMetricsPage keeps the page for operators equal to the declarations.
func TestMetricsPage(t *testing.T) {
	const path = "../docs/operations/metrics.md"
	want := page(telemetry.New(prometheus.NewRegistry()).Catalogue())
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Fatalf("%s is out of date: run make generate", path)
	}
}

// TestMetricsMap: each metric of ours that the page for those who come from Canton names is there.
func TestMetricsMap(t *testing.T) {
	content, err := os.ReadFile("../docs/operations/metrics-map.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, d := range telemetry.New(prometheus.NewRegistry()).Catalogue() {
		known[d.Name] = true
	}
	named := regexp.MustCompile("`(synod_[a-z0-9_]+)`").FindAllStringSubmatch(string(content), -1)
	if len(named) < 30 {
		t.Errorf("the page names %d metrics", len(named))
	}
	for _, n := range named {
		if !known[n[1]] {
			t.Errorf("there is no metric %s", n[1])
		}
	}
}

func page(catalogue []telemetry.Description) []byte {
	var out bytes.Buffer
	out.WriteString("# Metrics\n\n" +
		"Every node serves these at `/metrics` of its admin listener, beside the standard metrics of the Go runtime and the\n" +
		"process. Histograms come with classic buckets and, to a scraper that asks for them, native ones.\n\n" +
		"This page is generated from the declarations in `telemetry/` by `make generate`.\n\n" +
		"| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n")
	for _, d := range catalogue {
		labels := strings.Join(d.Labels, ", ")
		if labels == "" {
			labels = "–"
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", d.Name, d.Type, labels, d.Help)
	}
	return out.Bytes()
}
