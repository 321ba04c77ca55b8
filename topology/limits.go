package topology

// holding is what a namespace has in the state, by everything accepted.
type holding struct {
	mappings  int  // that there ever were
	spent     Time // its changes are paid for up to then, see Limits.wait
	permitted bool
}

// stranger reports whether the namespace counts as one that the owners did not permit.
func (h holding) stranger() bool { return h.mappings > 0 && !h.permitted }

// hold changes the holding of a namespace. That of the synchronizer's owners is not bounded, and not kept.
func (s *State) hold(n Namespace, change func(*holding)) {
	if n == s.synchronizer.Namespace {
		return
	}
	h := s.holdings.at(n)
	was := h.stranger()
	change(&h)
	s.holdings.set(n, h)
	switch is := h.stranger(); {
	case is && !was:
		s.strangers++
	case was && !is:
		s.strangers--
	}
}

// holdNewest takes account of the newest version of a history.
func (s *State) holdNewest(h *history, fresh bool) {
	v := h.newest()
	s.hold(v.mapping.answers(), func(held *holding) {
		if fresh {
			held.mappings++
		}
		if v.removed && s.rules.freeRemoved {
			held.mappings--
		}
		held.spent = max(held.spent, v.spent)
	})
	if p, ok := v.mapping.(NamespacePermission); ok {
		s.hold(p.Namespace, func(held *holding) { held.permitted = !v.removed || s.rules.ignoreRemoval })
	}
}

// limitsOf returns the limits of a namespace at a time, and whether the owners permit it. Permissions count as soon as they
// are accepted, so that what rests on one can be sent along with it.
func (s *State) limitsOf(n Namespace, at Time) (l Limits, permitted bool) {
	if p, ok := newestOf[NamespacePermission](s, permissionKey(s.synchronizer, n)); ok {
		return p.Limits, true
	}
	return s.onboardingAt(at).Limits, false
}

func (s *State) onboardingAt(at Time) Onboarding {
	p, _ := inForce[SynchronizerParameters](s, parametersKey(s.synchronizer), at)
	return p.Onboarding
}

// checkLimits judges whether the namespace that answers for a mapping may add it.
func (s *State) checkLimits(at Time, c change) *Rejection {
	n := c.Mapping.answers()
	if c.removes() || n == s.synchronizer.Namespace || s.rules.boundless {
		return nil
	}
	held, rules := s.holdings.at(n), s.onboardingAt(at)
	limits, permitted := s.limitsOf(n, at)
	if c.first() && !permitted && !s.rules.openToAll {
		switch {
		case rules.Mode == Restricted:
			return rejected(CodeOnboardingRestricted, "nothing new is taken from namespace %s: ask the owners of synchronizer %s to permit it", n, s.synchronizer)
		case held.mappings == 0 && s.strangers >= int(rules.Namespaces):
			return rejected(CodeTooManyNamespaces, "there are %d namespaces without the owners' permission, as many as may be: ask the owners of synchronizer %s to permit namespace %s",
				s.strangers, s.synchronizer, n)
		}
	}
	if c.first() && held.mappings >= int(limits.Mappings) {
		return rejected(CodeTooManyMappings, "namespace %s has had %d mappings, removed ones included, as many as it may: replace one, or ask the owners of synchronizer %s to permit more",
			n, held.mappings, s.synchronizer)
	}
	if until := limits.until(held.spent, at); until > at && !s.rules.hasty {
		r := rejected(CodeTooManyChanges, "namespace %s has changed more than %d mappings, and may change another at %d: wait for that, or ask the owners of synchronizer %s to permit more",
			n, limits.Changes, until, s.synchronizer)
		r.NotBefore = until
		return r
	}
	return nil
}

// until is the earliest time from which another change is within the limits. Each change moves what is paid for by an
// interval, from the present on; it may be ahead of the present by as many intervals as changes may come at once.
func (l Limits) until(spent, at Time) Time {
	if l.ChangeInterval == 0 {
		return at
	}
	return max(spent, at) - Time(l.Changes-1)*l.ChangeInterval
}

// spending is up to when a namespace's changes are paid for with another one, 0 for one that is not bounded.
func (s *State) spending(at Time, t Transaction) Time {
	n := t.Mapping.answers()
	if t.Operation == Remove || n == s.synchronizer.Namespace || s.rules.freeReplaced && t.Serial > 1 {
		return s.holdings.at(n).spent
	}
	limits, _ := s.limitsOf(n, at)
	return max(s.holdings.at(n).spent, at) + limits.ChangeInterval
}

// Usage is how much of what the owners allow is used, by everything accepted.
type Usage struct {
	Onboarding Onboarding
	// Namespaces counts all that there ever were, but for the owners'; Strangers those of them without permission, and
	// Permissions the permissions, also of namespaces that do not exist yet.
	Namespaces, Strangers, Permissions int
	// Mappings counts all that there ever were, those of the owners included.
	Mappings int
}

// Usage returns how much is used, by the rules in force at a time.
func (s *State) Usage(at Time) Usage {
	u := Usage{Onboarding: s.onboardingAt(at), Strangers: s.strangers, Mappings: len(s.order)}
	for _, h := range s.holdings.rows { //bft:unordered counts only
		if h.mappings > 0 {
			u.Namespaces++
		}
		if h.permitted {
			u.Permissions++
		}
	}
	return u
}

// Holding is what one namespace uses of what it may.
type Holding struct {
	Namespace Namespace
	Permitted bool
	// Mappings counts those that it ever had.
	Mappings int
	Limits   Limits
	// Changes is how many changes it may make now.
	Changes int
}

// Holdings yields every namespace but the owners', in no particular order, by the rules in force at a time.
func (s *State) Holdings(at Time, yield func(Holding) bool) {
	for n, h := range s.holdings.rows { //bft:unordered for people, who sort; no judgement rests on it
		limits, permitted := s.limitsOf(n, at)
		if !yield(Holding{Namespace: n, Permitted: permitted, Mappings: h.mappings, Limits: limits, Changes: limits.left(h.spent, at)}) {
			return
		}
	}
}

// left is how many changes are within the limits now.
func (l Limits) left(spent, at Time) int {
	if l.ChangeInterval == 0 {
		return int(l.Changes)
	}
	used := (max(0, spent-at) + l.ChangeInterval - 1) / l.ChangeInterval
	return max(0, int(l.Changes)-int(min(used, Time(l.Changes))))
}
