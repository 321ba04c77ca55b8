package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/replica/store"
)

// BenchmarkPersist measures one durable group: -benchtime 2000x or so shows the steady state.
func BenchmarkPersist(b *testing.B) {
	for _, c := range []struct{ blocks, size int }{{1, 4 << 10}, {4, 1 << 20}, {64, 1 << 10}} {
		b.Run(fmt.Sprintf("%dx%dKiB", c.blocks, c.size>>10), func(b *testing.B) {
			opts := store.Options{Dir: b.TempDir() + "/state", Network: network}
			create(b, opts)
			s := open(b, opts)
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- s.Run(ctx) }()
			var blocks []*bft.Block
			for i := range 256 {
				blocks = append(blocks, newBlock(b, 0, bft.Round(1+i/4), bft.Author(i%4), c.size))
			}
			var times []time.Duration
			var batch store.Batch
			b.SetBytes(int64(c.blocks * c.size))
			for i := 0; b.Loop(); i++ {
				batch.Reset()
				for j := range c.blocks {
					batch.Block(blocks[(i*c.blocks+j)%len(blocks)])
				}
				leader := blocks[i*c.blocks%len(blocks)]
				batch.CommitRecord(newCommit(b, bft.CommitIndex(i+1), 0, leader.Ref()))
				start := time.Now()
				if err := s.Persist(&batch); err != nil {
					b.Fatal(err)
				}
				times = append(times, time.Since(start))
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(float64(s.Stats().Stalls), "stalls")
			cancel()
			<-done
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func BenchmarkPayload(b *testing.B) {
	for _, size := range []int{4 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			opts := store.Options{Dir: b.TempDir() + "/state", Network: network}
			create(b, opts)
			s := running(b, open(b, opts))
			block := newBlock(b, 0, 1, 0, size)
			persist(b, s, func(batch *store.Batch) { batch.Block(block) })
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, err := s.Payload(0, block.Ref()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkStart measures making and opening a store of a new network.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		opts := store.Options{Dir: b.TempDir() + "/state", Network: network}
		create(b, opts)
		s := open(b, opts)
		persist(b, s, func(batch *store.Batch) { batch.Meta("k", []byte("v")) })
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
