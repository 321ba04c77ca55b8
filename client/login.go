package client

import (
	"context"
	"fmt"
	"time"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/sequencer/session"
)

// token returns one that is good for a while at a sequencer, and logs in if there is none.
func (c *Client) token(ctx context.Context, p *peer, service sequencerv1.SequencerServiceClient) (token, error) {
	select {
	case p.login <- struct{}{}:
		defer func() { <-p.login }()
	case <-ctx.Done():
		return token{}, context.Cause(ctx)
	}
	c.mu.Lock()
	have, id, network := p.token, p.id, c.view.network
	c.mu.Unlock()
	if have.value != "" && time.Now().Before(have.refresh) {
		return have, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.CallTimeout)
	defer cancel()
	member := string(c.config.Member)
	challenge, err := service.Challenge(ctx, &sequencerv1.ChallengeRequest{Member: member, NetworkId: network[:]})
	if err != nil {
		return token{}, failureOf(p.alias, err)
	}
	if len(challenge.GetNonce()) != len(session.Nonce{}) {
		return token{}, fmt.Errorf("its nonce has %d bytes, not %d", len(challenge.GetNonce()), len(session.Nonce{}))
	}
	key := c.config.Authentication.Public()
	signature := session.Login{Member: c.config.Member, Sequencer: id, Nonce: session.Nonce(challenge.GetNonce())}.Sign(network, c.config.Authentication)
	answer, err := service.Authenticate(ctx, &sequencerv1.AuthenticateRequest{Member: member, Nonce: challenge.GetNonce(), Key: key[:], Signature: signature[:]})
	if err != nil {
		return token{}, failureOf(p.alias, err)
	}
	now := time.Now()
	left := time.UnixMicro(answer.GetExpiresMicros()).Sub(now)
	// A short life is used to the half, and nobody makes the client log in more often than each second.
	got := token{value: answer.GetToken(), refresh: now.Add(max(left-c.config.RefreshBefore, left/2, time.Second))}
	c.mu.Lock()
	p.token = got
	c.mu.Unlock()
	return got, nil
}

// dropToken forgets a token that a sequencer refused.
func (c *Client) dropToken(p *peer, refused token) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.token == refused {
		p.token = token{}
	}
}

// logoutTimeout is how long the end of a connection waits for its sequencer to hear of it.
const logoutTimeout = 500 * time.Millisecond

// logout gives the token back when a sequencer is not used any more. It is no matter if that fails: tokens end.
func (c *Client) logout(p *peer, service sequencerv1.SequencerServiceClient) {
	c.mu.Lock()
	held := p.token
	if p.ctx.Err() == nil || p.left != nil || held.value == "" {
		c.mu.Unlock()
		return
	}
	p.token = token{}
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), logoutTimeout)
	defer cancel()
	_, _ = service.Logout(held.authorize(ctx), &sequencerv1.LogoutRequest{})
}
