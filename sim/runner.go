package sim

import (
	"crypto/sha256"

	"github.com/synod-network/synod/bft"
)

// applyNext starts applying the next delivered commit, once everything that
// the engine stored before it delivered the commit is durable.
func (m *member) applyNext() {
	if m.applying || m.fetching != nil || len(m.deliver) == 0 || m.deliver[0].after > m.disk.image.seq {
		return
	}
	d := m.deliver[0]
	m.deliver = m.deliver[1:]
	m.applying = true
	if d.commit.Index > m.state.index {
		m.world.checker.delivered(m, d.commit)
	}
	m.later(m.world.between(0, 2*bft.Millisecond), func() {
		m.applying = false
		m.apply(d)
		m.applyNext()
	})
}

func (m *member) apply(d delivery) {
	c := d.commit
	if c.Index > m.state.index {
		payloads := make([][]byte, 0, len(c.Blocks))
		for _, ref := range c.Blocks {
			b := m.disk.block(c.Epoch, ref)
			if b == nil {
				m.world.fail("member %s: commit %d contains block %s, which was never stored", m.name, c.Index, ref)
				return
			}
			payloads = append(payloads, b.Payload)
		}
		m.state = m.state.apply(c, payloads)
		m.applied = c.Index
		w := write{state: m.state}
		if d.ends {
			w.ended = m.state
		}
		m.disk.write(w)
		m.sync()
		m.world.checker.hasApplied(m)
		m.feed(bft.Applied{Index: c.Index})
	}
	if d.ends && c.Index == m.state.index {
		m.feed(bft.EpochEnded{
			Index: c.Index, State: m.state.digest(m.shift()), Members: m.state.members, Params: m.committee.Params,
		})
	}
}

// shift is where the member's listing of its state begins: the same place for
// everybody, but for the planted bug.
func (m *member) shift() int {
	if m.world.opts.UnorderedState {
		return m.number
	}
	return 0
}

// fetchSnapshot brings the application to the state of a hand-over: it asks
// one peer after the other, and believes none.
func (m *member) fetchSnapshot(h *bft.Handover) {
	m.later(m.world.between(bft.Millisecond, 100*bft.Millisecond), func() {
		if m.fetching != h {
			return // a newer one is being fetched
		}
		s := m.askSnapshot(h)
		if s == nil {
			m.later(200*bft.Millisecond, func() { m.fetchSnapshot(h) })
			return
		}
		m.world.story.tell(m.world.now, m.name, "installs the snapshot after commit %d", s.index)
		m.world.report.Snapshots++
		m.world.checker.skips(m)
		m.fetching, m.deliver = nil, nil
		m.state, m.applied, m.delivered = s, s.index, s.index
		m.disk.write(write{state: s, ended: s})
		m.sync()
		m.world.checker.hasApplied(m)
		m.feed(bft.SnapshotInstalled{Handover: h})
	})
}

// askSnapshot asks a peer that happens to be reachable and returns what it
// sent if it is what the hand-over vouches for.
func (m *member) askSnapshot(h *bft.Handover) *state {
	peer := m.world.members[m.world.random.IntN(len(m.world.members))]
	link := &m.world.network.links[peer.number][m.number]
	if peer == m || !peer.up || link.cuts > 0 {
		return nil
	}
	s := peer.disk.image.snapshots[h.End]
	if peer.liar != nil {
		s = peer.liar.snapshot(s)
	}
	if s == nil || sha256.Sum256(s.encode(m.shift())) != h.State {
		return nil
	}
	return s
}
