package topology

import "slices"

// CheckAll judges transactions that would be sequenced at a time, one after the other, so that one may rest on those
// before it. It returns a rejection or nil for each, and changes nothing. It costs what the
// transactions touch, however much there is.
func (s *State) CheckAll(at Time, list ...SignedTransaction) []*Rejection {
	rejections := make([]*Rejection, len(list))
	if len(list) == 1 {
		rejections[0] = s.Check(at, list[0])
		return rejections
	}
	trial := *s
	trial.tree, trial.order = tree{}, nil // nobody asks for the digest, or for a list
	trial.histories, trial.used, trial.listed, trial.holdings = s.histories.over(), s.used.over(), s.listed.over(), s.holdings.over()
	for i, t := range list {
		if h, known := trial.histories.get(t.key()); known {
			own := *h
			own.versions, own.chains = slices.Clip(h.versions), slices.Clip(h.chains)
			trial.histories.set(t.key(), &own)
		}
		_, rejections[i] = trial.Apply(at, t)
	}
	return rejections
}

// Sequenced is the sequencing time of the last accepted transaction.
func (s *State) Sequenced() Time { return s.sequenced }
