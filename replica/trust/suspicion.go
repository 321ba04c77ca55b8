package trust

// blame counts what blame costs a peer in the current window, and has this node suspect itself when more members look
// bad than can be: at most f are faulty, so one of f+1 is honest, and the fault is likely here.
func (l *Ledger) blame(e *entry, cost float64) {
	if e.loss == 0 || l.now-e.lossFrom > Instant(l.params.SuspectWindow) {
		e.lossFrom, e.loss = l.now, 0
	}
	e.loss += cost
	if !l.isMember(e.peer) || l.planted.confident {
		return
	}
	if bad := l.badMembers(); len(bad) <= l.faults() {
		return
	}
	fresh := l.suspect == 0
	l.suspect = l.now + Instant(l.params.SuspectFor)
	if !fresh {
		return
	}
	l.counters.Suspicions++
	l.emit(Event{Kind: SuspicionBegan, Detail: "more members look bad than can be faulty"})
	for _, other := range l.badMembers() {
		l.acquit(other)
	}
}

// acquit takes back what this node, which may be the faulty one, decided in the window.
func (l *Ledger) acquit(e *entry) {
	b := e.ban
	if b == nil || b.Origin == Operator || b.From < e.lossFrom || proven(b.Reason) {
		return
	}
	if e.strikeEnd == b.Until {
		e.strikes, e.strikeEnd = e.strikes-1, l.now
	}
	l.release(e, LiftedBySuspicion)
}

func proven(a Action) bool {
	effect, ok := EffectOf(a)
	return ok && effect.Class == Provable
}

// badMembers are those that blame cost much in the window.
func (l *Ledger) badMembers() (bad []*entry) {
	for _, m := range l.members {
		e := l.entries[m]
		if e != nil && e.loss >= l.params.LooksBad && l.now-e.lossFrom <= Instant(l.params.SuspectWindow) {
			bad = append(bad, e)
		}
	}
	return bad
}

// SelfSuspect reports whether this node suspects itself, and until when.
func (l *Ledger) SelfSuspect(now Instant) (Instant, bool) {
	l.advance(now)
	return l.suspect, l.suspect != 0
}
