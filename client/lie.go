package client

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/sequencer/session"
)

// LieKind is what a sequencer did. The values are stable: they are labels of metrics.
type LieKind string

// The kinds of lies.
const (
	// Dropped: an event is missing that others deliver.
	Dropped LieKind = "dropped"
	// Altered: an event has another content than others deliver.
	Altered LieKind = "altered"
	// Forged: an event that others do not know.
	Forged LieKind = "forged"
	// Reordered: times that do not rise.
	Reordered LieKind = "reordered"
	// BrokenChain: an event whose previous time is not that of the event told before it.
	BrokenChain LieKind = "broken_chain"
	// Contradiction: something else than it said on an earlier stream.
	Contradiction LieKind = "contradiction"
	// BadSignature: a response that is not signed by the sequencer's key.
	BadSignature LieKind = "bad_signature"
	// WrongRecipients: recipients of an event that do not have the digest in the event.
	WrongRecipients LieKind = "wrong_recipients"
	// Flood: responses without events, far more than it takes to tell the time. No single one shows it.
	Flood LieKind = "flood"
	// Malformed: what no honest sequencer sends.
	Malformed LieKind = "malformed"
)

// LieKinds lists all kinds.
func LieKinds() []LieKind {
	return []LieKind{Dropped, Altered, Forged, Reordered, BrokenChain, Contradiction, BadSignature, WrongRecipients, Flood, Malformed}
}

// Lie is what a sequencer was found to have said that is not true. The client leaves such a sequencer until it is
// configured anew.
type Lie struct {
	Sequencer sequencing.MemberID
	Kind      LieKind
	// Time is that of the event or claim in question.
	Time   sequencing.Time
	Detail string
	// Statement is the signed response that shows it; nil if no single one does, it is not signed, or too large to keep.
	Statement *Statement
	// Against are the sequencers that agreed on the truth; none if the statement convicts by itself.
	Against []sequencing.MemberID
}

// Error says in a sentence what happened.
func (l *Lie) Error() string {
	said := ""
	if len(l.Against) > 0 {
		said = fmt.Sprintf(", as %v agree", l.Against)
	}
	return fmt.Sprintf("sequencer %s lies (%s): %s%s", l.Sequencer, l.Kind, l.Detail, said)
}

// Statement is a signed response of a sequencer to a subscriber: that the member's events in (After, Known] are exactly
// Events. Whoever knows the sequencer's key can check it, which makes it evidence.
type Statement struct {
	Sequencer, Member sequencing.MemberID
	After, Known      sequencing.Time
	Events            [][]byte
	Key               keys.PublicKey
	Signature         keys.Signature
}

// Signed reports whether the signature is by Key over the statement. Whether the key is the sequencer's is another question.
func (s *Statement) Signed(network sequencing.NetworkID) bool {
	return session.Events{Member: s.Member, After: s.After, Encoded: s.Events, Known: s.Known}.Signed(nil, network, s.Key, s.Signature)
}

// Size is how many bytes of events the statement holds.
func (s *Statement) Size() (size int) {
	for _, e := range s.Events {
		size += len(e)
	}
	return size
}

func (s *Statement) lie(kind LieKind, at sequencing.Time, format string, args ...any) *Lie {
	return &Lie{Sequencer: s.Sequencer, Kind: kind, Time: at, Detail: fmt.Sprintf(format, args...), Statement: s}
}

func (l *Lie) against(by []sequencing.MemberID) *Lie {
	l.Against = slices.Clone(by)
	return l
}

func digest(encoded []byte) sequencing.Digest { return sha256.Sum256(encoded) }

// Bounds on evidence.
const (
	maxEvidence     = 32      // lies that are kept
	maxEvidenceSize = 1 << 20 // bytes of events of one
)

// record keeps the newest lies, and counts all.
type record struct {
	kept   []*Lie
	counts map[sequencing.MemberID]map[LieKind]uint64
}

func (r *record) add(l *Lie) {
	if l.Statement != nil && l.Statement.Size() > maxEvidenceSize {
		small := *l
		small.Statement, l = nil, &small
	}
	if len(r.kept) >= maxEvidence {
		r.kept = slices.Delete(r.kept, 0, 1)
	}
	r.kept = append(r.kept, l)
	if r.counts == nil {
		r.counts = map[sequencing.MemberID]map[LieKind]uint64{}
	}
	if r.counts[l.Sequencer] == nil {
		r.counts[l.Sequencer] = map[LieKind]uint64{}
	}
	r.counts[l.Sequencer][l.Kind]++
}
