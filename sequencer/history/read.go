package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"sort"

	"github.com/cockroachdb/pebble/v2"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// view is what a reader knows of the history at one moment. What it shares is never
// changed.
type view struct {
	time, pruned sequencing.Time
	segments     []segment
	pending      run // of the member
	recent       recent
	// iter is the index, nil if all that is wanted is pending. Both are taken under one
	// lock: what is not pending any more is in the index, and what is gone from it is
	// not above pruned.
	iter *pebble.Iterator
}

func (s *Store) look(member sequencing.Index, after sequencing.Time) (view, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	v := view{time: s.position.Time, pruned: s.pruned, segments: s.segments, recent: s.recent}
	if r := s.pending.runs[member]; r != nil {
		v.pending = *r
		if r.previous <= after && s.pruned <= after {
			return v, nil
		}
	}
	var err error
	if v.iter, err = s.db.NewIter(nil); err != nil {
		err = s.unreadable("events", err)
	}
	return v, err
}

// MemberID implements [sequencing.History]. The error matches [ErrCorrupt] if the
// index can not be read.
func (s *Store) MemberID(member sequencing.Index) (sequencing.MemberID, bool, error) {
	s.mu.RLock()
	p := s.pending
	s.mu.RUnlock()
	if i := int(member) - int(p.first); i >= 0 && i < len(p.joined) {
		return p.joined[i], true, nil
	}
	id, found, err := s.get(memberKey(prefixName, member))
	return sequencing.MemberID(id), found, err
}

