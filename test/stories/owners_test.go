package stories

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/synod-network/synod/node/network"
)

// TestOwnersDecideTogether: three of four owners change a network, each by the same command with the same file, in any order. Until the
// third has signed nothing changes. A proposal of another network, one that was altered, one for something else and one that came too late
// are refused on one line, and the file is left as it was.
func TestOwnersDecideTogether(t *testing.T) {
	t.Parallel()
	home, elsewhere := founders(t), founders(t)
	for _, f := range []*council{home, elsewhere} {
		f.nodes[0].start()
	}
	home.ready(home.nodes...)
	elsewhere.ready(elsewhere.nodes...)

	proposal := filepath.Join(t.TempDir(), "proposal")
	closing := []string{"onboarding", "--mode", "restricted"}
	home.signs(2, proposal, closing...)
	home.signs(2, proposal, closing...) // a second time by the same adds nothing
	first := read(t, proposal)
	home.signs(4, proposal, closing...)
	home.isOpen("two of three have signed")

	foreign := filepath.Join(t.TempDir(), "foreign")
	elsewhere.signs(1, foreign, closing...)
	home.refuses(foreign, "no proposal for this network", 1, closing...)
	altered := filepath.Join(t.TempDir(), "altered")
	content, err := base64.StdEncoding.DecodeString(strings.TrimSpace(read(t, proposal)))
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0, len(content) / 2, len(content) - 1} {
		content[at] ^= 1
		write(t, altered, []byte(base64.StdEncoding.EncodeToString(content)))
		content[at] ^= 1
		home.refuses(altered, "no proposal for this network", 1, closing...)
	}
	write(t, altered, []byte("all owners agree\n"))
	home.refuses(altered, "no proposal for this network", 1, closing...)
	home.refusesWith(filepath.Join(elsewhere.net.Dir, "owners", "owner1"), proposal, "is of no owner of this network", closing...)
	home.refuses(proposal, "another change than this one", 1, "onboarding", "--namespaces", "7")
	home.isOpen("nothing of that counts")

	home.completes(3, proposal, closing...)
	within(t, patience, "the network is closed", func() error { return home.says("restricted;") })
	home.refuses(proposal, "in force already", 1, closing...)
	write(t, altered, []byte(first))
	home.refuses(altered, "decided meanwhile", 1, "onboarding", "--mode", "unrestricted")

	// A change that rests on rules that are past.
	late := filepath.Join(t.TempDir(), "late")
	home.signs(1, late, "onboarding", "--namespaces", "5")
	sooner := filepath.Join(t.TempDir(), "sooner")
	home.signs(4, sooner, "onboarding", "--namespaces", "6")
	home.signs(3, sooner, "onboarding", "--namespaces", "6")
	home.completes(2, sooner, "onboarding", "--namespaces", "6")
	home.refuses(late, "decided meanwhile", 2, "onboarding", "--namespaces", "5")
	within(t, patience, "the decision that came first holds", func() error { return home.says("of 6 namespaces") })
}

// council is the owners of a network of one sequencer that was founded by the command.
type council struct {
	*cluster
	t *testing.T
}

func founders(t *testing.T) *council {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "net")
	run(t, "network", "init", "--sequencers", "1", "--owners", "4", "--owner-threshold", "3", "--dir", dir, "--base-port", strconv.Itoa(freeBase(t, 1)))
	n, err := network.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &council{&cluster{t: t, net: n, nodes: []*sequencer{newSequencer(t, n.Nodes[0])}}, t}
}

// of is where the keys of an owner are.
func (c *council) of(owner int) string {
	return filepath.Join(c.net.Dir, "owners", "owner"+strconv.Itoa(owner))
}

// decide is a command of an owner.
func (c *council) decide(keys, proposal string, change ...string) (string, error) {
	arguments := append([]string{"network"}, change...)
	arguments = append(arguments, "--genesis", filepath.Join(c.net.Dir, "genesis.toml"), "--owner-keys", keys,
		"--endpoint", c.nodes[0].config.Public.Listen, "--proposal", proposal)
	out, err := exec.Command(binary, arguments...).CombinedOutput()
	return string(out), err
}

// signs wants a signature that does not complete the change.
func (c *council) signs(owner int, proposal string, change ...string) {
	c.t.Helper()
	if out, err := c.decide(c.of(owner), proposal, change...); err != nil || !strings.HasPrefix(out, "signed; ") || !strings.Contains(out, proposal) {
		c.t.Fatalf("owner %d: %v: %s", owner, err, out)
	}
}

// completes wants one that does.
func (c *council) completes(owner int, proposal string, change ...string) {
	c.t.Helper()
	if out, err := c.decide(c.of(owner), proposal, change...); err != nil || !strings.HasPrefix(out, "the network has other rules") {
		c.t.Fatalf("owner %d: %v: %s", owner, err, out)
	}
}

// refuses wants a change to be refused on one line, and the proposal to stay as it is.
func (c *council) refuses(proposal, why string, owner int, change ...string) {
	c.t.Helper()
	c.refusesWith(c.of(owner), proposal, why, change...)
}

func (c *council) refusesWith(keys, proposal, why string, change ...string) {
	c.t.Helper()
	before := read(c.t, proposal)
	out, err := c.decide(keys, proposal, change...)
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.ExitCode() != 1 || !strings.HasPrefix(out, "synod: ") || !strings.Contains(out, why) || strings.Count(out, "\n") != 1 {
		c.t.Errorf("%v by %s: %v: %s; want %q on one line", change, keys, err, out, why)
	}
	if read(c.t, proposal) != before {
		c.t.Errorf("the proposal was changed although it is refused: %s", why)
	}
}

// rules are who may join.
func (c *council) rules() string {
	c.t.Helper()
	out, err := c.ask(c.nodes[0], "members", "namespaces")
	if err != nil {
		c.t.Fatal(fmt.Errorf("%w: %s", err, out))
	}
	return out
}

// says wants something of them.
func (c *council) says(rule string) error {
	c.t.Helper()
	if is := " " + c.rules(); !strings.Contains(is, " "+rule) {
		return errors.New(is)
	}
	return nil
}

// isOpen wants that nothing has changed.
func (c *council) isOpen(when string) {
	c.t.Helper()
	if err := c.says("unrestricted;"); err != nil {
		c.t.Errorf("%s: %v", when, err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
