package admin_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/replica/p2p"
	"github.com/synod-network/synod/sequencer/admin"
)

// engine is what a sequencer knows of its epoch and its links at one moment.
type engine struct {
	progress  *bft.Progress
	committee *bft.Committee
	links     []p2p.PeerStats
	unready   error
}

func (e *engine) Progress() *bft.Progress       { return e.progress }
func (e *engine) Committee() *bft.Committee     { return e.committee }
func (e *engine) Links() []p2p.PeerStats        { return e.links }
func (e *engine) Queued() (requests, bytes int) { return 3, 300 }
func (e *engine) Ready() error                  { return e.unready }
func (e *engine) Status() ordering.Status {
	return ordering.Status{Epoch: 4, Head: 90, Lowest: 11, Time: 5000}
}

func nodeKey(i byte) keys.PublicKey { return keys.PublicKey{i} }

func text(k keys.PublicKey) string { return hex.EncodeToString(k[:]) }

// four is the engine of the first of four sequencers: the second is connected, the third is not, the fourth was removed by an operator.
func four() *engine {
	c := &bft.Committee{Epoch: 4, Params: bft.DefaultParams(), Base: 33, Anchor: bft.Digest{0xab, 31: 0xcd}}
	for i := byte(1); i <= 4; i++ {
		c.Members = append(c.Members, bft.PublicKey(nodeKey(i)))
	}
	return &engine{
		committee: c,
		progress:  &bft.Progress{Epoch: 4, Round: 77, Commit: 90, Behind: 6, BehindEpochs: 2, Member: true, Proposing: true, Demoted: []bft.Author{2}, Newest: []bft.Time{10, 20, 30, 0}, NewestRound: []bft.Round{77, 76, 40, 0}},
		links: []p2p.PeerStats{
			{Peer: nodeKey(2), Live: p2p.LaneStats{Connected: true, Outgoing: true, Since: time.UnixMicro(7), Remote: "h:22", RoundTrip: 1500 * time.Microsecond, BytesIn: 5, BytesOut: 6, Connects: 2}, Bulk: p2p.LaneStats{BytesIn: 50, BytesOut: 60}},
			{Peer: nodeKey(3), Live: p2p.LaneStats{LastError: "connection refused"}},
		},
	}
}

// bftOf is the service of the first of four sequencers, called sequencer1 to sequencer4, with a file of what operators say.
func bftOf(t *testing.T, e *engine) (s *admin.Bft, endpoints *admin.Endpoints) {
	t.Helper()
	endpoints, err := admin.OpenEndpoints(filepath.Join(t.TempDir(), "operators", "peers.json"))
	if err != nil {
		t.Fatal(err)
	}
	return admin.NewBft(nodeKey(1), e, named(endpoints), slog.New(slog.DiscardHandler)), endpoints
}

func named(endpoints *admin.Endpoints) peersOfFour { return peersOfFour{endpoints} }

// peersOfFour are the peers of the first of four sequencers, each configured with an address.
type peersOfFour struct{ *admin.Endpoints }

func (p peersOfFour) Name(k keys.PublicKey) string {
	if k[0] >= 1 && k[0] <= 4 {
		return "sequencer" + string(rune('0'+k[0]))
	}
	return p.All()[k].Name
}

func (p peersOfFour) List() (list []admin.Peer) {
	said := p.All()
	for _, i := range []byte{4, 2, 3} {
		peer := admin.Peer{Key: nodeKey(i), Endpoint: admin.Endpoint{Name: p.Name(nodeKey(i)), Address: "h:" + string(rune('0'+i))}, Origin: "configuration", Listed: true}
		if word, ok := said[peer.Key]; ok {
			peer.Endpoint, peer.Origin = word, "operator"
		}
		list = append(list, peer)
	}
	for k, word := range said {
		if k[0] > 4 {
			list = append(list, admin.Peer{Key: k, Endpoint: word, Origin: "operator"})
		}
	}
	return list
}

