package members_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/sequencer/members"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

func (n *node) register(list ...topology.SignedTransaction) error {
	request := &sequencerv1.RegisterTopologyRequest{}
	for _, signed := range list {
		request.Transactions = append(request.Transactions, signed.Encode())
	}
	_, err := n.client.RegisterTopology(patience(n.station.t), request)
	return err
}

func TestANewcomerRegistersAndTakesPart(t *testing.T) {
	s := start(t, options{plan: membertest.Plan{Sequencers: 2}})
	n, other := s.nodes[0], s.nodes[1]
	n.change(s.network.Registration(t, carol)...)
	reader := other.subscribe(other.as(carol), carol, 0)
	n.send(carol, "hello", bob)
	if d := reader.next(); string(d.Message) != "hello" {
		t.Errorf("%+v", d)
	}
	info, _ := wantFailure(t, n.register(s.network.Registration(t, carol)...), codes.FailedPrecondition, members.Refused)
	if info.GetMetadata()["code"] != "already-applied" {
		t.Errorf("once more: %v", info)
	}
}

func TestRegistrationsThatAreRefused(t *testing.T) {
	s := start(t, options{config: func(c *members.Config) { c.Registrations, c.HostRegistrations = 1000, 1000 }})
	n := s.nodes[0]
	registration := s.network.Registration(t, carol)
	changed := n.state.TopologyChanged()
	other := membertest.Found(t, membertest.Plan{Network: 9})
	var many []topology.SignedTransaction
	for i := range 23 { // twelve signatures each
		var authentication []string
		for k := range 10 {
			authentication = append(authentication, fmt.Sprint(i, k))
		}
		many = append(many, s.network.Keys(t, membertest.Participant(fmt.Sprint("p", i)), 1, authentication...))
	}
	for _, c := range []struct {
		name   string
		list   []topology.SignedTransaction
		code   codes.Code
		reason members.Reason
		rule   string
	}{
		{"nothing", nil, codes.InvalidArgument, members.Invalid, ""},
		{"without a namespace", registration[1:], codes.FailedPrecondition, members.Refused, "unknown-namespace"},
		{"in the wrong order", []topology.SignedTransaction{registration[2], registration[0], registration[1]}, codes.FailedPrecondition, members.Refused, "unknown-member"},
		{"signed for another network", other.Registration(t, carol), codes.InvalidArgument, members.BadSignature, ""},
		{"a serial left out", []topology.SignedTransaction{s.network.Keys(t, alice, 5)}, codes.FailedPrecondition, members.Refused, "wrong-serial"},
		{"keys of another, by a stranger", []topology.SignedTransaction{s.network.Sign(t, topology.Add(1, topology.MemberDisabled{Synchronizer: s.network.Synchronizer, Member: alice}), "mallory")},
			codes.FailedPrecondition, members.Refused, "missing-signature"},
		{"too many signatures", many, codes.InvalidArgument, members.Invalid, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			info, _ := wantFailure(t, n.register(c.list...), c.code, c.reason)
			if info.GetMetadata()["code"] != c.rule {
				t.Errorf("metadata %v, want code %q", info.GetMetadata(), c.rule)
			}
		})
	}
	_, err := n.client.RegisterTopology(patience(t), &sequencerv1.RegisterTopologyRequest{Transactions: [][]byte{make([]byte, sequencing.MaxTopology)}})
	wantFailure(t, err, codes.InvalidArgument, members.TooLarge)
	_, err = n.client.RegisterTopology(patience(t), &sequencerv1.RegisterTopologyRequest{Transactions: make([][]byte, 65)})
	wantFailure(t, err, codes.InvalidArgument, members.Invalid)
	n.send(alice, "after all", bob)
	n.subscribe(n.as(alice), alice, 0).next()
	if n.state.TopologyChanged() != changed {
		t.Error("what was refused was ordered")
	}
}

func TestRegistrationsAreLimited(t *testing.T) {
	s := start(t, options{})
	n := s.nodes[0]
	var err error
	tried, began := 0, time.Now()
	for ; tried < 100; tried++ {
		if err = n.register(); err != nil && n.counter.get("registered TOO_MANY_CALLS") > 0 {
			break
		}
	}
	_, retry := wantFailure(t, err, codes.ResourceExhausted, members.TooManyCalls)
	if most := 12 + int(2*time.Since(began).Seconds()); tried < 10 || tried > most || retry == nil { // ten at once, and two a second
		t.Errorf("after %d, retry %v", tried, retry)
	}
	s.ahead.Add(int64(time.Minute))
	wantFailure(t, n.register(), codes.InvalidArgument, members.Invalid)
}

func (n *node) download(at sequencing.Time) (*topology.State, sequencing.Time, error) {
	stream, err := n.client.DownloadTopology(patience(n.station.t), &sequencerv1.DownloadTopologyRequest{TimeMicros: int64(at)})
	if err != nil {
		return nil, 0, err
	}
	head, err := stream.Recv()
	if err != nil {
		return nil, 0, err
	}
	data := head.GetData()
	for uint64(len(data)) < head.GetSize() {
		part, err := stream.Recv()
		if err != nil {
			return nil, 0, err
		}
		data = append(data, part.GetData()...)
	}
	state, err := topology.DecodeState(data, topology.Digest(head.GetDigest()))
	return state, sequencing.Time(head.GetTimeMicros()), err
}

