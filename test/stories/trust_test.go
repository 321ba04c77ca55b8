package stories

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

var handoverLine = regexp.MustCompile(`"epoch":([0-9]+),.*"handover":"([0-9a-f]{64})"`)

// handovers are the digests of the hand-overs that a node logged, oldest first.
func (s *sequencer) handovers() (digests []string) {
	for _, m := range handoverLine.FindAllStringSubmatch(s.stderr(), -1) {
		digests = append(digests, m[2])
	}
	return digests
}

// TestTrustPeriod: a node that was away for longer than keys are trusted stops with one line that says what its operator has to
// find out. Told a hand-over, it takes over the state after it, and orders with the others. Told a wrong one, it waits and says so.
func TestTrustPeriod(t *testing.T) {
	c := found(t, 4)
	c.start()
	old := c.nodes[3]
	c.ready(c.nodes...)
	old.stop()
	before := max(len(c.nodes[0].handovers()), len(old.handovers()))
	within(t, patience, "five more epochs", func() error {
		if len(c.nodes[0].handovers()) < before+5 {
			return errors.New("not yet")
		}
		return nil
	})

	old.start("--set", "trust.period=8s")
	if code := old.exitCode(patience); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	last := old.lastLines(1)
	t.Log(last)
	if !strings.HasPrefix(last, "synod: ") || !strings.Contains(last, "set trust.handover to the digest") {
		t.Errorf("the last words do not say what to do: %s", last)
	}

	old.start("--set", "trust.period=8s", "--set", "trust.handover="+strings.Repeat("bd", 32))
	within(t, patience, "the wrong hand-over is looked for", func() error {
		switch err := old.health(); {
		case err == nil:
			return errors.New("it is ready")
		case !strings.Contains(err.Error(), "trust.handover"):
			return err
		}
		return nil
	})
	old.stop()

	told := c.nodes[0].handovers()
	old.start("--set", "trust.period=8s", "--set", "trust.handover="+told[len(told)-1])
	within(t, 2*patience, "it takes part again", func() error {
		select {
		case <-old.ended: // on a slow machine that hand-over is too old before the state after it is here: it is told the next
			told = c.nodes[0].handovers()
			old.start("--set", "trust.period=8s", "--set", "trust.handover="+told[len(told)-1])
		default:
		}
		return old.health()
	})
	c.level()
	traffic := drive(t, []*sequencer{old})
	c.orders(old)
	traffic.finish()
	if !strings.Contains(old.stderr(), "fetching the state after the newest hand-over") {
		t.Error("it went on from what it had, instead of the state after a trusted hand-over")
	}

	// The setting is forgotten in the file: it changes nothing, which is said once, until it is needed again.
	old.stop()
	const removable = "has done its work and can be removed"
	said := strings.Count(old.stderr(), removable)
	passed := "--set=trust.handover=" + told[len(told)-1]
	old.start(passed)
	c.ready(old)
	if n := strings.Count(old.stderr(), removable); said == 0 || n != said+1 {
		t.Errorf("it is said %d times when the hand-over is found, and %d times after a further start, that the setting can be removed", said, n-said)
	}
	old.stop()
	ahead := len(c.nodes[0].handovers())
	within(t, patience, "three more epochs", func() error {
		if len(c.nodes[0].handovers()) < ahead+3 {
			return errors.New("not yet")
		}
		return nil
	})
	for _, wrong := range []struct{ trusted, why string }{
		{passed, "names a hand-over before it"},
		{"--set=trust.handover=" + c.nodes[0].handovers()[ahead+1], "is itself"},
	} {
		old.start("--set=trust.period=1s", wrong.trusted)
		if code, last := old.exitCode(patience), old.lastLines(1); code != 1 || !strings.Contains(last, wrong.why) || !strings.Contains(last, "at another operator's sequencer") {
			t.Errorf("exit code %d, the last words are: %s", code, last)
		}
	}
}