// TestPeerEndpoints: operators add, remove and list endpoints by name, key or address; each mistake has its answer and changes nothing.
func TestPeerEndpoints(t *testing.T) {
	s, endpoints := bftOf(t, four())
	list := func() (all []string) {
		t.Helper()
		answer, err := s.ListPeerEndpoints(t.Context(), &adminv1.ListPeerEndpointsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range answer.GetEndpoints() {
			line := e.GetName() + " " + e.GetAddress() + " " + e.GetOrigin()
			if e.GetRemoved() {
				line += " removed"
			}
			if e.GetListed() {
				line += " listed"
			}
			all = append(all, line)
		}
		return all
	}
	wants := func(when string, want ...string) {
		t.Helper()
		if got := list(); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	add := func(peer, address, name string) error {
		_, err := s.AddPeerEndpoint(t.Context(), &adminv1.AddPeerEndpointRequest{Peer: peer, Address: address, Name: name})
		return err
	}
	remove := func(peer string) error {
		_, err := s.RemovePeerEndpoint(t.Context(), &adminv1.RemovePeerEndpointRequest{Peer: peer})
		return err
	}
	configured := []string{"sequencer2 h:2 configuration listed", "sequencer3 h:3 configuration listed", "sequencer4 h:4 configuration listed"}
	wants("at first", configured...)
	wantReason(t, "a stranger by name", add("sequencer9", "h:9", ""), codes.NotFound, "name one of sequencer2, sequencer3, sequencer4")
	wantReason(t, "removing a stranger", remove("sequencer9"), codes.NotFound, `no peer is called "sequencer9"`)
	wantReason(t, "itself", add("sequencer1", "h:1", ""), codes.InvalidArgument, "this sequencer itself")
	wantReason(t, "itself by key", add(text(nodeKey(1)), "h:1", ""), codes.InvalidArgument, "no peer of itself")
	wantReason(t, "no port", add("sequencer2", "h", ""), codes.InvalidArgument, "write host:port")
	wantReason(t, "another name", add("sequencer2", "h:2", "sequencer3"), codes.InvalidArgument, "is called sequencer2")
	wantReason(t, "a long name", add(text(nodeKey(5)), "h:2", string(make([]byte, 64))), codes.InvalidArgument, "63 bytes")
	wants("after mistakes", configured...)

	for what, err := range map[string]error{
		"by name": add("sequencer2", "g:2", ""), "by key, in capitals": remove(strings.ToUpper(text(nodeKey(3)))), "by address": remove("h:4"), "a new one": add(text(nodeKey(5)), "h:5", "sequencer5"),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	wants("afterwards", "sequencer2 g:2 operator listed", "sequencer3  operator removed listed", "sequencer4  operator removed listed", "sequencer5 h:5 operator")
	wantReason(t, "removed again", remove("sequencer3"), codes.FailedPrecondition, "is removed already")
	if err := add("sequencer3", "h:3", ""); err != nil {
		t.Error(err)
	}
	if err := add("sequencer4", "h:3", ""); err != nil {
		t.Error(err)
	}
	wantReason(t, "an address of two", remove("h:3"), codes.NotFound, "2 peers are called")
	if word := endpoints.All()[nodeKey(3)]; word.Removed || word.Address != "h:3" {
		t.Errorf("what was added back is kept as %+v", word)
	}
}

// TestAnEndpointThatCannotBeStored: the operator is told, and nothing has changed.
func TestAnEndpointThatCannotBeStored(t *testing.T) {
	dir := t.TempDir()
	endpoints, err := admin.OpenEndpoints(filepath.Join(dir, "file", "peers.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil { // where a directory should be made
		t.Fatal(err)
	}
	var log bytes.Buffer
	s := admin.NewBft(nodeKey(1), four(), named(endpoints), slog.New(slog.NewTextHandler(&log, nil)))
	_, err = s.RemovePeerEndpoint(t.Context(), &adminv1.RemovePeerEndpointRequest{Peer: "sequencer2"})
	wantReason(t, "on a full disk", err, codes.Internal, "store the endpoint of a peer")
	if said := endpoints.All(); len(said) != 0 {
		t.Errorf("kept all the same: %v", said)
	}
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "result=failed") {
		t.Errorf("the log has %s", &log)
	}
}

// TestAPeerThatIsReachedAndNotKnown: between a dial and the proof of the keys a peer is neither disconnected nor authenticated.
func TestAPeerThatIsReachedAndNotKnown(t *testing.T) {
	e := four()
	e.links[1].Live.Greeting = true
	s, _ := bftOf(t, e)
	answer, err := s.GetPeerNetworkStatus(t.Context(), &adminv1.GetPeerNetworkStatusRequest{Peers: []string{"sequencer3"}})
	if err != nil || answer.GetPeers()[0].GetHealth() != adminv1.PeerConnectionStatus_HEALTH_UNAUTHENTICATED || answer.GetPeers()[0].GetOutgoing() {
		t.Errorf("%v, %v", answer, err)
	}
}

// TestPeerNetworkStatus: of all peers or of those named, each with the state of its link.
func TestPeerNetworkStatus(t *testing.T) {
	s, _ := bftOf(t, four())
	if _, err := s.RemovePeerEndpoint(t.Context(), &adminv1.RemovePeerEndpointRequest{Peer: "sequencer4"}); err != nil {
		t.Fatal(err)
	}
	answer, err := s.GetPeerNetworkStatus(t.Context(), &adminv1.GetPeerNetworkStatusRequest{})
	if err != nil || len(answer.GetPeers()) != 3 {
		t.Fatalf("%v, %v", answer, err)
	}
	up, down, removed := answer.GetPeers()[0], answer.GetPeers()[1], answer.GetPeers()[2]
	if up.GetHealth() != adminv1.PeerConnectionStatus_HEALTH_AUTHENTICATED || up.GetRoundTripUs() != 1500 || up.GetRemoteAddress() != "h:22" || up.GetBytesIn() != 55 || up.GetBytesOut() != 66 || up.GetConnects() != 2 || up.GetSince() != 7 {
		t.Errorf("connected: %v", up)
	}
	if !up.GetOutgoing() || down.GetOutgoing() {
		t.Errorf("who dialed: %v, %v", up, down)
	}
	if down.GetHealth() != adminv1.PeerConnectionStatus_HEALTH_DISCONNECTED || down.GetDescription() != "connection refused" || down.GetSince() != 0 {
		t.Errorf("disconnected: %v", down)
	}
	if removed.GetHealth() != adminv1.PeerConnectionStatus_HEALTH_UNKNOWN || removed.GetDescription() != "neither dialed nor admitted: an operator removed it" || !removed.GetEndpoint().GetRemoved() {
		t.Errorf("removed: %v", removed)
	}
	answer, err = s.GetPeerNetworkStatus(t.Context(), &adminv1.GetPeerNetworkStatusRequest{Peers: []string{"h:3", "sequencer2"}})
	if err != nil || len(answer.GetPeers()) != 2 || answer.GetPeers()[0].GetEndpoint().GetName() != "sequencer3" || answer.GetPeers()[1].GetEndpoint().GetName() != "sequencer2" {
		t.Errorf("two by name: %v, %v", answer, err)
	}
	_, err = s.GetPeerNetworkStatus(t.Context(), &adminv1.GetPeerNetworkStatusRequest{Peers: []string{"sequencer2", "sequencer9"}})
	wantReason(t, "a stranger among them", err, codes.NotFound, `no peer is called "sequencer9"`)
}

// TestWriteReadiness: whether what is submitted would be ordered, and how far the connected members are from a quorum.
func TestWriteReadiness(t *testing.T) {
	e := four()
	s, _ := bftOf(t, e)
	look := func(when string, ready bool, reason string, connected, quorum int32) {
		t.Helper()
		answer, err := s.GetWriteReadiness(t.Context(), &adminv1.GetWriteReadinessRequest{})
		if err != nil || answer.GetReady() != ready || answer.GetReason() != reason || answer.GetConnectedMembers() != connected || answer.GetRequiredQuorum() != quorum {
			t.Errorf("%s: %v, %v", when, answer, err)
		}
	}
	look("ready", true, "", 2, 3)
	e.unready = errors.New("no quorum")
	e.links = append(e.links, p2p.PeerStats{Peer: nodeKey(9), Live: p2p.LaneStats{Connected: true}})
	look("with a stranger connected", false, "no quorum", 2, 3)
	e.links[1].Live.Connected = true
	look("three members", false, "no quorum", 3, 3)
	e.committee = nil
	look("starting", false, "no quorum", 0, 0)
}

// TestOrderingTopology: epoch, round, members, leaders and who is demoted, and by which parameters.
func TestOrderingTopology(t *testing.T) {
	e := four()
	s, _ := bftOf(t, e)
	answer, err := s.GetOrderingTopology(t.Context(), &adminv1.GetOrderingTopologyRequest{})
	if err != nil || answer.GetEpoch() != 4 || answer.GetRound() != 77 || answer.GetQuorum() != 3 || answer.GetMaxFaults() != 1 || len(answer.GetMembers()) != 4 {
		t.Fatalf("%v, %v", answer, err)
	}
	for i, m := range answer.GetMembers() {
		demoted := i == 2
		if m.GetName() != "sequencer"+string(rune('1'+i)) || m.GetKey() != text(nodeKey(byte(i+1))) || m.GetDemoted() != demoted || m.GetLeader() == demoted {
			t.Errorf("member %d is %v", i, m)
		}
	}
	if p := answer.GetParameters(); len(p) != 8 || p["epoch_duration"] != (time.Duration(bft.DefaultParams().EpochDuration)*time.Microsecond).String() {
		t.Errorf("parameters %v", p)
	}
	if want := "ab" + strings.Repeat("0", 60) + "cd"; answer.GetHandover() != want || answer.GetAfterHeight() != 33 {
		t.Errorf("began after %d with %s, want 33 and %s", answer.GetAfterHeight(), answer.GetHandover(), want)
	}
	e.committee = nil
	_, err = s.GetOrderingTopology(t.Context(), &adminv1.GetOrderingTopologyRequest{})
	wantReason(t, "without a committee", err, codes.Unavailable, "is starting")
	e = four()
	s, _ = bftOf(t, e)
	e.progress = nil
	_, err = s.GetOrderingTopology(t.Context(), &adminv1.GetOrderingTopologyRequest{})
	wantReason(t, "starting", err, codes.Unavailable, "is starting")
}

// TestNodeStatus: the sequencer's own height beside the highest that others know of, and every member's standing.
func TestNodeStatus(t *testing.T) {
	e := four()
	endpoints, err := admin.OpenEndpoints(filepath.Join(t.TempDir(), "operators", "peers.json"))
	if err != nil {
		t.Fatal(err)
	}
	health := node.NewHealth()
	health.Live("store", func() error { return nil })
	health.Ready("ordering", e.Ready)
	s := admin.NewNode(admin.NodeConfig{
		Name: "sequencer1", Key: nodeKey(1), Network: [32]byte{8}, NetworkName: "main", Version: "v1", Started: time.UnixMicro(99), Listeners: map[string]string{"public": "h:1"},
		Health: health, Level: &slog.LevelVar{}, Orderer: e, Replica: e, Peers: named(endpoints), Log: slog.New(slog.DiscardHandler),
		Subscribers: func() (int, int) { return 7, 5 },
		Scores:      func() map[keys.PublicKey]float64 { return map[keys.PublicKey]float64{nodeKey(3): -0.5} },
	})
	status := func() *adminv1.GetStatusResponse {
		t.Helper()
		answer, err := s.GetStatus(t.Context(), &adminv1.GetStatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	a := status()
	if a.GetName() != "sequencer1" || a.GetKey() != text(nodeKey(1)) || a.GetNetwork() != hex.EncodeToString(append([]byte{8}, make([]byte, 31)...)) || a.GetNetworkName() != "main" || a.GetVersion() != "v1" || a.GetStartedAt() != 99 || a.GetListeners()["public"] != "h:1" {
		t.Errorf("who it is: %v", a)
	}
	if a.GetEpoch() != 4 || a.GetHeight() != 90 || a.GetLowestHeight() != 11 || a.GetLastBlockAt() != 5000 || a.GetHighestSeen() != 96 || a.GetBehindEpochs() != 2 || a.GetRound() != 77 || a.GetQueuedRequests() != 3 {
		t.Errorf("how far it is: %v", a)
	}
	if !a.GetReady() || !a.GetMember() || !a.GetProposing() || a.GetMembers() != 4 || a.GetConnectedPeers() != 1 || len(a.GetStandings()) != 4 {
		t.Errorf("what it takes part in: %v", a)
	}
	if a.GetSubscriptions() != 7 || a.GetConnectedMembers() != 5 {
		t.Errorf("who reads: %v", a)
	}
	for i, want := range []*adminv1.MemberStanding{
		{Self: true, Connected: true, Round: 77, LastBlockAt: 10}, {Connected: true, Round: 76, LastBlockAt: 20, RoundTripUs: 1500}, {Demoted: true, Round: 40, LastBlockAt: 30, Score: -0.5}, {},
	} {
		m := a.GetStandings()[i]
		if m.GetName() != "sequencer"+string(rune('1'+i)) || m.GetSelf() != want.GetSelf() || m.GetConnected() != want.GetConnected() || m.GetRound() != want.GetRound() || m.GetLastBlockAt() != want.GetLastBlockAt() ||
			m.GetRoundTripUs() != want.GetRoundTripUs() || m.GetDemoted() != want.GetDemoted() || m.GetScore() != want.GetScore() {
			t.Errorf("member %d stands as %v, want %v", i, m, want)
		}
	}
	e.unready = errors.New("no quorum is connected")
	if a := status(); a.GetReady() || a.GetNotReadyReason() != "no quorum is connected" {
		t.Errorf("not ready: %v", a)
	}
	h, err := s.GetHealth(t.Context(), &adminv1.GetHealthRequest{})
	if err != nil || !h.GetLive() || h.GetReady() || len(h.GetChecks()) != 2 || !h.GetChecks()[0].GetLiveness() || h.GetChecks()[1].GetReason() != "no quorum is connected" || h.GetChecks()[1].GetLiveness() {
		t.Errorf("health %v, %v", h, err)
	}
	e.progress.Newest, e.progress.NewestRound = e.progress.Newest[:2], e.progress.NewestRound[:2]
	if a := status(); len(a.GetStandings()) != 4 || a.GetStandings()[1].GetRound() != 76 || a.GetStandings()[2].GetRound() != 0 {
		t.Errorf("the committee has grown meanwhile: %v", a)
	}
	committee := e.committee
	e.committee = nil
	if a := status(); len(a.GetStandings()) != 0 {
		t.Errorf("without a committee: %v", a)
	}
	e.progress, e.committee = nil, committee
	if a := status(); a.GetHighestSeen() != 90 || len(a.GetStandings()) != 0 {
		t.Errorf("starting: %v", a)
	}
}
