package store

import "github.com/synod-network/synod/bft"

// Stats describes a store at one moment. Counters count since it was opened.
type Stats struct {
	// Lowest and Highest bound the commits stored.
	Lowest, Highest bft.CommitIndex
	// Segments hold the log; Ready ones wait to be used next, Spare ones to be made ready. Bytes is the size of all.
	Segments, Ready, Spare int
	LogBytes               int64
	// IndexBytes is what the index takes on disk.
	IndexBytes uint64
	// Groups were made durable with one sync each; WrittenBytes is their size.
	Groups, WrittenBytes uint64
	// Recycled counts segments used again; Stalls how often a group waited because no segment was ready.
	Recycled, Stalls uint64
	// Backlog is the number of entries that the index does not have on file yet.
	Backlog int
	// ReadErrors counts records that could not be read or were damaged.
	ReadErrors uint64
}

// Stats returns the store's figures. It is cheap enough to be called at every scrape.
func (s *Store) Stats() Stats {
	st := s.index.snapshot()
	out := Stats{
		Lowest: st.lowest, Highest: st.highest,
		Groups: s.groups.Load(), WrittenBytes: s.bytes.Load(),
		Recycled: s.segments.recycled.Load(), Stalls: s.segments.stalls.Load(),
		ReadErrors: s.readErrors.Load(),
	}
	if !s.index.broken.Load() {
		out.IndexBytes = s.index.db.Metrics().DiskSpaceUsage()
	}
	out.Backlog, _ = s.index.backlog()
	s.segments.describe(&out)
	return out
}

func (l *segments) describe(out *Stats) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out.Segments, out.Ready, out.Spare = len(l.live), len(l.ready), len(l.spare)
	for _, s := range l.live {
		out.LogBytes += s.capacity
	}
	for _, list := range [][]*segment{l.ready, l.spare} {
		for _, s := range list {
			out.LogBytes += s.capacity
		}
	}
}
