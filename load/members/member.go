package members

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/internal/grpcbuf"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/sequencer/session"
	"github.com/synod-network/synod/topology"
)

// sequencer is a target that answered.
type sequencer struct {
	address string
	conns   *connections
	service sequencerv1.SequencerServiceClient
	id      sequencing.MemberID
	// up is whether the last that was heard of a stream from it was good.
	up atomic.Bool

	suspect Suspect // under the run's mutex
}

// network is what all targets say of themselves.
type network struct {
	id           sequencing.NetworkID
	synchronizer topology.UID
	sequencers   []*sequencer
	gather       bool // see [Config]
}

// connect shakes hands with all targets. Those that do not answer are an error: a run
// that begins without one would not notice what it does.
func connect(ctx context.Context, targets []Target, members int) (*network, error) {
	n, buffers := &network{}, grpcbuf.Dial()
	for i, t := range targets {
		conns, err := dial(t.Address, members, append([]grpc.DialOption{
			buffers, grpc.WithInitialWindowSize(4 << 20), grpc.WithInitialConnWindowSize(8 << 20),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64 << 20)),
		}, t.Options...)...)
		if err != nil {
			return n, fmt.Errorf("load: %s: %w", t.Address, err)
		}
		s := &sequencer{address: t.Address, conns: conns, service: sequencerv1.NewSequencerServiceClient(conns)}
		n.sequencers = append(n.sequencers, s)
		hello, err := s.service.Handshake(ctx, &sequencerv1.HandshakeRequest{ClientVersions: []uint32{1}})
		if err != nil {
			return n, fmt.Errorf("load: %s: %w", t.Address, err)
		}
		if len(hello.GetNetworkId()) != len(n.id) || len(hello.GetSigningKey()) != len(keys.PublicKey{}) {
			return n, fmt.Errorf("load: %s says nothing sensible about itself", t.Address)
		}
		s.id = sequencing.MemberID(hello.GetSequencer())
		id := sequencing.NetworkID(hello.GetNetworkId())
		if i > 0 && id != n.id {
			return n, fmt.Errorf("load: %s is of another network than %s", t.Address, targets[0].Address)
		}
		n.id = id
		if n.synchronizer, err = topology.ParseUID(hello.GetSynchronizer()); err != nil {
			return n, fmt.Errorf("load: %s: %w", t.Address, err)
		}
	}
	return n, nil
}

// listening is the number of the sequencer at which members of a home listen with their k-th listener.
func (n *network) listening(home, k int) int {
	if n.gather {
		return k
	}
	return (home + 1 + k) % len(n.sequencers)
}

// now is the earliest of the times that the targets know.
func (n *network) now(ctx context.Context) (earliest sequencing.Time, err error) {
	for i, s := range n.sequencers {
		answer, err := s.service.GetTime(ctx, &sequencerv1.GetTimeRequest{})
		if err != nil {
			return 0, fmt.Errorf("load: ask %s for the time: %w", s.address, err)
		}
		if at := sequencing.Time(answer.GetTimeMicros()); i == 0 || at < earliest {
			earliest = at
		}
	}
	return earliest, nil
}

func (n *network) close() {
	for _, s := range n.sequencers {
		for _, c := range s.conns.list {
			_ = c.Close()
		}
	}
}

// member is one participant of the run.
type member struct {
	number int
	id     sequencing.MemberID
	as     topology.Member

	namespace, authentication, protocol keys.PrivateKey
	opener                              keys.DecryptionKey
	home                                int // the sequencer after which it listens, and to which it sends at first

	mu      sync.Mutex
	token   string
	flights flights
}

func newMember(n *network, run string, number int) (*member, error) {
	m := &member{number: number, home: number % len(n.sequencers)}
	var err error
	for _, k := range []*keys.PrivateKey{&m.namespace, &m.authentication, &m.protocol} {
		if *k, err = keys.Generate(rand.Reader); err != nil {
			return nil, err
		}
	}
	if m.opener, err = keys.GenerateDecryption(); err != nil {
		return nil, err
	}
	name := fmt.Sprintf("load-%s-%d", run, number)
	m.as = topology.Member{Role: topology.Participant, UID: topology.UID{Name: name, Namespace: topology.NamespaceOf(m.namespace.Public())}}
	m.id = sequencing.MemberID(m.as.String())
	return m, nil
}

