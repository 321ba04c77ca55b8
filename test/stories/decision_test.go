package stories

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	orderingv1 "github.com/synod-network/synod/api/synod/ordering/v1"
	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/bft"
	memberclient "github.com/synod-network/synod/client"
	"github.com/synod-network/synod/node/network"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// TestTrafficIsBoughtByAQuorum: a member runs out of traffic, and operators of three of four sequencers buy it some. Until the third
// has signed nothing changes, whatever else is signed, altered, or ordered past the operators; afterwards it can send, and no purchase
// is carried out twice.
func TestTrafficIsBoughtByAQuorum(t *testing.T) {
	c := found(t, 4, func(p *network.Plan) {
		p.Traffic = topology.Traffic{BaseAllowance: 4000, Window: 24 * 3600 * bft.Second, WriteCost: 10_000}
	})
	c.start()
	alice := c.join("alice")
	if err := alice.send(3000); err != nil {
		t.Fatal("within the allowance: ", err)
	}
	if err := alice.send(3000); !exhausted(err) {
		t.Fatalf("beyond it: %v", err)
	}
	name := string(membertest.ID(alice.member))
	for _, n := range c.nodes {
		c.agreesOn(n, name, func(m *adminv1.MemberTraffic) bool {
			return m.GetSerial() == 0 && m.GetPurchased() == 0 && m.GetLeft() >= 1000 && m.GetLeft() < 1100 && m.GetBaseRate() > 0 && !m.GetFree()
		})
	}
	first, second, third, fourth := c.nodes[0], c.nodes[1], c.nodes[2], c.nodes[3]
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	unchanged := func(when string) {
		t.Helper()
		for _, n := range c.nodes {
			if m := c.traffic(n, name); m == nil || m.GetSerial() != 0 || m.GetPurchased() != 0 {
				t.Errorf("%s, at %s: %v", when, n.name, m)
			}
		}
		if err := alice.send(3000); !exhausted(err) {
			t.Errorf("%s: she can send: %v", when, err)
		}
	}

	c.decides(first, 1, false, "members", "buy", name, "9000", "--out", file("one"))
	c.decides(first, 1, false, "members", "sign", file("one"), "--yes", "--out", file("one")) // a second time by the same adds nothing
	c.decides(second, 2, false, "members", "sign", file("one"), "--yes", "--out", file("two"))
	unchanged("two of three have signed")

	// One who does not decide may sign too, which does not count; a signature that is not over this decision is refused.
	decision := c.decision(file("two"))
	digest := decision.Digest(alice.network.ID)
	hers := membertest.Protocol(alice.member)
	decision.Signatures = append(decision.Signatures, sequencing.KeySignature{Key: sequencing.Key(hers.Public()), Signature: sequencing.Signature(hers.Sign(digest[:]))})
	slices.SortFunc(decision.Signatures, func(a, b sequencing.KeySignature) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	write(t, file("stranger"), decision.Encode())
	c.decides(second, 2, false, "members", "sign", file("stranger"), "--yes")
	c.orderPast(first, decision.Encode())
	decision = c.decision(file("two"))
	decision.Body.(*sequencing.TrafficPurchase).Total = 1 << 40
	write(t, file("altered"), decision.Encode())
	if out, err := c.ask(third, "members", "sign", file("altered"), "--yes"); err == nil || !strings.Contains(out, "is not over this decision") {
		t.Errorf("another total under the same signatures: %v: %s", err, out)
	}
	c.orderPast(first, decision.Encode())
	write(t, file("text"), []byte("buy alice all she wants\n"))
	if out, err := c.ask(third, "members", "sign", file("text"), "--yes"); err == nil || !strings.Contains(out, "this is no decision") {
		t.Errorf("a file of another kind: %v: %s", err, out)
	}
	unchanged("whatever was signed and ordered falsely")

	c.decides(third, 3, true, "members", "sign", file("two"), "--yes", "--out", file("three"))
	for _, n := range c.nodes {
		c.agreesOn(n, name, func(m *adminv1.MemberTraffic) bool {
			return m.GetSerial() == 1 && m.GetPurchased() == 9000 && m.GetExtraLeft() == 9000 && m.GetLeft() >= 10_000
		})
	}
	if err := alice.send(3000); err != nil {
		t.Errorf("with what was bought: %v", err)
	}

	// Late and again: an old serial is told to operators, and has no effect when ordered.
	if out, err := c.ask(fourth, "members", "sign", file("two"), "--yes"); err == nil || !strings.Contains(out, "was decided meanwhile") {
		t.Errorf("signed late: %v: %s", err, out)
	}
	c.orderPast(first, c.decision(file("three")).Encode())
	if out, err := c.ask(first, "members", "buy", name, "8999"); err == nil || !strings.Contains(out, "the total cannot be less") {
		t.Errorf("less than before: %v: %s", err, out)
	}
	if out, err := c.ask(first, "members", "buy", "PAR::nobody", "1"); err == nil || !strings.Contains(out, "PAR::nobody") {
		t.Errorf("for a stranger: %v: %s", err, out)
	}
	if code := second.stop(); code != 0 {
		t.Fatalf("exit code %d after TERM", code)
	}
	second.start()
	c.ready(second)
	for _, n := range c.nodes {
		c.agreesOn(n, name, func(m *adminv1.MemberTraffic) bool {
			return m.GetSerial() == 1 && m.GetPurchased() == 9000 && m.GetConsumed() == 9000-m.GetExtraLeft() && m.GetConsumed() > 1000
		})
	}
	if out, err := c.ask(first, "members", "traffic"); err != nil || !strings.Contains(out, "allowance 4000 in 24h0m0s") || !strings.Contains(out, name) {
		t.Errorf("for people: %s", out)
	}
}

// participant is a member that reads and sends as an application would.
type participant struct {
	t       *testing.T
	network *membertest.Network
	member  topology.Member
	client  *memberclient.Client
}

// join registers a participant and connects it to all nodes for the length of the test.
func (c *cluster) join(name string) *participant {
	c.t.Helper()
	p := &participant{t: c.t, member: membertest.Participant(name), network: c.founded()}
	request := registering(c.t, p.network, p.member)
	if _, err := sequencerv1.NewSequencerServiceClient(c.public(c.nodes[0])).RegisterTopology(c.t.Context(), request); err != nil {
		c.t.Fatal(err)
	}
	for _, n := range c.nodes {
		service := sequencerv1.NewSequencerServiceClient(c.public(n))
		within(c.t, patience, n.name+" knows "+name, func() error {
			_, err := service.Challenge(c.t.Context(), &sequencerv1.ChallengeRequest{Member: p.member.String(), NetworkId: p.network.ID[:]})
			return err
		})
	}
	settings := memberclient.Config{
		Member: membertest.ID(p.member), Authentication: membertest.Authentication(p.member), Signing: membertest.Protocol(p.member),
		Network: p.network.ID, TrustThreshold: 2, LivenessMargin: 1,
	}
	for _, n := range c.nodes {
		settings.Sequencers = append(settings.Sequencers, memberclient.Sequencer{Alias: n.name, Endpoints: []memberclient.Endpoint{{Address: n.config.Public.Listen, Plain: true}}})
	}
	var err error
	if p.client, err = memberclient.New(settings); err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- p.client.Run(ctx) }()
	go func() {
		for {
			if _, err := p.client.Next(ctx); err != nil {
				ended <- nil
				return
			}
		}
	}()
	c.t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				c.t.Error(err)
			}
		}
	})
	return p
}

