package history_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/synod-network/synod/sequencer/history"
	"github.com/synod-network/synod/sequencer/historytest"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// load are outputs of blocks of submissions of 1 KiB to one to three of a thousand
// members.
func load(b *testing.B, blocks, size int) (outs []*sequencing.Output, events int) {
	story, n := historytest.NewStory(1), 0
	payload := make([]byte, 1024) // encrypted: nothing to compress
	_, _ = rand.NewChaCha8([32]byte{}).Read(payload)
	for range blocks {
		var requests []sequencing.Request
		for range size {
			var set sequencing.RecipientSet
			for r := range 1 + n%3 {
				set = append(set, sequencing.Recipient{Kind: sequencing.ToMember, Member: benchName((n*7)%997 + r)})
			}
			requests = append(requests, historytest.Send(&sequencing.Submission{Sender: benchName(n * 13 % 1000), Message: sequencing.MessageID(fmt.Sprint("message ", n)),
				MaxTime: story.Now() + sequencing.Minute, Cost: 1 << 30,
				Sets: []sequencing.RecipientSet{set}, Envelopes: []sequencing.Envelope{{Payload: payload}}}))
			n++
		}
		out := story.Apply(requests...)
		for i := range out.Records {
			events += len(out.Records[i].Events)
		}
		if len(out.Records) < size || out.Records[0].Kind != sequencing.Delivered {
			b.Fatal(out.Dropped)
		}
		outs = append(outs, out)
	}
	return outs, events
}

// benchName is as long as names are.
func benchName(i int) sequencing.MemberID {
	return sequencing.MemberID(fmt.Sprintf("PAR::participant-%03d::1220%064d", i, i))
}

func size(b *testing.B, dir string) (total int64) {
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			info, err := e.Info()
			if err == nil {
				total += info.Size()
			}
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return total
}

// BenchmarkAppend is the way from what the machine yields to the disk, synced at the
// end. An operation is a submission.
func BenchmarkAppend(b *testing.B) {
	for _, per := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("block=%d", per), func(b *testing.B) {
			outs, events := load(b, 20_000/per, per)
			b.ReportAllocs()
			b.ResetTimer()
			done := 0
			for done < b.N {
				b.StopTimer()
				o := history.Options{Dir: b.TempDir(), Network: historytest.Network}
				s := open(b, o)
				b.StartTimer()
				for _, out := range outs {
					if err := s.Append(out); err != nil {
						b.Fatal(err)
					}
					if done += per; done >= b.N {
						break
					}
				}
				if err := s.Checkpoint(); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if done < b.N || done == len(outs)*per {
					b.ReportMetric(float64(size(b, o.Dir)-20_000*1024)/float64(events), "bytes/event")
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "submissions/s")
		})
	}
}

// BenchmarkRows is the same with every record a row of Pebble, and a row for each
// event: what the log files are measured against.
func BenchmarkRows(b *testing.B) {
	for _, per := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("block=%d", per), func(b *testing.B) {
			outs, _ := load(b, 20_000/per, per)
			b.ResetTimer()
			done := 0
			for done < b.N {
				b.StopTimer()
				db, err := pebble.Open(b.TempDir(), &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: quiet{}, MemTableSize: 64 << 20})
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				for n := 0; n < len(outs) && done < b.N; n++ {
					if err := rows(db, outs[n]); err != nil {
						b.Fatal(err)
					}
					done += per
				}
				if err := db.Flush(); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := db.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "submissions/s")
		})
	}
}

func rows(db *pebble.DB, out *sequencing.Output) error {
	batch := db.NewBatch()
	var value []byte
	for i := range out.Records {
		r := &out.Records[i]
		value, _ = sequencing.AppendRecord(value[:0], r)
		if err := batch.Set(fmt.Appendf(nil, "r%016x", r.Time), value, nil); err != nil {
			return err
		}
		for _, e := range r.Events {
			if err := batch.Set(fmt.Appendf(nil, "e%08x%016x", e.Member, r.Time), nil, nil); err != nil {
				return err
			}
		}
	}
	return batch.Commit(pebble.NoSync)
}

// BenchmarkRead is a member that reads its stream from the beginning in pages of 100,
// from the disk and of records that are still in memory, and one that asks while there
// is nothing new. An operation is an event, or a question.
func BenchmarkRead(b *testing.B) {
	outs, _ := load(b, 400, 100)
	filled := func(recent int64) (*history.Store, sequencing.Time) {
		s := open(b, history.Options{Dir: b.TempDir(), Network: historytest.Network, RecentSize: recent})
		b.Cleanup(func() { _ = s.Close() })
		for _, out := range outs {
			if err := s.Append(out); err != nil {
				b.Fatal(err)
			}
		}
		if err := s.Checkpoint(); err != nil {
			b.Fatal(err)
		}
		return s, s.Position().Time
	}
	stream := func(b *testing.B, s *history.Store, now sequencing.Time) {
		b.ReportAllocs()
		after := sequencing.Time(0)
		for done, member := 0, 0; done < b.N; {
			events, through, err := s.Read(sequencing.Index(member%1000), after, sequencing.Limit{Events: 100})
			if err != nil {
				b.Fatal(err)
			}
			if done, after = done+len(events), through; after >= now {
				member, after = member+1, 0
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	}
	old, now := filled(-1)
	b.Run("stream", func(b *testing.B) { stream(b, old, now) })
	b.Run("recent", func(b *testing.B) {
		s, now := filled(1 << 30)
		stream(b, s, now)
	})
	b.Run("idle", func(b *testing.B) {
		for n := range b.N {
			if _, _, err := old.Read(sequencing.Index(n%1000), now, sequencing.Limit{Events: 100}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
