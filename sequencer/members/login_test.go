package members_test

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/members"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/session"
	"github.com/synod-network/synod/topology"
)

func TestHandshake(t *testing.T) {
	s := start(t, options{})
	n := s.nodes[0]
	response, err := n.client.Handshake(patience(t), &sequencerv1.HandshakeRequest{ClientVersions: []uint32{7, 1}, NetworkId: s.network.ID[:]})
	if err != nil {
		t.Fatal(err)
	}
	if response.GetVersion() != 1 || response.GetSequencer() != n.self.String() || response.GetTrustThreshold() != 1 ||
		keys.PublicKey(response.GetSigningKey()) != membertest.Protocol(n.self).Public() || response.GetSynchronizer() != s.network.Synchronizer.String() {
		t.Errorf("%v", response)
	}
	if _, err := n.client.Handshake(patience(t), &sequencerv1.HandshakeRequest{ClientVersions: []uint32{1}}); err != nil {
		t.Errorf("a client that wants to learn the network: %v", err)
	}
	_, err = n.client.Handshake(patience(t), &sequencerv1.HandshakeRequest{ClientVersions: []uint32{2, 3}})
	wantFailure(t, err, codes.FailedPrecondition, members.WrongVersion)
	_, err = n.client.Handshake(patience(t), &sequencerv1.HandshakeRequest{ClientVersions: []uint32{1}, NetworkId: make([]byte, 32)})
	wantFailure(t, err, codes.FailedPrecondition, members.WrongNetwork)
}

