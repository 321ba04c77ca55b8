package topology

import (
	"maps"
	"slices"
)

// CheckAll judges transactions that would be sequenced at a time, one after the other, so that one may rest on those
// before it. It returns a rejection or nil for each, and changes nothing. It costs a copy of the state's index, so
// whoever asks for others limits how often.
func (s *State) CheckAll(at Time, list ...SignedTransaction) []*Rejection {
	rejections := make([]*Rejection, len(list))
	if len(list) == 1 {
		rejections[0] = s.Check(at, list[0])
		return rejections
	}
	trial := *s
	trial.tree = tree{} // nobody asks for the digest
	trial.histories, trial.order = maps.Clone(s.histories), slices.Clone(s.order)
	trial.used, trial.listed, trial.holdings = maps.Clone(s.used), maps.Clone(s.listed), maps.Clone(s.holdings)
	for i, t := range list {
		if h, known := trial.histories[t.key()]; known {
			own := *h
			own.versions, own.chains = slices.Clip(h.versions), slices.Clip(h.chains)
			trial.histories[t.key()] = &own
		}
		_, rejections[i] = trial.Apply(at, t)
	}
	return rejections
}

// Sequenced is the sequencing time of the last accepted transaction.
func (s *State) Sequenced() Time { return s.sequenced }
