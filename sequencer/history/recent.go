package history

import (
	"sort"

	"github.com/synod-network/synod/sequencer/sequencing"
)

// recent are the newest blocks as they were appended. Most events are told right after they were ordered, and are then neither
// read from the disk nor decoded again. Readers keep copies: what they see in one is never changed.
type recent struct {
	blocks []recentBlock // ascending
	bytes  int64
}

type recentBlock struct {
	records []sequencing.Record // in order of time, at least one
	bytes   int64
}

// add keeps one more block, and as many of those before it as do not exceed limit in bytes with it. What is dropped is freed when
// the list is copied to grow, so up to twice the limit may be in memory.
func (r *recent) add(out *sequencing.Output, limit int64) {
	b := recentBlock{records: out.Records, bytes: int64(out.Bytes)}
	switch {
	case b.bytes > limit:
		*r = recent{}
		return
	case len(b.records) == 0:
		return
	}
	r.blocks, r.bytes = append(r.blocks, b), r.bytes+b.bytes
	for r.bytes > limit {
		r.bytes -= r.blocks[0].bytes
		r.blocks = r.blocks[1:]
	}
}

// record returns the record of a time, nil if it is not here.
func (r *recent) record(at sequencing.Time) *sequencing.Record {
	i := sort.Search(len(r.blocks), func(i int) bool { return last(r.blocks[i].records) >= at })
	if i == len(r.blocks) {
		return nil
	}
	records := r.blocks[i].records
	if j := sort.Search(len(records), func(j int) bool { return records[j].Time >= at }); records[j].Time == at {
		return &records[j]
	}
	return nil
}

func last(records []sequencing.Record) sequencing.Time { return records[len(records)-1].Time }
