package instance

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/sequencer/admin"
	"github.com/synod-network/synod/sequencer/onboarding"
	"github.com/synod-network/synod/topology"
)

// onboard follows this sequencer on its way to order, for operators.
type onboard struct {
	*Instance

	mu      sync.Mutex
	tracker onboarding.Tracker
	trouble string // why it cannot say that it is ready
}

var _ admin.Onboarding = (*onboard)(nil)

// follow looks once a second until this sequencer orders or ctx ends: how fast it gets on shows only over time.
func (o *onboard) follow(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		if s, _ := o.State(); s.Phase == onboarding.Ordering {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// State implements [admin.Onboarding].
func (o *onboard) State() (onboarding.State, string) {
	f := o.facts()
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.tracker.Observe(time.Now(), f)
	switch s.Phase {
	case onboarding.Announcing:
		return s, o.trouble
	case onboarding.Connecting:
		if err := o.replica.Ready(); err != nil {
			return s, err.Error()
		}
	}
	return s, ""
}

func (o *onboard) setTrouble(text string) {
	o.mu.Lock()
	o.trouble = text
	o.mu.Unlock()
}

func (o *onboard) facts() onboarding.Facts {
	f := onboarding.Facts{
		Listed: o.isListed(), Announced: o.isReady(), Orders: o.replica.Ready() == nil, Installing: o.replica.Installing(),
		Applied: uint64(o.state.Position().Height), CloseEnough: closeBehind,
	}
	if t := o.replica.Fetching(); t != nil {
		f.Fetching, f.Have, f.Pieces = true, t.Have, t.Pieces
	}
	if p := o.replica.Progress(); p != nil {
		f.Member, f.Known, f.Distrusting = p.Member, p.Known, p.Distrusting
		f.Decided, f.Behind, f.BehindEpochs = uint64(p.Commit), uint64(p.Behind), uint64(p.BehindEpochs)
	}
	return f
}

// Newcomers implements [admin.Onboarding].
func (o *onboard) Newcomers() (list []admin.Newcomer) {
	committee := o.replica.Committee()
	if committee == nil {
		return nil
	}
	var inForce []topology.SequencerNode
	o.state.Topology(func(view topology.Snapshot) { inForce = slices.Clone(view.Sequencers().Sequencers) })
	o.state.ComingTopology(func(view topology.Snapshot) {
		for _, n := range view.Sequencers().Sequencers {
			if n.Member == o.identity.member || slices.Contains(committee.Members, bft.PublicKey(n.Node)) {
				continue
			}
			list = append(list, admin.Newcomer{
				Name: n.Member.Name, Member: n.Member.String(), Key: n.Node, InForce: slices.Contains(inForce, n), Announced: view.Ready(n.Member),
			})
		}
	})
	slices.SortFunc(list, func(a, b admin.Newcomer) int { return strings.Compare(a.Member, b.Member) })
	return list
}
