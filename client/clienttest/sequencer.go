package clienttest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/internal/grpclink"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/sequencer/session"
)

// Behaviour is how a sequencer departs from what it should do. The zero value is honest.
type Behaviour struct {
	// Distort makes a history of its own out of the true one of a member, and of up to when that is known.
	Distort Distortion
	// Recipients changes the recipients that are asked for, in their encoding.
	Recipients func(encoded []byte) []byte
	// Garble changes the encoding of events.
	Garble func(encoded [][]byte) [][]byte
	// Withhold opens streams and says nothing on them.
	Withhold bool
	// Crawl tells the time in steps that small, one a response and as fast as they are taken, and Idle tells the same again and again.
	Crawl sequencing.Time
	Idle  bool
	// Lag holds streams back to that time; 0 does not.
	Lag sequencing.Time
	// Forger signs with another key than its own.
	Forger bool
	// Mean changes what is signed with its own key, and not what is said; Tamper what is said, once it is signed.
	Mean   func(*sequencing.NetworkID, *session.Events)
	Tamper func(*sequencerv1.SubscribeResponse)
	// Refuse answers sends and acknowledgements with an error.
	Refuse error
	// Deny answers subscriptions with an error.
	Deny error
	// Swallow takes sends and acknowledgements and has none ordered.
	Swallow bool
	// Slow delays each answer to a call, but not streams.
	Slow time.Duration
	// Unstreamed answers streams for sending as a sequencer that knows none, Hangs breaks them instead of taking each so many-th
	// submission, Garbles changes the answers on them.
	Unstreamed bool
	Hangs      int
	Garbles    func(*sequencerv1.SendStreamResponse)
	// Handshake changes what the handshake says.
	Handshake func(h *sequencerv1.HandshakeResponse)
	// TokenLife is how long tokens last; 0 for an hour.
	TokenLife time.Duration
	// PrunedUpTo keeps no events up to that time.
	PrunedUpTo sequencing.Time
	// Page is how many events a response holds at most; 0 for 100.
	Page int
}

// Sequencer is one sequencer of a [Network]. It counts what clients ask of it.
type Sequencer struct {
	sequencerv1.UnimplementedSequencerServiceServer
	Name string
	ID   sequencing.MemberID

	network *Network

	mu        sync.Mutex
	key       keys.PrivateKey
	behaviour Behaviour
	service   sequencerv1.SequencerServiceServer
	server    *grpc.Server
	listener  *bufconn.Listener
	nonces    map[string]bool
	tokens    map[string]login
	streams   int
	counts    Counts
}

type login struct {
	member sequencing.MemberID
	ends   time.Time
}

// Rotate gives the sequencer a new key.
func (s *Sequencer) Rotate(seed byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key = keys.FromSeed([32]byte{seed, 2})
}

// Counts is how often a sequencer was asked for what.
type Counts struct{ Handshakes, Logins, Logouts, Streams, Sends, Acknowledgements, Recipients int }

func newSequencer(n *Network, name string) *Sequencer {
	key := keys.FromSeed(sha256.Sum256([]byte("sequencer " + name)))
	return &Sequencer{Name: name, ID: sequencing.MemberID("SEQ::" + name + "::" + key.Public().Fingerprint().String()), key: key, network: n,
		nonces: map[string]bool{}, tokens: map[string]login{}}
}

// Address is where the sequencer listens, at endpoint i of any number.
func (s *Sequencer) Address(i int) string { return fmt.Sprintf("%s.test:%d", s.Name, 4000+i) }

// Up makes the sequencer answer at its first four endpoints.
func (s *Sequencer) Up() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		return
	}
	s.server, s.listener = grpclink.Server(grpc.MaxRecvMsgSize(64<<20), grpc.WaitForHandlers(true)), bufconn.Listen(1<<18)
	if s.service == nil {
		s.service = s
	}
	sequencerv1.RegisterSequencerServiceServer(s.server, s.service)
	go s.server.Serve(s.listener)
	s.network.mu.Lock()
	defer s.network.mu.Unlock()
	for i := range 4 {
		s.network.addresses[s.Address(i)] = s
	}
}

