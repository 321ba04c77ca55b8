package sequencing

import (
	"cmp"
	"slices"
)

// MemoryHistory is the [History] in memory, which ends with its process. It
// belongs to one goroutine.
type MemoryHistory struct {
	position Position
	blocks   [][]Record // not empty, ascending
	streams  []stream   // by member
	ids      []MemberID // by member
}

// stream is one member's events: eight bytes for each. An event's previous time
// is that of the one before it.
type stream struct {
	previous Time // of the event before times[0], 0 for none
	times    []Time
}

// NewMemoryHistory returns the history that begins after the state of a machine.
func NewMemoryHistory(m *Machine) *MemoryHistory {
	h := &MemoryHistory{}
	_ = h.Begin(m) // does not fail
	return h
}

// Begin implements [History].
func (h *MemoryHistory) Begin(m *Machine) error {
	*h = MemoryHistory{position: m.Position()}
	for member := range m.Members {
		h.ids = append(h.ids, member.ID)
		h.streams = append(h.streams, stream{previous: member.Last})
	}
	return nil
}

// Position implements [History].
func (h *MemoryHistory) Position() Position { return h.position }

// MemberID implements [History].
func (h *MemoryHistory) MemberID(member Index) (MemberID, bool, error) {
	if int(member) >= len(h.ids) {
		return "", false, nil
	}
	return h.ids[member], true, nil
}

// Append implements [History].
func (h *MemoryHistory) Append(out *Output) error {
	if next, err := h.position.Follows(out); !next {
		return err
	}
	h.position = out.Position()
	h.ids = append(h.ids, out.Joined...)
	h.streams = append(h.streams, make([]stream, len(out.Joined))...)
	if len(out.Records) == 0 {
		return nil
	}
	h.blocks = append(h.blocks, out.Records)
	for i := range out.Records {
		for _, e := range out.Records[i].Events {
			s := &h.streams[e.Member]
			s.times = append(s.times, out.Records[i].Time)
		}
	}
	return nil
}

// Read implements [History].
func (h *MemoryHistory) Read(member Index, after Time, limit Limit) ([]Delivery, Time, error) {
	limit = limit.Bounded()
	if int(member) >= len(h.streams) {
		return nil, h.position.Time, nil
	}
	s := &h.streams[member]
	if after < s.previous {
		return nil, 0, &Pruned{After: after, Last: s.previous}
	}
	from, found := slices.BinarySearch(s.times, after)
	if found {
		from++
	}
	var deliveries []Delivery
	for i, size := from, 0; i < len(s.times); i++ {
		if len(deliveries) >= limit.Events || size >= limit.Bytes {
			return deliveries, through(deliveries, after), nil
		}
		d := h.record(s.times[i]).Deliver(member)
		if d.Previous = s.previous; i > 0 {
			d.Previous = s.times[i-1]
		}
		deliveries, size = append(deliveries, d), size+d.Size()
	}
	return deliveries, h.position.Time, nil
}

// Recipients implements [History].
func (h *MemoryHistory) Recipients(member Index, at Time, set Digest) ([]byte, error) {
	if int(member) >= len(h.streams) || at <= 0 {
		return nil, ErrNotShown
	}
	s := &h.streams[member]
	if at <= s.previous {
		return nil, &Pruned{After: at - 1, Last: s.previous}
	}
	if _, found := slices.BinarySearch(s.times, at); !found {
		return nil, ErrNotShown
	}
	return h.record(at).recipients(member, set)
}

// through is the time up to which a page of events reaches when there are more.
func through(page []Delivery, after Time) Time {
	if len(page) == 0 {
		return after
	}
	return page[len(page)-1].Time
}

// record finds the record of a time, which is there.
func (h *MemoryHistory) record(at Time) *Record {
	i, _ := slices.BinarySearchFunc(h.blocks, at, func(block []Record, at Time) int { return cmp.Compare(block[len(block)-1].Time, at) })
	j, _ := slices.BinarySearchFunc(h.blocks[i], at, func(r Record, at Time) int { return cmp.Compare(r.Time, at) })
	return &h.blocks[i][j]
}

// Prune implements [History].
func (h *MemoryHistory) Prune(upTo, point Time) error {
	if err := CheckPrune(upTo, point); err != nil {
		return err
	}
	for i := range h.streams {
		s := &h.streams[i]
		n, found := slices.BinarySearch(s.times, upTo)
		if found {
			n++
		}
		if n > 0 {
			s.previous, s.times = s.times[n-1], slices.Clone(s.times[n:])
		}
	}
	n := 0
	for n < len(h.blocks) && h.blocks[n][len(h.blocks[n])-1].Time <= upTo {
		h.blocks[n] = nil
		n++
	}
	h.blocks = h.blocks[n:]
	return nil
}
