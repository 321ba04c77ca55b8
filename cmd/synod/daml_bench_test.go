//go:build linux

package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkDamlRun starts synod as a process that runs a script, or checks packages. It reports the time to the first transaction's line of output, the
// processor time of the whole process, and the most memory that was resident. The small DAR is an example; the other, of 37 packages,
// is in SYNOD_DAR_DIR.
func BenchmarkDamlRun(b *testing.B) {
	dir := b.TempDir()
	synod := filepath.Join(dir, "synod")
	small := filepath.Join(dir, "iou.dar")
	command(b, "go", "build", "-o", synod, ".")
	command(b, synod, "daml", "assemble", "../../examples/iou/iou.lf", "-o", small)
	large := filepath.Join(os.Getenv("SYNOD_DAR_DIR"), "splice-amulet-0.1.14.dar")
	smallRun := []string{"daml", "run", small, "../../examples/iou/run.json"}
	largeRun := []string{"daml", "run", large, "../../daml/script/testdata/amulet.json", "--dar", small}
	for _, bench := range []struct {
		name  string
		args  []string
		empty string // a folder that is emptied before each run
	}{
		{"small", smallRun, ""},
		{"small/cached", append(smallRun[:4:4], "--cache", filepath.Join(dir, "small")), ""},
		{"both", largeRun, ""},
		{"both/filling", append(largeRun[:6:6], "--cache", filepath.Join(dir, "new")), filepath.Join(dir, "new")},
		{"both/cached", append(largeRun[:6:6], "--cache", filepath.Join(dir, "both")), ""},
		{"check", []string{"daml", "check", large}, ""},
		{"check/filling", []string{"daml", "check", large, "--cache", filepath.Join(dir, "new")}, filepath.Join(dir, "new")},
	} {
		b.Run(bench.name, func(b *testing.B) {
			if _, err := os.Stat(large); err != nil && !strings.HasPrefix(bench.name, "small") {
				b.Skip("SYNOD_DAR_DIR has no splice-amulet-0.1.14.dar")
			}
			startAndRun(b, synod, bench.args) // also fills the cache
			var first, cpu time.Duration
			var resident int64
			for b.Loop() {
				if bench.empty != "" {
					if err := os.RemoveAll(bench.empty); err != nil {
						b.Fatal(err)
					}
				}
				p := startAndRun(b, synod, bench.args)
				first, cpu, resident = first+p.first, cpu+p.cpu, max(resident, p.resident)
			}
			if bench.args[1] == "run" {
				b.ReportMetric(first.Seconds()*1000/float64(b.N), "ms-to-first")
			}
			b.ReportMetric(cpu.Seconds()*1000/float64(b.N), "cpu-ms")
			b.ReportMetric(float64(resident)/1024, "most-MiB")
		})
	}
}

func command(b *testing.B, name string, args ...string) {
	b.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		b.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// process is what a run of synod took.
type process struct {
	first    time.Duration // from its start to the first transaction
	cpu      time.Duration // user and system
	resident int64         // KiB
}

func startAndRun(b *testing.B, synod string, args []string) (p process) {
	b.Helper()
	cmd := exec.Command(synod, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if p.first == 0 && strings.HasPrefix(lines.Text(), "#1 ") {
			p.first = time.Since(began)
		}
	}
	if err := cmd.Wait(); err != nil {
		b.Fatalf("%v: %v", args, err)
	}
	if p.first == 0 && args[1] == "run" {
		b.Fatalf("%v ran no transaction", args)
	}
	p.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	p.resident = cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
	return p
}