func TestWhoMayNotLogIn(t *testing.T) {
	s := start(t, options{plan: membertest.Plan{Sequencers: 2}})
	n := s.nodes[0]
	other := membertest.Found(t, membertest.Plan{Network: 9})
	sign := func(request *sequencerv1.AuthenticateRequest, key keys.PrivateKey, change func(*session.Login, *[32]byte)) {
		l := session.Login{Member: membertest.ID(alice), Sequencer: membertest.ID(n.self), Nonce: session.Nonce(request.GetNonce())}
		network := [32]byte(s.network.ID)
		change(&l, &network)
		public, signature := key.Public(), l.Sign(network, key)
		request.Key, request.Signature = public[:], signature[:]
	}
	for _, c := range []struct {
		name   string
		alter  func(*sequencerv1.AuthenticateRequest)
		code   codes.Code
		reason members.Reason
	}{
		{"with the key of another", func(r *sequencerv1.AuthenticateRequest) {
			sign(r, membertest.Authentication(bob), func(*session.Login, *[32]byte) {})
		}, codes.InvalidArgument, members.BadSignature},
		{"with a key for another purpose", func(r *sequencerv1.AuthenticateRequest) {
			sign(r, membertest.Protocol(alice), func(*session.Login, *[32]byte) {})
		}, codes.InvalidArgument, members.BadSignature},
		{"signed for another network", func(r *sequencerv1.AuthenticateRequest) {
			sign(r, membertest.Authentication(alice), func(_ *session.Login, network *[32]byte) { *network = other.ID })
		}, codes.InvalidArgument, members.BadSignature},
		{"signed for another sequencer", func(r *sequencerv1.AuthenticateRequest) {
			sign(r, membertest.Authentication(alice), func(l *session.Login, _ *[32]byte) { l.Sequencer = membertest.ID(s.nodes[1].self) })
		}, codes.InvalidArgument, members.BadSignature},
		{"signed as another member", func(r *sequencerv1.AuthenticateRequest) {
			sign(r, membertest.Authentication(alice), func(l *session.Login, _ *[32]byte) { l.Member = membertest.ID(bob) })
		}, codes.InvalidArgument, members.BadSignature},
		{"over another nonce", func(r *sequencerv1.AuthenticateRequest) {
			sign(r, membertest.Authentication(alice), func(l *session.Login, _ *[32]byte) { l.Nonce[0] ^= 1 })
		}, codes.InvalidArgument, members.BadSignature},
		{"with a nonce of one's own", func(r *sequencerv1.AuthenticateRequest) {
			r.Nonce = make([]byte, 32)
			sign(r, membertest.Authentication(alice), func(*session.Login, *[32]byte) {})
		}, codes.Unauthenticated, members.Unauthenticated},
		{"with the nonce of another sequencer", func(r *sequencerv1.AuthenticateRequest) {
			r.Nonce = s.nodes[1].login(alice, membertest.Authentication(alice)).GetNonce()
			sign(r, membertest.Authentication(alice), func(*session.Login, *[32]byte) {})
		}, codes.Unauthenticated, members.Unauthenticated},
		{"with a signature cut short", func(r *sequencerv1.AuthenticateRequest) { r.Signature = r.GetSignature()[:63] }, codes.InvalidArgument, members.Invalid},
		{"with a nonce cut short", func(r *sequencerv1.AuthenticateRequest) { r.Nonce = r.GetNonce()[:31] }, codes.InvalidArgument, members.Invalid},
		{"with a key cut short", func(r *sequencerv1.AuthenticateRequest) { r.Key = r.GetKey()[:31] }, codes.InvalidArgument, members.Invalid},
		{"with a key that is too long", func(r *sequencerv1.AuthenticateRequest) { r.Key = append(r.GetKey(), 0) }, codes.InvalidArgument, members.Invalid},
		{"as nobody", func(r *sequencerv1.AuthenticateRequest) { r.Member = "alice" }, codes.InvalidArgument, members.Invalid},
		{"as a stranger", func(r *sequencerv1.AuthenticateRequest) { r.Member = carol.String() }, codes.PermissionDenied, members.UnknownMember},
		{"as a sequencer", func(r *sequencerv1.AuthenticateRequest) { r.Member = n.self.String() }, codes.PermissionDenied, members.UnknownMember},
	} {
		t.Run(c.name, func(t *testing.T) {
			request := n.login(alice, membertest.Authentication(alice))
			c.alter(request)
			before := n.counter.get("authenticated " + string(c.reason))
			_, err := n.client.Authenticate(patience(t), request)
			wantFailure(t, err, c.code, c.reason)
			if n.counter.get("authenticated "+string(c.reason)) != before+1 {
				t.Error("not counted")
			}
		})
	}
	// None of it used up alice's nonce.
	if _, err := n.client.GetTrafficState(n.as(alice), &sequencerv1.GetTrafficStateRequest{}); err != nil {
		t.Error(err)
	}
	challenge, err := n.client.Challenge(patience(t), &sequencerv1.ChallengeRequest{Member: alice.String(), NetworkId: s.network.ID[:]})
	if public := membertest.Authentication(alice).Public(); err != nil || len(challenge.GetKeys()) != 1 || string(challenge.GetKeys()[0]) != string(public[:]) {
		t.Errorf("told that she may authenticate with %x, %v", challenge.GetKeys(), err)
	}
	_, err = n.client.Challenge(patience(t), &sequencerv1.ChallengeRequest{Member: alice.String(), NetworkId: other.ID[:]})
	wantFailure(t, err, codes.FailedPrecondition, members.WrongNetwork)
	_, err = n.client.Challenge(patience(t), &sequencerv1.ChallengeRequest{Member: alice.String()})
	wantFailure(t, err, codes.FailedPrecondition, members.WrongNetwork)
	_, err = n.client.Challenge(patience(t), &sequencerv1.ChallengeRequest{Member: carol.String(), NetworkId: s.network.ID[:]})
	wantFailure(t, err, codes.PermissionDenied, members.UnknownMember)
}

func TestANonceIsGoodForOnceAndForAMinute(t *testing.T) {
	s := start(t, options{})
	n := s.nodes[0]
	first := n.login(alice, membertest.Authentication(alice))
	if again := n.login(alice, membertest.Authentication(alice)); string(again.GetNonce()) != string(first.GetNonce()) {
		t.Error("asking again gave another nonce")
	}
	if _, err := n.client.Authenticate(patience(t), first); err != nil {
		t.Fatal(err)
	}
	_, err := n.client.Authenticate(patience(t), first)
	wantFailure(t, err, codes.Unauthenticated, members.Unauthenticated)

	second := n.login(alice, membertest.Authentication(alice))
	if string(second.GetNonce()) == string(first.GetNonce()) {
		t.Fatal("a used nonce was given out again")
	}
	s.ahead.Add(int64(31 * time.Second))
	if third := n.login(alice, membertest.Authentication(alice)); string(third.GetNonce()) == string(second.GetNonce()) {
		t.Error("a nonce that is about to expire was given out again")
	}
	s.ahead.Add(int64(30 * time.Second))
	_, err = n.client.Authenticate(patience(t), second)
	wantFailure(t, err, codes.Unauthenticated, members.Unauthenticated)
}

