package trust

import "math"

// Action is something that a peer did, or is taken to have done.
type Action string

// The actions. What each costs is in the table below.
const (
	// Equivocation: two signed blocks for one round.
	Equivocation Action = "equivocation"
	// TimeViolation: a signed timestamp that the author's other signed blocks forbid.
	TimeViolation Action = "time_violation"

	// InvalidBlock: a block that does not verify. Peers verify what they send on, so the sender is to blame.
	InvalidBlock Action = "invalid_block"
	// JunkFrame: a frame that is no message, is of another network, or is larger than allowed.
	JunkFrame Action = "junk_frame"
	// BadAnswer: an answer to a catch-up request that contradicts what is proven.
	BadAnswer Action = "bad_answer"

	// FalseEvidence: evidence against a member that proves nothing.
	FalseEvidence Action = "false_evidence"

	// EvictedBlock: a block of this author was dropped because too many wait for their ancestors.
	EvictedBlock Action = "evicted_block"
	// WrongEpoch: a block of an epoch that is neither running nor next.
	WrongEpoch Action = "wrong_epoch"
	// LeaderTimeout: a round went on without the block of this leader.
	LeaderTimeout Action = "leader_timeout"
	// LostLink: a link broke that this node did not close.
	LostLink Action = "lost_link"

	// Useful: since the last look the peer sent messages that were taken in.
	Useful Action = "useful"
)

// Class says how sure it is that an action is the peer's fault.
type Class uint8

// The classes, from the surest fault to none.
const (
	Provable Class = iota
	Blame
	Ambiguous
	Credit
)

// String is the name that operators see.
func (c Class) String() string {
	return [...]string{"provable", "blame", "ambiguous", "credit"}[c]
}

// Effect is what an action does to a score: it moves it by Step, but not beyond Bound.
type Effect struct {
	Class Class
	Step  float64
	Bound float64
}

const (
	lowest  = -1.0
	highest = 1.0
	// ambiguousBound is above LimitBelow: what may be nobody's fault has no consequence but a number.
	ambiguousBound = -0.3
	creditBound    = 0.25
)

// effects is the table of what actions cost, in the order in which they are shown.
var effects = []struct {
	action Action
	effect Effect
}{
	{Equivocation, Effect{Provable, -2, lowest}},
	{TimeViolation, Effect{Provable, -2, lowest}},
	{InvalidBlock, Effect{Blame, -0.1, lowest}},
	{JunkFrame, Effect{Blame, -0.1, lowest}},
	{FalseEvidence, Effect{Blame, -0.1, lowest}},
	{BadAnswer, Effect{Blame, -0.05, lowest}},
	{LostLink, Effect{Ambiguous, -0.01, ambiguousBound}},
	{LeaderTimeout, Effect{Ambiguous, -0.002, ambiguousBound}},
	{EvictedBlock, Effect{Ambiguous, -0.0005, ambiguousBound}},
	{WrongEpoch, Effect{Ambiguous, -0.0001, ambiguousBound}},
	{Useful, Effect{Credit, 0.005, creditBound}},
}

// Actions lists all actions.
func Actions() []Action {
	list := make([]Action, len(effects))
	for i, e := range effects {
		list[i] = e.action
	}
	return list
}

// EffectOf returns what an action does, and whether there is such an action.
func EffectOf(a Action) (Effect, bool) {
	for _, e := range effects {
		if e.action == a {
			return e.effect, true
		}
	}
	return Effect{}, false
}

// apply returns the score after the action. Credit starts at 0: faults fade with time and are not bought off.
func (e Effect) apply(score float64) float64 {
	switch {
	case e.Class == Provable:
		return lowest
	case e.Class == Credit && (score < 0 || score >= e.Bound), e.Class != Credit && score <= e.Bound:
		return score
	case e.Class == Credit:
		return min(score+e.Step, e.Bound)
	}
	if score += e.Step; score < e.Bound+rounding {
		score = e.Bound
	}
	return score
}

// rounding is how close sums of steps come to what they stand for: ten times 0.1 is to be 1.
const rounding = 1e-9

// decayed is a score after some time: it halves with every half-life.
func decayed(score float64, passed, halfLife Duration) float64 {
	return score * math.Exp2(-float64(max(0, passed))/float64(halfLife))
}

// Forgiven is the shortest pause between two equal actions that may be repeated for ever without a ban; 0 if any pace
// may. Of a provable one there is none, which is said by ok.
func (p Params) Forgiven(e Effect) (pause Duration, ok bool) {
	switch {
	case e.Class == Provable:
		return 0, false
	case e.Bound > lowest:
		return 0, true
	}
	// Just after an action the score settles where s = s·d + step, d being the decay over a pause: s = step / (1-d).
	// It stays above -1 while d < 1 + step.
	return Duration(math.Ceil(-math.Log2(1+e.Step)*float64(p.HalfLife))) + 1, true
}
