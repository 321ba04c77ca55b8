package instance_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/sequencer/instance"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/sequencer/session"
	"github.com/synod-network/synod/topology"
)

// TestLogoutIsHeardEverywhere: a member logs in at one sequencer, is known at another by the same token, and is not any more once it
// has logged out at the first.
func TestLogoutIsHeardEverywhere(t *testing.T) {
	instances := run(t, func(int) func() time.Time { return nil })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	first, second := dial(t, instances[0]), dial(t, instances[1])
	m, network := membertest.Participant("alice"), register(ctx, t, instances[0], first)

	token := logIn(ctx, t, network, m, instances[0], first)
	as := metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	asks := func(at sequencerv1.SequencerServiceClient) codes.Code {
		_, err := at.GetTrafficState(as, &sequencerv1.GetTrafficStateRequest{})
		return status.Code(err)
	}
	eventually(ctx, t, "the token is good at another sequencer", func() bool { return asks(second) == codes.OK })
	if _, err := first.Logout(as, &sequencerv1.LogoutRequest{}); err != nil {
		t.Fatal(err)
	}
	if got := asks(first); got != codes.Unauthenticated {
		t.Errorf("after the logout the sequencer answers %v", got)
	}
	eventually(ctx, t, "the other sequencer has heard of the logout", func() bool { return asks(second) == codes.Unauthenticated })
}

func dial(t *testing.T, i *instance.Instance) sequencerv1.SequencerServiceClient {
	t.Helper()
	conn, err := grpc.NewClient(i.Address("public"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return sequencerv1.NewSequencerServiceClient(conn)
}

// register makes alice a member.
func register(ctx context.Context, t *testing.T, i *instance.Instance, at sequencerv1.SequencerServiceClient) *membertest.Network {
	t.Helper()
	network := &membertest.Network{ID: sequencing.NetworkID(i.Genesis.ID)}
	i.State().Topology(func(view topology.Snapshot) { network.Synchronizer = view.Synchronizer() })
	request := &sequencerv1.RegisterTopologyRequest{}
	for _, s := range network.Registration(t, membertest.Participant("alice")) {
		request.Transactions = append(request.Transactions, s.Encode())
	}
	if _, err := at.RegisterTopology(ctx, request); err != nil {
		t.Fatal(err)
	}
	return network
}

// logIn waits until the member is known, and gets a token.
func logIn(ctx context.Context, t *testing.T, network *membertest.Network, m topology.Member, i *instance.Instance, at sequencerv1.SequencerServiceClient) string {
	t.Helper()
	var challenge *sequencerv1.ChallengeResponse
	eventually(ctx, t, "the member is known", func() (known bool) {
		var err error
		challenge, err = at.Challenge(ctx, &sequencerv1.ChallengeRequest{Member: m.String(), NetworkId: network.ID[:]})
		return err == nil
	})
	hello, err := at.Handshake(ctx, &sequencerv1.HandshakeRequest{ClientVersions: []uint32{1}})
	if err != nil {
		t.Fatal(err)
	}
	key := membertest.Authentication(m)
	public := key.Public()
	login := session.Login{Member: membertest.ID(m), Sequencer: sequencing.MemberID(hello.GetSequencer()), Nonce: session.Nonce(challenge.GetNonce())}
	signature := login.Sign(network.ID, key)
	answer, err := at.Authenticate(ctx, &sequencerv1.AuthenticateRequest{Member: m.String(), Nonce: challenge.GetNonce(), Key: public[:], Signature: signature[:]})
	if err != nil {
		t.Fatal(err)
	}
	return answer.GetToken()
}

func eventually(ctx context.Context, t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not in time", what)
		case <-tick.C:
		}
	}
}
