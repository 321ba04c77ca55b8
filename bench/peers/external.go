package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/synod-network/synod/bench/peers/load"
)

// ownEngine is the name under which the external engine appears.
const ownEngine = "synod"

// defaultArguments is how the external engine is called. It must run the
// workload with all nodes and the load under one process tree, and print one
// [load.Result] as JSON in its last line of output.
const defaultArguments = "bench --engine-json --workload {workload} --nodes {nodes} --size {size} --rate {rate}" +
	" --outstanding {outstanding} --warm-up {warm-up} --duration {duration} --crash-after {crash-after} --dir {dir}"

// expand fills a template of arguments with a workload. Durations are as Go
// writes them (8s), sizes in bytes, rates in requests per second with 0 for as
// fast as it goes; a crash after 0s is none.
func expand(template string, w load.Workload, dir string) ([]string, error) {
	values := map[string]string{
		"workload":    w.Name,
		"nodes":       strconv.Itoa(w.Nodes),
		"size":        strconv.Itoa(w.Size),
		"rate":        strconv.Itoa(w.Rate),
		"outstanding": strconv.Itoa(w.Outstanding),
		"warm-up":     w.WarmUp.String(),
		"duration":    w.Measure.String(),
		"crash-after": w.CrashAfter.String(),
		"dir":         dir,
	}
	arguments := strings.Fields(template)
	for i, a := range arguments {
		name, ok := strings.CutPrefix(a, "{")
		if !ok {
			continue
		}
		name, ok = strings.CutSuffix(name, "}")
		value, known := values[name]
		if !ok || !known {
			return nil, fmt.Errorf("arguments for %s: %s is no placeholder", ownEngine, a)
		}
		arguments[i] = value
	}
	return arguments, nil
}

// runExternal runs one workload on the external engine. What the engine says
// of its processor time is held against what the system counted for the whole
// process, which is more: start-up, warm-up and drain are in it too.
func runExternal(ctx context.Context, binary, template string, w load.Workload, dir string, bound memory) (load.Result, error) {
	site, err := os.MkdirTemp(dir, ownEngine+"-")
	if err != nil {
		return load.Result{}, fmt.Errorf("making a directory for the nodes: %w", err)
	}
	defer os.RemoveAll(site)
	arguments, err := expand(template, w, site)
	if err != nil {
		return load.Result{}, err
	}
	cmd := exec.Command(binary, arguments...)
	result, err := runCommand(ctx, cmd, w, bound)
	if err != nil {
		return load.Result{}, err
	}
	result.Engine = ownEngine
	return result, checkProcessorTime(result, w, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
}

// checkProcessorTime refuses figures that the process cannot have: more time
// than it had, or, at full load, much less than its share of it.
func checkProcessorTime(r load.Result, w load.Workload, total time.Duration) error {
	claimed := time.Duration(r.CPUMicros * float64(r.Ordered) * float64(time.Microsecond))
	if claimed > total+total/20 {
		return fmt.Errorf("claims %v of processor time, the system counted %v in all", claimed.Round(time.Millisecond), total.Round(time.Millisecond))
	}
	share := float64(w.Measure) / float64(w.WarmUp+w.Measure)
	if floor := time.Duration(share * float64(total) / 2); w.Rate == 0 && claimed < floor {
		return fmt.Errorf("claims %v of processor time, the system counted %v in all, so at least %v were in the window",
			claimed.Round(time.Millisecond), total.Round(time.Millisecond), floor.Round(time.Millisecond))
	}
	return nil
}
