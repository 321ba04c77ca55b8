package clienttest

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"io"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// Proxy is a real sequencer that was taken over: it passes calls on to the true service, and lies about what comes back, with
// the sequencer's own key. Nothing that it does can be told from the sequencer's doing. Serve it where the sequencer's members
// expect the sequencer.
type Proxy struct {
	sequencerv1.UnimplementedSequencerServiceServer
	network sequencing.NetworkID
	key     keys.PrivateKey
	true    sequencerv1.SequencerServiceClient

	mu        sync.Mutex
	behaviour Behaviour
	sends     int
}

// NewProxy returns a proxy that is honest for now. The key is that with which the sequencer behind it signs what it delivers.
func NewProxy(network sequencing.NetworkID, key keys.PrivateKey, behind sequencerv1.SequencerServiceClient) *Proxy {
	return &Proxy{network: network, key: key, true: behind}
}

// Behave changes what the proxy does from now on. Lag, TokenLife and PrunedUpTo have no effect here.
func (p *Proxy) Behave(b Behaviour) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.behaviour = b
}

// Sends is how many submissions were given to the proxy.
func (p *Proxy) Sends() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sends
}

func (p *Proxy) behaves() Behaviour {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.behaviour
}

// onward is the context of a call that is passed on, with the token that it came with.
func onward(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+tokenOf(ctx))
}

// Handshake implements the service.
func (p *Proxy) Handshake(ctx context.Context, r *sequencerv1.HandshakeRequest) (*sequencerv1.HandshakeResponse, error) {
	h, err := p.true.Handshake(ctx, r)
	if change := p.behaves().Handshake; err == nil && change != nil {
		change(h)
	}
	return h, err
}

// Challenge implements the service.
func (p *Proxy) Challenge(ctx context.Context, r *sequencerv1.ChallengeRequest) (*sequencerv1.ChallengeResponse, error) {
	return p.true.Challenge(ctx, r)
}

// Authenticate implements the service.
func (p *Proxy) Authenticate(ctx context.Context, r *sequencerv1.AuthenticateRequest) (*sequencerv1.AuthenticateResponse, error) {
	return p.true.Authenticate(ctx, r)
}

// Logout implements the service.
func (p *Proxy) Logout(ctx context.Context, r *sequencerv1.LogoutRequest) (*sequencerv1.LogoutResponse, error) {
	return p.true.Logout(onward(ctx), r)
}

// GetTime implements the service.
func (p *Proxy) GetTime(ctx context.Context, r *sequencerv1.GetTimeRequest) (*sequencerv1.GetTimeResponse, error) {
	return p.true.GetTime(ctx, r)
}

// RegisterTopology implements the service.
func (p *Proxy) RegisterTopology(ctx context.Context, r *sequencerv1.RegisterTopologyRequest) (*sequencerv1.RegisterTopologyResponse, error) {
	return p.true.RegisterTopology(ctx, r)
}

// Acknowledge implements the service.
func (p *Proxy) Acknowledge(ctx context.Context, r *sequencerv1.AcknowledgeRequest) (*sequencerv1.AcknowledgeResponse, error) {
	if b := p.behaves(); b.Refuse != nil || b.Swallow {
		return &sequencerv1.AcknowledgeResponse{}, b.Refuse
	}
	return p.true.Acknowledge(onward(ctx), r)
}

// SendAsync implements the service.
func (p *Proxy) SendAsync(ctx context.Context, r *sequencerv1.SendAsyncRequest) (*sequencerv1.SendAsyncResponse, error) {
	b := p.taking(ctx, 1)
	if b.Refuse != nil || b.Swallow {
		return &sequencerv1.SendAsyncResponse{}, b.Refuse
	}
	return p.true.SendAsync(onward(ctx), r)
}

// taking counts submissions and returns what to do with them.
func (p *Proxy) taking(ctx context.Context, n int) Behaviour {
	p.mu.Lock()
	p.sends += n
	p.mu.Unlock()
	b := p.behaves()
	b.hesitate(ctx)
	return b
}

