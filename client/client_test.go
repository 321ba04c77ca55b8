package client

import (
	"testing"
)

func TestEventsAreDelivered(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.tell(3)
		w.run(w.config())
		w.expect(0)
		w.tell(5)
		w.expect(3)
		if err := w.stop(); err != nil {
			t.Error(err)
		}
	})
}
