package stories

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/synod-network/synod/node/network"
	"github.com/synod-network/synod/node/pki"
)

// unknownPeer counts who is not let in, because nobody named it.
const unknownPeer = `synod_peer_refused_connections_total{reason="unknown_peer"}`

// TestPeersRemovedAndAddedBack: operators cut one sequencer off by removing its endpoint or theirs. The others order on, what they
// said survives a restart, and once the endpoints are added back the sequencer catches up without one.
func TestPeersRemovedAndAddedBack(t *testing.T) {
	c := found(t, 4)
	c.start()
	lonely := c.nodes[1]
	traffic := drive(t, c.others(lonely))
	c.orders(c.nodes...)
	// One side is enough, whichever it is: the other one dials, and is not let in.
	c.operate(c.nodes[0], "bft", "peer", "remove", lonely.name)
	c.operate(lonely, "bft", "peer", "remove", c.nodes[2].name)
	c.operate(lonely, "bft", "peer", "remove", c.nodes[3].name)
	within(t, patience, "it is alone, and not ready", func() error {
		if lonely.health() == nil {
			return errors.New("still ready")
		}
		if n := lonely.metric("synod_peers_connected"); n != 0 {
			return fmt.Errorf("%.0f peers are connected", n)
		}
		return nil
	})
	counted(t, c.nodes[0], unknownPeer, "unknown_peer", func() {})
	counted(t, lonely, unknownPeer, "unknown_peer", func() {})
	c.orders(c.others(lonely)...)
	c.handOver(c.others(lonely)...)
	if code := lonely.stop(); code != 0 {
		t.Fatalf("exit code %d after TERM", code)
	}
	lonely.start()
	within(t, patience, "the removal survives the restart", func() error {
		out, err := c.ask(lonely, "bft", "peer", "list")
		if err == nil && strings.Count(out, "operator") != 2 {
			err = errors.New(out)
		}
		if n := lonely.metric("synod_peers_connected"); err == nil && n != 0 {
			err = fmt.Errorf("%.0f peers are connected", n)
		}
		return err
	})
	counted(t, lonely, unknownPeer, "unknown_peer", func() {})
	c.operate(c.nodes[0], "bft", "peer", "add", lonely.name, lonely.config.Peer.Listen)
	c.operate(lonely, "bft", "peer", "add", c.nodes[2].name, c.nodes[2].config.Peer.Listen)
	c.operate(lonely, "bft", "peer", "add", c.nodes[3].name, c.nodes[3].config.Peer.Listen)
	c.ready(lonely)
	c.level()
	traffic.finish()
	c.agree()
	if !strings.Contains(lonely.stderr(), `"msg":"audit"`) || !strings.Contains(lonely.stderr(), `"by":"operator"`) {
		t.Error("the log does not say who changed the peers")
	}
}

// TestOperatorsAreAskedForCertificates: without one, with another authority's, with one that has expired and in plain, nobody is answered,
// and each is told what to do.
func TestOperatorsAreAskedForCertificates(t *testing.T) {
	c := found(t, 1)
	c.start()
	s, dir := c.nodes[0], t.TempDir()
	operator := network.OperatorAt(c.net.Dir)
	run := func(args ...string) (string, error) {
		command := exec.Command(binary, args...)
		command.Dir = dir
		out, err := command.CombinedOutput()
		return string(out), err
	}
	for _, args := range [][]string{{"cert", "authority"}, {"cert", "client", "mallory"}} {
		if out, err := run(args...); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	reach := []string{"status", "--admin", s.config.Admin.GRPC}
	authority, err := pki.OpenAuthority(operator.Authority, filepath.Join(filepath.Dir(operator.Authority), "ca-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := authority.Client("former", filepath.Join(dir, "former-cert.pem"), filepath.Join(dir, "former-key.pem"), time.Now().Add(-pki.LeafValid-time.Hour)); err != nil {
		t.Fatal(err)
	}
	shows := func(authority, client string) []string {
		return []string{"--tls-ca", authority, "--tls-cert", filepath.Join(dir, client+"-cert.pem"), "--tls-key", filepath.Join(dir, client+"-key.pem")}
	}
	for name, tc := range map[string]struct {
		flags []string
		code  int
		says  string
	}{
		"plain":                 {nil, 75, "perhaps it speaks TLS: write --tls-ca"},
		"no certificate":        {[]string{"--tls-ca", operator.Authority}, 78, "write --tls-cert and --tls-key"},
		"another's":             {shows(operator.Authority, "client"), 78, "of another authority"},
		"expired":               {shows(operator.Authority, "former"), 78, "has expired"},
		"a sequencer's":         {[]string{"--tls-ca", operator.Authority, "--tls-cert", s.config.Admin.Cert, "--tls-key", s.config.Admin.Key}, 78, "refuses the certificate"},
		"trusting another":      {shows(filepath.Join(dir, "ca-cert.pem"), "client"), 78, "not from the authority in --tls-ca"},
		"half of a certificate": {[]string{"--tls-ca", operator.Authority, "--tls-cert", operator.Certificate}, 2, "go together"},
		"no authority":          {[]string{"--tls-cert", operator.Certificate, "--tls-key", operator.Key}, 2, "write --tls-ca too"},
	} {
		out, err := run(append(append([]string{}, reach...), tc.flags...)...)
		var ended *exec.ExitError
		if !errors.As(err, &ended) || ended.ExitCode() != tc.code || !strings.Contains(out, tc.says) || strings.Count(out, "\n") != 1 {
			t.Errorf("%s: %v: %s; want %d and %q on one line", name, err, out, tc.code, tc.says)
		}
	}
	for name, tc := range map[string]struct{ address, says string }{
		"the listener for clients": {s.config.Public.Listen, "does not speak TLS there"},
		"that for metrics":         {s.config.Admin.Listen, "does not speak TLS there"},
		"another host":             {"nobody..here:1", "no such host"},
		"no listener":              {"127.0.0.1:1", "nothing listens there"},
	} {
		out, err := run("status", "--admin", tc.address, "--tls-ca", operator.Authority, "--tls-cert", operator.Certificate, "--tls-key", operator.Key)
		if err == nil || !strings.Contains(out, tc.says) {
			t.Errorf("%s: %v: %s; want %q", name, err, out, tc.says)
		}
	}
	if out, err := run("status", "--admin", s.config.Public.Listen); err == nil || !strings.Contains(out, "name the listener for operators") {
		t.Errorf("the listener for clients, in plain: %v: %s", err, out)
	}
	if out, err := c.ask(s, "status"); err != nil || !strings.Contains(out, s.name) {
		t.Errorf("the operator: %v: %s", err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "ca-key.pem")); err != nil {
		t.Error(err)
	}
}

// ask runs a command of the operator against a node.
func (c *cluster) ask(s *sequencer, args ...string) (string, error) {
	out, err := exec.Command(binary, append(args, "--net", c.net.Dir, "--node", s.name)...).CombinedOutput()
	return string(out), err
}

// operate is ask for what must succeed.
func (c *cluster) operate(s *sequencer, args ...string) {
	c.t.Helper()
	if out, err := c.ask(s, args...); err != nil {
		c.t.Fatalf("%s: %v: %v: %s", s.name, args, err, out)
	}
}
