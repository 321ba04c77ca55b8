package sim

import (
	"fmt"
	"slices"
	"strings"
)

// Fault names one thing that goes wrong in a world.
type Fault string

// Faults of the network, the machines, the operators, and of lying members.
const (
	Drop       Fault = "drop"       // messages are lost
	Duplicate  Fault = "duplicate"  // messages arrive twice
	Reorder    Fault = "reorder"    // messages overtake each other
	Corrupt    Fault = "corrupt"    // bytes are changed or cut off
	Slow       Fault = "slow"       // some links are slow for a while
	Partition  Fault = "partition"  // the network falls in two
	OneWay     Fault = "oneway"     // a link carries nothing in one direction
	Isolate    Fault = "isolate"    // one member is cut off
	Flap       Fault = "flap"       // a link breaks and mends again and again
	Crash      Fault = "crash"      // a member stops, and restarts without what it had not synced
	Torn       Fault = "torn"       // a crash keeps some of what was not synced
	Pause      Fault = "pause"      // a member stands still, and goes on
	DiskSlow   Fault = "diskslow"   // a disk takes long to sync
	DiskError  Fault = "diskerror"  // a sync fails: the member must stop
	DiskFull   Fault = "diskfull"   // a disk is full: the member must stop
	Lost       Fault = "lost"       // a disk is lost: the member rejoins with an empty one
	Restore    Fault = "restore"    // an old copy of a disk is restored: the member rejoins
	Skew       Fault = "skew"       // clocks are wrong and drift
	Jump       Fault = "jump"       // clocks are set forwards and backwards
	Membership Fault = "membership" // members join, leave, and change their keys
	Idle       Fault = "idle"       // clients fall silent for a while

	ByzSilent     Fault = "byzantine:silent"     // says nothing
	ByzSlow       Fault = "byzantine:slow"       // says everything late
	ByzNoVote     Fault = "byzantine:novote"     // is fast, and never votes for a leader
	ByzEquivocate Fault = "byzantine:equivocate" // shows different blocks to different members
	ByzVariants   Fault = "byzantine:variants"   // makes many blocks for one round
	ByzWithhold   Fault = "byzantine:withhold"   // shows its blocks to one member only
	ByzGarbage    Fault = "byzantine:garbage"    // builds on blocks that do not exist or were dropped
	ByzMisname    Fault = "byzantine:misname"    // builds on blocks that exist, under another author's name
	ByzTime       Fault = "byzantine:time"       // lies about the time
	ByzRequests   Fault = "byzantine:requests"   // runs its clock ahead to carry as many tiny requests as it may
	ByzVotes      Fault = "byzantine:votes"      // names commits that do not exist
	ByzServe      Fault = "byzantine:serve"      // answers with wrong chains, hand-overs and snapshots
	ByzCopy       Fault = "byzantine:copy"       // submits the requests of others as its own
	ByzFlood      Fault = "byzantine:flood"      // sends more than anybody asked for
	ByzWhisper    Fault = "byzantine:whisper"    // shows a second block for its rounds to one member only
)

// AllFaults lists every fault, in the order in which they are documented.
func AllFaults() []Fault {
	return []Fault{
		Drop, Duplicate, Reorder, Corrupt, Slow, Partition, OneWay, Isolate, Flap, Crash, Torn, Pause, DiskSlow,
		DiskError, DiskFull, Lost, Restore, Skew, Jump, Membership, Idle,
		ByzSilent, ByzSlow, ByzNoVote, ByzEquivocate, ByzVariants, ByzWithhold, ByzGarbage, ByzMisname, ByzTime, ByzRequests,
		ByzVotes, ByzServe, ByzCopy, ByzFlood, ByzWhisper,
	}
}

// Byzantine reports whether the fault is a member's lying.
func (f Fault) Byzantine() bool { return strings.HasPrefix(string(f), "byzantine:") }

// Faults is a set of faults, in the order of AllFaults.
type Faults []Fault

// Has reports whether the set has a fault.
func (s Faults) Has(f Fault) bool { return slices.Contains(s, f) }

// String returns the set as ParseFaults reads it.
func (s Faults) String() string {
	if len(s) == 0 {
		return "none"
	}
	names := make([]string, len(s))
	for i, f := range s {
		names[i] = string(f)
	}
	return strings.Join(names, ",")
}

// ParseFaults reads a comma-separated list; "none" and "all" are understood.
func ParseFaults(text string) (Faults, error) {
	switch text {
	case "", "none":
		return nil, nil
	case "all":
		return AllFaults(), nil
	}
	wanted := map[Fault]bool{}
	for name := range strings.SplitSeq(text, ",") {
		f := Fault(strings.TrimSpace(name))
		if !slices.Contains(AllFaults(), f) {
			return nil, fmt.Errorf("unknown fault %q; known are none, all, random and %s", name, Faults(AllFaults()))
		}
		wanted[f] = true
	}
	return slices.DeleteFunc(AllFaults(), func(f Fault) bool { return !wanted[f] }), nil
}

// byzantine returns the ways of lying in the set.
func (s Faults) byzantine() (list Faults) {
	for _, f := range s {
		if f.Byzantine() {
			list = append(list, f)
		}
	}
	return list
}
