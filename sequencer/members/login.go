package members

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/sequencer/session"
	"github.com/synod-network/synod/topology"
)

// Version is that of the API that is spoken here.
const Version = 1

// Handshake implements the API.
func (s *Service) Handshake(ctx context.Context, request *sequencerv1.HandshakeRequest) (*sequencerv1.HandshakeResponse, error) {
	leave, refused := s.enter(ctx)
	if refused != nil {
		return nil, refused
	}
	defer leave()
	if !slices.Contains(request.GetClientVersions(), Version) {
		return nil, fail(WrongVersion, "the client speaks versions %v of this service, this sequencer speaks %d", request.GetClientVersions(), Version)
	}
	if id := request.GetNetworkId(); len(id) > 0 {
		if refused := s.ofThisNetwork(id); refused != nil {
			return nil, refused
		}
	}
	key := s.config.Key().Public()
	response := &sequencerv1.HandshakeResponse{Version: Version, NetworkId: s.network[:], Sequencer: s.config.Self.String(),
		SigningKey: key[:], Software: s.config.Software}
	s.config.State.Topology(func(view topology.Snapshot) {
		response.Synchronizer, response.TrustThreshold = view.Synchronizer().String(), uint32(view.Sequencers().Threshold)
	})
	return response, nil
}

func (s *Service) ofThisNetwork(id []byte) *failure {
	if string(id) == string(s.network[:]) {
		return nil
	}
	return fail(WrongNetwork, "the client is of network %x, this sequencer of %x: check the address, or the client's genesis", id, s.network[:])
}

// Challenge implements the API.
func (s *Service) Challenge(ctx context.Context, request *sequencerv1.ChallengeRequest) (*sequencerv1.ChallengeResponse, error) {
	leave, refused := s.enter(ctx)
	if refused != nil {
		return nil, refused
	}
	defer leave()
	if refused := s.ofThisNetwork(request.GetNetworkId()); refused != nil {
		return nil, refused
	}
	m, authentication, refused := s.activeMember(request.GetMember())
	if refused != nil {
		return nil, refused
	}
	n := s.accounts.challenge(sequencing.MemberID(m.String()), s.config.Now())
	response := &sequencerv1.ChallengeResponse{Nonce: n.value[:], ExpiresMicros: n.expires.UnixMicro()}
	for _, k := range authentication {
		response.Keys = append(response.Keys, k[:])
	}
	return response, nil
}

// Authenticate implements the API.
func (s *Service) Authenticate(ctx context.Context, request *sequencerv1.AuthenticateRequest) (*sequencerv1.AuthenticateResponse, error) {
	leave, refused := s.enter(ctx)
	if refused != nil {
		s.config.Observer.Authenticated(refused.observed())
		return nil, refused
	}
	defer leave()
	response, refused := s.logIn(request)
	if refused != nil {
		s.config.Observer.Authenticated(refused.observed())
		return nil, refused
	}
	s.config.Observer.Authenticated("")
	return response, nil
}

func (s *Service) logIn(request *sequencerv1.AuthenticateRequest) (*sequencerv1.AuthenticateResponse, *failure) {
	m, authentication, refused := s.activeMember(request.GetMember())
	if refused != nil {
		return nil, refused
	}
	if len(request.GetNonce()) != len(session.Nonce{}) || len(request.GetKey()) != len(keys.PublicKey{}) || len(request.GetSignature()) != len(keys.Signature{}) {
		return nil, fail(Invalid, "a nonce has 32 bytes, a key 32 and a signature 64")
	}
	id, nonce, key, now := sequencing.MemberID(m.String()), session.Nonce(request.GetNonce()), keys.PublicKey(request.GetKey()), s.config.Now()
	// What a stranger could send for nothing is looked at before the signature, and a
	// nonce is not used up by who cannot sign it.
	if !s.accounts.knows(id, nonce, now) {
		return nil, staleNonce(m)
	}
	if !slices.Contains(authentication, key) {
		return nil, fail(BadSignature, "the key is not one with which %s authenticates", m)
	}
	login := session.Login{Member: id, Sequencer: sequencing.MemberID(s.config.Self.String()), Nonce: nonce}
	if !login.Signed(s.network, key, keys.Signature(request.GetSignature())) {
		return nil, fail(BadSignature, "the signature is not by this key of %s over this nonce, network and sequencer", m)
	}
	signer := s.config.Key()
	t := &Token{Member: m, Key: key.Fingerprint(), Issuer: s.config.Self, IssuerKey: signer.Public(), Expires: now.Add(s.config.TokenLife).UnixMicro()}
	_, _ = rand.Read(t.ID[:]) // never fails
	known, room, notBefore := s.accounts.use(id, nonce, now, t.Expires, s.config.MemberTokens)
	switch {
	case !known:
		return nil, staleNonce(m) // somebody else was faster with it
	case !room:
		return nil, fail(TooManyTokens, "%s has as many tokens here as it may, %d: log out, or wait until some expire", m, s.config.MemberTokens).after(time.Minute)
	}
	t.Issued = max(now.UnixMicro(), notBefore)
	return &sequencerv1.AuthenticateResponse{Token: t.sign(s.network, signer), ExpiresMicros: t.Expires}, nil
}

func staleNonce(m topology.Member) *failure {
	return fail(Unauthenticated, "the nonce is not one that %s was given here in the last minute and has not used: ask for another", m)
}

// Revocation ends one token of a member, or all that it was given until then.
type Revocation struct {
	Member sequencing.MemberID
	// Token is the one that ends, zero for all.
	Token TokenID
	// Expires is when that token ends anyway, µs since the Unix epoch.
	Expires int64
	// Before is the time of the revocation, µs since the Unix epoch: of all tokens,
	// those issued before it end. Tokens of sequencers whose clock is ahead of that of
	// the one that revokes are not found by it, if they are as young.
	Before int64
}

// Logout implements the API.
func (s *Service) Logout(ctx context.Context, request *sequencerv1.LogoutRequest) (*sequencerv1.LogoutResponse, error) {
	c, leave, refused := s.enterAs(ctx)
	if refused != nil {
		return nil, refused
	}
	defer leave()
	now := s.config.Now()
	r := Revocation{Member: c.id, Token: c.token.ID, Expires: c.token.Expires, Before: max(now.UnixMicro(), c.token.Issued) + 1}
	if request.GetAll() {
		r.Token = TokenID{}
	}
	s.accounts.revoke(r, now)
	if !request.GetAll() && c.token.Issuer == s.config.Self {
		s.accounts.released(c.token.Token)
	}
	s.config.Revoke(r)
	return &sequencerv1.LogoutResponse{}, nil
}

// Revoked takes a revocation that was made at another sequencer of the network. One
// that lies can so make members authenticate again, and nothing more; what could last
// longer, or concerns nobody here, is refused.
func (s *Service) Revoked(r Revocation) error {
	now := s.config.Now()
	if _, _, refused := s.activeMember(string(r.Member)); refused != nil {
		return fmt.Errorf("revocation for %.300q: %w", r.Member, refused)
	}
	if r.Before > now.Add(clockSkew).UnixMicro() || r.Expires > now.Add(clockSkew+MaxTokenLife).UnixMicro() {
		return errors.New("revocation of the future: the clocks of the sequencers are too far apart, or one lies")
	}
	s.accounts.revoke(r, now)
	return nil
}