// Of many that use one nonce at the same time, one gets a token.
func TestANonceIsNotUsedTwiceAtOnce(t *testing.T) {
	s := start(t, options{})
	n := s.nodes[0]
	request := n.login(alice, membertest.Authentication(alice))
	var calls sync.WaitGroup
	for range 16 {
		calls.Go(func() { _, _ = n.client.Authenticate(patience(t), request) })
	}
	calls.Wait()
	if ok, refused := n.counter.get("authenticated "), n.counter.get("authenticated UNAUTHENTICATED"); ok != 1 || refused != 15 {
		t.Errorf("%d got a token, %d were refused", ok, refused)
	}
}

func TestATokenOfOneSequencerIsGoodAtEveryOther(t *testing.T) {
	s := start(t, options{plan: membertest.Plan{Sequencers: 3}})
	token := s.nodes[0].token(alice)
	for _, n := range s.nodes {
		for range 2 { // verified, and remembered
			if _, err := n.client.GetTrafficState(with(patience(t), token), &sequencerv1.GetTrafficStateRequest{}); err != nil {
				t.Errorf("%s: %v", n.self, err)
			}
		}
	}
}

// wantNoToken checks that calls with metadata are refused.
func wantNoToken(t *testing.T, n *node, ctx context.Context) string {
	t.Helper()
	before := n.counter.get("token refused")
	_, err := n.client.GetTrafficState(ctx, &sequencerv1.GetTrafficStateRequest{})
	wantFailure(t, err, codes.Unauthenticated, members.Unauthenticated)
	if n.counter.get("token refused") != before+1 {
		t.Error("not counted")
	}
	return err.Error()
}

