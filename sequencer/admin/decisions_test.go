package admin_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/sequencer/admin"
	"github.com/synod-network/synod/sequencer/members"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/sequencer/synchronizer"
	"github.com/synod-network/synod/topology"
)

// council is four sequencers, each with an operator, over one state that follows what they have ordered.
type council struct {
	t       *testing.T
	network *membertest.Network
	state   *synchronizer.State
	height  ordering.Height
	now     sequencing.Time
	down    error // why nothing can be ordered
	at      []*admin.Members
	log     bytes.Buffer
}

func convene(t *testing.T) *council {
	t.Helper()
	c := &council{t: t, now: sequencing.Time(membertest.Began) + sequencing.Second}
	c.network = membertest.Found(t, membertest.Plan{Sequencers: 4, Participants: []string{"alice", "bob"}, Parameters: func(p *topology.SynchronizerParameters) {
		p.Traffic = topology.Traffic{BaseAllowance: 6000, Window: 60_000_000, WriteCost: 10_000}
	}})
	var err error
	c.state, err = synchronizer.Open(synchronizer.Config{Dir: t.TempDir(), Founding: c.network.Genesis, Network: c.network.ID,
		Verify: members.Verifier(keys.NewBatchVerifier(100)), SegmentSize: 1 << 20, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.state.Close() })
	for _, s := range c.network.Sequencers {
		c.at = append(c.at, admin.NewMembers(admin.MembersConfig{
			Network: c.network.ID, State: c.state, Key: func() keys.PrivateKey { return membertest.Protocol(s) }, Submit: c.order, Log: slog.New(slog.NewTextHandler(&c.log, nil)),
		}))
	}
	return c
}

// order applies requests as one block.
func (c *council) order(_ context.Context, requests ...[]byte) error {
	if c.down != nil {
		return c.down
	}
	c.height++
	c.now += sequencing.Second
	return c.state.Apply(ordering.Block{Height: c.height, Time: int64(c.now), Payloads: []ordering.Payload{ordering.Pack(requests...)}})
}

// joined has alice send something, so that she takes part.
func (c *council) joined() string {
	c.t.Helper()
	alice := membertest.Participant("alice")
	err := c.order(c.t.Context(), c.network.Request(&sequencing.Submission{
		Sender: membertest.ID(alice), Message: "first", MaxTime: c.now + sequencing.Minute, Cost: 1 << 40,
		Sets: []sequencing.RecipientSet{{{Kind: sequencing.ToMember, Member: membertest.ID(alice)}}}, Envelopes: []sequencing.Envelope{{Payload: make([]byte, 1000)}},
	}, alice))
	if err != nil {
		c.t.Fatal(err)
	}
	return alice.String()
}

// wants checks a decision.
func (c *council) wants(d *adminv1.Decision, err error, signatures int32, submitted bool) []byte {
	c.t.Helper()
	if err != nil || d.GetSignatures() != signatures || d.GetNeeded() != 3 || d.GetSubmitted() != submitted {
		c.t.Fatalf("%d of %d signatures, submitted %t: %v; want %d, %t", d.GetSignatures(), d.GetNeeded(), d.GetSubmitted(), err, signatures, submitted)
	}
	return d.GetRequest()
}

func (c *council) sign(by int, request []byte) (*adminv1.Decision, error) {
	return c.at[by].Sign(c.t.Context(), &adminv1.SignRequest{Request: request})
}

func (c *council) traffic(member string) *adminv1.MemberTraffic {
	c.t.Helper()
	answer, err := c.at[3].ListTraffic(c.t.Context(), &adminv1.ListTrafficRequest{Prefix: member})
	if err != nil || len(answer.GetMembers()) != 1 {
		c.t.Fatalf("%v: %v", answer, err)
	}
	return answer.GetMembers()[0]
}

