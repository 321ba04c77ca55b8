package sim

import (
	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/bft/quorum"
)

// chaos makes the faults of a world happen, and undoes them in the end.
type chaos struct {
	over     bool
	mends    []func()             // cut links to mend
	slowDisk [maxMembers]bft.Time // what syncs take on top
	// spent is how many members have used up the network's tolerance for good:
	// liars, and members whose disk was lost.
	spent int
}

// injection is a kind of fault and how often it strikes.
type injection struct {
	fault Fault
	every bft.Time // on average
	do    func()
}

func (w *World) startChaos() {
	w.constantFaults()
	for _, i := range w.injections() {
		if w.opts.Faults.Has(i.fault) {
			w.repeat(i)
		}
	}
}

// constantFaults are there from the beginning to the end of the faults.
func (w *World) constantFaults() {
	n, has := &w.network, w.opts.Faults.Has
	if has(Drop) {
		n.drop = []float64{0.001, 0.02, 0.1, 0.3}[w.random.IntN(4)]
	}
	if has(Duplicate) {
		n.duplicate = []float64{0.01, 0.2}[w.random.IntN(2)]
	}
	if has(Corrupt) {
		n.corrupt = []float64{0.001, 0.02, 0.1}[w.random.IntN(3)]
	}
	n.reorder = has(Reorder)
	if has(Skew) {
		for _, m := range w.members {
			m.clock.offset = w.between(-2*bft.Second, 2*bft.Second)
			m.clock.drift = (w.random.Float64() - 0.5) / 1000
		}
	}
}

func (w *World) repeat(i injection) {
	pause := func() bft.Time { return 1 + bft.Time(w.random.ExpFloat64()*float64(i.every)) }
	var strike func()
	strike = func() {
		if w.chaos.over {
			return
		}
		i.do()
		w.later(pause(), strike)
	}
	w.later(pause(), strike)
}

func (w *World) injections() []injection {
	return []injection{
		{Slow, 2 * bft.Second, w.slowLink},
		{Partition, 4 * bft.Second, w.partition},
		{OneWay, 2 * bft.Second, w.oneWay},
		{Isolate, 3 * bft.Second, w.isolate},
		{Flap, 4 * bft.Second, w.flap},
		{Crash, 2 * bft.Second, w.crash},
		{Torn, 2 * bft.Second, w.crash},
		{Pause, 2 * bft.Second, w.pause},
		{DiskSlow, 3 * bft.Second, w.slowSync},
		{DiskError, 5 * bft.Second, func() { w.breakDisk("its disk reports an error; it must not go on") }},
		{DiskFull, 5 * bft.Second, func() { w.breakDisk("its disk is full") }},
		{Restore, 4 * bft.Second, func() { w.replaceDisk(true) }},
		{Lost, 4 * bft.Second, func() { w.replaceDisk(false) }},
		{Jump, 2 * bft.Second, w.jump},
		{Membership, 3 * bft.Second, w.changeMembers},
		{Idle, 3 * bft.Second, func() { w.clients.silent = w.now + w.between(bft.Second, 4*bft.Second) }},
	}
}