// SendStream implements the service.
func (p *Proxy) SendStream(near grpc.BidiStreamingServer[sequencerv1.SendStreamRequest, sequencerv1.SendStreamResponse]) error {
	ctx, cancel := context.WithCancel(onward(near.Context()))
	defer cancel()
	far, err := p.true.SendStream(ctx)
	if err != nil {
		return err
	}
	for {
		message, err := near.Recv()
		if err == io.EOF {
			return far.CloseSend()
		}
		if err != nil {
			return err
		}
		b := p.taking(ctx, len(message.GetRequests()))
		answer := &sequencerv1.SendStreamResponse{Sequence: message.GetSequence()}
		switch {
		case b.Swallow:
		case b.Refuse != nil:
			for i := range message.GetRequests() {
				answer.Refusals = append(answer.Refusals, refusal(message.GetSequence(), i, b.Refuse))
			}
		default:
			if err := far.Send(message); err != nil {
				return err
			}
			if answer, err = far.Recv(); err != nil {
				return err
			}
		}
		if err := near.Send(answer); err != nil {
			return err
		}
	}
}

// GetRecipients implements the service.
func (p *Proxy) GetRecipients(r *sequencerv1.GetRecipientsRequest, near grpc.ServerStreamingServer[sequencerv1.GetRecipientsResponse]) error {
	far, err := p.true.GetRecipients(onward(near.Context()), r)
	if err != nil {
		return err
	}
	var encoded []byte
	for {
		part, err := far.Recv()
		if err == io.EOF {
			return p.behaves().answer(encoded, near)
		}
		if err != nil {
			return err
		}
		encoded = append(encoded, part.GetData()...)
	}
}

// proxyPage is how many events a response holds at most.
const proxyPage = 100

// memberAt is where tokens say whose they are: its length, and the name. Sequencers can read tokens, so liars can.
const memberAt = 1 + 16 + 32 + 32 + 8 + 8

// caller is the member that a token is of. Whether the token is good, the true service says.
func caller(ctx context.Context) sequencing.MemberID {
	token, err := base64.RawURLEncoding.DecodeString(tokenOf(ctx))
	if err != nil || len(token) < memberAt+2 {
		return ""
	}
	name := token[memberAt+2:]
	return sequencing.MemberID(name[:min(len(name), int(binary.BigEndian.Uint16(token[memberAt:])))])
}

// Subscribe implements the service: it reads the whole history behind it, and tells its own.
func (p *Proxy) Subscribe(r *sequencerv1.SubscribeRequest, near grpc.ServerStreamingServer[sequencerv1.SubscribeResponse]) error {
	ctx, cancel := context.WithCancel(onward(near.Context()))
	defer cancel()
	member := caller(near.Context())
	far, err := p.true.Subscribe(ctx, &sequencerv1.SubscribeRequest{})
	if err != nil {
		return err
	}
	var history []sequencing.Delivery
	after := sequencing.Time(r.GetAfterMicros())
	for {
		response, err := far.Recv()
		if err != nil {
			return err
		}
		for _, encoded := range response.GetEvents() {
			d, err := sequencing.DecodeDelivery(encoded)
			if err != nil {
				return err
			}
			history = append(history, *d)
		}
		for {
			b := p.behaves()
			if b.Distort == nil {
				b.Distort = func(events []sequencing.Delivery, known sequencing.Time) ([]sequencing.Delivery, sequencing.Time) {
					return events, known
				}
			}
			events, known := page(b.Distort, slices.Clone(history), sequencing.Time(response.GetKnownMicros()), after, proxyPage)
			if known <= after || b.Withhold {
				break
			}
			if err := near.Send(b.tell(p.network, p.key, member, events, after, known)); err != nil {
				return err
			}
			after = known
		}
	}
}
