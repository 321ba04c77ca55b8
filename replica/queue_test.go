package replica

import (
	"errors"
	"testing"
	"time"

	"github.com/synod-network/synod/ordering"
)

// What can never be queued is told by the limit that it breaks; what only has to wait, by the delay.
func TestQueueNamesTheLimitThatIsBroken(t *testing.T) {
	q := &queue{limits: QueueLimits{Requests: 3, Bytes: 100}, arrived: func() {}}
	for name, tc := range map[string]struct {
		requests    [][]byte
		size, limit int
	}{
		"bytes":    {[][]byte{make([]byte, 50), make([]byte, 50)}, 2 * ordering.EncodedSize(50), 100},
		"requests": {make([][]byte, 4), 4, 3},
	} {
		var large *ordering.TooLarge
		if err := q.submit(tc.requests, time.Time{}); !errors.As(err, &large) || large.Size != tc.size || large.Limit != tc.limit {
			t.Errorf("%s: %v, want size %d of %d", name, err, tc.size, tc.limit)
		}
	}
	if err := q.submit(make([][]byte, 3), time.Time{}); err != nil {
		t.Error(err)
	}
	var full *ordering.Overloaded
	if err := q.submit(make([][]byte, 1), time.Time{}); !errors.As(err, &full) || full.RetryAfter <= 0 {
		t.Errorf("a full queue: %v", err)
	}
}
