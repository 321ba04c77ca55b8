package stories

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Strangers come from another address than the members of these stories: limits count by host.
const strangersHost = "127.0.0.2"

func strangersDialer() *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(strangersHost)}, Timeout: 5 * time.Second}
}

// TestFloodOfConnections: a stranger opens many more connections to a sequencer than it may have files open. It closes them, lives,
// and members go on, those too that come during the flood.
func TestFloodOfConnections(t *testing.T) {
	c := found(t, 4)
	victim := c.nodes[0]
	victim.files = 512
	c.start()
	traffic := driveMembers(t, c.nodes)
	within(t, patience, "members are told", func() error { return victim.counts("synod_members_delivered_events_total", 1) })
	var open []net.Conn
	t.Cleanup(func() {
		for _, conn := range open {
			conn.Close()
		}
	})
	for range 700 {
		conn, err := strangersDialer().Dial("tcp", victim.config.Public.Listen)
		if err != nil {
			continue // the system's queue is full
		}
		_, _ = conn.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")) // it may be closed
		open = append(open, conn)
	}
	late := driveMembers(t, []*sequencer{victim}, "--members", "2", "--rate", "20", "--duration", "1s")
	if code := late.exitCode(2 * patience); code != 0 {
		t.Errorf("members that came during the flood: exit code %d: %s", code, late.lastLines(3))
	}
	within(t, patience, "connections are pushed out", func() error { return victim.counts("synod_connections_pushed_out_total", 400) })
	if held := victim.metric(`synod_connections_open{listener="public"}`); held > 128 {
		t.Errorf("%.0f connections are held, 128 may be", held)
	}
	if files := victim.metric("process_open_fds"); files == 0 || files > 512 {
		t.Errorf("%.0f files are open", files)
	}
	traffic.finish()
	c.agree()
}

// TestFloodOfMessages: a stranger begins large messages and keeps back their ends. They are refused, and the sequencer's memory does not grow
// by them.
func TestFloodOfMessages(t *testing.T) {
	c := found(t, 4)
	victim := c.nodes[0]
	c.start()
	traffic := driveMembers(t, c.nodes)
	within(t, patience, "members are told", func() error { return victim.counts("synod_members_delivered_events_total", 1) })
	var answered, exhausted, unauthenticated atomic.Int64
	ends, calls := make(chan struct{}), sync.WaitGroup{}
	for _, method := range []string{"SendAsync", "RegisterTopology"} {
		transport := &http.Transport{DialContext: strangersDialer().DialContext, Protocols: new(http.Protocols)}
		transport.Protocols.SetUnencryptedHTTP2(true)
		for range 120 {
			calls.Go(func() {
				switch withhold(transport, victim.config.Public.Listen, method, ends) {
				case "8":
					exhausted.Add(1)
				case "16":
					unauthenticated.Add(1)
				}
				answered.Add(1)
			})
		}
	}
	within(t, patience, "all calls are answered", func() error {
		if n := answered.Load(); n < 240 {
			return fmt.Errorf("%d of 240", n)
		}
		return nil
	})
	close(ends)
	calls.Wait()
	if exhausted.Load() < 120 || unauthenticated.Load() < 100 {
		t.Errorf("%d calls were told that there is no room, %d that they lack a token", exhausted.Load(), unauthenticated.Load())
	}
	const most = 400 << 20
	peak := victim.peakMemory()
	t.Logf("at most %d MiB resident", peak>>20)
	if peak > most {
		t.Errorf("the sequencer held %d MiB, want at most %d", peak>>20, most>>20)
	}
	if err := victim.counts("synod_ingress_limited_calls_total", 100); err != nil {
		t.Error(err)
	}
	c.orders(c.nodes...)
	traffic.finish()
	c.agree()
}

// withhold calls a method of members with a message of nearly 16 MiB that lacks its end, and returns the status that it is answered with.
func withhold(transport *http.Transport, at, method string, ends <-chan struct{}) string {
	const size = 16<<20 - 1024
	body, more := io.Pipe()
	go func() {
		message := make([]byte, 5+size-1)
		message[1], message[2], message[3], message[4] = 0, size>>16, size>>8&0xff, size&0xff
		_, _ = more.Write(message) // fails when the call is refused
		<-ends
		more.Close()
	}()
	request, err := http.NewRequest(http.MethodPost, "http://"+at+"/synod.sequencer.v1.SequencerService/"+method, body)
	if err != nil {
		return err.Error()
	}
	request.Header.Set("content-type", "application/grpc")
	request.Header.Set("te", "trailers")
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.Header.Get("grpc-status") + response.Trailer.Get("grpc-status")
}

// counts is nil if a metric has reached a number.
func (s *sequencer) counts(series string, least float64) error {
	if n := s.metric(series); n < least {
		return fmt.Errorf("%s is %.0f, want %.0f", series, n, least)
	}
	return nil
}

// peakMemory is the most that the process ever had resident, in bytes.
func (s *sequencer) peakMemory() int64 {
	s.t.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(s.command.Process.Pid) + "/status")
	if err != nil {
		s.t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	number, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	kib, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return kib << 10
}
