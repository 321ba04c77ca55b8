package stories

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/synod-network/synod/node/network"
)

// TestPeersRemovedAndAddedBack: operators cut one sequencer off by removing endpoints on both sides. The others order on, what they
// said survives a restart, and once the endpoints are added back the sequencer catches up without one.
func TestPeersRemovedAndAddedBack(t *testing.T) {
	c := found(t, 4)
	c.start()
	lonely := c.nodes[1]
	traffic := drive(t, c.others(lonely))
	c.orders(c.nodes...)
	for _, other := range c.others(lonely) {
		c.operate(other, "bft", "peer", "remove", lonely.name)
		c.operate(lonely, "bft", "peer", "remove", other.name)
	}
	within(t, patience, "it is not ready alone", func() error {
		if lonely.health() == nil {
			return errors.New("still ready")
		}
		return nil
	})
	c.orders(c.others(lonely)...)
	c.handOver(c.others(lonely)...)
	if code := lonely.stop(); code != 0 {
		t.Fatalf("exit code %d after TERM", code)
	}
	lonely.start()
	within(t, patience, "the removal survives the restart", func() error {
		out, err := c.ask(lonely, "bft", "peer", "list")
		if err == nil && strings.Count(out, "operator") != 3 {
			err = errors.New(out)
		}
		return err
	})
	for _, other := range c.others(lonely) {
		c.operate(other, "bft", "peer", "add", lonely.name, lonely.config.Peer.Listen)
		c.operate(lonely, "bft", "peer", "add", other.name, other.config.Peer.Listen)
	}
	c.ready(lonely)
	c.level()
	traffic.finish()
	c.agree()
	if !strings.Contains(lonely.stderr(), `"msg":"audit"`) || !strings.Contains(lonely.stderr(), `"by":"operator"`) {
		t.Error("the log does not say who changed the peers")
	}
}

// TestOperatorsAreAskedForCertificates: without one, with another authority's and in plain, nobody is answered.
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
	for name, more := range map[string][]string{
		"plain":          nil,
		"no certificate": {"--tls-ca", operator.Authority},
		"another's":      {"--tls-ca", operator.Authority, "--tls-cert", filepath.Join(dir, "client-cert.pem"), "--tls-key", filepath.Join(dir, "client-key.pem")},
	} {
		if out, err := run(append(append([]string{}, reach...), more...)...); err == nil {
			t.Errorf("%s: answered %s", name, out)
		}
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
