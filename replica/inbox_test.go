package replica

import (
	"context"
	"testing"
)

// What is in the inbox is what a scrape sees: also a message that has room and no place in the queue, until its reader gives up.
func TestTheInboxTellsWhatIsInIt(t *testing.T) {
	b := newInbox()
	want := func(when string, messages int, bytes int64) {
		t.Helper()
		if m, n := b.size(); m != messages || n != bytes {
			t.Errorf("%s: %d messages of %d bytes, want %d of %d", when, m, n, messages, bytes)
		}
	}
	want("at first", 0, 0)
	for range inboxMessages {
		if err := b.put(t.Context(), envelope{}, 88); err != nil {
			t.Fatal(err)
		}
	}
	want("full", inboxMessages, inboxMessages*600)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.put(gone, envelope{}, 88); err == nil {
		t.Error("there was room for one more than fit")
	}
	want("after one gave up", inboxMessages, inboxMessages*600)
	for range inboxMessages {
		b.done(<-b.ch)
	}
	want("taken in", 0, 0)
	if err := b.put(t.Context(), envelope{}, inboxBytes); err != nil {
		t.Fatal(err)
	}
	want("one that is larger than all room", 1, inboxBytes)
}
