package sidecar_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/synod-network/synod/internal/halfopen/halfopentest"
	"github.com/synod-network/synod/sidecar"
	"github.com/synod-network/synod/sidecar/log/logtest"
)

// TestVanishedClientsOfRESTGiveTheirPlaceBack: one that takes no more of a large answer holds a place among the requests that are served
// at once, of which there is one here.
func TestVanishedClientsOfRESTGiveTheirPlaceBack(t *testing.T) {
	f := newFeed()
	r := start(t, t.TempDir(), f.read, func(o *sidecar.Options) {
		o.Patience, o.REST.Limit.MaxConcurrent, o.REST.Limit.Timeout = 300*time.Millisecond, 1, 0
	})
	defer r.stop()
	f.say(t, logtest.Parse(1, `{"Step":{"era_id":7,"execution_effect":"`+strings.Repeat("x", 8<<20)+`"}}`))
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.urls["rest"], "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil { // so that the answer does not fit the buffers between
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /step/7 HTTP/1.1\r\nHost: x\r\n\r\n")
	if line, err := bufio.NewReaderSize(conn, 100).ReadString('\n'); err != nil || !strings.Contains(line, "200 OK") {
		t.Fatalf("%q, %v", line, err)
	}
	halfopentest.Vanish(t, conn.(*net.TCPConn))
	client := http.Client{Timeout: time.Minute}
	resp, err := client.Get(r.urls["rest"] + "/block")
	if err != nil {
		t.Fatalf("its place is not free: %v", err)
	}
	_ = resp.Body.Close()
}
