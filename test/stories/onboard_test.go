package stories

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/internal/wholefile"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/network"
	"github.com/synod-network/synod/ordering"
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

	n := c.newcomer("sequencer5", func(other *sequencer) string { return other.config.Peer.Listen })
	joining := n.join()
	n.identified()
	within(t, patience, "the newcomer knows that it is not listed", func() error { return onboarding(n.home, adminv1.GetOnboardingResponse_PHASE_UNLISTED) })
	joining.kill()
	n.list()
	for _, other := range c.nodes {
		within(t, patience, other.name+" sees who is on the way", func() error { // the change is in force at enough others
			if on := c.newcomers(other); len(on) != 1 || on[0].GetName() != n.name || on[0].GetConnected() || on[0].GetAnnounced() {
				return fmt.Errorf("it sees %v", on)
			}
			return nil
		})
	}
	joining = n.join()
	within(t, patience, "the newcomer gets on", func() error {
		err := onboarding(n.home, adminv1.GetOnboardingResponse_PHASE_REPLAYING, adminv1.GetOnboardingResponse_PHASE_ANNOUNCING, adminv1.GetOnboardingResponse_PHASE_WAITING,
			adminv1.GetOnboardingResponse_PHASE_ORDERING)
		if on := c.newcomers(c.nodes[0]); err == nil && len(on) == 1 && !on[0].GetConnected() {
			err = errors.New("the first sequencer does not see it connected")
		}
		return err
	})
	joining.kill()
	n.becomesMember(n.join())
	within(t, patience, "nobody is on the way", func() error {
		if on := c.newcomers(c.nodes[1]); len(on) != 0 {
			return fmt.Errorf("still %v", on)
		}
		return nil
	})

	first := c.nodes[0]
	run(t, append([]string{"network", "remove-sequencer", "--name", first.name}, n.owner...)...)
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
	c.nodes = rest
	c.agree()
}

// TestJoinsByHandover: under load, with sequencers that keep little, one joins by the digest of a hand-over that the operator of
// another one reads to it. What is no digest is refused, with another one it follows nobody and says so. It is killed while it fetches
// the state, goes on, and orders from the state that the others have.
func TestJoinsByHandover(t *testing.T) {
	c := found(t, 4, func(p *network.Plan) {
		p.Storage = config.Storage{RetainCommits: 1000, RetainBytes: config.MiB, SegmentSize: config.MiB}
	})
	c.start()
	traffic := driveMembers(t, c.nodes)
	var cables []*cable
	n := c.newcomer("sequencer5", func(other *sequencer) string {
		cables = append(cables, lay(t, other.config.Peer.Listen))
		return cables[len(cables)-1].address()
	})
	refused := n.join("--handover", "no digest")
	if code, said := refused.exitCode(patience), refused.stderr(); code != 2 || said != "synod: --handover: \"no digest\" is no digest; it has 64 hexadecimal digits\n" {
		t.Errorf("exit code %d, %q", code, said)
	}

	const fetches = "fetching the state after the newest hand-over"
	lost := n.join("--handover", strings.Repeat("bd", 32))
	n.identified()
	n.list()
	within(t, patience, "it looks for a hand-over that nobody knows", func() error {
		return onboarding(n.home, adminv1.GetOnboardingResponse_PHASE_TRUSTING)
	})
	within(t, 2*patience, "the others do not keep the first blocks", func() error {
		for _, other := range c.nodes {
			if other.lowest() <= 1 {
				return fmt.Errorf("%s does", other.name)
			}
		}
		return nil
	})
	if said := lost.stderr(); strings.Count(said, "which trust.handover names") != 1 || strings.Contains(said, fetches) {
		t.Errorf("it says\n%s", said)
	}
	lost.kill()

	for _, cable := range cables {
		cable.latency.Store(int64(300 * time.Millisecond))
	}
	_, told := c.nodes[0].began()
	joining := n.join("--handover", told)
	within(t, patience, "it fetches the state", func() error {
		if !strings.Contains(joining.stderr(), fetches) {
			return errors.New(joining.lastLines(1))
		}
		return nil
	})
	for _, cable := range cables {
		cable.cut()
		cable.latency.Store(0)
	}
	if err := onboarding(n.home, adminv1.GetOnboardingResponse_PHASE_FETCHING); err != nil {
		t.Error(err)
	}
	joining.kill()
	for _, cable := range cables {
		cable.hangUp()
		cable.mend()
	}
	fifth := n.becomesMember(n.join("--handover", told))
	if count := strings.Count(fifth.stderr(), fetches); count < 2 {
		t.Errorf("it fetched a state %d times, want before and after it was killed:\n%s", count, fifth.stderr())
	}
	from := fifth.lowest()
	if from <= 1 {
		t.Errorf("it has blocks from %d on", from)
	}
	traffic.finish()
	c.handOver(c.nodes...) // which a node with another state does not get to
	for _, other := range c.nodes {
		from = max(from, other.lowest())
	}
	c.agreeFrom(from)
	within(t, patience, "all tell the same hand-over", func() error {
		epoch, digest := c.nodes[0].began()
		for _, other := range c.nodes {
			if e, d := other.began(); e != epoch || d != digest {
				return fmt.Errorf("%s is in epoch %s, begun with %s, %s in %s, begun with %s", c.nodes[0].name, epoch, digest, other.name, e, d)
			}
		}
		return nil
	})
}

