package warden

import (
	"testing"

	"github.com/synod-network/synod/replica/trust"
)

func FuzzFile(f *testing.F) {
	text, err := encode(stored{Saved: 5, State: trust.State{Now: 3}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(fileHead + "\n{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := decode(text); err == nil {
			_, _ = trust.Restore(trust.DefaultParams(), trust.Peer{}, s.State, s.State.Now)
		}
	})
}