// Down kills the sequencer: connections break.
func (s *Sequencer) Down() {
	s.mu.Lock()
	server := s.server
	s.server, s.listener = nil, nil
	s.mu.Unlock()
	if server != nil {
		server.Stop()
	}
}

// Serve replaces the service, and begins anew.
func (s *Sequencer) Serve(service sequencerv1.SequencerServiceServer) {
	s.Down()
	s.mu.Lock()
	s.service = service
	s.mu.Unlock()
	s.Up()
}

// PublicKey is that of the key with which the sequencer signs now.
func (s *Sequencer) PublicKey() keys.PublicKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.key.Public()
}

// Sign makes the response that tells some events.
func (s *Sequencer) Sign(e session.Events) *sequencerv1.SubscribeResponse {
	s.mu.Lock()
	key := s.key
	s.mu.Unlock()
	return signed(s.network.ID, key, e)
}

func signed(network sequencing.NetworkID, key keys.PrivateKey, e session.Events) *sequencerv1.SubscribeResponse {
	public, signature := key.Public(), e.Sign(network, key)
	return &sequencerv1.SubscribeResponse{Events: e.Encoded, KnownMicros: int64(e.Known), Key: public[:], Signature: signature[:]}
}

func (s *Sequencer) dial(ctx context.Context) (net.Conn, error) {
	s.mu.Lock()
	listener := s.listener
	s.mu.Unlock()
	if listener == nil {
		return nil, fmt.Errorf("dial %s: it is down", s.Name)
	}
	return listener.DialContext(ctx)
}

// Behave changes what the sequencer does from now on.
func (s *Sequencer) Behave(b Behaviour) {
	s.mu.Lock()
	s.behaviour = b
	s.mu.Unlock()
	s.network.mu.Lock()
	defer s.network.mu.Unlock()
	s.network.wake()
}

// ForgetTokens ends all sessions.
func (s *Sequencer) ForgetTokens() {
	s.mu.Lock()
	clear(s.tokens)
	s.mu.Unlock()
	s.network.mu.Lock()
	defer s.network.mu.Unlock()
	s.network.wake()
}

// Counts says what the sequencer was asked for until now.
func (s *Sequencer) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// Streams is how many streams are open now.
func (s *Sequencer) Streams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams
}

func (s *Sequencer) behaves() Behaviour {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.behaviour
}

// asked counts a call and returns how to answer, when it is time to.
func (s *Sequencer) asked(ctx context.Context, count *int) Behaviour {
	s.mu.Lock()
	*count++
	b := s.behaviour
	s.mu.Unlock()
	b.hesitate(ctx)
	return b
}

func (b Behaviour) hesitate(ctx context.Context) {
	if b.Slow > 0 {
		timer := time.NewTimer(b.Slow)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// Failure is an error as sequencers send it.
func Failure(code codes.Code, reason, rule string, retry time.Duration) error {
	info := &errdetails.ErrorInfo{Reason: reason, Domain: "sequencer.synod.network", Metadata: map[string]string{}}
	if rule != "" {
		info.Metadata["code"] = rule
	}
	details := []protoadapt.MessageV1{info}
	if retry > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(retry)})
	}
	st, err := status.New(code, strings.ToLower(reason)).WithDetails(details...)
	if err != nil {
		panic(err)
	}
	return st.Err()
}

var errLogin = Failure(codes.Unauthenticated, "UNAUTHENTICATED", "", 0)

