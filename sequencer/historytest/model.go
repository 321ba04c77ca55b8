package historytest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"

	"github.com/synod-network/synod/sequencer/sequencing"
)

// Model is what a history should tell, in plain lists of words.
type Model struct {
	position sequencing.Position
	pruned   sequencing.Time // nothing up to it can be read
	streams  [][]told        // by member, with what was pruned
	ids      []sequencing.MemberID
	records  []*sequencing.Record // all that there ever were
}

// told is one event in words.
type told struct {
	time, previous sequencing.Time
	words          string
	size           int // of payloads, in bytes
}

// Append adds a block, or skips one that is there.
func (m *Model) Append(out *sequencing.Output) {
	if out.Height <= m.position.Height {
		return
	}
	m.position = out.Position()
	m.ids = append(m.ids, out.Joined...)
	m.streams = append(m.streams, make([][]told, len(out.Joined))...)
	for i := range out.Records {
		r := &out.Records[i]
		m.records = append(m.records, r)
		for _, e := range r.Events {
			words, size := expected(r, e.Member)
			m.streams[e.Member] = append(m.streams[e.Member], told{r.Time, e.Previous, words, size})
		}
	}
}

// Prune forgets events up to a time.
func (m *Model) Prune(upTo sequencing.Time) { m.pruned = max(m.pruned, min(upTo, m.position.Time)) }

// Begin forgets all events.
func (m *Model) Begin() { m.pruned = m.position.Time }

// Check is CheckPages of a number of events.
func (m *Model) Check(h sequencing.History, member sequencing.Index, after sequencing.Time, limit int) error {
	return m.CheckPages(h, member, after, sequencing.Limit{Events: limit})
}