func TestForgedTokens(t *testing.T) {
	s := start(t, options{plan: membertest.Plan{Sequencers: 2}})
	n := s.nodes[0]
	good := n.token(alice)
	other := start(t, options{plan: membertest.Plan{Network: 5, Sequencers: 2}}) // the same members, keys and sequencers
	forge := func(change func(*members.Token), network *membertest.Network, by keys.PrivateKey) string {
		token, err := members.ParseTokenForTest(s.network.ID, good)
		if err != nil {
			t.Fatal(err)
		}
		change(token)
		return members.SignTokenForTest(token, network.ID, by)
	}
	self := membertest.Protocol(n.self)
	same := func(*members.Token) {}
	if _, err := n.client.GetTrafficState(with(patience(t), forge(same, s.network, self)), &sequencerv1.GetTrafficStateRequest{}); err != nil {
		t.Fatalf("the forger makes no good tokens: %v", err)
	}
	raw, _ := base64.RawURLEncoding.DecodeString(good)
	for name, token := range map[string]string{
		"empty":                    "",
		"noise":                    "a token",
		"cut":                      good[:len(good)-4],
		"longer":                   good + "AAAA",
		"other alphabet":           base64.StdEncoding.EncodeToString(append(raw, 255, 255, 255)),
		"huge":                     strings.Repeat("A", 4000),
		"of another network":       other.nodes[0].token(alice),
		"signed for another":       forge(same, other.network, self),
		"signed by a member":       forge(func(t *members.Token) { t.IssuerKey = membertest.Protocol(bob).Public() }, s.network, membertest.Protocol(bob)),
		"given out by a member":    forge(func(t *members.Token) { t.IssuerKey, t.Issuer = membertest.Protocol(bob).Public(), bob }, s.network, membertest.Protocol(bob)),
		"signed by another's key":  forge(same, s.network, membertest.Protocol(s.nodes[1].self)),
		"by a key of another":      forge(func(t *members.Token) { t.IssuerKey = membertest.Protocol(s.nodes[1].self).Public() }, s.network, membertest.Protocol(s.nodes[1].self)),
		"by the node key":          forge(func(t *members.Token) { t.IssuerKey = membertest.Node(n.self).Public() }, s.network, membertest.Node(n.self)),
		"by no sequencer":          forge(func(t *members.Token) { t.Issuer = membertest.Sequencer(9) }, s.network, self),
		"for a stranger":           forge(func(t *members.Token) { t.Member = carol }, s.network, self),
		"with a key that is not":   forge(func(t *members.Token) { t.Key = membertest.Authentication(bob).Public().Fingerprint() }, s.network, self),
		"with the protocol key":    forge(func(t *members.Token) { t.Key = membertest.Protocol(alice).Public().Fingerprint() }, s.network, self),
		"good for longer than can": forge(func(t *members.Token) { t.Expires += int64(time.Hour / time.Microsecond) }, s.network, self),
		"of the future": forge(func(t *members.Token) {
			t.Issued, t.Expires = t.Issued+120_000_000, t.Expires+120_000_000
		}, s.network, self),
		"expired": forge(func(t *members.Token) { t.Expires = t.Issued }, s.network, self),
	} {
		t.Run(name, func(t *testing.T) { wantNoToken(t, n, with(patience(t), token)) })
	}
	for i := range raw { // each byte is signed
		bad := append([]byte(nil), raw...)
		bad[i] ^= 1
		if _, err := members.ParseTokenForTest(s.network.ID, base64.RawURLEncoding.EncodeToString(bad)); err == nil {
			t.Errorf("a token with byte %d changed is good", i)
		}
	}
	wantNoToken(t, n, patience(t))
	wantNoToken(t, n, metadata.AppendToOutgoingContext(patience(t), "authorization", good))
	wantNoToken(t, n, with(with(patience(t), good), good))
}

func TestATokenEndsWithItsTime(t *testing.T) {
	s := start(t, options{config: func(c *members.Config) { c.TokenLife = 10 * time.Minute }})
	n := s.nodes[0]
	token := with(patience(t), n.token(alice))
	reader := n.subscribe(token, alice, 0)
	if _, err := reader.stream.Header(); err != nil {
		t.Fatal(err)
	}
	s.ahead.Add(int64(10 * time.Minute))
	wantFailure(t, reader.end(), codes.Unauthenticated, members.Unauthenticated)
	if message := wantNoToken(t, n, token); !strings.Contains(message, "expired") {
		t.Error(message)
	}
}

func TestLogout(t *testing.T) {
	var mu sync.Mutex
	var revocations []members.Revocation
	s := start(t, options{plan: membertest.Plan{Sequencers: 2}, config: func(c *members.Config) {
		c.Revoke = func(r members.Revocation) { mu.Lock(); defer mu.Unlock(); revocations = append(revocations, r) }
	}})
	n, other := s.nodes[0], s.nodes[1]
	first, second, third, ofBob := n.as(alice), n.as(alice), n.as(alice), n.as(bob)
	ask := func(n *node, ctx context.Context) error {
		_, err := n.client.GetTrafficState(ctx, &sequencerv1.GetTrafficStateRequest{})
		return err
	}
	stream := n.subscribe(third, alice, 0)
	sending, err := n.client.SendStream(third)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.client.Logout(first, &sequencerv1.LogoutRequest{}); err != nil {
		t.Fatal(err)
	}
	wantNoToken(t, n, first)
	if err := ask(n, second); err != nil {
		t.Errorf("another token ended too: %v", err)
	}
	if err := ask(other, first); err != nil {
		t.Errorf("before it hears of it, the other sequencer refuses: %v", err)
	}
	if err := other.service.Revoked(revocations[0]); err != nil {
		t.Fatal(err)
	}
	wantNoToken(t, other, first)
	if err := ask(other, second); err != nil {
		t.Error(err)
	}

	if _, err := n.client.Logout(second, &sequencerv1.LogoutRequest{All: true}); err != nil {
		t.Fatal(err)
	}
	wantNoToken(t, n, second)
	wantNoToken(t, n, third)
	wantFailure(t, stream.end(), codes.Unauthenticated, members.Unauthenticated)
	_, err = sending.Recv()
	wantFailure(t, err, codes.Unauthenticated, members.Unauthenticated)
	if err := other.service.Revoked(revocations[1]); err != nil {
		t.Fatal(err)
	}
	wantNoToken(t, other, third)
	for _, at := range s.nodes {
		if err := ask(at, ofBob); err != nil {
			t.Errorf("bob's token ended too: %v", err)
		}
	}
	if err := ask(n, n.as(alice)); err != nil {
		t.Errorf("a token after the logout: %v", err)
	}

	future := revocations[1]
	future.Before += int64(time.Hour / time.Microsecond)
	late := revocations[0]
	late.Expires += int64(2 * time.Hour / time.Microsecond)
	unknown := revocations[1]
	unknown.Member = membertest.ID(carol)
	for _, r := range []members.Revocation{future, late, unknown} {
		if other.service.Revoked(r) == nil {
			t.Errorf("took %+v", r)
		}
	}
}

