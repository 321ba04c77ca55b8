package client

import (
	"errors"
	"fmt"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// MemberKeys knows who may sign for members, from the topology.
type MemberKeys interface {
	// MaySign reports whether a key is one of a member's for the protocol at a time. It is asked about the time of the
	// event: a member of an aggregation that took out its key since it contributed is not found.
	MaySign(member sequencing.MemberID, key sequencing.Key, at sequencing.Time) bool
}

// Batch is a delivered batch whose signatures were checked: these senders sent these envelopes.
type Batch struct {
	Time sequencing.Time
	// MaxTime and TopologyTime are as the senders chose them.
	MaxTime, TopologyTime sequencing.Time
	// Envelopes are the member's own, Of how many the batch had in all.
	Envelopes []sequencing.Received
	Of        int
	Senders   []sequencing.MemberID
}

// ErrNotSigned says that a batch is not by those that it names.
var ErrNotSigned = errors.New("the batch is not signed by its senders")

// VerifyBatch checks who signed a batch. A threshold of sequencers agreed on the event already, and each of them checked
// the signatures before it delivered; whoever trusts no threshold of sequencers about the sender checks here once more.
// The error matches [ErrNotSigned]. An event without envelopes, such as a mere receipt, is an error too.
func VerifyBatch(network sequencing.NetworkID, d *sequencing.Delivery, members MemberKeys) (Batch, error) {
	refuse := func(format string, args ...any) (Batch, error) {
		return Batch{}, fmt.Errorf("event at %d: %w: %w", d.Time, ErrNotSigned, fmt.Errorf(format, args...))
	}
	if len(d.Envelopes) == 0 {
		return refuse("it holds no envelopes for this member")
	}
	content, ok := d.Proof.Content(network, d.Envelopes)
	if !ok {
		return refuse("an envelope is not one of the batch")
	}
	needed := 1
	if d.Proof.Aggregation != nil {
		needed = d.Proof.Aggregation.Threshold
	}
	if len(d.Signers) != needed {
		return refuse("%d signed, %d are needed", len(d.Signers), needed)
	}
	b := Batch{Time: d.Time, MaxTime: d.Proof.MaxTime, TopologyTime: d.Proof.TopologyTime, Envelopes: d.Envelopes, Of: len(d.Proof.Envelopes)}
	for _, s := range d.Signers {
		for _, earlier := range b.Senders {
			if earlier == s.Sender {
				return refuse("%s signed twice", s.Sender)
			}
		}
		if rule := d.Proof.Aggregation; rule != nil && !eligible(rule, s.Sender) {
			return refuse("%s is not among the eligible senders", s.Sender)
		}
		if !members.MaySign(s.Sender, s.Key, d.Time) {
			return refuse("key %s is not one of %s then", keys.PublicKey(s.Key), s.Sender)
		}
		digest := s.Digest(network, content)
		if !keys.Verify(keys.PublicKey(s.Key), digest[:], keys.Signature(s.Signature)) {
			return refuse("the signature of %s does not fit", s.Sender)
		}
		b.Senders = append(b.Senders, s.Sender)
	}
	return b, nil
}

func eligible(rule *sequencing.Aggregation, sender sequencing.MemberID) bool {
	for _, id := range rule.Eligible {
		if id == sender {
			return true
		}
	}
	return false
}
