package sequencing

import (
	"crypto/sha256"

	"github.com/synod-network/synod/ordering"
)

// Output is what applying one block yields: what to store for delivery, and what
// became of the rest. It shares memory with the block and is not modified
// afterwards.
type Output struct {
	Height ordering.Height
	// Time is the last time that the block gave out: every event up to it is known.
	Time Time
	// Chain is the digest of all records ever published, these included.
	Chain Digest
	// Records are in order of time, at most one for each request. They are to be
	// stored under their time; a time that is stored already is the same record.
	Records []Record
	// Bytes is how much the block's requests took, the refused ones too: records keep windows onto them.
	Bytes int
	// Joined are the members that the block registered; the first has index
	// FirstJoined, and so on.
	Joined      []MemberID
	FirstJoined Index
	// Dropped are the requests of which nobody is told.
	Dropped []Drop
}

// Position is where the block ends.
func (o *Output) Position() Position { return Position{Height: o.Height, Time: o.Time, Chain: o.Chain} }

// Drop is a request without effect.
type Drop struct {
	Time Time
	Refusal
}

// RecordKind tells what a [Record] holds.
type RecordKind uint8

// The kinds of records.
const (
	// Delivered: a batch for its recipients, and the sender's receipt.
	Delivered RecordKind = 1
	// Contributed: a receipt for a submission whose aggregation waits for others.
	Contributed RecordKind = 2
	// Refused: a deliver error for the sender.
	Refused RecordKind = 3
	// TopologyChanged: topology transactions for every member.
	TopologyChanged RecordKind = 4
)

// Record is what is stored once under a sequencing time, however many members
// it concerns.
type Record struct {
	Time Time
	Kind RecordKind
	// Sender is the one with the receipt or the error, [Nobody] for
	// TopologyChanged. It always has an event.
	Sender     Index
	Submission *Submission // nil for TopologyChanged
	Topology   []byte      // of TopologyChanged alone
	Refusal    Refusal     // of Refused alone
	Cost       uint64      // charged to the sender, in bytes of traffic
	// Sets are, for Delivered, the recipients of each recipient set of the
	// submission with groups resolved, each set ascending; for TopologyChanged one
	// set with everybody.
	Sets [][]Index
	// Signers signed the delivered content, in the order in which they came; one,
	// or the threshold of an aggregation.
	Signers []Signer
	// Events has one entry for each member concerned.
	Events []Event

	topology Digest // of Topology, in a record that was decoded
}

// Event is one member's share in a record. Which envelopes are its own follows
// from Record.Sets.
type Event struct {
	Member Index
	// Previous is the time of the member's event before, 0 for none: a member
	// that misses one notices.
	Previous Time
}

// link returns the digest of all records up to this one, given that of those
// before.
func (r *Record) link(chain Digest, w *writer) Digest {
	w.Buf = append(w.Buf[:0], domainRecord...)
	w.Bytes(chain[:])
	w.time(r.Time)
	w.U8(uint8(r.Kind))
	w.U32(uint32(r.Sender))
	if r.Submission != nil {
		w.Bytes(r.Submission.sealed.digest[:])
	} else {
		topology := sha256.Sum256(r.Topology)
		w.Bytes(topology[:])
	}
	w.U8(uint8(r.Refusal.Code))
	w.text(r.Refusal.Detail)
	w.U64(r.Cost)
	w.U32(uint32(len(r.Sets)))
	for _, set := range r.Sets {
		w.U32(uint32(len(set)))
		for _, member := range set {
			w.U32(uint32(member))
		}
	}
	w.U16(uint16(len(r.Signers)))
	for _, s := range r.Signers {
		w.text(string(s.Sender))
		w.Bytes(s.Signature[:])
	}
	w.U32(uint32(len(r.Events)))
	for _, e := range r.Events {
		w.U32(uint32(e.Member))
		w.time(e.Previous)
	}
	return sha256.Sum256(w.Buf)
}