// However many tokens a member revokes, what is remembered is bounded, and none comes back.
func TestManyLogoutsStayRevoked(t *testing.T) {
	s := start(t, options{config: func(c *members.Config) { c.MemberTokens = 200 }})
	n := s.nodes[0]
	var tokens []context.Context
	for range 100 {
		tokens = append(tokens, n.as(alice))
	}
	for _, token := range tokens[:80] {
		_, _ = n.client.Logout(token, &sequencerv1.LogoutRequest{})
	}
	for _, token := range tokens[:80] {
		wantNoToken(t, n, token)
	}
	if kept := n.service.Revocations(membertest.ID(alice)); kept > 64 {
		t.Errorf("%d revocations are remembered", kept)
	}
	if _, err := n.client.GetTrafficState(n.as(alice), &sequencerv1.GetTrafficStateRequest{}); err != nil {
		t.Error(err)
	}
}

// change orders a topology transaction and waits until it is in force.
func (n *node) change(list ...topology.SignedTransaction) {
	t := n.station.t
	t.Helper()
	request := &sequencerv1.RegisterTopologyRequest{}
	for _, signed := range list {
		request.Transactions = append(request.Transactions, signed.Encode())
	}
	before := n.state.TopologyChanged()
	if _, err := n.client.RegisterTopology(patience(t), request); err != nil {
		t.Fatal(err)
	}
	for _, at := range n.station.nodes {
		n.station.until("the change", func() bool { return at.state.TopologyChanged() > before })
	}
	n.station.pass(time.Second)
}

// pass lets the time of the order go on by at least d.
func (s *station) pass(d time.Duration) {
	s.t.Helper()
	s.ahead.Add(int64(d))
	now := s.now().UnixMicro()
	if err := s.memory.Node(0).Submit(patience(s.t), tick); err != nil {
		s.t.Fatal(err)
	}
	for _, n := range s.nodes {
		s.until("the time", func() bool { return int64(n.state.Time()) >= now })
	}
}

