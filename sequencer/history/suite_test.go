package history_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/synod-network/synod/sequencer/history"
	"github.com/synod-network/synod/sequencer/historytest"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// small makes everything happen often: full segments, checkpoints, pruning, records that are too old to be in memory.
func small(fs vfs.FS) history.Options {
	o := onDisk(fs)
	o.RecentSize = 1_000
	return o
}

// onDisk is small with nothing read from memory.
func onDisk(fs vfs.FS) history.Options {
	return history.Options{Dir: "/history", Network: historytest.Network, SegmentSize: 20_000, CheckpointSize: 3_000, CheckpointEvents: 40, RecentSize: -1, FS: fs}
}

func open(t historytest.T, o history.Options) *history.Store {
	t.Helper()
	s, err := history.Open(o)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return s
}

// subject are stores in memory that are restarted in good order.
func subject(options func(vfs.FS) history.Options) historytest.Subject {
	disks := map[sequencing.History]vfs.FS{}
	start := func(t historytest.T, fs vfs.FS) sequencing.History {
		s := open(t, options(fs))
		disks[s] = fs
		t.Cleanup(func() {
			if disks[s] != nil {
				_ = s.Close()
			}
		})
		return s
	}
	return historytest.Subject{
		Open: func(t historytest.T) sequencing.History { return start(t, vfs.NewMem()) },
		Restart: func(t historytest.T, h sequencing.History) sequencing.History {
			fs := disks[h]
			delete(disks, h)
			if err := h.(*history.Store).Close(); err != nil {
				t.Fatalf("close: %v", err)
			}
			return start(t, fs)
		},
	}
}

func TestStoreKeepsThePromise(t *testing.T) {
	t.Run("small", func(t *testing.T) { historytest.Run(t, subject(small)) })
	t.Run("on disk", func(t *testing.T) { historytest.Run(t, subject(onDisk)) })
	t.Run("all in memory", func(t *testing.T) {
		historytest.Run(t, subject(func(fs vfs.FS) history.Options {
			return history.Options{Dir: "/history", Network: historytest.Network, FS: fs}
		}))
	})
}
