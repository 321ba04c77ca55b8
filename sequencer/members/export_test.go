package members

import (
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// What forgers can do.
var ParseTokenForTest = parseToken

// SignTokenForTest signs any token.
func SignTokenForTest(t *Token, network sequencing.NetworkID, key keys.PrivateKey) string {
	return t.sign(network, key)
}

// Remembered counts accounts and verified tokens.
func (s *Service) Remembered() (accounts, tokens int) {
	s.accounts.mu.Lock()
	defer s.accounts.mu.Unlock()
	return len(s.accounts.all), s.verified.len()
}

// Revocations counts what is remembered of a member's single tokens that ended.
func (s *Service) Revocations(id sequencing.MemberID) int {
	s.accounts.mu.Lock()
	defer s.accounts.mu.Unlock()
	return len(s.accounts.all[id].revoked)
}

// Sweep forgets what is over, as Run does from time to time.
func (s *Service) Sweep() { s.accounts.sweep(s.config.Now()) }

// Downloading counts the open downloads.
func (s *Service) Downloading() int { return len(s.downloads) }

// ShareOf is how many bytes a page has at most while so many subscriptions are open.
func ShareOf(open int) int {
	p := positions{all: map[*subscription]struct{}{}}
	for range open {
		p.all[new(subscription)] = struct{}{}
	}
	return p.share()
}