// Read implements [sequencing.History]. The error also matches [ErrCorrupt].
func (s *Store) Read(member sequencing.Index, after sequencing.Time, limit sequencing.Limit) (events []sequencing.Delivery, through sequencing.Time, err error) {
	limit = limit.Bounded()
	err = s.read(member, after, limit.Events+1, func(found run, v view) (err error) {
		events, through, err = s.page(member, found, after, v, limit)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read events of member %d after %d: %w", member, after, err)
	}
	return events, through, nil
}

// Recipients implements [sequencing.History]. The error also matches [ErrCorrupt].
func (s *Store) Recipients(member sequencing.Index, at sequencing.Time, set sequencing.Digest) (encoded []byte, err error) {
	if at <= 0 {
		return nil, sequencing.ErrNotShown
	}
	err = s.read(member, at-1, 1, func(found run, _ view) error {
		if len(found.places) == 0 || found.places[0].time != at {
			return sequencing.ErrNotShown
		}
		f, err := s.files.get(found.places[0].segment)
		if err != nil {
			return err
		}
		defer s.files.put(f)
		encoded, err = f.recipients(member, found.places[0], set)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read recipients %v of the event of member %d at %d: %w", set, member, at, err)
	}
	return encoded, nil
}

// read finds at most most of a member's events after a time and hands their places, and the
// view in which they are all there are, to load. It does so again if they are pruned meanwhile.
func (s *Store) read(member sequencing.Index, after sequencing.Time, most int, load func(found run, v view) error) error {
	for {
		found, view, err := s.find(member, after, most)
		if err == nil {
			err = load(found, view)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		s.mu.RLock()
		overtaken := s.pruned > view.pruned
		s.mu.RUnlock()
		if !overtaken {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		// A log file was pruned since the index was asked: ask again, which says so.
	}
}

// page reads the events that were found, up to a limit, of all that there are in the view.
func (s *Store) page(member sequencing.Index, found run, after sequencing.Time, v view, limit sequencing.Limit) (_ []sequencing.Delivery, through sequencing.Time, err error) {
	events := make([]sequencing.Delivery, 0, min(limit.Events, len(found.places)))
	from := cursor{files: &s.files}
	defer from.close()
	size := 0
	for i, at := range found.places {
		if i >= limit.Events || size >= limit.Bytes {
			if i == 0 {
				return nil, after, nil
			}
			return events, found.places[i-1].time, nil
		}
		var d sequencing.Delivery
		if r := v.recent.record(at.time); r != nil {
			d = r.Deliver(member)
		} else if d, err = from.deliver(member, at); err != nil {
			return nil, 0, err
		}
		if d.Previous = found.previous; i > 0 {
			d.Previous = found.places[i-1].time
		}
		events, size = append(events, d), size+d.Size()
	}
	return events, v.time, nil
}

// cursor reads events from one log file after the other.
type cursor struct {
	files   *files
	open    *file // nil before the first
	segment uint64
	buf     []byte
}

func (c *cursor) close() {
	if c.open != nil {
		c.files.put(c.open)
	}
}

func (c *cursor) deliver(member sequencing.Index, at place) (d sequencing.Delivery, err error) {
	if c.open == nil || at.segment != c.segment {
		c.close()
		if c.open, err = c.files.get(at.segment); err != nil {
			return d, err
		}
		c.segment = at.segment
	}
	if c.buf == nil {
		c.buf = make([]byte, readAhead)
	}
	d, c.buf, err = c.open.deliver(member, at, c.buf)
	return d, err
}

// find returns where a member's events after a time are, at most most of them.
func (s *Store) find(member sequencing.Index, after sequencing.Time, most int) (run, view, error) {
	v, err := s.look(member, after)
	if err != nil || v.iter == nil {
		return v.pending.after(after, most), v, err
	}
	w := walk{store: s, view: v, member: member, start: max(after, v.pruned)}
	found, err := w.collect(most)
	if err = errors.Join(err, v.iter.Close()); err != nil {
		return run{}, v, err
	}
	if found.previous > after {
		err = &sequencing.Pruned{After: after, Last: found.previous}
	}
	return found, v, err
}

// after returns at most most events after a time.
func (r run) after(t sequencing.Time, most int) run {
	i := sort.Search(len(r.places), func(i int) bool { return r.places[i].time > t })
	if i > 0 {
		r.previous = r.places[i-1].time
	}
	r.places = r.places[i:]
	r.places = r.places[:min(most, len(r.places))]
	return r
}

// walk collects a member's events from the index and from what is pending.
type walk struct {
	store  *Store
	view   view
	member sequencing.Index
	start  sequencing.Time // events after it are wanted

	found run
	begun bool            // found.previous is known
	last  sequencing.Time // of the newest event seen
	key   []byte
}

// collect returns the events after start, at most most. If there are none, previous
// is the time of the member's newest event.
func (w *walk) collect(most int) (run, error) {
	newest, err := w.newest()
	if err != nil || newest <= w.start {
		return run{previous: newest}, err
	}
	segments := w.view.segments
	from := sort.Search(len(segments), func(i int) bool { return segments[i].last > w.start })
	for _, seg := range segments[from:] {
		if len(w.found.places) >= most {
			break
		}
		if err := w.segment(seg.number, most); err != nil {
			return run{}, err
		}
	}
	if len(w.found.places) < most && len(w.view.pending.places) > 0 {
		if err := w.take(w.view.pending, "memory"); err != nil {
			return run{}, err
		}
	}
	if len(w.found.places) < most && w.last < newest {
		return run{}, fmt.Errorf("%w: the newest event of member %d in %s is that of %d, but it had one at %d", ErrCorrupt, w.member, w.store.opts.Dir, w.last, newest)
	}
	if w.found.previous > w.start {
		return run{}, fmt.Errorf("%w: an event of member %d in %s at %d is not found", ErrCorrupt, w.member, w.store.opts.Dir, w.found.previous)
	}
	w.found.places = w.found.places[:min(len(w.found.places), most)]
	return w.found, nil
}

// newest returns the time of the member's newest event, 0 for none.
func (w *walk) newest() (sequencing.Time, error) {
	if n := len(w.view.pending.places); n > 0 {
		return w.view.pending.places[n-1].time, nil
	}
	key := memberKey(prefixMember, w.member)
	w.view.iter.SetBounds(key, memberKey(prefixMember, w.member+1))
	if !w.view.iter.First() {
		return 0, w.check()
	}
	value := w.view.iter.Value()
	if len(value) != 8 {
		return 0, fmt.Errorf("%w: row %x of the index in %s has %d bytes", ErrCorrupt, key, w.store.opts.Dir, len(value))
	}
	return sequencing.Time(binary.BigEndian.Uint64(value)), nil
}

// segment collects from the runs of one segment.
func (w *walk) segment(number uint64, most int) error {
	lower := runKey(nil, number, w.member, 0)
	upper := append(runKey(nil, number, w.member, 1<<63-1), 0)
	w.view.iter.SetBounds(lower, upper)
	w.key = runKey(w.key, number, w.member, w.start+1)
	valid := w.view.iter.SeekLT(w.key) // the run in which start may lie
	if !valid {
		valid = w.view.iter.First()
	}
	for ; valid && len(w.found.places) < most; valid = w.view.iter.Next() {
		r, err := decodeRun(w.view.iter.Key(), w.view.iter.Value(), nil)
		if err != nil {
			return fmt.Errorf("%w in %s", err, w.store.opts.Dir)
		}
		if err := w.take(r, fmt.Sprintf("row %x of the index", w.view.iter.Key())); err != nil {
			return err
		}
	}
	return w.check()
}

// check returns what kept the iterator from going on, if anything did.
func (w *walk) check() error {
	if err := w.view.iter.Error(); err != nil {
		return w.store.unreadable(fmt.Sprintf("events of member %d", w.member), err)
	}
	return nil
}

// take adds a run, and notices when one before it is missing. What was pending when
// the view was taken may be in the index by now and is then seen twice.
func (w *walk) take(r run, from string) error {
	if w.begun && r.previous != w.last {
		if n := len(r.places); r.places[n-1].time <= w.last {
			return nil
		}
		if r.previous < w.last {
			r = r.after(w.last, len(r.places))
		}
		if r.previous != w.last {
			return fmt.Errorf("%w: %s in %s: the event before that of %d is that of %d, but %d was found", ErrCorrupt, from,
				w.store.opts.Dir, r.places[0].time, r.previous, w.last)
		}
	}
	w.last = r.places[len(r.places)-1].time
	if r = r.after(w.start, len(r.places)); len(r.places) == 0 {
		w.begun = true
		w.found.previous = w.last
		return nil
	}
	if len(w.found.places) == 0 {
		w.found.previous = r.previous
	}
	w.begun = true
	w.found.places = append(w.found.places, r.places...)
	return nil
}
