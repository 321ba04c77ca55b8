package stories

import (
	"bytes"
	"context"
	"encoding/base64"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc/metadata"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/sequencer/session"
	"github.com/synod-network/synod/topology"
)

// TestIntruder: somebody stands before the public ports of two networks, in both of which alice and bob take part with the same keys,
// and has what each of them ever sent, and what it was answered. None of that is good for anything but what it was meant for.
func TestIntruder(t *testing.T) {
	home, elsewhere := found(t, 4), foundBeside(t, 1)
	home.startEncrypted()
	elsewhere.startEncrypted()
	r := &raid{t: t, home: home.doors(), abroad: elsewhere.doors()[0], alice: membertest.Participant("alice"), bob: membertest.Participant("bob")}
	admits(r.home, r.alice, r.bob)
	admits([]*door{r.abroad}, r.alice, r.bob)
	r.tokens()
	r.logins()
	r.requests()
	r.replays()
	r.amplifies()
	r.withdraws()
}

// raid is what an intruder tries.
type raid struct {
	t          *testing.T
	home       []*door // of one network
	abroad     *door   // of the other
	alice, bob topology.Member
}

// tokens shows false ones: they are good nowhere, and for nothing.
func (r *raid) tokens() {
	r.t.Helper()
	genuine, foreign := r.home[0].token(r.alice), r.abroad.token(r.alice)
	for _, d := range r.home {
		if _, err := d.GetTrafficState(d.showing(genuine), &sequencerv1.GetTrafficStateRequest{}); err != nil {
			r.t.Fatalf("a token of %s at %s: %v", r.home[0].name, d.name, err)
		}
		for name, token := range map[string]string{
			"another network's": foreign, "no": "", "another kind of": "eyJhbGciOiJub25lIn0.e30.", "a long": string(bytes.Repeat([]byte("A"), 4096)),
			"half a": genuine[:len(genuine)/2], "a stretched": genuine + "AAAA",
			"one for another": forged(genuine, func(b []byte) { i := bytes.Index(b, []byte("alice")); copy(b[i:], "olice") }),
			"a longer living": forged(genuine, func(b []byte) { b[tokenExpires+3]++ }),
			"her own":         r.ownToken(genuine),
		} {
			_, err := d.GetTrafficState(d.showing(token), &sequencerv1.GetTrafficStateRequest{})
			refusedAs(r.t, name+" token at "+d.name, err, unauthenticated)
		}
	}
	_, err := r.abroad.GetTrafficState(r.abroad.showing(genuine), &sequencerv1.GetTrafficStateRequest{})
	refusedAs(r.t, "a token of the first network in the second", err, unauthenticated)
	for name, ctx := range map[string]context.Context{
		"none":           r.home[0].patient(),
		"another scheme": metadata.AppendToOutgoingContext(r.home[0].patient(), "authorization", "Basic "+genuine),
		"two":            metadata.AppendToOutgoingContext(r.home[0].showing(genuine), "authorization", "Bearer "+genuine),
		"a foreign one":  r.home[0].showing(foreign),
	} {
		for method, err := range r.home[0].everything(ctx) {
			refusedAs(r.t, method+" with "+name, err, unauthenticated)
		}
	}
}

// everything makes each call for which one must have logged in.
func (d *door) everything(ctx context.Context) map[string]error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	fails := map[string]error{}
	_, fails["SendAsync"] = d.SendAsync(ctx, &sequencerv1.SendAsyncRequest{})
	_, fails["Acknowledge"] = d.Acknowledge(ctx, &sequencerv1.AcknowledgeRequest{})
	_, fails["GetTrafficState"] = d.GetTrafficState(ctx, &sequencerv1.GetTrafficStateRequest{})
	_, fails["Logout"] = d.Logout(ctx, &sequencerv1.LogoutRequest{All: true})
	first := func(recv func() error, err error) error {
		if err == nil {
			err = recv()
		}
		return err
	}
	events, err := d.Subscribe(ctx, &sequencerv1.SubscribeRequest{})
	fails["Subscribe"] = first(func() error { _, err := events.Recv(); return err }, err)
	names, err := d.GetRecipients(ctx, &sequencerv1.GetRecipientsRequest{TimeMicros: 1, Digest: make([]byte, 32)})
	fails["GetRecipients"] = first(func() error { _, err := names.Recv(); return err }, err)
	sends, err := d.SendStream(ctx)
	fails["SendStream"] = first(func() error { _, err := sends.Recv(); return err }, err)
	return fails
}

