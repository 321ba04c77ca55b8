package sequencing

import "crypto/sha256"

// pageMembers is how many members one page holds: at most 370 KiB encoded, so
// that a page is a chunk of a snapshot.
const pageMembers = 1024

// maxDirty is how many changed members may wait to be hashed: what [Machine.Digest]
// hashes at most.
const maxDirty = 1024

// memberState is what is remembered of one member. It is never forgotten.
type memberState struct {
	id MemberID
	// registered is the time of the first request that concerned the member.
	registered Time
	// last is the time of its last event, 0 before the first.
	last Time
	// acknowledged is up to when it needs its events no more.
	acknowledged Time
	disabled     bool
	traffic      Traffic
}

func (m *memberState) encode(w *writer) {
	w.text(string(m.id))
	w.time(m.registered)
	w.time(m.last)
	w.time(m.acknowledged)
	w.Bool(m.disabled)
	w.U64(m.traffic.Base)
	w.U64(m.traffic.carry)
	w.time(m.traffic.Updated)
	w.U64(m.traffic.Purchased)
	w.U64(m.traffic.Serial)
	w.U64(m.traffic.Consumed)
}

func decodeMember(r *reader) memberState {
	return memberState{id: MemberID(r.text(MaxMemberID)), registered: r.time(), last: r.time(), acknowledged: r.time(), disabled: r.Bool(),
		traffic: Traffic{Base: r.U64(), carry: r.U64(), Updated: r.time(), Purchased: r.U64(), Serial: r.U64(), Consumed: r.U64()}}
}

// page is a run of members. While a snapshot shares its entries, they do not
// change: the first change after it copies them.
type page struct {
	entries []memberState
	shared  bool
	tree    tree
}

// members are all that ever took part, by index, in pages that snapshots share.
type members struct {
	index map[MemberID]Index // only ever looked up, never walked
	pages []*page
	count int

	dirty   []Index // to be hashed
	isDirty []bool  // by index
	scratch writer
}

func newMembers() *members { return &members{index: map[MemberID]Index{}} }

func (m *members) find(id MemberID) (Index, bool) {
	i, ok := m.index[id]
	return i, ok
}

// at reads a member. The pointer is good until the next change of any member.
func (m *members) at(i Index) *memberState {
	return &m.pages[i/pageMembers].entries[i%pageMembers]
}

// change returns a member to be changed, at once.
func (m *members) change(i Index) *memberState {
	p := m.pages[i/pageMembers]
	p.unshare()
	m.touch(i)
	return &p.entries[i%pageMembers]
}

func (m *members) touch(i Index) {
	if !m.isDirty[i] {
		m.isDirty[i] = true
		m.dirty = append(m.dirty, i)
	}
}

func (m *members) add(s memberState) Index {
	i := Index(m.count)
	if m.count%pageMembers == 0 {
		m.pages = append(m.pages, &page{})
	}
	p := m.pages[i/pageMembers]
	p.unshare()
	p.entries = append(p.entries, s)
	m.index[s.id] = i
	m.isDirty = append(m.isDirty, false)
	m.count++
	m.touch(i)
	return i
}

func (p *page) unshare() {
	if p.shared {
		p.entries, p.shared = append(make([]memberState, 0, len(p.entries)+16), p.entries...), false
	}
}

// settle hashes the members that changed if they are many, or all of them.
func (m *members) settle(all bool) {
	if len(m.dirty) <= maxDirty && !all {
		return
	}
	for _, i := range m.dirty {
		m.isDirty[i] = false
		p := m.pages[i/pageMembers]
		w := &m.scratch
		w.Buf = append(w.Buf[:0], domainMember...)
		m.at(i).encode(w)
		p.tree.set(int(i%pageMembers), sha256.Sum256(w.Buf))
	}
	m.dirty = m.dirty[:0]
}