// Handshake implements the service.
func (s *Sequencer) Handshake(ctx context.Context, _ *sequencerv1.HandshakeRequest) (*sequencerv1.HandshakeResponse, error) {
	b := s.asked(ctx, &s.counts.Handshakes)
	s.mu.Lock()
	key := s.key.Public()
	s.mu.Unlock()
	h := &sequencerv1.HandshakeResponse{Version: 1, NetworkId: s.network.ID[:], Synchronizer: Synchronizer, Sequencer: string(s.ID), SigningKey: key[:],
		TrustThreshold: 2, Software: "clienttest"}
	if b.Handshake != nil {
		b.Handshake(h)
	}
	return h, nil
}

// Challenge implements the service.
func (s *Sequencer) Challenge(_ context.Context, r *sequencerv1.ChallengeRequest) (*sequencerv1.ChallengeResponse, error) {
	if !s.network.active(sequencing.MemberID(r.GetMember())) {
		return nil, Failure(codes.PermissionDenied, "UNKNOWN_MEMBER", "", 0)
	}
	nonce := make([]byte, 32)
	rand.Read(nonce)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nonces[string(nonce)] = true
	return &sequencerv1.ChallengeResponse{Nonce: nonce, ExpiresMicros: time.Now().Add(time.Minute).UnixMicro()}, nil
}

// Authenticate implements the service.
func (s *Sequencer) Authenticate(ctx context.Context, r *sequencerv1.AuthenticateRequest) (*sequencerv1.AuthenticateResponse, error) {
	b := s.asked(ctx, &s.counts.Logins)
	s.mu.Lock()
	defer s.mu.Unlock()
	member := sequencing.MemberID(r.GetMember())
	if !s.nonces[string(r.GetNonce())] || len(r.GetSignature()) != 64 {
		return nil, errLogin
	}
	delete(s.nonces, string(r.GetNonce()))
	l := session.Login{Member: member, Sequencer: s.ID, Nonce: session.Nonce(r.GetNonce())}
	if !l.Signed(s.network.ID, AuthenticationKey(member).Public(), keys.Signature(r.GetSignature())) {
		return nil, Failure(codes.InvalidArgument, "BAD_SIGNATURE", "", 0)
	}
	life := b.TokenLife
	if life == 0 {
		life = time.Hour
	}
	token, ends := s.Name+rand.Text(), time.Now().Add(life)
	s.tokens[token] = login{member, ends}
	return &sequencerv1.AuthenticateResponse{Token: token, ExpiresMicros: ends.UnixMicro()}, nil
}

// Logout implements the service.
func (s *Sequencer) Logout(ctx context.Context, _ *sequencerv1.LogoutRequest) (*sequencerv1.LogoutResponse, error) {
	s.asked(ctx, &s.counts.Logouts)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, tokenOf(ctx))
	return &sequencerv1.LogoutResponse{}, nil
}

func tokenOf(ctx context.Context) string {
	for _, v := range metadata.ValueFromIncomingContext(ctx, "authorization") {
		return strings.TrimPrefix(v, "Bearer ")
	}
	return ""
}

// caller is the member that a token belongs to, and when it ends.
func (s *Sequencer) caller(ctx context.Context) (login, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.tokens[tokenOf(ctx)]
	if !ok || !time.Now().Before(l.ends) {
		return login{}, errLogin
	}
	return l, nil
}

// SendAsync implements the service.
func (s *Sequencer) SendAsync(ctx context.Context, r *sequencerv1.SendAsyncRequest) (*sequencerv1.SendAsyncResponse, error) {
	return &sequencerv1.SendAsyncResponse{}, s.take(ctx, s.asked(ctx, &s.counts.Sends), r.GetRequest())
}

// Acknowledge implements the service.
func (s *Sequencer) Acknowledge(ctx context.Context, r *sequencerv1.AcknowledgeRequest) (*sequencerv1.AcknowledgeResponse, error) {
	return &sequencerv1.AcknowledgeResponse{}, s.take(ctx, s.asked(ctx, &s.counts.Acknowledgements), r.GetRequest())
}