// Where things are in a token: its version, its id, the fingerprint of the member's key, the issuer's key, when it was issued and when it
// expires, and names. A signature of 64 bytes is last.
const (
	tokenIssuerKey = 1 + 16 + 32
	tokenExpires   = tokenIssuerKey + 32 + 8
)

// forged is a token with something changed.
func forged(token string, change func([]byte)) string {
	b, _ := base64.RawURLEncoding.DecodeString(token) // a genuine one
	change(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// ownToken is what alice would be given, signed by herself.
func (r *raid) ownToken(genuine string) string {
	key := membertest.Protocol(r.alice)
	return forged(genuine, func(b []byte) {
		public, content := key.Public(), b[:len(b)-64]
		copy(b[tokenIssuerKey:], public[:])
		signature := key.SignDomain(r.home[0].network.ID, "synod/sequencer/token/1", content)
		copy(b[len(content):], signature[:])
	})
}

// logins answers challenges wrongly.
func (r *raid) logins() {
	r.t.Helper()
	d, key := r.home[0], membertest.Authentication(r.alice)
	challenge, err := d.Challenge(d.patient(), &sequencerv1.ChallengeRequest{Member: r.alice.String(), NetworkId: d.network.ID[:]})
	if err != nil {
		r.t.Fatal(err)
	}
	nonce := session.Nonce(challenge.GetNonce())
	claimed := d.answer(r.alice, membertest.Protocol(r.alice), nonce, d.network.ID, d.self)
	public := key.Public()
	claimed.Key = public[:]
	abroad, err := r.abroad.Challenge(d.patient(), &sequencerv1.ChallengeRequest{Member: r.alice.String(), NetworkId: r.abroad.network.ID[:]})
	if err != nil {
		r.t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		login *sequencerv1.AuthenticateRequest
		want  refusal
	}{
		"the protocol key":               {d.answer(r.alice, membertest.Protocol(r.alice), nonce, d.network.ID, d.self), badSignature},
		"the protocol key as the other":  {claimed, badSignature},
		"bob's key":                      {d.answer(r.alice, membertest.Authentication(r.bob), nonce, d.network.ID, d.self), badSignature},
		"signed for another network":     {d.answer(r.alice, key, nonce, r.abroad.network.ID, d.self), badSignature},
		"signed for another sequencer":   {d.answer(r.alice, key, nonce, d.network.ID, r.home[1].self), badSignature},
		"another member's nonce":         {d.answer(r.bob, membertest.Authentication(r.bob), nonce, d.network.ID, d.self), unauthenticated},
		"a nonce of the other network":   {d.answer(r.alice, key, session.Nonce(abroad.GetNonce()), d.network.ID, d.self), unauthenticated},
		"a nonce of her own":             {d.answer(r.alice, key, session.Nonce{1}, d.network.ID, d.self), unauthenticated},
		"a stranger":                     {d.answer(membertest.Participant("mallory"), key, nonce, d.network.ID, d.self), unknownMember},
		"a member of the same name only": {d.answer(topology.Member{Role: topology.Participant, UID: topology.UID{Name: "alice", Namespace: r.bob.Namespace}}, key, nonce, d.network.ID, d.self), unknownMember},
	} {
		_, err := d.Authenticate(d.patient(), tc.login)
		refusedAs(r.t, "login: "+name, err, tc.want)
	}
	good := d.answer(r.alice, key, nonce, d.network.ID, d.self)
	if _, err := d.Authenticate(d.patient(), good); err != nil {
		r.t.Fatal("what others tried uses up nothing: ", err)
	}
	_, err = d.Authenticate(d.patient(), good)
	refusedAs(r.t, "the same login again", err, unauthenticated)
	_, err = d.Handshake(d.patient(), &sequencerv1.HandshakeRequest{ClientVersions: []uint32{1}, NetworkId: r.abroad.network.ID[:]})
	refusedAs(r.t, "greeting of the other network", err, wrongNetwork)
	_, err = d.Challenge(d.patient(), &sequencerv1.ChallengeRequest{Member: r.alice.String(), NetworkId: r.abroad.network.ID[:]})
	refusedAs(r.t, "challenge of the other network", err, wrongNetwork)
}

// requests sends what others signed, or signed for the other network; once it goes past the sequencers, too.
func (r *raid) requests() {
	r.t.Helper()
	d, n := r.abroad, r.home[0].network
	toBob := message(r.alice, "for home", []byte("for home"), r.bob)
	foreign := n.Request(toBob, r.alice)
	refusedAs(r.t, "a request of the other network", d.sends(r.alice, foreign), badSignature)
	refusedAs(r.t, "bob's request, by alice", d.sends(r.alice, d.network.Request(message(r.bob, "hers", nil, r.bob), r.bob)), notYours)
	breaks(r.t, "signed with bob's key", d.sends(r.alice, d.network.RequestBy(toBob, membertest.Protocol(r.bob))), sequencing.UnknownKey)
	breaks(r.t, "signed with the authentication key", d.sends(r.alice, d.network.RequestBy(toBob, membertest.Authentication(r.alice))), sequencing.UnknownKey)
	acknowledgement := &sequencing.Acknowledgement{Member: membertest.ID(r.alice), UpTo: 1}
	_, err := d.Acknowledge(d.as(r.alice), &sequencerv1.AcknowledgeRequest{Request: n.Request(acknowledgement, r.alice)})
	refusedAs(r.t, "an acknowledgement of the other network", err, badSignature)
	_, err = d.Acknowledge(d.as(r.bob), &sequencerv1.AcknowledgeRequest{Request: d.network.Request(acknowledgement, r.alice)})
	refusedAs(r.t, "alice's acknowledgement, by bob", err, notYours)
	_, err = d.RegisterTopology(d.patient(), registering(r.t, n, membertest.Participant("carol")))
	refusedAs(r.t, "a registration of the other network", err, badSignature)

	d.orders(foreign)
	d.orders(n.Request(acknowledgement, r.alice))
	if err := d.sends(r.bob, d.network.Request(message(r.bob, "last", []byte("last"), r.bob), r.bob)); err != nil {
		r.t.Fatal(err)
	}
	if events := d.story(r.bob, "last"); got(events, "for home") != 0 || got(events, "last") != 1 {
		r.t.Errorf("bob is told %+v", events)
	}
}

// replays sends one signed request through every sequencer at once, again when it was delivered, and past them all.
func (r *raid) replays() {
	r.t.Helper()
	request := r.home[0].network.Request(message(r.alice, "once", []byte("once"), r.bob), r.alice)
	var sending sync.WaitGroup
	failures := make([]error, len(r.home))
	for i, d := range r.home {
		ctx := d.as(r.alice)
		sending.Go(func() { _, failures[i] = d.SendAsync(ctx, &sequencerv1.SendAsyncRequest{Request: request}) })
	}
	sending.Wait()
	taken := 0
	for i, err := range failures {
		if err == nil {
			taken++
			continue
		}
		breaks(r.t, "at the same time, at "+r.home[i].name, err, sequencing.Replayed)
	}
	if taken == 0 {
		r.t.Fatal("no sequencer took it")
	}
	for _, d := range r.home {
		d.story(r.alice, "once")
		breaks(r.t, "later, at "+d.name, d.sends(r.alice, request), sequencing.Replayed)
		d.orders(request)
	}
	r.tellsOnce("once", "after the replays")
}

// amplifies sends one content under two message ids, with a rule that lets it be delivered once; and without that rule twice.
func (r *raid) amplifies() {
	r.t.Helper()
	n := r.home[0].network
	amplified := func(id string) *sequencing.Submission {
		s := message(r.alice, id, []byte("amplified"), r.bob)
		s.Aggregation = &sequencing.Aggregation{Threshold: 1, Eligible: []sequencing.MemberID{membertest.ID(r.alice)}}
		return s
	}
	first := amplified("first")
	second, third, bobs := *first, *first, *first
	second.Message, third.Message, bobs.Message, bobs.Sender = "second", "third", "bob's", membertest.ID(r.bob)
	if err := r.home[0].sends(r.alice, n.Request(first, r.alice)); err != nil {
		r.t.Fatal(err)
	}
	r.home[0].story(r.alice, "first")
	r.home[1].orders(n.Request(&second, r.alice)) // no sequencer stops it before the order
	refused := r.story("second")
	if last := refused[len(refused)-1]; last.Kind != sequencing.Refused || last.Refusal.Code != sequencing.AlreadySent {
		r.t.Errorf("the second send ends as %+v", last)
	}
	for _, d := range r.home {
		d.story(r.alice, "second")
		breaks(r.t, "the third, at "+d.name, d.sends(r.alice, n.Request(&third, r.alice)), sequencing.AlreadySent)
	}
	breaks(r.t, "bob's, under alice's rule", r.home[2].sends(r.bob, n.Request(&bobs, r.bob)), sequencing.NotEligible)
	r.tellsOnce("amplified", "after the amplified sends")
}

// story is what all sequencers tell alice, the same.
func (r *raid) story(until string) (events []*sequencing.Delivery) {
	r.t.Helper()
	for _, d := range r.home {
		told := d.story(r.alice, until)
		same := func(a, b *sequencing.Delivery) bool { return bytes.Equal(a.Encode(), b.Encode()) }
		if events != nil && !slices.EqualFunc(events, told, same) {
			r.t.Errorf("%s tells alice other things than %s until %q", d.name, r.home[0].name, until)
		}
		events = told
	}
	return events
}

// tellsOnce wants bob to be told something once, and alice what became of it once, at every sequencer, when what is behind it arrived.
func (r *raid) tellsOnce(payload, behind string) {
	r.t.Helper()
	for _, m := range []topology.Member{r.alice, r.bob} {
		last := message(m, behind, []byte(behind), m)
		if err := r.home[0].sends(m, r.home[0].network.Request(last, m)); err != nil {
			r.t.Fatal(err)
		}
	}
	for _, d := range r.home {
		if n := got(d.story(r.bob, behind), payload); n != 1 {
			r.t.Errorf("%s tells bob %q %d times", d.name, payload, n)
		}
	}
	answers := map[sequencing.MessageID]int{}
	for _, e := range r.story(behind) {
		if e.Receipt {
			answers[e.Message]++
		}
	}
	for id, n := range answers {
		if n != 1 {
			r.t.Errorf("alice is told %d times what became of %q", n, id)
		}
	}
}

// withdraws has alice exchange her authentication key: what was got with the old one ends everywhere, streams too.
func (r *raid) withdraws() {
	r.t.Helper()
	first := r.home[0]
	token := first.token(r.alice)
	ended := make([]chan error, len(r.home))
	for i, d := range r.home {
		stream, err := d.Subscribe(d.showing(token), &sequencerv1.SubscribeRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		if err != nil {
			r.t.Fatal(err)
		}
		ended[i] = make(chan error, 1)
		go func() { // ends with the stream
			for err == nil {
				_, err = stream.Recv()
			}
			ended[i] <- err
		}()
	}
	change := first.network.Keys(r.t, r.alice, 2, "alice second authentication")
	if _, err := first.RegisterTopology(first.patient(), &sequencerv1.RegisterTopologyRequest{Transactions: [][]byte{change.Encode()}}); err != nil {
		r.t.Fatal(err)
	}
	for i, d := range r.home {
		refusedAs(r.t, "the stream of "+d.name, <-ended[i], unauthenticated)
		for method, err := range d.everything(d.showing(token)) {
			refusedAs(r.t, method+" of "+d.name+" after the key is gone", err, unauthenticated)
		}
		_, err := d.Authenticate(d.patient(), d.login(r.alice, membertest.Authentication(r.alice)))
		refusedAs(r.t, "login with the key that is gone, at "+d.name, err, badSignature)
		got, err := d.Authenticate(d.patient(), d.login(r.alice, membertest.Key("alice second authentication")))
		if err == nil {
			_, err = d.GetTrafficState(d.showing(got.GetToken()), &sequencerv1.GetTrafficStateRequest{})
		}
		if err != nil {
			r.t.Errorf("the new key at %s: %v", d.name, err)
		}
	}
}
