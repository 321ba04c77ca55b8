package stories

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/network"
	"github.com/synod-network/synod/sequencer/members"
	"github.com/synod-network/synod/sequencer/membership"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// TestEveryLimitOfAMember: members take as much as they can get, at the public port of a sequencer. Each limit answers with its reason,
// tells when to try again where that helps, holds for that member alone, and what it bounds is given back.
func TestEveryLimitOfAMember(t *testing.T) {
	c := found(t, 2, func(p *network.Plan) {
		p.Parameters.RequestLimit = 64 * config.KiB
		p.Traffic = topology.Traffic{BaseAllowance: 200 << 10, Window: 24 * 3600 * bft.Second, WriteCost: 10_000}
	})
	c.startEncrypted("--set", fmt.Sprint("queue.requests=", smallQueue))
	g := &glutton{t: t, cluster: c, doors: c.doors()}
	var all []topology.Member
	for _, name := range []string{"alice", "bob", "carol", "dave", "erin", "frank"} {
		all = append(all, membertest.Participant(name))
	}
	admits(g.doors, all...)
	g.bob = all[1]
	g.subscribes(all[0])
	g.logsIn(all[2])
	g.calls(all[3])
	g.spends(all[4])
	g.acknowledges(all[0])
	g.talksTooMuch(all[0])
	g.registers()
	g.downloads()
	g.fillsTheQueue(all[5])
}

// smallQueue is how many requests may wait to be ordered.
const smallQueue = 300

// glutton takes what it can get, at the first of two sequencers.
type glutton struct {
	*cluster
	t     *testing.T
	doors []*door
	bob   topology.Member // who takes little
}

// bobIsServed wants the limit of another to be none of bob's.
func (g *glutton) bobIsServed(while string) {
	g.t.Helper()
	if _, err := g.doors[0].GetTrafficState(g.doors[0].as(g.bob), &sequencerv1.GetTrafficStateRequest{}); err != nil {
		g.t.Errorf("while %s, bob is told: %v", while, err)
	}
}

