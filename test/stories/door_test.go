package stories

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	orderingv1 "github.com/synod-network/synod/api/synod/ordering/v1"
	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/node/network"
	"github.com/synod-network/synod/sequencer/members"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/sequencer/session"
	"github.com/synod-network/synod/topology"
)

// founded is the network as those see it who register and sign by hand.
func (c *cluster) founded() *membertest.Network {
	c.t.Helper()
	founding, err := c.net.Genesis.Founding()
	if err != nil {
		c.t.Fatal(err)
	}
	return &membertest.Network{ID: sequencing.NetworkID(c.net.Genesis.ID), Synchronizer: founding.Charter().Synchronizer}
}

// registering is what makes newcomers members of a network.
func registering(t *testing.T, n *membertest.Network, newcomers ...topology.Member) *sequencerv1.RegisterTopologyRequest {
	t.Helper()
	r := &sequencerv1.RegisterTopologyRequest{}
	for _, m := range newcomers {
		for _, signed := range n.Registration(t, m) {
			r.Transactions = append(r.Transactions, signed.Encode())
		}
	}
	return r
}

// startEncrypted starts all nodes with TLS for members.
func (c *cluster) startEncrypted(flags ...string) {
	c.t.Helper()
	for _, n := range c.nodes {
		n.start(append([]string{"--set", "public.tls_cert_file=" + n.config.Admin.Cert, "--set", "public.tls_key_file=" + n.config.Admin.Key}, flags...)...)
	}
	c.ready(c.nodes...)
}

// door is a sequencer's public port, and somebody before it who writes every message by hand.
type door struct {
	sequencerv1.SequencerServiceClient
	t        *testing.T
	network  *membertest.Network
	name     string // of the sequencer
	self     sequencing.MemberID
	ordering orderingv1.OrderingServiceClient
}

// door knocks at a node that was started encrypted.
func (c *cluster) door(n *sequencer) *door {
	c.t.Helper()
	authorities := x509.NewCertPool()
	content, err := os.ReadFile(network.OperatorAt(c.net.Dir).Authority)
	if err != nil || !authorities.AppendCertsFromPEM(content) {
		c.t.Fatal(network.OperatorAt(c.net.Dir).Authority, err)
	}
	conn, err := grpc.NewClient(n.config.Public.Listen, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13, RootCAs: authorities})))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	d := &door{sequencerv1.NewSequencerServiceClient(conn), c.t, c.founded(), n.name, "", orderingv1.NewOrderingServiceClient(conn)}
	hello, err := d.Handshake(d.patient(), &sequencerv1.HandshakeRequest{ClientVersions: []uint32{members.Version}, NetworkId: d.network.ID[:]})
	if err != nil {
		c.t.Fatal(err)
	}
	d.self = sequencing.MemberID(hello.GetSequencer())
	return d
}

// doors are those of all nodes.
func (c *cluster) doors() (all []*door) {
	for _, n := range c.nodes {
		all = append(all, c.door(n))
	}
	return all
}

// patient is a call, or a stream, that nothing takes so long as unless it is broken.
func (d *door) patient() context.Context {
	ctx, cancel := context.WithTimeout(d.t.Context(), 2*patience)
	d.t.Cleanup(cancel)
	return ctx
}

// admits registers newcomers through one door and waits until all know them.
func admits(doors []*door, newcomers ...topology.Member) {
	first := doors[0]
	first.t.Helper()
	if _, err := first.RegisterTopology(first.patient(), registering(first.t, first.network, newcomers...)); err != nil {
		first.t.Fatal(err)
	}
	for _, d := range doors {
		for _, m := range newcomers {
			within(d.t, patience, d.name+" knows "+m.Name, func() error {
				_, err := d.Challenge(d.patient(), &sequencerv1.ChallengeRequest{Member: m.String(), NetworkId: d.network.ID[:]})
				return err
			})
		}
	}
}

// login answers a challenge with a key.
func (d *door) login(m topology.Member, key keys.PrivateKey) *sequencerv1.AuthenticateRequest {
	d.t.Helper()
	challenge, err := d.Challenge(d.patient(), &sequencerv1.ChallengeRequest{Member: m.String(), NetworkId: d.network.ID[:]})
	if err != nil {
		d.t.Fatal(err)
	}
	return d.answer(m, key, session.Nonce(challenge.GetNonce()), d.network.ID, d.self)
}

// answer is an answer to a challenge as it was, or not.
func (d *door) answer(m topology.Member, key keys.PrivateKey, nonce session.Nonce, network sequencing.NetworkID, sequencer sequencing.MemberID) *sequencerv1.AuthenticateRequest {
	signature := session.Login{Member: membertest.ID(m), Sequencer: sequencer, Nonce: nonce}.Sign(network, key)
	public := key.Public()
	return &sequencerv1.AuthenticateRequest{Member: m.String(), Nonce: nonce[:], Key: public[:], Signature: signature[:]}
}

// token is one that a member gets here.
func (d *door) token(m topology.Member) string {
	d.t.Helper()
	got, err := d.Authenticate(d.patient(), d.login(m, membertest.Authentication(m)))
	if err != nil {
		d.t.Fatal(err)
	}
	return got.GetToken()
}

