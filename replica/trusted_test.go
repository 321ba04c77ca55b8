package replica

import (
	"errors"
	"testing"
	"time"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/replica/store"
)

// TestATrustedHandoverMustLieAhead: a member that needs a hand-over to trust says so at once when it is named one that it has passed.
func TestATrustedHandoverMustLieAhead(t *testing.T) {
	const period = 100 * bft.Second
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
		age     bft.Time // of the newest block
		refused bool
	}{
		{"none is named", bft.Digest{}, 2 * period, false},
		{"the newest here", running.Anchor, 2 * period, false},
		{"one ahead", bft.Digest{0xbd}, 2 * period, false},
		{"one behind", passed[1], 2 * period, true},
		{"the first one", passed[0], 2 * period, true},
		{"the genesis", genesis.Anchor, 2 * period, true},
		{"one behind that is not needed", passed[0], period - 1, false},
	} {
		now := time.UnixMicro(int64(running.Start + tc.age))
		r := &Replica{cfg: Config{Genesis: genesis, Store: s, Trust: bft.Trust{Period: period, Handover: tc.trusted}, Now: func() time.Time { return now }}, started: time.Now()}
		err := r.checkTrusted(&bft.Recovered{Genesis: genesis, Handover: handoverOf(t, s)})
		if refused := errors.Is(err, ErrTrustPassed); refused != tc.refused || err != nil && !refused {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func handoverOf(t *testing.T, s *store.Store) *bft.Handover {
	t.Helper()
	h, err := s.LastHandover()
	if err != nil {
		t.Fatal(err)
	}
	return h
}