// wantReason wants a failure with a code and words.
func wantReason(t *testing.T, what string, err error, code codes.Code, words string) {
	t.Helper()
	if status.Code(err) != code || !strings.Contains(err.Error(), words) {
		t.Errorf("%s: %v, want %v and %q", what, err, code, words)
	}
}

// TestAPurchaseNeedsAQuorum: signatures count once for each sequencer; the one that makes a quorum has the purchase ordered, once.
func TestAPurchaseNeedsAQuorum(t *testing.T) {
	c := convene(t)
	alice := c.joined()
	before := c.traffic(alice)
	if before.GetPurchased() != 0 || before.GetSerial() != 0 || before.GetLeft() != 5000 || before.GetBaseLeft() != 5000 || before.GetBaseRate() != 100 || before.GetChangedAt() != int64(c.now) {
		t.Errorf("at first %v", before)
	}
	d, err := c.at[0].ProposeTraffic(t.Context(), &adminv1.ProposeTrafficRequest{Member: alice, Total: 700})
	one := c.wants(d, err, 1, false)
	if want := alice + " has bought 700 bytes of traffic in all, by purchase 1"; d.GetDescription() != want {
		t.Errorf("described as %q", d.GetDescription())
	}
	d, err = c.sign(0, one)
	if again := c.wants(d, err, 1, false); !bytes.Equal(again, one) {
		t.Error("a second signature by the same sequencer changes the decision")
	}
	d, err = c.sign(1, one)
	two := c.wants(d, err, 2, false)
	if c.traffic(alice).GetPurchased() != 0 {
		t.Error("two of four decide")
	}
	d, err = c.sign(2, two)
	three := c.wants(d, err, 3, true)
	if after := c.traffic(alice); after.GetPurchased() != 700 || after.GetSerial() != 1 || after.GetExtraLeft() != 700 || after.GetLeft() != after.GetBaseLeft()+700 {
		t.Errorf("afterwards %v", after)
	}
	_, err = c.sign(3, two)
	wantReason(t, "signed late", err, codes.FailedPrecondition, "purchase 1 of "+alice+" was decided meanwhile")
	if err := c.order(t.Context(), three); err != nil || c.traffic(alice).GetSerial() != 1 {
		t.Errorf("ordered twice: %v", err)
	}
	_, err = c.at[0].ProposeTraffic(t.Context(), &adminv1.ProposeTrafficRequest{Member: alice, Total: 699})
	wantReason(t, "less than before", err, codes.InvalidArgument, "700 bytes already")
	if d, err := c.at[0].ProposeTraffic(t.Context(), &adminv1.ProposeTrafficRequest{Member: alice, Total: 700}); err != nil || !strings.Contains(d.GetDescription(), "by purchase 2") {
		t.Errorf("as much as before: %v, %v", d, err)
	}
	if !strings.Contains(c.log.String(), `action="sign a decision"`) || strings.Count(c.log.String(), "submitted=true") != 1 {
		t.Errorf("the log has\n%s", &c.log)
	}
}