// victim picks a member that is up, or nil.
func (w *World) victim(honest bool) *member {
	var list []*member
	for _, m := range w.members {
		if m.up && (!honest || m.liar == nil) {
			list = append(list, m)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list[w.random.IntN(len(list))]
}

func (w *World) pair() (a, b *member) {
	a, b = w.members[w.random.IntN(len(w.members))], w.members[w.random.IntN(len(w.members))]
	return a, b
}

// forAWhile undoes a fault after some time, or when faults end.
func (w *World) forAWhile(low, high bft.Time, undo func()) {
	done := false
	once := func() {
		if !done {
			done = true
			undo()
		}
	}
	w.chaos.mends = append(w.chaos.mends, once)
	w.later(w.between(low, high), once)
}

func (w *World) slowLink() {
	a, b := w.pair()
	l := &w.network.links[a.number][b.number]
	extra := w.between(50*bft.Millisecond, 2*bft.Second)
	w.story.tell(w.now, a.name, "has a slow link to %s: %d ms more", b.name, extra/bft.Millisecond)
	l.slow += extra
	w.forAWhile(500*bft.Millisecond, 4*bft.Second, func() { l.slow -= extra })
}

func (w *World) partition() {
	side := make([]bool, len(w.members))
	for i := range side {
		side[i] = w.chance(0.5)
	}
	var mends []func()
	text := ""
	for i, a := range w.members {
		if side[i] {
			text += a.name
		}
		for j, b := range w.members {
			if side[i] != side[j] {
				mends = append(mends, w.cut(a, b))
			}
		}
	}
	w.story.tell(w.now, "-", "the network falls in two: {%s} on one side", text)
	w.forAWhile(200*bft.Millisecond, 5*bft.Second, w.mendAll(mends))
}

func (w *World) mendAll(mends []func()) func() {
	return func() {
		w.story.tell(w.now, "-", "%d links are mended", len(mends))
		for _, m := range mends {
			m()
		}
	}
}

func (w *World) oneWay() {
	a, b := w.pair()
	if a == b {
		return
	}
	w.story.tell(w.now, a.name, "is no longer heard by %s", b.name)
	w.forAWhile(200*bft.Millisecond, 5*bft.Second, w.mendAll([]func(){w.cut(a, b)}))
}

func (w *World) isolate() {
	a := w.victim(false)
	if a == nil {
		return
	}
	var mends []func()
	for _, b := range w.members {
		if a != b {
			mends = append(mends, w.cut(a, b), w.cut(b, a))
		}
	}
	w.story.tell(w.now, a.name, "is cut off")
	w.forAWhile(500*bft.Millisecond, 8*bft.Second, w.mendAll(mends))
}

func (w *World) flap() {
	a, b := w.pair()
	if a == b {
		return
	}
	w.story.tell(w.now, a.name, "has a link to %s that breaks and mends", b.name)
	for at := bft.Time(0); at < 3*bft.Second; at += 200 * bft.Millisecond {
		w.later(at, func() {
			if !w.chaos.over {
				there, back := w.cut(a, b), w.cut(b, a)
				w.later(100*bft.Millisecond, func() { there(); back() })
			}
		})
	}
}

// crash stops a member, half of the time just after it has written something:
// the moments between a write and its sync are the ones that matter.
func (w *World) crash() {
	m := w.victim(false)
	if m == nil {
		return
	}
	if w.chance(0.5) {
		m.doomed = 1 + w.random.IntN(4)
		return
	}
	w.crashNow(m)
}

func (w *World) crashNow(m *member) {
	if w.chaos.over || !m.up {
		return
	}
	keep := 0
	if w.opts.Faults.Has(Torn) {
		keep = w.random.IntN(len(m.disk.waiting) + 1)
	}
	w.story.tell(w.now, m.name, "crashes; %d of %d unsynced writes survive", keep, len(m.disk.waiting))
	m.stop(keep)
	w.report.Crashes++
	w.restartSoon(m)
}

func (w *World) restartSoon(m *member) {
	w.forAWhile(10*bft.Millisecond, 4*bft.Second, func() { w.restart(m) })
}

func (w *World) restart(m *member) {
	if m.up || m.retired {
		return
	}
	w.story.tell(w.now, m.name, "starts at commit %d", m.disk.image.highest)
	m.start()
}

func (w *World) pause() {
	m := w.victim(false)
	if m == nil {
		return
	}
	m.paused = w.now + w.between(10*bft.Millisecond, 3*bft.Second)
	w.story.tell(w.now, m.name, "stands still for %d ms", (m.paused-w.now)/bft.Millisecond)
}

func (w *World) slowSync() {
	m := w.victim(false)
	if m == nil {
		return
	}
	extra := w.between(5*bft.Millisecond, 500*bft.Millisecond)
	w.story.tell(w.now, m.name, "has a disk that takes %d ms more", extra/bft.Millisecond)
	w.chaos.slowDisk[m.number] += extra
	w.forAWhile(bft.Second, 4*bft.Second, func() { w.chaos.slowDisk[m.number] -= extra })
}

// breakDisk makes the next sync fail. The member stops; its operator repairs
// the disk and starts it again.
func (w *World) breakDisk(how string) {
	m := w.victim(false)
	if m == nil {
		return
	}
	m.disk.broken = how
	w.report.Crashes++
	w.forAWhile(500*bft.Millisecond, 4*bft.Second, func() {
		m.disk.broken = ""
		w.restart(m)
	})
}

// replaceDisk loses a member's disk, or restores an old copy of it. Its
// operator says so when starting it again. It costs the network as much as a
// liar: what the member had promised is forgotten.
func (w *World) replaceDisk(copied bool) {
	m := w.victim(true)
	if m == nil || !m.rejoin && w.chaos.spent >= quorum.Faults(w.electorate().Size()) {
		return
	}
	if copied && m.disk.copied == nil {
		m.disk.copied = m.disk.image.clone() // for the next time
		return
	}
	if m.rejoin {
		return // still on its way back
	}
	w.chaos.spent++
	m.stop(0)
	if copied {
		w.story.tell(w.now, m.name, "stops; its disk is replaced by a copy made at commit %d", m.disk.copied.highest)
		life := m.disk.life
		m.disk = &disk{image: *m.disk.copied.clone(), copied: m.disk.copied, written: map[blockKey]*bft.Block{}, life: life}
		m.disk.image.seq = 0
	} else {
		w.story.tell(w.now, m.name, "loses its disk")
		m.disk = newDisk(&state{members: w.genesis.Members}, w.retain)
	}
	m.rejoin = true
	w.report.Rejoins++
	w.restartSoon(m)
}

func (w *World) jump() {
	m := w.victim(false)
	if m == nil {
		return
	}
	by := w.between(-20*bft.Second, 5*bft.Second)
	m.clock.offset += by
	w.story.tell(w.now, m.name, "has its clock set by %d ms", by/bft.Millisecond)
}

// endFaults undoes everything but what members have become.
func (w *World) endFaults() {
	w.chaos.over = true
	w.story.tell(w.now, "-", "faults end")
	n := &w.network
	n.drop, n.duplicate, n.corrupt, n.reorder = 0, 0, 0, false
	w.clients.silent = 0
	for _, mend := range w.chaos.mends {
		mend()
	}
	for i := range n.links {
		for j := range n.links[i] {
			n.links[i][j].slow = 0
		}
	}
	for _, m := range w.members {
		m.disk.broken = ""
		w.restart(m)
	}
}