// subscribes opens as many subscriptions as a member may have.
func (g *glutton) subscribes(m topology.Member) {
	g.t.Helper()
	ctx, end := context.WithCancel(g.doors[0].as(m))
	open := func(d *door, ctx context.Context) error {
		stream, err := d.Subscribe(ctx, &sequencerv1.SubscribeRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		return err
	}
	for n := range 5 {
		if err := open(g.doors[0], ctx); err != nil {
			g.t.Fatalf("subscription %d: %v", n+1, err)
		}
	}
	refusedAs(g.t, "a sixth subscription", open(g.doors[0], ctx), tooManyCalls)
	if err := open(g.doors[1], ctx); err != nil {
		g.t.Errorf("the other sequencer has room of its own: %v", err)
	}
	g.bobIsServed("alice has as many subscriptions as she may")
	end()
	ctx = g.doors[0].as(m)
	within(g.t, patience, "subscriptions that ended make room", func() error { return open(g.doors[0], ctx) })
}

// logsIn gets as many tokens as a member may have.
func (g *glutton) logsIn(m topology.Member) {
	g.t.Helper()
	d := g.doors[0]
	var token string
	for range 32 {
		token = d.token(m)
	}
	again := d.login(m, membertest.Authentication(m))
	_, err := d.Authenticate(d.patient(), again)
	refusedAs(g.t, "a token too many", err, tooManyTokens)
	g.doors[1].token(m)
	if _, err := d.Logout(d.showing(token), &sequencerv1.LogoutRequest{}); err != nil {
		g.t.Fatal(err)
	}
	if _, err := d.Authenticate(d.patient(), again); err != nil {
		g.t.Errorf("after a logout the same answer is good: %v", err)
	}
}

// calls keeps as many calls open as a member may.
func (g *glutton) calls(m topology.Member) {
	g.t.Helper()
	const most, ofOneConnection = 256, 100
	ctx, end := context.WithCancel(g.doors[0].as(m))
	defer end()
	d := g.doors[0]
	for n := range most {
		if n%ofOneConnection == 0 {
			d = g.door(g.nodes[0])
		}
		stream, err := d.SendStream(ctx)
		if err == nil {
			err = stream.Send(&sequencerv1.SendStreamRequest{Sequence: 1, Requests: [][]byte{nil}})
		}
		if err == nil {
			_, err = stream.Recv() // its answer shows that it is open
		}
		if err != nil {
			g.t.Fatalf("call %d: %v", n+1, err)
		}
	}
	traffic := func(ctx context.Context) error {
		_, err := g.doors[0].GetTrafficState(ctx, &sequencerv1.GetTrafficStateRequest{})
		return err
	}
	another := g.doors[0].as(m)
	refusedAs(g.t, "a call too many", traffic(another), tooManyCalls)
	g.bobIsServed("dave has as many calls open as he may")
	end()
	within(g.t, patience, "calls that ended make room", func() error { return traffic(another) })
}

// spends sends until nothing is left of the allowance.
func (g *glutton) spends(m topology.Member) {
	g.t.Helper()
	d := g.doors[0]
	ctx := d.as(m)
	var err error
	within(g.t, patience, "the allowance is spent", func() error {
		request := d.network.Request(message(m, fmt.Sprint("at ", time.Now().UnixNano()), make([]byte, 50<<10), m), m)
		if _, err = d.SendAsync(ctx, &sequencerv1.SendAsyncRequest{Request: request}); err == nil {
			return errors.New("all was taken")
		}
		return nil
	})
	refusedAs(g.t, "beyond the allowance", err, refusal{codes.ResourceExhausted, members.TrafficExhausted, sequencing.TrafficExhausted.String()})
}

// acknowledges says so often that it needs no events as nobody has to.
func (g *glutton) acknowledges(m topology.Member) {
	g.t.Helper()
	d := g.doors[0]
	ctx := d.as(m)
	n, err := 0, error(nil)
	for ; err == nil && n < 500; n++ {
		request := d.network.Request(&sequencing.Acknowledgement{Member: membertest.ID(m), UpTo: sequencing.Time(n + 1)}, m)
		_, err = d.Acknowledge(ctx, &sequencerv1.AcknowledgeRequest{Request: request})
	}
	refusedAs(g.t, "acknowledgements in a burst", err, overloaded)
	if n <= 20 {
		g.t.Errorf("refused after %d acknowledgements", n)
	}
}

// talksTooMuch sends what is too large: a payload, a list of requests, a message.
func (g *glutton) talksTooMuch(m topology.Member) {
	g.t.Helper()
	d := g.doors[0]
	refusedAs(g.t, "a payload above the network's limit", d.sends(m, d.network.Request(message(m, "large", make([]byte, 64<<10+1), m), m)), tooLarge)
	stream, err := d.SendStream(d.as(m))
	if err == nil {
		err = stream.Send(&sequencerv1.SendStreamRequest{Sequence: 1, Requests: make([][]byte, 4097)})
	}
	if err == nil {
		_, err = stream.Recv()
	}
	refusedAs(g.t, "a list of requests", err, invalid)
	// gRPC itself refuses what it does not read: without a reason, and without a time after which it would help.
	err = d.sends(m, make([]byte, 16<<20+1))
	if is, retry := refusalOf(err); status.Code(err) != codes.ResourceExhausted || is.reason != "" || retry {
		g.t.Errorf("a message above 16 MiB: %v", err)
	}
}

// registers registers too much at once, and too often.
func (g *glutton) registers() {
	g.t.Helper()
	d, registration := g.doors[0], func(d *door, transactions ...[]byte) error {
		_, err := d.RegisterTopology(d.patient(), &sequencerv1.RegisterTopologyRequest{Transactions: transactions})
		return err
	}
	registered := registering(g.t, d.network, g.bob).Transactions[0]
	many := make([][]byte, membership.MaxTransactions+1)
	for i := range many {
		many[i] = registered
	}
	refusedAs(g.t, "65 transactions", registration(d, many...), invalid)
	keys := d.network.KeysOf(g.t, g.bob, 1, []string{"1", "2", "3", "4", "5"}, []string{"6"}).Encode() // with 7 signatures
	refusedAs(g.t, "more than 256 signatures", registration(d, func() (list [][]byte) {
		for range membership.MaxSignatures/7 + 1 {
			list = append(list, keys)
		}
		return list
	}()...), invalid)
	refusedAs(g.t, "more than 1 MiB", registration(d, make([]byte, sequencing.MaxTopology)), tooLarge)

	d = g.doors[1]
	within(g.t, patience, "registrations come too fast", func() error {
		err := registration(d, registered) // it is there already, which is looked at later
		if is, _ := refusalOf(err); is.reason == members.Refused {
			return err
		}
		refusedAs(g.t, "registrations in a burst", err, tooManyCalls)
		return nil
	})
}

// downloads asks for more copies of the topology at once than a sequencer gives out: each waits for a time that is still to come.
func (g *glutton) downloads() {
	g.t.Helper()
	d := g.doors[0]
	ctx, end := context.WithCancel(d.patient())
	defer end()
	answers := make(chan error, 16)
	for range cap(answers) {
		stream, err := d.DownloadTopology(ctx, &sequencerv1.DownloadTopologyRequest{TimeMicros: time.Now().Add(time.Hour).UnixMicro()})
		if err != nil {
			g.t.Fatal(err)
		}
		go func() { // ends with the stream
			_, err := stream.Recv()
			answers <- err
		}()
	}
	for range cap(answers) - 8 {
		refusedAs(g.t, "a download beside eight", <-answers, tooManyCalls)
	}
}

// fillsTheQueue sends while nothing is ordered, since one of two sequencers is gone. What the queue took is ordered when that is back.
func (g *glutton) fillsTheQueue(m topology.Member) {
	g.t.Helper()
	d, absent := g.doors[0], g.nodes[1]
	ctx := d.as(m)
	absent.kill()
	stream, err := d.SendStream(ctx)
	if err != nil {
		g.t.Fatal(err)
	}
	const inOne = smallQueue + 1 // more than the queue ever holds: as many are taken as there is room for
	number, full, taken := 0, false, map[sequencing.MessageID]bool{}
	request := func() []byte {
		number++
		taken[sequencing.MessageID(fmt.Sprint(number))] = true
		return d.network.Request(message(m, fmt.Sprint(number), []byte{1}, m), m)
	}
	for sequence := uint64(1); !full && sequence <= 20; sequence++ {
		before, batch := number, &sequencerv1.SendStreamRequest{Sequence: sequence}
		for range inOne {
			batch.Requests = append(batch.Requests, request())
		}
		if err := stream.Send(batch); err != nil {
			g.t.Fatal(err)
		}
		answer, err := stream.Recv()
		if err != nil {
			g.t.Fatal(err)
		}
		for _, r := range answer.GetRefusals() {
			full = true
			delete(taken, sequencing.MessageID(fmt.Sprint(before+int(r.GetIndex())+1)))
			if r.GetReason() != string(members.Overloaded) || r.GetRetryAfter().AsDuration() <= 0 {
				g.t.Fatalf("a request beyond the queue: %v", r)
			}
		}
	}
	if !full || len(taken) == 0 {
		g.t.Errorf("of %d submissions a queue for %d took %d", number, smallQueue, len(taken))
	}
	for err == nil { // there may be room for a few
		_, err = d.SendAsync(ctx, &sequencerv1.SendAsyncRequest{Request: request()})
	}
	delete(taken, sequencing.MessageID(fmt.Sprint(number)))
	refusedAs(g.t, "the queue is full", err, overloaded)
	absent.start("--set", "public.tls_cert_file="+absent.config.Admin.Cert, "--set", "public.tls_key_file="+absent.config.Admin.Key)
	g.ready(g.nodes...)
	last := message(m, "last", []byte{1}, m)
	within(g.t, patience, "the queue has room again", func() error {
		_, err := d.SendAsync(ctx, &sequencerv1.SendAsyncRequest{Request: d.network.Request(last, m)})
		return err
	})
	for _, e := range d.story(m, "last") {
		delete(taken, e.Message)
	}
	if len(taken) > 0 {
		g.t.Errorf("%d submissions that were queued never came out", len(taken))
	}
}
