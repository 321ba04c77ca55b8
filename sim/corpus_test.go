package sim

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"
)

// regressions are worlds in which swarms found bugs.
var regressions = []uint64{
	1795263082958, // a slow honest member, suspected for good, was needed beside liars that do not vote
	20219,         // of three leaders a liar led every round that could settle its own undecided one
}

// corpus are worlds that every change is run through: each kind of fault by
// itself and some together, in networks of several sizes.
func corpus() (list []Options) {
	for i, f := range AllFaults() {
		list = append(list, Options{Seed: uint64(100 + i), Nodes: 4, Load: 20, Faults: Faults{f}, Duration: 3 * time.Second})
	}
	for seed := uint64(1); seed <= 20; seed++ {
		list = append(list, Options{Seed: seed, Random: true, Duration: 3 * time.Second})
	}
	// A restarted member was accused of what it could no longer know.
	list = append(list, Options{Seed: 2021, Nodes: 4, Load: 50, Faults: Faults{Slow, OneWay, Crash, Skew}, Duration: 4 * time.Second})
	for _, seed := range regressions {
		list = append(list, Options{Seed: seed, Random: true, Duration: 5 * time.Second})
	}
	return list
}

// TestCorpus runs the fixed worlds.
func TestCorpus(t *testing.T) {
	for _, o := range corpus() {
		name := fmt.Sprintf("seed=%d,%s", o.Seed, o.Faults)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if r := mustRun(t, o); r.Failure != "" {
				t.Errorf("%s\nrepeat it with: %s", r.Failure, r.Replay)
			}
		})
	}
}

// TestSwarm runs new worlds for as long as SYNOD_SIM says, such as 60s. A
// failing seed is printed with the command that repeats it.
func TestSwarm(t *testing.T) {
	text := os.Getenv("SYNOD_SIM")
	if text == "" {
		t.Skip("set SYNOD_SIM to how long to look for trouble, such as 60s")
	}
	length, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	first := uint64(time.Now().UnixMilli())
	t.Logf("seeds from %d on", first)
	s, err := Swarm(Options{Random: true, Duration: 5 * time.Second}, first, first+1<<20, time.Now().Add(length), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d worlds, %d commits, %.0f virtual seconds for each real one", s.Runs, s.Commits, s.Speed)
	for _, f := range s.Failures {
		t.Errorf("seed %d: %s\nrepeat it with: %s", f.Seed, f.Reason, f.Replay)
	}
}

// TestSameSeedSameStory asserts that nothing but the seed has a say.
func TestSameSeedSameStory(t *testing.T) {
	for seed := uint64(1); seed <= 5; seed++ {
		tell := func() []byte {
			var story bytes.Buffer
			o := Options{Seed: seed, Nodes: 7, Load: 20, Faults: AllFaults(), Duration: 3 * time.Second, Story: &story}
			r := mustRun(t, o)
			r.Real = 0
			fmt.Fprintf(&story, "%+v", r)
			return story.Bytes()
		}
		if first, second := tell(), tell(); !bytes.Equal(first, second) {
			t.Errorf("seed %d tells two stories:\n%s\n\n%s", seed, first, second)
		}
	}
}

// TestStoryReads shows what a story looks like, and that it ends well.
func TestStoryReads(t *testing.T) {
	var story bytes.Buffer
	r := mustRun(t, Options{Seed: 1, Nodes: 4, Load: 20, Faults: Faults{Crash}, Duration: 2 * time.Second, Story: &story})
	if r.Failure != "" {
		t.Fatal(r.Failure)
	}
	for _, line := range []string{"a network of 4 members, faults: crash", "faults end", "settled: "} {
		if !bytes.Contains(story.Bytes(), []byte(line)) {
			t.Errorf("the story does not say %q:\n%s", line, story.Bytes())
		}
	}
	if r.Ordered == 0 || r.Commits == 0 {
		t.Errorf("nothing happened: %+v", r)
	}
}