// SendStream implements the service.
func (s *Sequencer) SendStream(stream grpc.BidiStreamingServer[sequencerv1.SendStreamRequest, sequencerv1.SendStreamResponse]) error {
	ctx := stream.Context()
	if _, err := s.caller(ctx); err != nil {
		return err
	}
	for last := uint64(0); ; {
		message, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if message.GetSequence() <= last || len(message.GetRequests()) == 0 {
			return Failure(codes.InvalidArgument, "INVALID", "", 0)
		}
		last = message.GetSequence()
		answer := &sequencerv1.SendStreamResponse{Sequence: last}
		for i, request := range message.GetRequests() {
			b := s.asked(ctx, &s.counts.Sends)
			if b.Unstreamed {
				return status.Error(codes.Unimplemented, "there are no streams for sending here")
			}
			if b.Hangs > 0 && s.Counts().Sends%b.Hangs == 0 {
				return status.Error(codes.Unavailable, "hung up")
			}
			err := s.take(ctx, b, request)
			if status.Code(err) == codes.Unauthenticated {
				return err
			}
			if err != nil {
				answer.Refusals = append(answer.Refusals, refusal(last, i, err))
			}
		}
		if b := s.behaves(); b.Garbles != nil {
			b.Garbles(answer)
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}

// refusal is an error in the answer to a stream.
func refusal(sequence uint64, index int, err error) *sequencerv1.SendStreamResponse_Refusal {
	st := status.Convert(err)
	r := &sequencerv1.SendStreamResponse_Refusal{Sequence: sequence, Index: uint32(index), Message: st.Message()}
	for _, detail := range st.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			r.Reason, r.Code = d.GetReason(), d.GetMetadata()["code"]
		case *errdetails.RetryInfo:
			r.RetryAfter = d.GetRetryDelay()
		}
	}
	return r
}

func (s *Sequencer) take(ctx context.Context, b Behaviour, request []byte) error {
	if _, err := s.caller(ctx); err != nil {
		return err
	}
	if b.Refuse != nil || b.Swallow {
		return b.Refuse
	}
	decoded, err := sequencing.Decode(request)
	if err != nil {
		return Failure(codes.InvalidArgument, "INVALID", "", 0)
	}
	if submission, ok := decoded.Body.(*sequencing.Submission); ok {
		s.network.mu.Lock()
		at := max(s.network.machine.Time()+1, sequencing.Time(time.Now().UnixMicro()))
		_, err = s.network.machine.Check(submission, decoded.Signatures[0].Key, at)
		s.network.mu.Unlock()
		var refusal sequencing.Refusal
		if errors.As(err, &refusal) {
			return Failure(codes.FailedPrecondition, "REFUSED", refusal.Code.String(), 0)
		}
	}
	s.network.submit(request)
	return nil
}

