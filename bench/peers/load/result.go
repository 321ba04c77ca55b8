package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// A Result is what one engine reached on one workload. Its JSON form is the
// contract with engines that run as an external command.
type Result struct {
	Engine   string `json:"engine"`
	Workload string `json:"workload"`
	Nodes    int    `json:"nodes"`
	Size     int    `json:"size"` // bytes per request
	Rate     int    `json:"rate"` // asked for, requests per second; 0 = as fast as it goes

	// Ordered counts requests delivered, inside the measured window, at the
	// node that each was handed to.
	Ordered          int     `json:"ordered"`
	OrderedPerSecond float64 `json:"ordered_per_second"`
	// P50MS and P99MS are from the moment a request was due to the moment its
	// node delivered it, in milliseconds.
	P50MS float64 `json:"p50_ms"`
	P99MS float64 `json:"p99_ms"`
	// CPUMicros is user and system time of all nodes and the load together,
	// spent inside the measured window, per request ordered in it.
	CPUMicros float64 `json:"cpu_us_per_request"`
	// LongestPauseMS is the longest time inside the window in which no node
	// delivered any request.
	LongestPauseMS float64 `json:"longest_pause_ms"`

	// PausedMS is the sum of all pauses above 100 ms.
	PausedMS float64 `json:"paused_ms,omitempty"`
	// PeakMiB is the largest resident size that the process reached.
	PeakMiB float64 `json:"peak_mib,omitempty"`
}

// sustainedShare is the part of the asked rate below which a paced run did not
// keep up, which makes its latency meaningless.
const sustainedShare = 0.97

// Sustained reports whether an open-loop run kept up with its rate. A closed
// loop always does.
func (r Result) Sustained() bool {
	return r.Rate == 0 || r.OrderedPerSecond >= sustainedShare*float64(r.Rate)
}

// Check reports whether r answers w: same shape, and every figure a number
// that a real run can produce.
func (r Result) Check(w Workload) error {
	if r.Workload != w.Name || r.Nodes != w.Nodes || r.Size != w.Size || r.Rate != w.Rate {
		return fmt.Errorf("result is for %s (%d nodes, %d B, %d/s), asked for %s (%d nodes, %d B, %d/s)",
			r.Workload, r.Nodes, r.Size, r.Rate, w.Name, w.Nodes, w.Size, w.Rate)
	}
	if r.Engine == "" {
		return errors.New("result names no engine")
	}
	if r.Ordered <= 0 {
		return errors.New("nothing was ordered in the measured window")
	}
	for name, figure := range map[string]float64{
		"ordered_per_second": r.OrderedPerSecond, "p50_ms": r.P50MS, "p99_ms": r.P99MS,
		"cpu_us_per_request": r.CPUMicros, "longest_pause_ms": r.LongestPauseMS,
	} {
		if math.IsNaN(figure) || math.IsInf(figure, 0) || figure <= 0 {
			return fmt.Errorf("%s is %v, want a positive number", name, figure)
		}
	}
	if r.P99MS < r.P50MS {
		return fmt.Errorf("p99_ms %v is below p50_ms %v", r.P99MS, r.P50MS)
	}
	return nil
}

// required are the fields that an external engine must print.
var required = [...]string{
	"engine", "workload", "nodes", "size", "rate", "ordered", "ordered_per_second",
	"p50_ms", "p99_ms", "cpu_us_per_request", "longest_pause_ms",
}

// ParseResult reads one JSON object. A missing field is an error, so that a
// forgotten figure is not taken for a zero.
func ParseResult(text []byte) (Result, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return Result{}, fmt.Errorf("reading a result: %w", err)
	}
	for _, name := range required {
		if _, ok := fields[name]; !ok {
			return Result{}, fmt.Errorf("reading a result: field %q is missing", name)
		}
	}
	var r Result
	if err := json.Unmarshal(text, &r); err != nil {
		return Result{}, fmt.Errorf("reading a result: %w", err)
	}
	return r, nil
}
