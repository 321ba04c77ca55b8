package replica

import (
	"testing"
	"time"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/replica/store"
)

// TestATrustedHandoverIsRecognised: of the hand-over that its operator names, a member knows from its store whether it has passed it.
func TestATrustedHandoverIsRecognised(t *testing.T) {
	key := keys.FromSeed([32]byte{1})
	genesis := bft.Genesis(bft.NetworkID{1}, []bft.PublicKey{bft.PublicKey(key.Public())}, bft.DefaultParams(), 1000)
	options := store.Options{Dir: t.TempDir() + "/data", Network: genesis.Network}
	if err := store.Create(options, store.Newborn); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	running := genesis
	var passed []bft.Digest
	var batch store.Batch
	for range 3 {
		h := &bft.Handover{HandoverContent: bft.HandoverContent{
			Network: genesis.Network, Epoch: running.Epoch, End: running.Base + 10, State: bft.Digest{byte(running.Epoch)},
			Members: genesis.Members, Params: genesis.Params, Schedule: bft.Schedule{Standings: make([]bft.Standing, 1), LastTime: running.Start + 5*bft.Second},
		}}
		batch.Handover(h)
		passed, running = append(passed, h.Digest()), h.Next()
	}
	if err := s.Persist(&batch); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		trusted bft.Digest
		passed  bool
	}{
		{"none is named", bft.Digest{}, false},
		{"the newest here", running.Anchor, true},
		{"one ahead", bft.Digest{0xbd}, false},
		{"one behind", passed[1], true},
		{"the first one", passed[0], true},
		{"the genesis", genesis.Anchor, true},
	} {
		r := &Replica{cfg: Config{Genesis: genesis, Store: s, Trust: bft.Trust{Handover: tc.trusted}}, started: time.Now()}
		found, err := r.recover()
		if err != nil || found.TrustPassed != tc.passed {
			t.Errorf("%s: passed %v, %v", tc.name, found.TrustPassed, err)
		}
	}
}