// as is a call of a member that has logged in here for it.
func (d *door) as(m topology.Member) context.Context {
	d.t.Helper()
	return d.showing(d.token(m))
}

// showing is a call with a token.
func (d *door) showing(token string) context.Context {
	return metadata.AppendToOutgoingContext(d.patient(), "authorization", "Bearer "+token)
}

// message is a submission to recipients, with minutes to be sequenced in.
func message(from topology.Member, id string, payload []byte, to ...topology.Member) *sequencing.Submission {
	var set sequencing.RecipientSet
	for _, m := range to {
		set = append(set, sequencing.Recipient{Kind: sequencing.ToMember, Member: membertest.ID(m)})
	}
	slices.SortFunc(set, sequencing.Recipient.Compare)
	return &sequencing.Submission{Sender: membertest.ID(from), Message: sequencing.MessageID(id), Cost: 1 << 40,
		MaxTime: sequencing.Time(time.Now().Add(5 * time.Minute).UnixMicro()), Sets: []sequencing.RecipientSet{set},
		Envelopes: []sequencing.Envelope{{Payload: payload}}}
}

// sends hands a signed request in as SendAsync, with a new token.
func (d *door) sends(m topology.Member, request []byte) error {
	d.t.Helper()
	_, err := d.SendAsync(d.as(m), &sequencerv1.SendAsyncRequest{Request: request})
	return err
}

// orders has a request ordered past all that a sequencer looks at before.
func (d *door) orders(request []byte) {
	d.t.Helper()
	within(d.t, patience, d.name+" takes a request", func() error {
		_, err := d.ordering.Submit(d.patient(), &orderingv1.SubmitRequest{Requests: [][]byte{request}})
		return err
	})
}

// story is what a member was told by one sequencer, from the beginning until the answer to one of its own messages.
func (d *door) story(m topology.Member, until string) (events []*sequencing.Delivery) {
	d.t.Helper()
	ctx, cancel := context.WithCancel(d.as(m))
	defer cancel()
	stream, err := d.Subscribe(ctx, &sequencerv1.SubscribeRequest{})
	for err == nil {
		var told *sequencerv1.SubscribeResponse
		if told, err = stream.Recv(); err != nil {
			break
		}
		for _, encoded := range told.GetEvents() {
			e, err := sequencing.DecodeDelivery(encoded)
			if err != nil {
				d.t.Fatal(err)
			}
			if events = append(events, e); e.Receipt && string(e.Message) == until {
				return events
			}
		}
	}
	d.t.Fatalf("%s, of %s's events: %v", d.name, m.Name, err)
	return nil
}

// got counts how often a payload is in events.
func got(events []*sequencing.Delivery, payload string) (n int) {
	for _, e := range events {
		for _, envelope := range e.Envelopes {
			if string(envelope.Payload) == payload {
				n++
			}
		}
	}
	return n
}

// refusal is what a program reads of a failure.
type refusal struct {
	code   codes.Code
	reason members.Reason
	rule   string // "code" in the metadata
}

func (r refusal) String() string { return fmt.Sprintf("%s %s %s", r.code, r.reason, r.rule) }

// refusalOf reads a failure, and whether it says when to try again.
func refusalOf(err error) (r refusal, retry bool) {
	r.code = status.Code(err)
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.GetDomain() == members.ErrorDomain {
				r.reason, r.rule = members.Reason(detail.GetReason()), detail.GetMetadata()["code"]
			}
		case *errdetails.RetryInfo:
			retry = detail.GetRetryDelay().AsDuration() > 0
		}
	}
	return r, retry
}

// The refusals of this service, with their codes as sequencer.proto has them.
var (
	unauthenticated = refusal{code: codes.Unauthenticated, reason: members.Unauthenticated}
	badSignature    = refusal{code: codes.InvalidArgument, reason: members.BadSignature}
	invalid         = refusal{code: codes.InvalidArgument, reason: members.Invalid}
	tooLarge        = refusal{code: codes.InvalidArgument, reason: members.TooLarge}
	wrongNetwork    = refusal{code: codes.FailedPrecondition, reason: members.WrongNetwork}
	unknownMember   = refusal{code: codes.PermissionDenied, reason: members.UnknownMember}
	notYours        = refusal{code: codes.PermissionDenied, reason: members.NotYours}
	tooManyCalls    = refusal{code: codes.ResourceExhausted, reason: members.TooManyCalls}
	tooManyTokens   = refusal{code: codes.ResourceExhausted, reason: members.TooManyTokens}
	overloaded      = refusal{code: codes.ResourceExhausted, reason: members.Overloaded}
)

// refusedAs wants a refusal. Overload, and nothing else, says when to try again.
func refusedAs(t *testing.T, what string, err error, want refusal) {
	t.Helper()
	if is, retry := refusalOf(err); is != want || retry != (want.code == codes.ResourceExhausted) {
		t.Errorf("%s: %v (%s, retry %t); want %s", what, err, is, retry, want)
	}
}

// breaks wants the rule of sequencing that a request breaks.
func breaks(t *testing.T, what string, err error, rule sequencing.Code) {
	t.Helper()
	refusedAs(t, what, err, refusal{codes.FailedPrecondition, members.Refused, rule.String()})
}