func TestATokenEndsWithWhatItRestsOn(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*station) topology.SignedTransaction
		want   string
	}{
		{"the key of the member", func(s *station) topology.SignedTransaction {
			return s.network.Keys(s.t, alice, 2, "alice's next authentication")
		}, "the key with which"},
		{"the member is disabled", func(s *station) topology.SignedTransaction {
			return s.network.Sign(s.t, topology.Add(1, topology.MemberDisabled{Synchronizer: s.network.Synchronizer, Member: alice}), "owner")
		}, "not an active member"},
		{"the member leaves", func(s *station) topology.SignedTransaction {
			return s.network.Sign(s.t, topology.Removal(2, topology.MemberTrustCertificate{Synchronizer: s.network.Synchronizer, Member: alice}), "alice root")
		}, "not an active member"},
		{"the key of the sequencer", func(s *station) topology.SignedTransaction {
			return s.network.KeysOf(s.t, s.nodes[1].self, 2, []string{"the sequencer's next protocol"}, nil)
		}, "the key with which"},
		{"the sequencer is taken out", func(s *station) topology.SignedTransaction {
			set := s.network.Listing(membertest.Orders(s.nodes[0].self, membertest.Node(s.nodes[0].self)))
			return s.network.Sign(s.t, topology.Add(2, set), "owner")
		}, "not a sequencer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, options{plan: membertest.Plan{Sequencers: 2}})
			n := s.nodes[0]
			token := s.nodes[1].token(alice) // of the other sequencer
			reader := n.subscribe(with(patience(t), token), alice, 0)
			sending, err := n.client.SendStream(with(patience(t), token))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := reader.stream.Header(); err != nil {
				t.Fatal(err)
			}
			ofBob := n.as(bob)
			n.change(c.change(s))
			err = reader.end()
			wantFailure(t, err, codes.Unauthenticated, members.Unauthenticated)
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q in it", err, c.want)
			}
			_, err = sending.Recv()
			wantFailure(t, err, codes.Unauthenticated, members.Unauthenticated)
			wantNoToken(t, n, with(patience(t), token))
			if _, err := n.client.GetTrafficState(ofBob, &sequencerv1.GetTrafficStateRequest{}); err != nil {
				t.Errorf("bob: %v", err)
			}
			if got := n.counter.get("ended UNAUTHENTICATED"); got != 1 {
				t.Errorf("counted %d subscriptions that ended so", got)
			}
		})
	}
}

// However short a token is, and wherever it is cut, it is refused.
func TestATokenCutAnywhere(t *testing.T) {
	s := start(t, options{})
	raw, err := base64.RawURLEncoding.DecodeString(s.nodes[0].token(alice))
	if err != nil {
		t.Fatal(err)
	}
	content, signature := raw[:len(raw)-64], raw[len(raw)-64:]
	for n := range len(content) {
		if _, err := members.ParseTokenForTest(s.network.ID, base64.RawURLEncoding.EncodeToString(append(slices.Clone(content[:n]), signature...))); err == nil {
			t.Errorf("the first %d bytes pass for a token", n)
		}
		if _, err := members.ParseTokenForTest(s.network.ID, base64.RawURLEncoding.EncodeToString(raw[:n])); err == nil {
			t.Errorf("the first %d bytes of all pass for a token", n)
		}
	}
}

// A token has one spelling: the bits that the last character of base64 has to spare are no way to make others that are remembered apart.
func TestATokenHasOneSpelling(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	network, issuer := membertest.Found(t, membertest.Plan{}).ID, membertest.Sequencer(1)
	for _, name := range []string{"a", "ab", "abc"} { // one of them fills its last character
		token := &members.Token{Member: membertest.Participant(name), Issuer: issuer, IssuerKey: membertest.Protocol(issuer).Public()}
		good := members.SignTokenForTest(token, network, membertest.Protocol(issuer))
		if _, err := members.ParseTokenForTest(network, good); err != nil {
			t.Fatal(err)
		}
		for _, last := range alphabet {
			shown := good[:len(good)-1] + string(last)
			if _, err := members.ParseTokenForTest(network, shown); err == nil && shown != good {
				t.Errorf("a token of %s ends in %c, and is good with %c too", name, good[len(good)-1], last)
			}
		}
		if _, err := members.ParseTokenForTest(network, good[:40]+"\n"+good[40:]); err == nil {
			t.Error("a token is good with a new line in it")
		}
	}
}

func FuzzToken(f *testing.F) {
	network := membertest.Found(f, membertest.Plan{}).ID
	token := &members.Token{Member: alice, Issuer: membertest.Sequencer(1), IssuerKey: membertest.Protocol(membertest.Sequencer(1)).Public()}
	good := members.SignTokenForTest(token, network, membertest.Protocol(membertest.Sequencer(1)))
	f.Add(good)
	f.Fuzz(func(t *testing.T, shown string) {
		if got, err := members.ParseTokenForTest(network, shown); err == nil && shown != good {
			t.Errorf("a forged token is good: %+v", got)
		}
	})
}
