package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/synod-network/synod/bench/peers/load"
)

func TestParseRefuses(t *testing.T) {
	for line, want := range map[string]string{
		"--engines raft":                       `no engine "raft"; there are smartbft, smartbft-all, cometbft, cometbft-gossip`,
		"--workloads saturate":                 `no workload "saturate"`,
		"--rounds 0":                           "--rounds is 0",
		"--duration 0s":                        "is no window",
		"--memory 1":                           "--memory is 1",
		"extra":                                `unexpected argument "extra"`,
		"--synod-binary x --synod-args {what}": "{what} is no placeholder",
	} {
		_, err := parse(strings.Fields(line), io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", line, err, want)
		}
	}
}

func TestParseSelects(t *testing.T) {
	c, err := parse(strings.Fields("--engines cometbft,smartbft --workloads crash-2000 --duration 4s"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(c.engines, " ") != "smartbft cometbft" || len(c.workloads) != 1 || c.workloads[0].CrashAfter != time.Second {
		t.Errorf("got %v on %v", c.engines, c.workloads)
	}
}

func TestExpand(t *testing.T) {
	w := load.Standard(3*time.Second, 8*time.Second)[6]
	got, err := expand(defaultArguments, w, "/data")
	want := "bench --engine-json --workload crash-2000 --nodes 4 --size 1024 --rate 2000" +
		" --outstanding 200000 --warm-up 3s --duration 8s --crash-after 2s --dir /data"
	if err != nil || strings.Join(got, " ") != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

// answer is what a well-behaved external engine prints for paced.
const answer = `{"engine":"x","workload":"paced","nodes":4,"size":64,"rate":10,"ordered":10,"ordered_per_second":10,` +
	`"p50_ms":1,"p99_ms":2,"cpu_us_per_request":0.1,"longest_pause_ms":100}`

var paced = load.Workload{Name: "paced", Nodes: 4, Size: 64, Rate: 10, Outstanding: 1, Measure: time.Second}

func TestExternalEngine(t *testing.T) {
	enough := memory{soft: 1 << 30, hard: 1 << 30}
	for name, c := range map[string]struct {
		script, want string // want: part of the error; empty: none
	}{
		"answers after some talk": {"echo starting; echo '" + answer + "'", ""},
		"fails":                   {"echo no such flag >&2; exit 2", "no such flag"},
		"says nothing":            {"true", "reading a result"},
		"forgets a figure":        {"echo '" + strings.Replace(answer, `"p99_ms":2,`, "", 1) + "'", `field "p99_ms" is missing`},
		"did something else":      {"echo '" + strings.Replace(answer, `"nodes":4`, `"nodes":1`, 1) + "'", "result is for paced (1 nodes"},
		"claims too much":         {"echo '" + strings.Replace(answer, `request":0.1`, `request":1e9`, 1) + "'", "of processor time"},
	} {
		t.Run(name, func(t *testing.T) {
			script := filepath.Join(t.TempDir(), "engine.sh")
			if err := os.WriteFile(script, []byte(c.script), 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := runExternal(context.Background(), "/bin/sh", script, paced, t.TempDir(), enough)
			switch {
			case c.want == "" && (err != nil || r.Engine != ownEngine || r.P99MS != 2):
				t.Errorf("got %+v, %v", r, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestRunsAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		script, want string
		within       time.Duration
		bound        int64
	}{
		"in time":   {"exec tail -f /dev/null", "canceled", 100 * time.Millisecond, 1 << 30},
		"in memory": {"exec tail -f /dev/null", "of memory", time.Minute, 1},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			time.AfterFunc(c.within, cancel)
			_, err := runCommand(ctx, exec.Command("/bin/sh", "-c", c.script), paced, memory{hard: c.bound})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func result(engine string, w load.Workload, perSecond, p50 float64) outcome {
	return outcome{Engine: engine, Workload: w.Name, Result: &load.Result{
		Engine: engine, Workload: w.Name, Rate: w.Rate, OrderedPerSecond: perSecond,
		P50MS: p50, P99MS: 2 * p50, CPUMicros: 10, LongestPauseMS: p50,
	}}
}

func TestJudgeAndPrint(t *testing.T) {
	full := load.Workload{Name: "full"}
	workloads := []load.Workload{full, paced}
	outcomes := []outcome{
		result("slow", full, 1000, 500), result("fast", full, 4000, 100),
		result(ownEngine, full, 10000, 50),
		result("slow", paced, 10, 8), result("fast", paced, 5, 1), // fast did not keep up
		result(ownEngine, paced, 10, 9),
	}
	c := comparison{workloads: workloads, binary: "synod"}
	var table bytes.Buffer
	if err := c.print(&table, outcomes); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(table.String()), " ")
	for _, want := range []string{
		"full req/s fast 4000.0 10000.0 2.50 yes",
		"paced p50 slow 8.0 9.0 1.12 no",
		"paced fast 5 1.0 2.0 10.0 1 0 did not keep up",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, table.String())
		}
	}

	c.json = true
	var doc bytes.Buffer
	if err := c.print(&doc, outcomes); err != nil {
		t.Fatal(err)
	}
	var read struct{ Verdicts []verdict }
	if err := json.Unmarshal(doc.Bytes(), &read); err != nil || len(read.Verdicts) != 5 || read.Verdicts[0].Ratio != 2.5 {
		t.Errorf("got %+v, %v", read.Verdicts, err)
	}
}

// One failed round fails the engine on that workload, and the whole command.
func TestAFailedRoundCounts(t *testing.T) {
	o := outcome{Engine: "x", Workload: paced.Name}
	o.add(load.Result{OrderedPerSecond: 10}, nil)
	o.add(load.Result{}, context.DeadlineExceeded)
	o.settle(paced)
	if o.Result != nil || failures([]outcome{o}) == nil {
		t.Errorf("got %+v", o)
	}
}
