package history_test

import (
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/synod-network/synod/sequencer/history"
	"github.com/synod-network/synod/sequencer/historytest"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// A submission to a thousand recipients is stored once: its payload and its recipients, and for each of them a few bytes.
func TestAPayloadIsStoredOnce(t *testing.T) {
	const recipients, payload, each = 1000, 256 << 10, 60
	fs, story, m := vfs.NewMem(), historytest.NewStory(1), &historytest.Model{}
	s := open(t, history.Options{Dir: "/history", Network: historytest.Network, FS: fs})
	defer func() { _ = s.Close() }()
	var set sequencing.RecipientSet
	for i := range recipients {
		set = append(set, sequencing.Recipient{Kind: sequencing.ToMember, Member: historytest.Name(i)})
	}
	send := func(message string, size int) int64 {
		before := stores(t, fs)
		out := story.Apply(historytest.Send(&sequencing.Submission{Sender: historytest.Name(0), Message: sequencing.MessageID(message), MaxTime: story.Now() + sequencing.Minute,
			Sets: []sequencing.RecipientSet{set}, Envelopes: []sequencing.Envelope{{Payload: make([]byte, size)}}}))
		if len(out.Records) != 1 || out.Records[0].Kind != sequencing.Delivered || len(out.Records[0].Events) != recipients {
			t.Fatalf("it yielded %+v", out)
		}
		if err := s.Append(out); err != nil {
			t.Fatal(err)
		}
		if err := s.Checkpoint(); err != nil {
			t.Fatal(err)
		}
		m.Append(out)
		return stores(t, fs) - before
	}
	send("they join", 1)
	small, large := send("small", 1), send("large", payload)
	if most := int64(len(set.Encode()) + each*recipients); small > most {
		t.Errorf("one byte to %d recipients takes %d bytes on the disk, at most %d wanted", recipients, small, most)
	}
	if more := large - small; more > payload+payload/10 {
		t.Errorf("%d bytes of payload take %d bytes on the disk", payload, more)
	}
	if err := m.CheckAll(s, 0, 10); err != nil {
		t.Error(err)
	}
}

// stores is how many bytes a history has on its disk.
func stores(t *testing.T, fs vfs.FS) (total int64) {
	t.Helper()
	for _, dir := range []string{"/history", "/history/index"} {
		names, err := fs.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			info, err := fs.Stat(fs.PathJoin(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if !info.IsDir() && !strings.HasPrefix(name, "marker.") {
				total += info.Size()
			}
		}
	}
	return total
}
