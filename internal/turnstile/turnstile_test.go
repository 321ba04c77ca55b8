package turnstile_test

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/synod-network/synod/internal/turnstile"
)

// door is a listener through which the test walks connections, each from an address that it names.
type door struct {
	net.Listener
	queue []net.Conn
}

func (d *door) Accept() (net.Conn, error) {
	if len(d.queue) == 0 { // the one before was refused
		return nil, net.ErrClosed
	}
	first := d.queue[0]
	d.queue = d.queue[1:]
	return first, nil
}

// visitor is a connection that knows whether it was closed.
type visitor struct {
	net.Conn
	from   string
	closed bool
}

func (v *visitor) Close() error { v.closed = true; return nil }
func (v *visitor) RemoteAddr() net.Addr {
	address, err := net.ResolveTCPAddr("tcp", v.from)
	if err != nil {
		panic(err)
	}
	return address
}

// TestWhoIsLetIn: each line is a step: a visitor comes ("1.1.1.1 a"), proves that it may be here ("prove a"), or leaves ("leave a"). After all
// of them, the visitors named are there, and so many were pushed out and refused.
func TestWhoIsLetIn(t *testing.T) {
	for _, tc := range []struct {
		name               string
		limits             turnstile.Limits
		steps              string
		inside             string
		pushedOut, refused uint64
	}{
		{"room for all", turnstile.Limits{Total: 3, Host: 3}, "1.1.1.1 a, 1.1.1.1 b, 2.2.2.2 c", "abc", 0, 0},
		{"no limit", turnstile.Limits{}, "1.1.1.1 a, 1.1.1.1 b, 2.2.2.2 c", "abc", 0, 0},
		{"the oldest goes", turnstile.Limits{Total: 2}, "1.1.1.1 a, 2.2.2.2 b, 3.3.3.3 c, 4.4.4.4 d", "cd", 2, 0},
		{"not who has proven", turnstile.Limits{Total: 2}, "1.1.1.1 a, prove a, 2.2.2.2 b, 3.3.3.3 c, 4.4.4.4 d", "ad", 2, 0},
		{"all have proven", turnstile.Limits{Total: 2}, "1.1.1.1 a, 2.2.2.2 b, prove a, prove b, prove b, 3.3.3.3 c", "ab", 0, 1},
		{"who leaves makes room", turnstile.Limits{Total: 2}, "1.1.1.1 a, 2.2.2.2 b, prove a, leave a, leave a, leave b, 3.3.3.3 c, 4.4.4.4 d", "cd", 0, 0},
		{"who went proves nothing", turnstile.Limits{Total: 1}, "1.1.1.1 a, 2.2.2.2 b, prove a, 3.3.3.3 c", "c", 2, 0},
		{"a host takes its own places", turnstile.Limits{Total: 4, Host: 2}, "2.2.2.2 a, 1.1.1.1 b, 1.1.1.1 c, 1.1.1.1 d, 1.1.1.1 e", "ade", 2, 0},
		{"a host whose connections are all proven", turnstile.Limits{Total: 4, Host: 1}, "2.2.2.2 a, 1.1.1.1 b, prove b, 1.1.1.1 c", "ab", 0, 1},
		{"a network of IPv6 is one host", turnstile.Limits{Total: 4, Host: 1}, "[2001:db8::1] a, [2001:db8::2] b, [2001:db8:1::1] c", "bc", 1, 0},
		{"who is taken over counts no more", turnstile.Limits{Total: 2}, "1.1.1.1 a, 2.2.2.2 b, take a, 3.3.3.3 c, leave a", "bc", 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			gate, d := turnstile.New(tc.limits), &door{}
			listener := gate.Listener(d)
			came, inside := map[string]*visitor{}, map[string]*turnstile.Conn{}
			for step := range strings.SplitSeq(tc.steps, ", ") {
				what, who, _ := strings.Cut(step, " ")
				switch what {
				case "prove":
					inside[who].Prove()
				case "take":
					if got := inside[who].TakeOver(); got != came[who] || came[who].closed {
						t.Errorf("taken over: %v, want %v, open", got, came[who])
					}
				case "leave":
					_ = inside[who].Close()
				default:
					came[who] = &visitor{from: what + ":1"}
					d.queue = append(d.queue, came[who])
					if conn, err := listener.Accept(); err == nil {
						inside[who] = conn.(*turnstile.Conn)
					}
				}
			}
			var there string
			for _, who := range "abcde" {
				if v := came[string(who)]; v != nil && !v.closed {
					there += string(who)
				}
			}
			counts := gate.Counts()
			want := turnstile.Counts{Open: len(tc.inside), PushedOut: tc.pushedOut, Refused: tc.refused}
			if there != tc.inside || counts != want {
				t.Errorf("inside are %q, %+v; want %q, %+v", there, counts, tc.inside, want)
			}
		})
	}
}

func TestHosts(t *testing.T) {
	for address, want := range map[string]string{
		"10.0.0.1:80": "10.0.0.1", "[::ffff:10.0.0.1]:80": "10.0.0.1", "[2001:db8::7]:80": "2001:db8::/64", "[fe80::1%eth0]:80": "fe80::/64",
	} {
		at, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if got := turnstile.Host(at); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
	if got := turnstile.Host(&net.UnixAddr{Name: "/socket", Net: "unix"}); got != "unix" {
		t.Errorf("a socket's host is %s", got)
	}
}

func TestCalls(t *testing.T) {
	calls := turnstile.NewCalls(turnstile.Limits{Total: 3, Host: 2})
	var got string
	for _, host := range []string{"a", "a", "a", "b", "c"} {
		got += fmt.Sprint(calls.Enter(host), " ")
	}
	calls.Leave("a")
	if got += fmt.Sprint(calls.Enter("c")); got != "true true false true false true" {
		t.Error(got)
	}
}