// Subscribe implements the service.
func (s *Sequencer) Subscribe(r *sequencerv1.SubscribeRequest, stream grpc.ServerStreamingServer[sequencerv1.SubscribeResponse]) error {
	caller, err := s.caller(stream.Context())
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.counts.Streams++
	denied := s.behaviour.Deny
	s.streams++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.streams--
		s.mu.Unlock()
	}()
	if denied != nil {
		return denied
	}
	end := time.NewTimer(time.Until(caller.ends))
	defer end.Stop()
	for after, first := sequencing.Time(r.GetAfterMicros()), true; ; first = false {
		s.network.mu.Lock()
		changed := s.network.changed
		s.network.mu.Unlock()
		if _, err := s.caller(stream.Context()); err != nil {
			return err
		}
		response, known, err := s.next(caller.member, after, first)
		if err != nil {
			return err
		}
		if response != nil {
			if err := stream.Send(response); err != nil {
				return err
			}
			after = known
			continue
		}
		select {
		case <-changed:
		case <-end.C:
			return errLogin
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

// recipientsPart is how many bytes of recipients go into one message.
const recipientsPart = 1000

// GetRecipients implements the service.
func (s *Sequencer) GetRecipients(r *sequencerv1.GetRecipientsRequest, stream grpc.ServerStreamingServer[sequencerv1.GetRecipientsResponse]) error {
	b := s.asked(stream.Context(), &s.counts.Recipients)
	caller, err := s.caller(stream.Context())
	if err != nil {
		return err
	}
	if len(r.GetDigest()) != len(sequencing.Digest{}) {
		return Failure(codes.InvalidArgument, "INVALID", "", 0)
	}
	if b.Withhold {
		<-stream.Context().Done()
		return stream.Context().Err()
	}
	encoded, err := s.network.recipients(caller.member, sequencing.Time(r.GetTimeMicros()), sequencing.Digest(r.GetDigest()))
	if err != nil {
		return Failure(codes.PermissionDenied, "NOT_YOURS", "", 0)
	}
	return b.answer(encoded, stream)
}

// answer sends recipients in parts.
func (b Behaviour) answer(encoded []byte, stream grpc.ServerStreamingServer[sequencerv1.GetRecipientsResponse]) error {
	if b.Recipients != nil {
		encoded = b.Recipients(slices.Clone(encoded))
	}
	size := uint64(len(encoded))
	for {
		n := min(len(encoded), recipientsPart)
		if err := stream.Send(&sequencerv1.GetRecipientsResponse{Size: size, Data: encoded[:n]}); err != nil {
			return err
		}
		if encoded, size = encoded[n:], 0; len(encoded) == 0 {
			return nil
		}
	}
}

// next is the next response on a stream, nil if there is nothing to say.
func (s *Sequencer) next(member sequencing.MemberID, after sequencing.Time, first bool) (*sequencerv1.SubscribeResponse, sequencing.Time, error) {
	s.mu.Lock()
	b, key := s.behaviour, s.key
	s.mu.Unlock()
	if first && after < b.PrunedUpTo {
		st, _ := status.New(codes.OutOfRange, "pruned").WithDetails(&errdetails.ErrorInfo{Reason: "PRUNED", Domain: "sequencer.synod.network",
			Metadata: map[string]string{"last": fmt.Sprint(int64(b.PrunedUpTo))}})
		return nil, 0, st.Err()
	}
	limit := b.Page
	if limit == 0 {
		limit = 100
	}
	s.network.mu.Lock()
	var events []sequencing.Delivery
	var known sequencing.Time
	if b.Distort == nil {
		events, known = s.network.read(member, after, limit)
	} else {
		events, known = s.network.read(member, 0, 1<<30)
	}
	s.network.mu.Unlock()
	if b.Distort != nil {
		events, known = page(b.Distort, events, known, after, limit)
	}
	if b.Lag != 0 && known > b.Lag {
		known = max(after, b.Lag)
		for len(events) > 0 && events[len(events)-1].Time > known {
			events = events[:len(events)-1]
		}
	}
	if b.Crawl > 0 && known > after {
		events, known = nil, min(known, after+b.Crawl)
	}
	if b.Idle {
		events, known = nil, after
	} else if known <= after || b.Withhold {
		return nil, 0, nil
	}
	return b.tell(s.network.ID, key, member, events, after, known), known, nil
}

// tell makes the response that tells some events.
func (b Behaviour) tell(network sequencing.NetworkID, key keys.PrivateKey, member sequencing.MemberID, events []sequencing.Delivery, after, known sequencing.Time) *sequencerv1.SubscribeResponse {
	encoded := make([][]byte, len(events))
	for i := range events {
		encoded[i] = events[i].Encode()
	}
	if b.Garble != nil {
		encoded = b.Garble(encoded)
	}
	if b.Forger {
		key = keys.FromSeed([32]byte{1})
	}
	said := session.Events{Member: member, After: after, Encoded: encoded, Known: known}
	response := signed(network, key, said)
	if b.Mean != nil {
		b.Mean(&network, &said)
		response.Signature = signed(network, key, said).GetSignature()
	}
	if b.Tamper != nil {
		b.Tamper(response)
	}
	return response
}
