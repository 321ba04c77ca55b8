package stories

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/synod-network/synod/node/config"
)

// TestMembersThroughKills: members send to each other while each sequencer in turn dies without warning and comes back. Nothing
// that was accepted is lost, and every sequencer tells every member the same.
func TestMembersThroughKills(t *testing.T) {
	c := found(t, 4)
	c.start()
	traffic := driveMembers(t, c.nodes)
	c.orders(c.nodes...)
	for _, victim := range c.nodes {
		victim.kill()
		c.orders(c.others(victim)...)
		c.handOver(c.others(victim)...)
		victim.start()
		c.ready(victim)
	}
	c.level()
	traffic.finish()
	c.agree()
}

// TestFifthSequencer: a fifth sequencer joins under load, with one command on each side. It is killed while it catches up, and goes
// on where it was. Then an old one is taken out; the others go on without it.
func TestFifthSequencer(t *testing.T) {
	c := found(t, 4)
	c.start()
	traffic := driveMembers(t, c.nodes)
	c.handOver(c.nodes...)

	home := filepath.Join(t.TempDir(), "sequencer5")
	base := freeBase(t, 1)
	genesis := filepath.Join(c.net.Dir, "genesis.toml")
	arguments := []string{"sequencer", "join", "--dir", home, "--name", "sequencer5", "--genesis", genesis, "--base-port", strconv.Itoa(base)}
	owner := []string{"--genesis", genesis, "--owner-keys", filepath.Join(c.net.Dir, "owners", "owner1")}
	for _, n := range c.nodes {
		arguments = append(arguments, "--peer", n.name+"="+n.config.Peer.Listen, "--endpoint", n.config.Public.Listen)
		owner = append(owner, "--endpoint", n.config.Public.Listen)
	}
	log := filepath.Join(t.TempDir(), "joining.log")
	joining := launch(t, "sequencer5", log, arguments...)
	within(t, patience, "the newcomer has an identity", func() error {
		_, _, err := config.LoadSequencer(config.Sources{File: filepath.Join(home, "node.toml")})
		return err
	})
	run(t, append([]string{"network", "add-sequencer", "--identity", filepath.Join(home, "identity.toml")}, owner...)...)
	joining.kill()
	fifth := newSequencer(t, c.net.Nodes[0])
	fifth.name = "sequencer5"
	var err error
	if fifth.config, _, err = config.LoadSequencer(config.Sources{File: filepath.Join(home, "node.toml")}); err != nil {
		t.Fatal(err)
	}
	fifth.process = launch(t, "sequencer5", log, arguments...)
	within(t, 2*patience, "the fifth sequencer orders", fifth.health)
	c.nodes = append(c.nodes, fifth)
	c.orders(c.nodes...)

	first := c.nodes[0]
	run(t, append([]string{"network", "remove-sequencer", "--name", first.name}, owner...)...)
	within(t, patience, first.name+" is out", func() error {
		_, report, err := first.report()
		if err != nil {
			return err
		}
		for _, check := range report.Checks {
			if check.Name == "ordering" && !check.OK {
				return nil
			}
		}
		return errors.New("it orders still")
	})
	rest := c.others(first)
	c.handOver(rest...)
	c.orders(rest...)
	c.ready(rest...)
	traffic.finish()
}

// run runs a command that must succeed.
func run(t *testing.T, arguments ...string) {
	t.Helper()
	p := launch(t, arguments[0], filepath.Join(t.TempDir(), "log"), arguments...)
	if code := p.exitCode(patience); code != 0 {
		t.Fatal(fmt.Sprint(arguments, ": exit code ", code, ": ", p.lastLines(5)))
	}
}
