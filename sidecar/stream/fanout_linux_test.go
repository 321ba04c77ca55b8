package stream_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log/logtest"
	"github.com/synod-network/synod/sidecar/stream"
)

// The benchmarks have their subscribers in a second process, this test binary run again as the crowd, so that memory and CPU of the
// sidecar are its own. Run them with -benchtime 1x.

// BenchmarkFanOut: 10 000 subscribers, 20 events a second of 1.1 KB, for ten seconds.
func BenchmarkFanOut(b *testing.B) {
	for b.Loop() {
		fanOut(b, 10_000, 200, 50*time.Millisecond, 1100)
	}
}

// BenchmarkLargeStep: one event of 30 MB to 1 000 subscribers.
func BenchmarkLargeStep(b *testing.B) {
	for b.Loop() {
		fanOut(b, 1000, 1, time.Millisecond, 30<<20)
	}
}

// tally is what the crowd saw.
type tally struct {
	Events    int64   `json:"events"`
	LatencyMS []int64 `json:"latency_ms"` // a sample
}

func fanOut(b *testing.B, subscribers, events int, every time.Duration, size int) {
	raiseFiles(b)
	o := stream.Defaults(5000)
	o.MaxSubscribers, o.SpillDir = subscribers, b.TempDir()
	s, err := stream.New(o, 0, "1.5.3")
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = s.Run(b.Context()) }()
	server := httptest.NewServer(s)
	defer server.Close()
	crowd := exec.Command(os.Args[0], "-test.run=^TestCrowd$", "-test.timeout=10m")
	crowd.Env = append(os.Environ(), "SYNOD_CROWD="+fmt.Sprintf("%s %d %d", strings.TrimPrefix(server.URL, "http://"), subscribers, events))
	var out bytes.Buffer
	crowd.Stdout, crowd.Stderr = &out, os.Stderr
	if err := crowd.Start(); err != nil {
		b.Fatal(err)
	}
	for s.Stats().Subscribers["/events/deploys"] < int64(subscribers) {
		time.Sleep(10 * time.Millisecond)
	}
	idle, cpu := resident(), cpuTime()
	peak := idle
	began := time.Now()
	tick := time.NewTicker(every)
	for n := range events {
		<-tick.C
		e := logtest.Accepted(uint32(n), int(time.Now().UnixNano()), size)
		s.Publish([]event.Numbered{{Event: e, Seq: event.Seq(n), InForce: "1.5.3"}})
		peak = max(peak, resident())
	}
	done := make(chan error, 1)
	go func() { done <- crowd.Wait() }()
	watch := time.NewTicker(100 * time.Millisecond)
	for running := true; running; {
		select {
		case err := <-done:
			if err != nil {
				b.Fatal(err)
			}
			running = false
		case <-watch.C:
			peak = max(peak, resident())
		}
	}
	var seen tally
	text := out.String()
	if err := json.Unmarshal([]byte(text[strings.Index(text, "{"):strings.LastIndex(text, "}")+1]), &seen); err != nil {
		b.Fatalf("%v: %s", err, text)
	}
	expected := int64(subscribers) * int64(events)
	slices.Sort(seen.LatencyMS)
	b.ReportMetric(float64(expected-seen.Events), "lost")
	if n := len(seen.LatencyMS); n > 0 {
		b.ReportMetric(float64(seen.LatencyMS[n/2]), "p50-ms")
		b.ReportMetric(float64(seen.LatencyMS[n*99/100]), "p99-ms")
	}
	b.ReportMetric(float64(idle)/(1<<20), "idle-MiB")
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
	b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/1000/float64(expected), "cpu-µs/delivery")
	b.ReportMetric(time.Since(began).Seconds(), "s")
}

func raiseFiles(t testing.TB) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
}

func resident() int64 {
	content, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(content))[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// TestCrowd is the second process of the benchmarks.
func TestCrowd(t *testing.T) {
	order := os.Getenv("SYNOD_CROWD")
	if order == "" {
		t.Skip("it is the other process of benchmarks")
	}
	raiseFiles(t)
	var address string
	var subscribers, events int
	if _, err := fmt.Sscan(order, &address, &subscribers, &events); err != nil {
		t.Fatal(err)
	}
	seen, err := attend(address, subscribers, events)
	if err != nil {
		t.Fatal(err)
	}
	out, _ := json.Marshal(seen)
	fmt.Println(string(out))
}

// attend subscribes so often and reads until every subscriber has seen so many events. It uses epoll directly: the crowd shares the
// cores with what it measures.
func attend(address string, subscribers, events int) (seen tally, err error) {
	epoll, err := unix.EpollCreate1(0)
	if err != nil {
		return seen, err
	}
	type reader struct {
		tail  []byte // the last three bytes, in which a mark may have begun
		count int
	}
	readers := make(map[int32]*reader, subscribers)
	host, port, _ := strings.Cut(address, ":")
	portNumber, err := strconv.Atoi(port)
	if err != nil {
		return seen, err
	}
	var ip [4]byte
	if _, err := fmt.Sscanf(host, "%d.%d.%d.%d", &ip[0], &ip[1], &ip[2], &ip[3]); err != nil {
		return seen, err
	}
	request := []byte("GET /events/deploys HTTP/1.1\r\nHost: x\r\n\r\n")
	for range subscribers {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			return seen, err
		}
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: portNumber, Addr: ip}); err != nil {
			return seen, err
		}
		if _, err := unix.Write(fd, request); err != nil {
			return seen, err
		}
		if err := unix.SetNonblock(fd, true); err != nil {
			return seen, err
		}
		readers[int32(fd)] = &reader{}
		if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
			return seen, err
		}
	}
	mark, hash := []byte("\nid:"), []byte(`"hash":"`)
	ready := make([]unix.EpollEvent, 1024)
	buffer := make([]byte, 256<<10)
	finished := 0
	for finished < subscribers {
		n, err := unix.EpollWait(epoll, ready, 30_000)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return seen, err
		}
		for _, r := range ready[:n] {
			got, err := unix.Read(int(r.Fd), buffer)
			if err == unix.EAGAIN {
				continue
			}
			reader := readers[r.Fd]
			if err != nil || got == 0 {
				finished++
				_ = unix.Close(int(r.Fd))
				continue
			}
			data := buffer[:got]
			if at := bytes.Index(data, hash); at >= 0 && len(data) >= at+len(hash)+64 {
				sent, err := strconv.ParseInt(string(data[at+len(hash):at+len(hash)+64]), 16, 64)
				if err == nil && len(seen.LatencyMS) < 1_000_000 {
					seen.LatencyMS = append(seen.LatencyMS, (time.Now().UnixNano()-sent)/1e6)
				}
			}
			count := bytes.Count(data, mark) + bytes.Count(append(reader.tail, data[:min(3, len(data))]...), mark)
			reader.tail = append(reader.tail[:0], data[max(0, len(data)-3):]...)
			before := reader.count
			reader.count += count
			seen.Events += int64(count)
			if before < events && reader.count >= events {
				finished++
			}
		}
	}
	return seen, nil
}
