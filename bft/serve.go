package bft

// Archive is what a member has stored durably: the runtime's disk or the
// simulator's. It must not show what a crash could take back, for a member must
// be able to stand by every own block that it has given away.
type Archive interface {
	// Block returns a stored block of an epoch.
	Block(epoch Epoch, ref Ref) (*UnverifiedBlock, bool)
	// Refs calls yield for stored blocks of the epoch in rounds above the
	// given one, in order of rounds, until yield returns false.
	Refs(epoch Epoch, above Round, yield func(Ref) bool)
	// Commit returns a stored commit.
	Commit(CommitIndex) (*Commit, bool)
	// Lowest is the lowest commit stored, Highest the highest.
	Lowest() CommitIndex
	Highest() CommitIndex
	// Handover returns the hand-over that ended an epoch.
	Handover(Epoch) (*Handover, bool)
}

// ServeLimit bounds the bytes in the answer to one request.
const ServeLimit = 8 << 20

// Answer answers a Serve effect from an archive, message by message, until
// send returns false. It is the same code in the runtime and the simulator.
func Answer(s Serve, a Archive, send func(Message) bool) {
	switch m := s.Request.(type) {
	case *BlockRequest:
		budget := ServeLimit
		for _, ref := range m.Refs {
			u, ok := a.Block(m.Epoch, ref)
			if !ok {
				continue
			}
			budget -= len(u.Payload) + minHead
			if !send(&UnverifiedBlockMessage{Block: *u}) || budget < 0 {
				return
			}
		}
	case *DAGRequest:
		answerDAG(m, a, send)
	case *ChainRequest:
		answerChain(m, a, s.Votes, send)
	case *HandoverRequest:
		var list []*Handover
		for e := m.From; len(list) < MaxHandovers; e++ {
			h, ok := a.Handover(e)
			if !ok {
				break
			}
			list = append(list, h)
		}
		if len(list) > 0 {
			send(&HandoverMessage{Handovers: list})
		}
	}
}

// answerDAG sends whole rounds, so that "through" is a statement about all
// variants of a round.
func answerDAG(m *DAGRequest, a Archive, send func(Message) bool) {
	end := &DAGEnd{Epoch: m.Epoch, Through: m.Above}
	budget := ServeLimit
	stopped := false
	a.Refs(m.Epoch, m.Above, func(ref Ref) bool {
		if ref.Round > end.Through {
			if budget < 0 {
				end.More = true
				return false
			}
			end.Through = ref.Round
		}
		if u, ok := a.Block(m.Epoch, ref); ok {
			budget -= len(u.Payload) + minHead
			stopped = !send(&UnverifiedBlockMessage{Block: *u})
		}
		return !stopped
	})
	if !stopped {
		send(end)
	}
}

// chainBytes bounds the commits in one ChainResponse.
const chainBytes = 1 << 20

// fullAnswer reports whether an answer holds as many commits as fit: there may
// be more where they came from.
func fullAnswer(list []*Commit) bool {
	return len(list) >= MaxChain || chainSize(list) >= chainBytes
}

// chainSize is the number of bytes in the encodings of commits.
func chainSize(list []*Commit) (size int) {
	for _, c := range list {
		size += minCommit + refSize*len(c.Blocks)
	}
	return size
}

func answerChain(m *ChainRequest, a Archive, votes []*UnverifiedBlock, send func(Message) bool) {
	r := &ChainResponse{Lowest: a.Lowest()}
	if m.From < r.Lowest {
		send(r)
		return
	}
	size := 0
	for i := m.From; i <= a.Highest() && len(r.Commits) < MaxChain && size < chainBytes; i++ {
		c, ok := a.Commit(i)
		if !ok || len(r.Commits) > 0 && c.Epoch != r.Commits[0].Epoch {
			break
		}
		r.Commits = append(r.Commits, c)
		size += minCommit + refSize*len(c.Blocks)
	}
	if len(r.Commits) > 0 {
		if h, ok := a.Handover(r.Commits[0].Epoch); ok {
			r.Handover = h
		} else {
			r.Votes = votes
		}
	}
	send(r)
}
