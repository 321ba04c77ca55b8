package instance

import (
	"testing"
	"time"

	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/replica/trust"
)

// TestPeersAreJudgedAsConfigured: the defaults are those of the ledger, and whatever the configuration lets through the ledger takes.
func TestPeersAreJudgedAsConfigured(t *testing.T) {
	if got, want := judgement(config.DefaultSequencer().PeerTrust), trust.DefaultParams(); got != want {
		t.Errorf("by default %+v, want %+v", got, want)
	}
	least := config.PeerTrust{
		HalfLife: config.Duration(time.Millisecond), LimitAt: -0.999, Probation: -0.999, FirstBan: config.Duration(time.Millisecond), LongestBan: config.Duration(time.Millisecond),
		BanJitter: 0, StrikeWindow: config.Duration(time.Millisecond), SuspectWindow: config.Duration(time.Millisecond), LooksBadAt: 0.001,
		SuspectFor: config.Duration(time.Millisecond), QuorumGrace: config.Duration(time.Millisecond), RememberedPeers: 1,
	}
	most := config.DefaultSequencer().PeerTrust
	most.LimitAt, most.Probation, most.BanJitter, most.LooksBadAt, most.LongestBan = -0.301, 0, 0.5, 2, config.Duration(366*24*time.Hour)
	for _, p := range []config.PeerTrust{least, most} {
		c := config.DefaultSequencer()
		c.PeerTrust = p
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
		if err := judgement(p).Validate(); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
}
