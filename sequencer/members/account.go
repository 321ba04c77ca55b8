package members

import (
	"crypto/rand"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/sequencer/session"
)

const (
	// nonceLife is how long a nonce is good.
	nonceLife = time.Minute
	// memberRevocations is how many single tokens of a member are remembered as revoked,
	// before all are that it had.
	memberRevocations = 64
	// acknowledgements of a member per second, and in a burst: they cost no traffic.
	acknowledgementRate, acknowledgementBurst = 2, 20
)

// party is a member at the word of a sequencer. What a member does is counted by both: a sequencer that lies can make tokens
// of any member, and must not use up what the member may do with those that others gave it.
type party struct{ member, issuer sequencing.MemberID }

// usage is what is open, and said, with tokens of one sequencer.
type usage struct {
	open, subscriptions int
	acknowledgements    *rate.Limiter
}

// account is what is kept of a member: all of it bounded, by the number of sequencers too.
type account struct {
	by            map[sequencing.MemberID]*usage
	nonces        []nonce // at most two, the newest last
	tokens        []int64 // when those that were given out here expire, µs
	revoked       map[TokenID]int64
	revokedBefore int64 // tokens issued before it, µs, are revoked
	forgetAt      int64 // when no token is left that revokedBefore is for
}

type nonce struct {
	value   session.Nonce
	expires time.Time
}

// accounts are those of members that are active, or were while they did something.
type accounts struct {
	mu   sync.Mutex
	all  map[sequencing.MemberID]*account
	open int // calls, of everybody
	// elsewhere counts the open calls by tokens that other sequencers gave out, for each.
	elsewhere map[sequencing.MemberID]int
}

// of returns a member's account. The caller holds the mutex and knows that the member
// is active.
func (a *accounts) of(id sequencing.MemberID) *account {
	if a.all == nil {
		a.all = map[sequencing.MemberID]*account{}
	}
	m, ok := a.all[id]
	if !ok {
		m = &account{by: map[sequencing.MemberID]*usage{}}
		a.all[id] = m
	}
	return m
}

func (a *accounts) usageOf(p party) *usage {
	m := a.of(p.member)
	u, ok := m.by[p.issuer]
	if !ok {
		u = &usage{acknowledgements: rate.NewLimiter(acknowledgementRate, acknowledgementBurst)}
		m.by[p.issuer] = u
	}
	return u
}

// enter counts a call of everybody's.
func (a *accounts) enter(most int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open >= most {
		return false
	}
	a.open++
	return true
}

func (a *accounts) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open--
}

// enterAs counts a call of a member. Most bounds those that it has open; share, unless it is 0, those of everybody by
// tokens of the same sequencer.
func (a *accounts) enterAs(p party, most, share int) (mine, all bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	u := a.usageOf(p)
	switch {
	case u.open >= most:
		return false, true
	case share > 0 && a.elsewhere[p.issuer] >= share:
		return true, false
	}
	u.open++
	if share > 0 {
		if a.elsewhere == nil {
			a.elsewhere = map[sequencing.MemberID]int{}
		}
		a.elsewhere[p.issuer]++
	}
	return true, true
}

func (a *accounts) leaveAs(p party, share int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.usageOf(p).open--
	if share > 0 {
		if a.elsewhere[p.issuer]--; a.elsewhere[p.issuer] == 0 {
			delete(a.elsewhere, p.issuer)
		}
	}
}

// subscribe counts a subscription of a member, or with -1 the end of one.
func (a *accounts) subscribe(p party, change, most int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := a.usageOf(p)
	if change > 0 && m.subscriptions >= most {
		return false
	}
	m.subscriptions += change
	return true
}

// acknowledges reports whether a member may acknowledge now.
func (a *accounts) acknowledges(p party, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.usageOf(p).acknowledgements.AllowN(now, 1)
}

// challenge returns a nonce of the member's: the same until it is used or half its
// life is over, so that asking makes nothing grow.
func (a *accounts) challenge(id sequencing.MemberID, now time.Time) nonce {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := a.of(id)
	m.expire(now)
	if n := len(m.nonces); n > 0 && m.nonces[n-1].expires.Sub(now) >= nonceLife/2 {
		return m.nonces[n-1]
	}
	fresh := nonce{expires: now.Add(nonceLife)}
	_, _ = rand.Read(fresh.value[:]) // never fails
	m.nonces = append(m.nonces[max(0, len(m.nonces)-1):], fresh)
	return fresh
}

// knows reports whether a nonce can be used. Use takes it.
func (a *accounts) knows(id sequencing.MemberID, value session.Nonce, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	m, ok := a.all[id]
	return ok && slices.ContainsFunc(m.nonces, func(n nonce) bool { return n.value == value && now.Before(n.expires) })
}

// use takes a nonce and counts a token that expires at a time. It reports whether the nonce
// was there, whether the member may have another token, and the time from which on tokens
// are not revoked.
func (a *accounts) use(id sequencing.MemberID, value session.Nonce, now time.Time, expires int64, most int) (known, room bool, notBefore int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := a.of(id)
	m.expire(now)
	i := slices.IndexFunc(m.nonces, func(n nonce) bool { return n.value == value })
	if i < 0 {
		return false, false, 0
	}
	if len(m.tokens) >= most {
		return true, false, 0
	}
	m.nonces = slices.Delete(m.nonces, i, i+1)
	m.tokens = append(m.tokens, expires)
	return true, true, m.revokedBefore
}

// revoke notes a revocation.
func (a *accounts) revoke(r Revocation, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := a.of(r.Member)
	m.expire(now)
	if r.Token != (TokenID{}) && len(m.revoked) < memberRevocations {
		if m.revoked == nil {
			m.revoked = map[TokenID]int64{}
		}
		m.revoked[r.Token] = r.Expires
		return
	}
	m.revokedBefore = max(m.revokedBefore, r.Before)
	m.forgetAt = max(m.forgetAt, m.revokedBefore+MaxTokenLife.Microseconds())
	m.tokens = nil
}

// released forgets that a token was given out here.
func (a *accounts) released(t *Token) {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := a.of(sequencing.MemberID(t.Member.String()))
	if i := slices.Index(m.tokens, t.Expires); i >= 0 {
		m.tokens = slices.Delete(m.tokens, i, i+1)
	}
}

func (a *accounts) isRevoked(id sequencing.MemberID, t *Token) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	m, ok := a.all[id]
	if !ok {
		return false
	}
	_, one := m.revoked[t.ID]
	return one || t.Issued < m.revokedBefore
}

// expire forgets what is over.
func (m *account) expire(now time.Time) {
	at := now.UnixMicro()
	m.nonces = slices.DeleteFunc(m.nonces, func(n nonce) bool { return !now.Before(n.expires) })
	m.tokens = slices.DeleteFunc(m.tokens, func(expires int64) bool { return expires <= at })
	for id, expires := range m.revoked {
		if expires <= at {
			delete(m.revoked, id)
		}
	}
	if m.forgetAt <= at {
		m.revokedBefore, m.forgetAt = 0, 0
	}
}

// sweep forgets accounts in which nothing is left.
func (a *accounts) sweep(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, m := range a.all {
		m.expire(now)
		for issuer, u := range m.by {
			if u.open == 0 && u.subscriptions == 0 && u.acknowledgements.TokensAt(now) >= acknowledgementBurst {
				delete(m.by, issuer)
			}
		}
		if len(m.by) == 0 && len(m.nonces) == 0 && len(m.tokens) == 0 && len(m.revoked) == 0 && m.revokedBefore == 0 {
			delete(a.all, id)
		}
	}
}