// TestWhatIsNoDecisionIsNotSigned: altered, of another network, signed falsely, of another kind, or no request at all.
func TestWhatIsNoDecisionIsNotSigned(t *testing.T) {
	c := convene(t)
	alice := c.joined()
	d, err := c.at[0].ProposeTraffic(t.Context(), &adminv1.ProposeTrafficRequest{Member: alice, Total: 700})
	proposal := c.wants(d, err, 1, false)
	edited := func(change func(*sequencing.Request)) []byte {
		r, err := sequencing.Decode(proposal)
		if err != nil {
			t.Fatal(err)
		}
		change(&r)
		return r.Encode()
	}
	const falsely = "is not over this decision in this network"
	for _, tc := range []struct {
		name    string
		request []byte
		want    string
	}{
		{"another total", edited(func(r *sequencing.Request) { r.Body.(*sequencing.TrafficPurchase).Total = 1 << 40 }), falsely},
		{"another member", edited(func(r *sequencing.Request) {
			r.Body.(*sequencing.TrafficPurchase).Member = membertest.ID(membertest.Participant("bob"))
		}), falsely},
		{"another serial", edited(func(r *sequencing.Request) { r.Body.(*sequencing.TrafficPurchase).Serial = 7 }), falsely},
		{"a signature that is wrong", edited(func(r *sequencing.Request) { r.Signatures[0].Signature[5] ^= 1 }), falsely},
		{"a signature by another key", edited(func(r *sequencing.Request) { r.Signatures[0].Key = sequencing.Key(membertest.Key("eve").Public()) }), falsely},
		{"a decision of another network", foreign(t, alice), falsely},
		{"a submission", c.network.Request(&sequencing.Submission{Sender: sequencing.MemberID(alice), Message: "m", MaxTime: 1, Sets: []sequencing.RecipientSet{}}, membertest.Participant("alice")), "this request is no decision about a member"},
		{"nothing", nil, "this is no decision"},
		{"text", []byte("give alice all she wants"), "this is no decision"},
		{"a decision that is cut off", proposal[:len(proposal)-1], "this is no decision"},
	} {
		_, err := c.sign(1, tc.request)
		wantReason(t, tc.name, err, codes.InvalidArgument, tc.want)
	}
	if strings.Count(c.log.String(), `action="sign a decision"`) != 1 {
		t.Errorf("something false was signed:\n%s", &c.log)
	}
}

// foreign is a decision of another network about the same member.
func foreign(t *testing.T, alice string) []byte {
	t.Helper()
	other := membertest.Found(t, membertest.Plan{Network: 9})
	return other.RequestBy(&sequencing.TrafficPurchase{Member: sequencing.MemberID(alice), Serial: 1, Total: 700}, membertest.Protocol(membertest.Sequencer(1)))
}

