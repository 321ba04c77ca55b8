package replica

import (
	"errors"
	"testing"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/replica/store"
)

// TestAnInstalledStateIsNotPending: once a state is installed its record is emptied, and a restart finds nothing to do. Only a record
// that is neither whole nor empty is damage.
func TestAnInstalledStateIsNotPending(t *testing.T) {
	options := store.Options{Dir: t.TempDir() + "/data", Network: bft.NetworkID{1}}
	if err := store.Create(options, store.Newborn); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r := &Replica{cfg: Config{Store: s}}
	f := fetched{handover: &bft.Handover{HandoverContent: bft.HandoverContent{Epoch: 7}}, manifest: []byte("manifest")}
	for _, step := range []struct {
		name    string
		value   []byte
		pending bool
		damaged bool
	}{
		{"all pieces are here", f.record(), true, false},
		{"the state is installed", nil, false, false},
		{"cut short", f.record()[:5], false, true},
	} {
		var b store.Batch
		b.Meta(installKey, step.value)
		if err := s.Persist(&b); err != nil {
			t.Fatal(err)
		}
		epoch, record, err := r.pendingInstall()
		if (record != nil) != step.pending || errors.Is(err, store.ErrCorrupt) != step.damaged || step.pending && epoch != 7 {
			t.Errorf("%s: epoch %d, record of %d bytes, %v", step.name, epoch, len(record), err)
		}
	}
}
