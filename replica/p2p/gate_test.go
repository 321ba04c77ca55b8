package p2p_test

import (
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/replica/p2p"
)

// judge is a gate that a test opens and closes.
type judge struct{ treatment atomic.Pointer[p2p.Treatment] }

func newJudge(t p2p.Treatment) *judge {
	j := &judge{}
	j.treatment.Store(&t)
	return j
}

func (j *judge) gate(c *p2p.Config) {
	c.Gate = func(keys.PublicKey) p2p.Treatment { return *j.treatment.Load() }
}

// hears has a node pass on what peers that ban it say.
func hears(told chan<- string) func(*p2p.Config) {
	return func(c *p2p.Config) {
		c.Limits.RedialBanned = 20 * time.Millisecond
		c.Told = func(_ keys.PublicKey, notice []byte) error {
			select {
			case told <- string(notice):
			default:
			}
			return errors.New("it says: " + string(notice))
		}
	}
}

var banned = p2p.Treatment{Banned: true, Notice: []byte("because")}

// Whoever decides about connections and whoever dials: a peer that is banned while connected is told and cut off, is
// told again when it comes back, and is in once the ban ends.
func TestBannedPeerIsToldAndCutOff(t *testing.T) {
	low, high := lowHigh()
	for _, c := range []struct {
		name            string
		banner, outcast keys.PrivateKey
		bannerDials     bool
	}{
		{"decider bans, outcast dials", low, high, false},
		{"decider bans and dials", low, high, true},
		{"other bans, decider dials", high, low, false},
		{"other bans and dials", high, low, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, told := newJudge(p2p.Treatment{}), make(chan string, 1)
			outcastKnows, bannerKnows := "", ""
			outcast := start(t, c.outcast, nil, hears(told))
			banner := start(t, c.banner, nil, j.gate)
			if c.bannerDials {
				bannerKnows = outcast.address
			} else {
				outcastKnows = banner.address
			}
			outcast.SetPeers(map[keys.PublicKey]string{banner.key: outcastKnows})
			banner.SetPeers(map[keys.PublicKey]string{outcast.key: bannerKnows})
			connected(t, banner, outcast)
			talk(t, banner, outcast)

			j.treatment.Store(&banned)
			banner.Reconsider(outcast.key)
			receive(t, banner.down, "Down of the outcast")
			if got := receive(t, told, "the notice"); got != "because" {
				t.Errorf("told %q", got)
			}
			eventually(t, "the reason in the statistics", func() bool {
				return strings.Contains(outcast.lane(banner, p2p.Live).LastError, "it says: because")
			})
			if !c.bannerDials {
				eventually(t, "attempts to be turned away", func() bool { return banner.Refused()[p2p.BannedPeer] > 1 })
				receive(t, told, "the notice again")
			}
			if got := banner.lane(outcast, p2p.Live).Connected; got {
				t.Error("the outcast is connected")
			}

			j.treatment.Store(&p2p.Treatment{})
			banner.Reconsider(outcast.key)
			receive(t, banner.up, "first Up")
			receive(t, banner.up, "Up after the ban")
			connected(t, banner, outcast)
			talk(t, banner, outcast)
		})
	}
}

// A peer that reads nothing cannot put off its own removal.
func TestDeafPeerIsCutOffToo(t *testing.T) {
	low, high := lowHigh()
	j := newJudge(p2p.Treatment{})
	node := start(t, low, map[keys.PublicKey]string{high.Public(): ""}, j.gate, func(c *p2p.Config) {
		c.Limits.WriteTimeout, c.Limits.DeadAfter = time.Hour, time.Hour // so that nothing else ends the link
	})
	conn := rogue(t, node, high)
	for node.Send(high.Public(), p2p.Live, make([]byte, 1<<20)) == nil { // until nothing more fits
	}
	j.treatment.Store(&banned)
	node.Reconsider(high.Public())
	receive(t, node.down, "Down")
	io.Copy(io.Discard, conn)
}

// Frames that a banned peer still has on the way are not handled.
func TestBannedPeersFramesAreDropped(t *testing.T) {
	low, high := lowHigh()
	j := newJudge(p2p.Treatment{})
	node := start(t, low, map[keys.PublicKey]string{high.Public(): ""}, j.gate)
	conn := rogue(t, node, high)
	j.treatment.Store(&banned)
	node.Reconsider(high.Public())
	for range 100 { // until the connection is gone
		if _, err := conn.Write(append(header(4), "late"...)); err != nil {
			break
		}
	}
	receive(t, node.down, "Down")
	select {
	case m := <-node.got:
		if string(m.frame) != "late" { // one may have been in the handler already
			t.Errorf("got %q", m.frame)
		}
	default:
	}
}

// A limited peer is served, but it cannot connect as fast as it likes.
func TestLimitedPeerIsSlowed(t *testing.T) {
	low, high := lowHigh()
	j := newJudge(p2p.Treatment{Limited: true})
	node := start(t, low, map[keys.PublicKey]string{high.Public(): ""}, j.gate)
	conn := rogue(t, node, high)
	if _, err := conn.Write(append(header(5), "first"...)); err != nil {
		t.Fatal(err)
	}
	if m := receive(t, node.got, "a frame"); string(m.frame) != "first" {
		t.Errorf("got %q", m.frame)
	}
	conn.Close()
	receive(t, node.down, "Down")
	for refused := false; !refused; { // it may come once a second, which passes quickly on a busy machine
		began := time.Now()
		first := knock(t, node, high)
		second := knock(t, node, high)
		refused = !first || !second
		if !refused && time.Since(began) < time.Second {
			t.Fatal("it is let in again at once")
		}
	}
	if node.Refused()[p2p.LimitedPeer] == 0 {
		t.Error("not counted")
	}
	j.treatment.Store(&p2p.Treatment{})
	node.Reconsider(high.Public())
	eventually(t, "the peer to be welcome", func() bool {
		conn, err := dialTLS(t, node, stranger(t, high, live()))
		if err != nil {
			return false
		}
		defer conn.Close()
		conn.Write(header(ready))
		var answer [4]byte
		_, err = io.ReadFull(conn, answer[:])
		return err == nil
	})
}

// What a peer says of its ban is bounded, and half of it is a fault.
func TestBadNotices(t *testing.T) {
	low, high := lowHigh()
	const signalBanned = 3<<30 | 3
	for name, c := range map[string]struct {
		send   []byte
		faults uint64
	}{
		"too large": {append(header(signalBanned), 0xff, 0xff), 1},
		"half":      {append(header(signalBanned), 0, 9, 'x'), 1},
		"empty":     {append(header(signalBanned), 0, 0), 0},
	} {
		t.Run(name, func(t *testing.T) {
			told, faulted := make(chan string, 1), atomic.Uint64{}
			node := start(t, low, map[keys.PublicKey]string{high.Public(): ""}, hears(told), func(c *p2p.Config) {
				c.Faulted = func(keys.PublicKey, p2p.Refusal, error) { faulted.Add(1) }
			})
			conn := rogue(t, node, high)
			if _, err := conn.Write(c.send); err != nil {
				t.Fatal(err)
			}
			conn.Close()
			receive(t, node.down, "Down")
			if got := faulted.Load(); got != c.faults || node.Refused()[p2p.MalformedFrame] != c.faults {
				t.Errorf("%d faults, want %d", got, c.faults)
			}
			if c.faults == 0 {
				if got := receive(t, told, "the notice"); got != "" {
					t.Errorf("told %q", got)
				}
			}
		})
	}
}