// CheckPages reads a member's events after a time in pages until there are no more,
// and returns what is wrong with them.
func (m *Model) CheckPages(h sequencing.History, member sequencing.Index, after sequencing.Time, limit sequencing.Limit) error {
	if got := h.Position(); got != m.position {
		return fmt.Errorf("position is %v, want %v", got, m.position)
	}
	var stream []told
	if int(member) < len(m.streams) {
		stream = m.streams[member]
	}
	lost := sequencing.Time(0) // the newest that can not be read
	for _, e := range stream {
		if e.time <= m.pruned {
			lost = e.time
		}
	}
	next, _ := slices.BinarySearchFunc(stream, after+1, func(e told, t sequencing.Time) int { return cmp.Compare(e.time, t) })
	for turn := 0; ; turn++ {
		events, through, err := h.Read(member, after, limit)
		if after < lost {
			var pruned *sequencing.Pruned
			if !errors.Is(err, sequencing.ErrPruned) || !errors.As(err, &pruned) || *pruned != (sequencing.Pruned{After: after, Last: lost}) {
				return fmt.Errorf("member %d after %d: %d events, %w; want ErrPruned with events lost up to %d", member, after, len(events), err, lost)
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("member %d after %d: %w", member, after, err)
		}
		if more, err := m.page(events, through, stream[next:], after, limit); err != nil || !more {
			return errorIn(member, after, err)
		}
		next, after = next+len(events), through
	}
}

func errorIn(member sequencing.Index, after sequencing.Time, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("member %d after %d: %w", member, after, err)
}

// page compares one page with what was still to come, and tells if there is more.
func (m *Model) page(events []sequencing.Delivery, through sequencing.Time, rest []told, after sequencing.Time, limit sequencing.Limit) (more bool, err error) {
	limit = limit.Bounded()
	if len(events) > min(limit.Events, len(rest)) {
		return false, fmt.Errorf("%d events, want %d, at most %d", len(events), len(rest), limit.Events)
	}
	size := 0
	for i := range events {
		got, want := &events[i], rest[i]
		if size >= limit.Bytes {
			return false, fmt.Errorf("event %d of a page comes after %d bytes of payloads, limit %d", i, size, limit.Bytes)
		}
		if words := inWords(got); got.Time != want.time || got.Previous != want.previous || words != want.words {
			return false, fmt.Errorf("event at %d after %d: %s; want that at %d after %d: %s", got.Time, got.Previous, words, want.time, want.previous, want.words)
		}
		if err := genuine(got); err != nil {
			return false, fmt.Errorf("event at %d: %w", got.Time, err)
		}
		size += got.Size()
	}
	if len(events) == len(rest) {
		if through != m.position.Time {
			return false, fmt.Errorf("no more events, but everything is known up to %d only, want %d", through, m.position.Time)
		}
		return false, nil
	}
	if limit.Events == 0 {
		if through != after {
			return false, fmt.Errorf("without an event, everything is known up to %d", through)
		}
		return false, nil
	}
	if len(events) < limit.Events && size < limit.Bytes {
		return false, fmt.Errorf("%d events of %d bytes, but there are %d and room", len(events), size, len(rest))
	}
	if last := events[len(events)-1].Time; through != last {
		return false, fmt.Errorf("the last event is that of %d, but everything is known up to %d", last, through)
	}
	return true, nil
}

// CheckAll reads all events of all members, and of one that never was.
func (m *Model) CheckAll(h sequencing.History, after sequencing.Time, limit int) error {
	for member := range sequencing.Index(len(m.streams) + 1) {
		if err := m.Check(h, member, after, limit); err != nil {
			return err
		}
		id, found, err := h.MemberID(member)
		if want := int(member) < len(m.ids); err != nil || found != want || want && id != m.ids[member] {
			return fmt.Errorf("the name of member %d is %q, %v, %w", member, id, found, err)
		}
	}
	return nil
}

// CheckRecipients lets every member, and one that never was, ask for the recipients of every record that there
// ever was.
func (m *Model) CheckRecipients(h sequencing.History) error {
	for _, r := range m.records {
		if r.Submission == nil {
			continue
		}
		for _, set := range append(r.Submission.Sets, sequencing.RecipientSet{{Kind: sequencing.ToAll}}) {
			for member := range sequencing.Index(len(m.streams) + 1) {
				if err := m.ask(h, r, set, member); err != nil {
					return fmt.Errorf("member %d asks for the recipients %v of %d: %w", member, set.Digest(), r.Time, err)
				}
			}
		}
	}
	return nil
}

func (m *Model) ask(h sequencing.History, r *sequencing.Record, set sequencing.RecipientSet, member sequencing.Index) error {
	lost := sequencing.Time(0)
	if int(member) < len(m.streams) {
		for _, e := range m.streams[member] {
			if e.time <= m.pruned {
				lost = e.time
			}
		}
	}
	encoded, err := h.Recipients(member, r.Time, set.Digest())
	var pruned *sequencing.Pruned
	switch {
	case r.Time <= lost:
		if !errors.As(err, &pruned) || pruned.Last != lost {
			return fmt.Errorf("%d bytes, %w; want ErrPruned with events lost up to %d", len(encoded), err, lost)
		}
	case !mayAsk(r, set, member):
		if !errors.Is(err, sequencing.ErrNotShown) {
			return fmt.Errorf("%d bytes, %w; want ErrNotShown", len(encoded), err)
		}
	case err != nil:
		return err
	case !bytes.Equal(encoded, set.Encode()):
		return fmt.Errorf("%x, want %x", encoded, set.Encode())
	}
	return nil
}

// mayAsk reports whether a member is the sender, or one of the recipients.
func mayAsk(r *sequencing.Record, set sequencing.RecipientSet, member sequencing.Index) bool {
	for i, s := range r.Submission.Sets {
		if slices.Equal(s, set) && (r.Sender == member || r.Kind == sequencing.Delivered && slices.Contains(r.Sets[i], member)) {
			return true
		}
	}
	return false
}

// expected says in words what a member is told by a record.
func expected(r *sequencing.Record, member sequencing.Index) (words string, size int) {
	var w []string
	w = append(w, fmt.Sprintf("kind %d %v", r.Kind, r.Refusal))
	if r.Submission == nil {
		return strings.Join(append(w, string(r.Topology)), " "), len(r.Topology)
	}
	if r.Sender == member {
		w = append(w, fmt.Sprintf("receipt for %q of %d", r.Submission.Message, r.Cost))
	}
	signed := false
	for i, e := range r.Submission.Envelopes {
		if r.Kind == sequencing.Delivered && slices.Contains(r.Sets[e.Set], member) {
			set := r.Submission.Sets[e.Set]
			shown := set
			if len(set.Encode()) > sequencing.MaxShownSet {
				shown = nil
			}
			w = append(w, envelope(i, e.Payload, shown, set.Digest()))
			size, signed = size+len(e.Payload), true
		}
	}
	if signed {
		w = append(w, signature(len(r.Submission.Envelopes), r.Signers))
	}
	return strings.Join(w, " "), size
}

// envelope says what is in an envelope: of its payload, a checksum.
func envelope(number int, payload []byte, recipients sequencing.RecipientSet, set sequencing.Digest) string {
	words := fmt.Sprintf("%d=%d bytes %x for %v", number, len(payload), crc32.ChecksumIEEE(payload), set)
	for _, r := range recipients {
		words += " " + string(r.Member) + strings.Repeat("*", int(r.Kind-sequencing.ToMember))
	}
	return words
}

// signature says who signed a batch of so many envelopes.
func signature(envelopes int, signers []sequencing.Signer) string {
	words := fmt.Sprintf("%d, signed by", envelopes)
	for _, s := range signers {
		words += fmt.Sprintf(" %s as %s for %d with %x %x", s.Sender, s.Message, s.Cost, s.Key[:4], s.Signature[:4])
	}
	return words
}

// inWords says the same of an event.
func inWords(d *sequencing.Delivery) string {
	w := []string{fmt.Sprintf("kind %d %v", d.Kind, d.Refusal)}
	if d.Kind == sequencing.TopologyChanged {
		return strings.Join(append(w, string(d.Topology)), " ")
	}
	if d.Receipt {
		w = append(w, fmt.Sprintf("receipt for %q of %d", d.Message, d.Cost))
	}
	for _, e := range d.Envelopes {
		w = append(w, envelope(e.Number, e.Payload, e.Recipients, e.Set))
	}
	if len(d.Envelopes) > 0 {
		w = append(w, signature(len(d.Proof.Envelopes), d.Signers))
	}
	return strings.Join(w, " ")
}

// genuine checks that the proof fits the envelopes, as a recipient would.
func genuine(d *sequencing.Delivery) error {
	if len(d.Envelopes) == 0 {
		return nil
	}
	if _, ok := d.Proof.Content(Network, d.Envelopes); !ok {
		return errors.New("the proof does not fit the envelopes")
	}
	return nil
}

// Events is how many events a member was told in all.
func (m *Model) Events(member sequencing.Index) int { return len(m.streams[member]) }
