package stories

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
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
// on where it was. Operators on both sides see how far it is. Then an old one is taken out; the others go on without it.
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
	within(t, patience, "the newcomer knows that it is not listed", func() error { return onboarding(home, adminv1.GetOnboardingResponse_PHASE_UNLISTED) })
	joining.kill()
	run(t, append([]string{"network", "add-sequencer", "--identity", filepath.Join(home, "identity.toml")}, owner...)...)
	for _, n := range c.nodes {
		within(t, patience, n.name+" sees who is on the way", func() error { // the change is in force at enough others
			if on := c.newcomers(n); len(on) != 1 || on[0].GetName() != "sequencer5" || on[0].GetConnected() || on[0].GetAnnounced() {
				return fmt.Errorf("it sees %v", on)
			}
			return nil
		})
	}
	joining = launch(t, "sequencer5", log, arguments...)
	within(t, patience, "the newcomer gets on", func() error {
		err := onboarding(home, adminv1.GetOnboardingResponse_PHASE_REPLAYING, adminv1.GetOnboardingResponse_PHASE_ANNOUNCING, adminv1.GetOnboardingResponse_PHASE_WAITING,
			adminv1.GetOnboardingResponse_PHASE_ORDERING)
		if on := c.newcomers(c.nodes[0]); err == nil && len(on) == 1 && !on[0].GetConnected() {
			err = errors.New("the first sequencer does not see it connected")
		}
		return err
	})
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
	within(t, patience, "the fifth sequencer has come to its end", func() error { return onboarding(home, adminv1.GetOnboardingResponse_PHASE_ORDERING) })
	within(t, patience, "nobody is on the way", func() error {
		if on := c.newcomers(c.nodes[1]); len(on) != 0 {
			return fmt.Errorf("still %v", on)
		}
		return nil
	})

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

// onboarding asks the sequencer of a folder what it does, and wants one of some answers.
func onboarding(home string, wanted ...adminv1.GetOnboardingResponse_Phase) error {
	out, err := exec.Command(binary, "bft", "onboarding", "--net", home, "--json").CombinedOutput()
	var answer adminv1.GetOnboardingResponse
	if err == nil {
		err = protojson.Unmarshal(out, &answer)
	}
	if err != nil || !slices.Contains(wanted, answer.GetPhase()) {
		return fmt.Errorf("%v: %s", err, out)
	}
	return nil
}

// newcomers are those that a node says are on the way.
func (c *cluster) newcomers(n *sequencer) []*adminv1.Newcomer {
	c.t.Helper()
	answer, err := adminv1.NewNodeServiceClient(c.operator(n)).GetOnboarding(c.t.Context(), &adminv1.GetOnboardingRequest{})
	if err != nil {
		c.t.Fatalf("%s: %v", n.name, err)
	}
	return answer.GetNewcomers()
}

// run runs a command that must succeed.
func run(t *testing.T, arguments ...string) {
	t.Helper()
	p := launch(t, arguments[0], filepath.Join(t.TempDir(), "log"), arguments...)
	if code := p.exitCode(patience); code != 0 {
		t.Fatal(fmt.Sprint(arguments, ": exit code ", code, ": ", p.lastLines(5)))
	}
}