// TestStrangersDoNotCount: good signatures of those who do not decide make no quorum.
func TestStrangersDoNotCount(t *testing.T) {
	c := convene(t)
	alice := c.joined()
	r := sequencing.Request{Body: &sequencing.TrafficPurchase{Member: sequencing.MemberID(alice), Serial: 1, Total: 700}}
	digest := r.Digest(c.network.ID)
	for _, key := range []keys.PrivateKey{membertest.Protocol(membertest.Participant("alice")), membertest.Protocol(membertest.Participant("bob")), membertest.Key("eve"), membertest.Node(c.network.Sequencers[1])} {
		r.Signatures = append(r.Signatures, sequencing.KeySignature{Key: sequencing.Key(key.Public()), Signature: sequencing.Signature(key.Sign(digest[:]))})
	}
	slices.SortFunc(r.Signatures, func(a, b sequencing.KeySignature) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	d, err := c.sign(0, r.Encode())
	signed := c.wants(d, err, 1, false)
	if err := c.order(t.Context(), signed); err != nil || c.traffic(alice).GetPurchased() != 0 {
		t.Errorf("strangers decide: %v", err)
	}
}

// TestSignaturesAreBounded: a decision that carries as many as it can takes no other, and one that has room takes it.
func TestSignaturesAreBounded(t *testing.T) {
	c := convene(t)
	alice := c.joined()
	r := sequencing.Request{Body: &sequencing.TrafficPurchase{Member: sequencing.MemberID(alice), Serial: 1, Total: 700}}
	digest := r.Digest(c.network.ID)
	for i := range sequencing.MaxSignatures {
		key := membertest.Key("stranger " + strconv.Itoa(i))
		r.Signatures = append(r.Signatures, sequencing.KeySignature{Key: sequencing.Key(key.Public()), Signature: sequencing.Signature(key.Sign(digest[:]))})
	}
	slices.SortFunc(r.Signatures, func(a, b sequencing.KeySignature) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	_, err := c.sign(0, r.Encode())
	wantReason(t, "full", err, codes.InvalidArgument, "as many signatures as it can")
	r.Signatures = r.Signatures[1:]
	d, err := c.sign(0, r.Encode())
	c.wants(d, err, 1, false)
}

// TestWhoIsMeant: a member is named whole, or by a beginning that only one has; one that has not taken part yet by its whole name.
func TestWhoIsMeant(t *testing.T) {
	c := convene(t)
	alice, bob := c.joined(), membertest.Participant("bob").String()
	for _, tc := range []struct {
		name, member string
		code         codes.Code
		want         string
	}{
		{"alice's whole name", alice, codes.OK, ""},
		{"its beginning", "PAR::al", codes.OK, ""},
		{"bob, who has sent nothing", bob, codes.OK, ""},
		{"the beginning of his name", "PAR::bo", codes.NotFound, `no member is called "PAR::bo"`},
		{"a stranger", "PAR::eve", codes.NotFound, `no member is called "PAR::eve"`},
		{"nobody", "", codes.InvalidArgument, "name a member"},
		{"much text", strings.Repeat("x", 1000), codes.InvalidArgument, "name a member"},
	} {
		_, err := c.at[0].ProposeTraffic(t.Context(), &adminv1.ProposeTrafficRequest{Member: tc.member, Total: 1})
		if tc.code == codes.OK && err != nil || tc.code != codes.OK {
			wantReason(t, tc.name, err, tc.code, tc.want)
		}
	}
	// Both take part once traffic was bought for bob: the beginning that they share is of two then.
	d, err := c.at[0].ProposeTraffic(t.Context(), &adminv1.ProposeTrafficRequest{Member: bob, Total: 300})
	for by := 1; by < 3 && err == nil; by++ {
		d, err = c.sign(by, d.GetRequest())
	}
	if c.wants(d, err, 3, true); c.traffic(bob).GetExtraLeft() != 300 {
		t.Errorf("bob has %v", c.traffic(bob))
	}
	for prefix, want := range map[string][]string{"PAR::": {alice, bob}, "PAR::b": {bob}, "PAR::c": nil} {
		listed, err := c.at[0].ListMembers(t.Context(), &adminv1.ListMembersRequest{Prefix: prefix})
		var names []string
		for _, m := range listed.GetMembers() {
			names = append(names, m.GetMember())
		}
		if err != nil || !slices.Equal(names, want) || listed.GetMore() {
			t.Errorf("%q lists %q, %v; want %q", prefix, names, err, want)
		}
	}
	_, err = c.at[0].ProposeTraffic(t.Context(), &adminv1.ProposeTrafficRequest{Member: "PAR::", Total: 1})
	wantReason(t, "a beginning of two", err, codes.NotFound, "more than one")
}

// TestAMemberIsShutOutByAQuorum: and a decision that cannot be ordered says so and can be signed again.
func TestAMemberIsShutOutByAQuorum(t *testing.T) {
	c := convene(t)
	alice := c.joined()
	d, err := c.at[0].ProposeDisable(t.Context(), &adminv1.ProposeDisableRequest{Member: alice})
	d, err = c.sign(1, c.wants(d, err, 1, false))
	two := c.wants(d, err, 2, false)
	c.down = errors.New("no quorum is connected")
	_, err = c.sign(2, two)
	wantReason(t, "while nothing is ordered", err, codes.Unavailable, "no quorum is connected")
	c.down = nil
	d, err = c.sign(2, two)
	c.wants(d, err, 3, true)
	listed, err := c.at[1].ListMembers(t.Context(), &adminv1.ListMembersRequest{Prefix: alice})
	if err != nil || len(listed.GetMembers()) != 1 || !listed.GetMembers()[0].GetDisabled() {
		t.Errorf("listed as %v: %v", listed, err)
	}
	_, err = c.at[0].ProposeDisable(t.Context(), &adminv1.ProposeDisableRequest{Member: alice})
	wantReason(t, "once more", err, codes.FailedPrecondition, "is shut out already")
	_, err = c.sign(3, two)
	wantReason(t, "signed late", err, codes.FailedPrecondition, "is shut out already")
}