// send sends so many bytes to itself and waits for the outcome.
func (p *participant) send(bytes int) error {
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	_, err := p.client.Send(ctx, sequencing.Submission{
		Sets:      []sequencing.RecipientSet{memberclient.To(membertest.ID(p.member))},
		Envelopes: []sequencing.Envelope{{Payload: make([]byte, bytes)}},
	})
	return err
}

// exhausted reports whether a submission was refused for want of traffic: when it was taken in or, by a sequencer that had not heard
// yet of the one before, in the order.
func exhausted(err error) bool {
	var f *memberclient.Failure
	var d *memberclient.DeliverError
	return errors.As(err, &f) && f.Reason == "TRAFFIC_EXHAUSTED" || errors.As(err, &d) && d.Refusal.Code == sequencing.TrafficExhausted
}

// public connects to a node's listener for clients.
func (c *cluster) public(n *sequencer) *grpc.ClientConn {
	c.t.Helper()
	conn, err := grpc.NewClient(n.config.Public.Listen, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	return conn
}

// orderPast has a request ordered without any operator, and waits until all have applied it.
func (c *cluster) orderPast(n *sequencer, request []byte) {
	c.t.Helper()
	ordering := orderingv1.NewOrderingServiceClient(c.public(n))
	within(c.t, patience, "the request is taken", func() error {
		_, err := ordering.Submit(c.t.Context(), &orderingv1.SubmitRequest{Requests: [][]byte{request}})
		return err
	})
	c.handOver(n) // by then what was ordered before is applied
	c.level()
}

// decides runs a command that signs, and checks what is said of the decision.
func (c *cluster) decides(n *sequencer, signatures int32, submitted bool, args ...string) {
	c.t.Helper()
	var trouble strings.Builder
	command := exec.Command(binary, append(args, "--json", "--net", c.net.Dir, "--node", n.name)...)
	command.Stderr = &trouble // what is shown before it is signed is not in the way of the JSON
	out, err := command.Output()
	var d adminv1.Decision
	if err == nil {
		err = protojson.Unmarshal(out, &d)
	}
	if err != nil || d.GetSignatures() != signatures || d.GetNeeded() != 3 || d.GetSubmitted() != submitted {
		c.t.Fatalf("%v at %s: %v: %s%s", args, n.name, err, out, trouble.String())
	}
}

// traffic is what a node tells its operator of a member's; nil if it does not know it.
func (c *cluster) traffic(n *sequencer, member string) *adminv1.MemberTraffic {
	c.t.Helper()
	answer, err := adminv1.NewMemberServiceClient(c.operator(n)).ListTraffic(c.t.Context(), &adminv1.ListTrafficRequest{Prefix: member})
	if err != nil {
		return nil
	}
	for _, m := range answer.GetMembers() {
		return m
	}
	return nil
}

// operator connects to a node's listener for operators.
func (c *cluster) operator(n *sequencer) *grpc.ClientConn {
	c.t.Helper()
	operator, authorities := network.OperatorAt(c.net.Dir), x509.NewCertPool()
	pair, err := tls.LoadX509KeyPair(operator.Certificate, operator.Key)
	if err != nil {
		c.t.Fatal(err)
	}
	content, err := os.ReadFile(operator.Authority)
	if err != nil || !authorities.AppendCertsFromPEM(content) {
		c.t.Fatal(operator.Authority, err)
	}
	transport := credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13, RootCAs: authorities, Certificates: []tls.Certificate{pair}})
	conn, err := grpc.NewClient(n.config.Admin.GRPC, grpc.WithTransportCredentials(transport))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	return conn
}

// agreesOn waits until a node tells of a member's traffic what is wanted.
func (c *cluster) agreesOn(n *sequencer, member string, wanted func(*adminv1.MemberTraffic) bool) {
	c.t.Helper()
	within(c.t, patience, n.name+" knows of the traffic", func() error {
		m := c.traffic(n, member)
		if m == nil || !wanted(m) {
			return fmt.Errorf("it tells %v", m)
		}
		return nil
	})
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) decision(file string) sequencing.Request {
	c.t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		c.t.Fatal(err)
	}
	request, err := sequencing.Decode(content)
	if err != nil {
		c.t.Fatal(err)
	}
	return request
}
