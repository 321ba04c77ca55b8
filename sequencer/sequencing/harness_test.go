package sequencing

import (
	"errors"
	"fmt"
	"strings"

	"github.com/synod-network/synod/ordering"
)

// replica is one sequencer: its machine and what it stored. It may lose the
// machine and get it back from a snapshot.
type replica struct {
	machine *Machine
	history *MemoryHistory
	fault   fault
	last    map[Index]Time // of each member's event, to check the chain
	taken   *Snapshot      // a snapshot, and the digest when it was taken
	digest  Digest
	met     map[Code]int // codes that requests met
}

func newReplica(topology Topology, fault fault) *replica {
	m := New(testNetwork, topology)
	m.fault = fault
	return &replica{machine: m, history: NewMemoryHistory(m), fault: fault, last: map[Index]Time{}, met: map[Code]int{}}
}

func (r *replica) apply(b ordering.Block) error {
	out, err := r.machine.Apply(Parse(testNetwork, b).Verify(testVerifier))
	if err != nil {
		return err
	}
	for _, drop := range out.Dropped {
		r.met[drop.Code]++
	}
	for _, record := range out.Records {
		r.met[record.Refusal.Code]++
		for _, e := range record.Events {
			if record.Time > r.history.position.Time && e.Previous != r.last[e.Member] {
				return fmt.Errorf("member %d at %d: previous is %d, should be %d", e.Member, record.Time, e.Previous, r.last[e.Member])
			}
			r.last[e.Member] = record.Time
		}
	}
	return r.history.Append(out)
}

// restore brings the machine back to the snapshot, by its encoding.
func (r *replica) restore() error {
	manifest, err := DecodeManifest(r.taken.Encode())
	if err != nil {
		return err
	}
	m, err := Restore(r.digest, manifest, r.machine.topology, func(i int) ([]byte, error) { return r.taken.Chunk(i), nil })
	if err != nil {
		return err
	}
	if got := m.Digest(); got != r.digest {
		return fmt.Errorf("restored to digest %v, want %v", got, r.digest)
	}
	m.fault = r.fault
	r.machine = m
	return nil
}

// client reads a member's events, now here and now there, and checks that none
// is missing.
type client struct {
	after, last Time
	seen        []string
	cut         bool // it was shut out or gone, and its events were pruned
}

func (c *client) read(id MemberID, r *replica, limit int, gone bool) error {
	m, ok := r.machine.Member(id)
	if !ok {
		return nil
	}
	events, through, err := r.history.Read(m.Index, c.after, Limit{Events: limit})
	var pruned *Pruned
	if errors.As(err, &pruned) && gone {
		c.after, c.cut = pruned.Last, true
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s reads after %d: %w", id, c.after, err)
	}
	for _, e := range events {
		if back, err := DecodeDelivery(e.Encode()); err != nil || plain(*back) != plain(e) {
			return fmt.Errorf("%s: event at %d does not survive the wire: %w\n%+v\n%+v", id, e.Time, err, back, e)
		}
		if e.Previous != c.last && !c.cut {
			return fmt.Errorf("%s: event at %d comes after %d, but the last seen is %d", id, e.Time, e.Previous, c.last)
		}
		if err := genuine(e); err != nil {
			return fmt.Errorf("%s at %d: %w", id, e.Time, err)
		}
		c.seen, c.last = append(c.seen, render(e)), e.Time
	}
	c.after = max(c.after, through)
	return nil
}

// plain makes no difference between no bytes and none.
func plain(d Delivery) string {
	rule := d.Proof.Aggregation
	d.Proof.Aggregation = nil
	return fmt.Sprintf("%+v %+v", d, rule)
}

// genuine checks the signatures on an event as its member would.
func genuine(d Delivery) error {
	if len(d.Envelopes) == 0 {
		return nil
	}
	content, ok := d.Proof.Content(testNetwork, d.Envelopes)
	if !ok {
		return errors.New("an envelope is not part of the batch")
	}
	if rule := d.Proof.Aggregation; rule == nil && len(d.Signers) != 1 || rule != nil && len(d.Signers) != rule.Threshold {
		return fmt.Errorf("%d signers", len(d.Signers))
	}
	for _, s := range d.Signers {
		if !isKeyOf(s.Sender, s.Key) || s.Signature != testSignature(s.Key, s.Digest(testNetwork, content)) {
			return fmt.Errorf("the signature of %s does not fit", s.Sender)
		}
	}
	return nil
}

// isKeyOf reports whether a key was a member's at some time.
func isKeyOf(id MemberID, key Key) bool {
	for changes := range 100 {
		if testKeyOf(id, changes) == key {
			return true
		}
	}
	return false
}

// render says an event in the words of the model.
func render(d Delivery) string {
	var what string
	receipt := fmt.Sprintf("receipt %s for %d", d.Message, d.Cost)
	switch d.Kind {
	case TopologyChanged:
		what = "topology " + string(d.Topology)
	case Refused:
		what = fmt.Sprintf("refused %s for %d: %v", d.Message, d.Cost, d.Refusal.Code)
	case Contributed:
		what = "contributed, " + receipt
	case Delivered:
		var parts, signers []string
		if d.Receipt {
			parts = append(parts, receipt)
		}
		for _, e := range d.Envelopes {
			parts = append(parts, fmt.Sprintf("%d=%s", e.Number, e.Payload))
		}
		what = "delivered " + strings.Join(parts, ", ")
		for _, s := range d.Signers {
			signers = append(signers, fmt.Sprintf("%s as %s", s.Sender, s.Message))
		}
		if len(parts) > 0 && len(d.Envelopes) > 0 {
			what += fmt.Sprintf(" by %v", signers)
		}
	}
	return fmt.Sprintf("%d after %d: %s", d.Time, d.Previous, what)
}