// registration is what makes the member known to the network, encoded.
func (m *member) registration(n *network) (list [][]byte, err error) {
	identity := topology.NamespaceDelegation{Namespace: m.as.Namespace, Target: m.namespace.Public(), Kinds: topology.AllKinds}
	owned := topology.NewOwnerToKeys(m.as, []topology.SigningKey{
		{Purpose: keys.SequencerAuthentication, Key: m.authentication.Public()}, {Purpose: keys.Protocol, Key: m.protocol.Public()},
	}, []keys.EncryptionKey{m.opener.Public()})
	certificate := topology.MemberTrustCertificate{Synchronizer: n.synchronizer, Member: m.as}
	for _, say := range []struct {
		mapping topology.Mapping
		signers []keys.PrivateKey
	}{
		{identity, []keys.PrivateKey{m.namespace}},
		{owned, []keys.PrivateKey{m.namespace, m.authentication, m.protocol}},
		{certificate, []keys.PrivateKey{m.namespace}},
	} {
		signed, err := topology.Sign(n.id, topology.Add(1, say.mapping), say.signers...)
		if err != nil {
			return nil, err
		}
		list = append(list, signed.Encode())
	}
	return list, nil
}

// together is how many members one call registers: three transactions and five signatures are of each, and a change has at most
// 64 and 256. Every member of the network is told of each change, and every sequencer looks at all of them then.
const together = 64 / 3

// register makes members known to the network by one change, which is in force a moment later. What the order refuses is an error at
// once; what became of nobody knows what is sent again.
func register(ctx context.Context, n *network, list []*member) error {
	var request sequencerv1.RegisterTopologyRequest
	for _, m := range list {
		registration, err := m.registration(n)
		if err != nil {
			return err
		}
		request.Transactions = append(request.Transactions, registration...)
	}
	return again(ctx, func() error {
		response, err := n.sequencers[list[0].number/together%len(n.sequencers)].service.RegisterTopology(ctx, &request)
		switch {
		case accepted(err):
			return nil
		case err == nil && response.GetTimeMicros() == 0:
			return status.Error(codes.Unavailable, "nothing came of the registration yet: the network orders nothing, or it was lost")
		}
		return err
	}, codes.ResourceExhausted, codes.Unavailable)
}

// accepted reports whether a failure says that all is accepted already: an earlier call did not hear of it.
func accepted(err error) bool {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetMetadata()["code"] == string(topology.CodeAlreadyApplied) {
			return true
		}
	}
	return false
}

// authenticate gets a token at its home, waiting until the member is known there.
func (m *member) authenticate(ctx context.Context, n *network) error {
	err := again(ctx, func() error { return m.login(ctx, n, n.sequencers[m.home]) },
		codes.PermissionDenied, codes.ResourceExhausted, codes.Unavailable, codes.NotFound)
	if err != nil {
		return fmt.Errorf("load: authenticate %s at %s: %w", m.id, n.sequencers[m.home].address, err)
	}
	return nil
}

// login gets a token at a sequencer.
func (m *member) login(ctx context.Context, n *network, at *sequencer) error {
	challenge, err := at.service.Challenge(ctx, &sequencerv1.ChallengeRequest{Member: string(m.id), NetworkId: n.id[:]})
	if err != nil {
		return err
	}
	if len(challenge.GetNonce()) != len(session.Nonce{}) {
		return fmt.Errorf("the nonce of %s has %d bytes", at.address, len(challenge.GetNonce()))
	}
	login := session.Login{Member: m.id, Sequencer: at.id, Nonce: session.Nonce(challenge.GetNonce())}
	key, signature := m.authentication.Public(), login.Sign(n.id, m.authentication)
	answer, err := at.service.Authenticate(ctx, &sequencerv1.AuthenticateRequest{
		Member: string(m.id), Nonce: challenge.GetNonce(), Key: key[:], Signature: signature[:],
	})
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.token = answer.GetToken()
	return nil
}

// loginPatience bounds one attempt to get a new token.
const loginPatience = 5 * time.Second

// renew gets a token from any sequencer but the given one, unless there is no other, and returns which.
func (m *member) renew(ctx context.Context, n *network, last int) int {
	ctx, cancel := context.WithTimeout(ctx, loginPatience)
	defer cancel()
	for i := 1; i <= len(n.sequencers); i++ {
		next := (last + i) % len(n.sequencers)
		if m.login(ctx, n, n.sequencers[next]) == nil {
			return next
		}
	}
	return last
}

// authorised adds the member's token to a call.
func (m *member) authorised(ctx context.Context) context.Context {
	m.mu.Lock()
	defer m.mu.Unlock()
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+m.token)
}

// again repeats a call while it fails in one of the given ways and ctx lasts.
func again(ctx context.Context, call func() error, codes ...codes.Code) error {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		err := call()
		if err == nil || !slices.Contains(codes, status.Code(err)) {
			return err
		}
		if !sleep(ctx, pause) {
			return err
		}
	}
}

// sleep reports whether ctx lasted.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// newRun names the run, so that its members are nobody else's.
func newRun() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