// newcomer is a sequencer that joins a network which runs.
type newcomer struct {
	c               *cluster
	name, home, log string
	command         []string // of its operator
	owner           []string // flags for a command of the owners
}

// newcomer prepares one that reaches the others at the given addresses.
func (c *cluster) newcomer(name string, address func(*sequencer) string) *newcomer {
	c.t.Helper()
	dir, genesis := c.t.TempDir(), filepath.Join(c.net.Dir, "genesis.toml")
	n := &newcomer{c: c, name: name, home: filepath.Join(dir, name), log: filepath.Join(dir, "log")}
	n.command = []string{"sequencer", "join", "--dir", n.home, "--name", name, "--genesis", genesis, "--base-port", strconv.Itoa(freeBase(c.t, 1))}
	n.owner = []string{"--genesis", genesis, "--owner-keys", filepath.Join(c.net.Dir, "owners", "owner1")}
	for _, other := range c.nodes {
		n.command = append(n.command, "--peer", other.name+"="+address(other), "--endpoint", other.config.Public.Listen)
		n.owner = append(n.owner, "--endpoint", other.config.Public.Listen)
	}
	return n
}

// join runs the command of the newcomer's operator.
func (n *newcomer) join(flags ...string) *process {
	n.c.t.Helper()
	return launch(n.c.t, n.name, n.log, append(slices.Clone(n.command), flags...)...)
}

// identified waits until the newcomer has its keys and files. From its next run on it shows what it orders, as the others do.
func (n *newcomer) identified() {
	n.c.t.Helper()
	file := filepath.Join(n.home, "node.toml")
	within(n.c.t, patience, "the newcomer has an identity", func() error {
		_, _, err := config.LoadSequencer(config.Sources{File: file})
		return err
	})
	text, err := os.ReadFile(file)
	if err == nil {
		// Whole, since the newcomer may be about to read it.
		err = wholefile.Replace(file, bytes.Replace(text, []byte("\nordering = false\n"), []byte("\nordering = true\n"), 1), 0o644)
	}
	if err != nil {
		n.c.t.Fatal(err)
	}
}

// list runs the command of the owners.
func (n *newcomer) list() {
	n.c.t.Helper()
	run(n.c.t, append([]string{"network", "add-sequencer", "--identity", filepath.Join(n.home, "identity.toml")}, n.owner...)...)
}

// becomesMember waits until the newcomer orders, and makes it a node of the cluster.
func (n *newcomer) becomesMember(p *process) *sequencer {
	n.c.t.Helper()
	s := newSequencer(n.c.t, network.Node{Name: n.name, Dir: n.home, ConfigFile: filepath.Join(n.home, "node.toml")})
	s.process, s.operators = p, n.home
	within(n.c.t, 2*patience, "the newcomer orders", s.health)
	n.c.nodes = append(n.c.nodes, s)
	n.c.orders(n.c.nodes...)
	if err := onboarding(n.home, adminv1.GetOnboardingResponse_PHASE_ORDERING); err != nil {
		n.c.t.Error(err)
	}
	return s
}

// lowest is the oldest block that a node keeps, 0 if it does not answer.
func (s *sequencer) lowest() ordering.Height {
	var answer adminv1.GetPruningStatusResponse
	_ = s.tells(&answer, "bft", "pruning", "status") // what it does not tell is 0
	return ordering.Height(answer.GetLowestHeight())
}

// began is the epoch of a node, and the hand-over with which it began.
func (s *sequencer) began() (epoch, handover string) {
	var answer adminv1.GetOrderingTopologyResponse
	if err := s.tells(&answer, "bft", "topology"); err != nil {
		return err.Error(), ""
	}
	return strconv.FormatUint(answer.GetEpoch(), 10), answer.GetHandover()
}

// tells has a node's operator ask it for something.
func (s *sequencer) tells(answer proto.Message, arguments ...string) error {
	flags := []string{"--json", "--net", s.operators}
	if s.operators != s.at.Dir {
		flags = append(flags, "--node", s.name)
	}
	out, err := exec.Command(binary, append(arguments, flags...)...).Output()
	if err != nil {
		return fmt.Errorf("%s: %v: %w", s.name, arguments, err)
	}
	return protojson.Unmarshal(out, answer)
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