func TestTopologyIsTheSameAtEverySequencer(t *testing.T) {
	var names []string
	for i := range 400 { // more than one part
		names = append(names, fmt.Sprint("p", i))
	}
	s := start(t, options{plan: membertest.Plan{Sequencers: 2, Participants: append(names, "alice", "bob")}})
	n := s.nodes[0]
	if _, _, err := n.download(0); err != nil {
		t.Fatalf("before the first block: %v", err)
	}
	n.change(s.network.Registration(t, carol)...)
	first, at, err := n.download(0)
	if err != nil {
		t.Fatal(err)
	}
	second, same, err := s.nodes[1].download(at)
	if err != nil {
		t.Fatal(err)
	}
	view, err := second.Snapshot(topology.Time(at))
	if err != nil || same != at || first.Digest() != second.Digest() || view.Status(carol) != topology.Active {
		t.Errorf("at %d and %d: %s and %s, %v", at, same, first.Digest(), second.Digest(), err)
	}
	changed := n.state.TopologyChanged()
	if _, _, err := n.download(changed); err != nil {
		t.Errorf("as of the change: %v", err)
	}
	_, _, err = n.download(changed - 1)
	info, _ := wantFailure(t, err, codes.OutOfRange, members.Pruned)
	if info.GetMetadata()["last"] != fmt.Sprint(int64(changed)) {
		t.Errorf("metadata %v", info.GetMetadata())
	}
	// A time to come is waited for.
	later := n.state.Time() + 50*sequencing.Millisecond
	done := make(chan error, 1)
	go func() {
		_, got, err := n.download(later)
		if err == nil && got != later {
			err = fmt.Errorf("as of %d, want %d", got, later)
		}
		done <- err
	}()
	s.pass(time.Second)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// looked is a state that tells when somebody asks for its time.
type looked struct {
	members.State
	at func()
}

func (l looked) Time() sequencing.Time {
	defer l.at()
	return l.State.Time()
}

func TestDownloadsAreBounded(t *testing.T) {
	var s *station
	s = start(t, options{config: func(c *members.Config) {
		c.Downloads, c.State = 1, looked{c.State, func() { s.happened() }}
	}})
	n := s.nodes[0]
	waiting, err := n.client.DownloadTopology(patience(t), &sequencerv1.DownloadTopologyRequest{TimeMicros: s.now().Add(time.Hour).UnixMicro()})
	if err != nil {
		t.Fatal(err)
	}
	s.until("the first download to have its place", func() bool { return n.service.Downloading() == 1 })
	_, _, err = n.download(0)
	wantFailure(t, err, codes.ResourceExhausted, members.TooManyCalls)
	n.stop()
	_, err = waiting.Recv()
	wantFailure(t, err, codes.Unavailable, members.ShuttingDown)
}

// A stranger who asks for the topology and does not read it must not keep others from it.
func TestADownloadThatIsNotReadEnds(t *testing.T) {
	var names []string
	for i := range 1000 { // more than is sent ahead of the reader
		names = append(names, fmt.Sprint("p", i))
	}
	s := start(t, options{plan: membertest.Plan{Participants: names}, config: func(c *members.Config) { c.Downloads, c.PartPatience = 1, 300*time.Millisecond }})
	n := s.nodes[0]
	idle, err := n.client.DownloadTopology(patience(t), &sequencerv1.DownloadTopologyRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := idle.Header(); err != nil { // it holds the only place
		t.Fatal(err)
	}
	for deadline, served := patience(t), false; !served; { // the place is given back when the part was not read for so long
		_, _, err := n.download(0)
		if served = err == nil; deadline.Err() != nil {
			t.Fatal("no other download is served")
		}
	}
	for err == nil {
		_, err = idle.Recv()
	}
	wantFailure(t, err, codes.ResourceExhausted, members.TooManyCalls)
}

// TestOwnersAreToldWhoseNodeKeyHasNotAgreed, before anything is ordered; with the key's consent the same change goes through.
func TestOwnersAreToldWhoseNodeKeyHasNotAgreed(t *testing.T) {
	s := start(t, options{plan: membertest.Plan{Sequencers: 2}})
	n := s.nodes[0]
	first, second := s.nodes[0].self, s.nodes[1].self
	spare, stay := membertest.Key("spare"), membertest.Orders(first, membertest.Node(first))
	changed := n.state.TopologyChanged()
	exchange := topology.Add(2, s.network.Listing(stay, membertest.Orders(second, spare)))
	err := n.register(s.network.Sign(t, exchange, "owner"))
	info, _ := wantFailure(t, err, codes.FailedPrecondition, members.Refused)
	if info.GetMetadata()["code"] != string(topology.CodeNoConsent) || !strings.Contains(err.Error(), spare.Public().Fingerprint().String()) {
		t.Errorf("unasked: %v, %v", info, err)
	}
	for name, c := range map[string]topology.Consent{
		"another network": topology.Agree([32]byte{99}, second, spare), "another member": topology.Agree(s.network.ID, first, spare),
		"another key": topology.Agree(s.network.ID, second, membertest.Node(second)), "nothing": {},
	} {
		forged := s.network.Forged(t, exchange, spare, c.Signature)
		_, err := n.client.RegisterTopology(patience(t), &sequencerv1.RegisterTopologyRequest{Transactions: [][]byte{forged}})
		if wantFailure(t, err, codes.InvalidArgument, members.BadSignature); !strings.Contains(err.Error(), "has not agreed to order for "+second.String()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n.state.TopologyChanged() != changed {
		t.Error("what was refused was ordered")
	}
	n.change(s.network.Sign(t, exchange, "owner", "spare"))
}
