// Package owner is what the owners of a network do to it while it runs: list another
// sequencer, or take one out.
//
// An owner asks several sequencers for the topology, because it signs the whole list of
// sequencers anew and must not be told a false one; what it signs goes to all of them.
// Where one owner's signature is not enough, the transaction is handed from owner to owner
// until nothing is missing.
package owner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/bft/quorum"
	"github.com/synod-network/synod/internal/grpclink"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/node/genesis"
	"github.com/synod-network/synod/topology"
)

// maxTopology bounds what is believed to be a topology, in bytes.
const maxTopology = 256 << 20

// Network is a running network, as some of its sequencers describe it.
type Network struct {
	genesis  *genesis.Genesis
	conns    []*grpc.ClientConn
	services []sequencerv1.SequencerServiceClient
	// State is the topology that all of them told.
	State *topology.State
}

// Connect asks the sequencers at some addresses for the topology. All must say the same of who
// the sequencers are.
func Connect(ctx context.Context, g *genesis.Genesis, addresses []string, options ...grpc.DialOption) (_ *Network, err error) {
	n := &Network{genesis: g}
	defer func() {
		if err != nil {
			n.Close()
		}
	}()
	if len(addresses) == 0 {
		return nil, errors.New("name at least one sequencer to ask")
	}
	for _, address := range addresses {
		conn, err := grpclink.Dial(address, options...)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", address, err)
		}
		n.conns = append(n.conns, conn)
		service := sequencerv1.NewSequencerServiceClient(conn)
		n.services = append(n.services, service)
		state, err := download(ctx, service, g)
		if err != nil {
			return nil, fmt.Errorf("ask %s for the topology: %w", address, err)
		}
		if n.State != nil && !slices.Equal(setDigest(state), setDigest(n.State)) {
			return nil, fmt.Errorf("%s and %s list different sequencers: one of them is behind, or lies; try again, and ask others if it stays so", addresses[0], address)
		}
		if n.State == nil {
			n.State = state
		}
	}
	return n, nil
}

// Close ends the connections.
func (n *Network) Close() {
	for _, c := range n.conns {
		_ = c.Close()
	}
}

func download(ctx context.Context, service sequencerv1.SequencerServiceClient, g *genesis.Genesis) (*topology.State, error) {
	stream, err := service.DownloadTopology(ctx, &sequencerv1.DownloadTopologyRequest{})
	if err != nil {
		return nil, err
	}
	var digest topology.Digest
	var data []byte
	for first := true; ; first = false {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) && !first {
			break
		}
		if err != nil {
			return nil, err
		}
		if first {
			copy(digest[:], part.GetDigest())
		}
		if data = append(data, part.GetData()...); len(data) > maxTopology {
			return nil, fmt.Errorf("more than %d bytes", maxTopology)
		}
	}
	state, err := topology.DecodeState(data, digest)
	if err != nil {
		return nil, err
	}
	founding, err := g.Founding()
	if err != nil {
		return nil, err
	}
	if began, _ := state.Founded(); began != founding.Digest() || state.Network() != g.ID {
		return nil, errors.New("it is of another network than the genesis file")
	}
	return state, nil
}

// coming is the topology once all that was accepted is in force.
func coming(s *topology.State) topology.Snapshot {
	view, _ := s.Snapshot(s.Effective()) // never pruned
	return view
}

// setDigest stands for who the sequencers are, with the serial.
func setDigest(s *topology.State) []byte {
	set := coming(s).Sequencers()
	d := topology.Add(s.Serial(set.Key()), set).Digest()
	return d[:]
}

// TrustThreshold is how many sequencers must say the same to be believed.
func (n *Network) TrustThreshold() uint16 { return coming(n.State).Sequencers().Threshold }

// Listing is the set with another sequencer, or the one that has another key in the place of its old
// one. The node key's consent goes with it.
func (n *Network) Listing(listed topology.SequencerNode) (topology.Transaction, error) {
	set := coming(n.State).Sequencers()
	at := slices.IndexFunc(set.Sequencers, func(s topology.SequencerNode) bool { return s.Member == listed.Member })
	switch {
	case at >= 0 && set.Sequencers[at] == listed:
		return topology.Transaction{}, fmt.Errorf("%s is listed already", listed.Member)
	case at >= 0:
		set.Sequencers = slices.Clone(set.Sequencers)
		set.Sequencers[at] = listed
	default:
		set.Sequencers = append(slices.Clone(set.Sequencers), listed)
	}
	return n.change(set), nil
}

// Unlisting is the set without the sequencer of a name.
func (n *Network) Unlisting(name string) (topology.Transaction, error) {
	set := coming(n.State).Sequencers()
	rest := slices.DeleteFunc(slices.Clone(set.Sequencers), func(s topology.SequencerNode) bool { return s.Member.Name == name })
	switch len(rest) {
	case len(set.Sequencers):
		return topology.Transaction{}, fmt.Errorf("no sequencer called %q is listed", name)
	case 0:
		return topology.Transaction{}, fmt.Errorf("%s is the only sequencer: a network cannot be without", name)
	}
	set.Sequencers = rest
	return n.change(set), nil
}

func (n *Network) change(set topology.SequencerSet) topology.Transaction {
	set.Threshold = uint16(quorum.Witness(len(set.Sequencers)))
	return topology.Add(n.State.Serial(set.Key())+1, set)
}

// Permitting is the owners' permission for a namespace, within limits.
func (n *Network) Permitting(namespace topology.Namespace, limits topology.Limits) topology.Transaction {
	m := topology.NamespacePermission{Synchronizer: n.State.Synchronizer(), Namespace: namespace, Limits: limits}
	return topology.Add(n.State.Serial(m.Key())+1, m)
}

// Revoking ends the owners' permission for a namespace.
func (n *Network) Revoking(namespace topology.Namespace) (topology.Transaction, error) {
	permission, ok := coming(n.State).Permission(namespace)
	if !ok {
		return topology.Transaction{}, fmt.Errorf("namespace %s has no permission", namespace)
	}
	return topology.Removal(n.State.Serial(permission.Key())+1, permission), nil
}

// Onboarding are the parameters with other rules about who adds to the topology.
func (n *Network) Onboarding(change func(*topology.Onboarding)) (topology.Transaction, error) {
	p := coming(n.State).Parameters()
	before := p.Onboarding
	if change(&p.Onboarding); p.Onboarding == before {
		return topology.Transaction{}, errors.New("these rules are in force already")
	}
	return topology.Add(n.State.Serial(p.Key())+1, p), nil
}

// Missing returns whose signatures a transaction lacks; none if it would be accepted. before are
// transactions that go ahead of it.
func (n *Network) Missing(t topology.SignedTransaction, before ...topology.SignedTransaction) ([]keys.Fingerprint, error) {
	at := n.State.Effective()
	for _, b := range before {
		if _, r := n.State.Apply(at, b); r != nil && r.Code != topology.CodeAlreadyApplied {
			return nil, r
		}
		at = n.State.Effective()
	}
	switch r := n.State.Check(at, t); {
	case r == nil:
		return nil, nil
	case r.Code == topology.CodeMissingSignature:
		return r.Missing, nil
	default:
		return nil, r
	}
}

// Submit has transactions ordered, and waits until they are in force. done judges by the topology of a sequencer whether they are accepted
// there: at as many of those that were asked as are believed, and at the others too if they say so within a while. One that is behind, or
// lies, holds nobody up longer. The delay of changes follows; where ctx is too short for it, Submit returns at once what is left.
func (n *Network) Submit(ctx context.Context, done func(*topology.State) bool, transactions ...topology.SignedTransaction) (left time.Duration, err error) {
	request := &sequencerv1.RegisterTopologyRequest{}
	for _, t := range transactions {
		request.Transactions = append(request.Transactions, t.Encode())
	}
	believed := min(max(1, int(n.TrustThreshold())), len(n.services))
	if err := n.register(ctx, believed, request); err != nil {
		return 0, err
	}
	err = n.await(ctx, believed, func(ctx context.Context, service sequencerv1.SequencerServiceClient) error {
		state, err := download(ctx, service, n.genesis)
		if err == nil && !done(state) {
			err = errNotYet
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	delay := time.Duration(coming(n.State).Parameters().TopologyChangeDelay) * time.Microsecond
	if end, ok := ctx.Deadline(); ok && time.Until(end) < delay {
		return delay, nil
	}
	if !pause(ctx, delay) {
		return 0, fmt.Errorf("the change is accepted, and in force after %s: %w", delay, ctx.Err())
	}
	return 0, nil
}

// errNotYet says that a sequencer does not know yet what was ordered.
var errNotYet = errors.New("it is not in force there")

const (
	// answerPatience bounds one answer of one sequencer: registering waits some seconds for the order.
	answerPatience = 15 * time.Second
	// othersPatience is how long the others are waited for when enough have it.
	othersPatience = 5 * time.Second
)

// await asks all sequencers, beside each other, until it holds at so many that are believed, and at the rest or for a while.
func (n *Network) await(ctx context.Context, believed int, holds func(context.Context, sequencerv1.SequencerServiceClient) error) error {
	asking, enough := context.WithCancel(ctx)
	var asked sync.WaitGroup
	defer asked.Wait()
	defer enough()
	answers := make(chan error, len(n.services)) // one of each
	for _, service := range n.services {
		asked.Go(func() {
			for {
				one, cancel := context.WithTimeout(asking, answerPatience)
				err := holds(one, service)
				cancel()
				if err == nil || !pause(asking, betweenAsks) {
					answers <- err
					return
				}
			}
		})
	}
	var others <-chan time.Time
	for shown, left := 0, len(n.services); left > 0; {
		select {
		case err := <-answers:
			left--
			if err != nil {
				return fmt.Errorf("the change was handed over and is not in force yet: %w", errors.Join(ctx.Err(), err))
			}
			if shown++; shown == believed {
				others = time.After(othersPatience)
			}
		case <-others:
			return nil
		}
	}
	return nil
}

// register hands transactions to every sequencer. So many must take them, or refuse them for good, that one of those is honest, if so many
// were asked; where fewer took them and nobody else may, what then comes into force decides.
func (n *Network) register(ctx context.Context, believed int, request *sequencerv1.RegisterTopologyRequest) error {
	open := slices.Clone(n.services)
	var taken int
	var refused []error
	for {
		var failures []error
		open = slices.DeleteFunc(open, func(service sequencerv1.SequencerServiceClient) bool {
			one, cancel := context.WithTimeout(ctx, answerPatience)
			defer cancel()
			_, err := service.RegisterTopology(one, request)
			switch code := status.Code(err); {
			case err == nil || isThere(err):
				taken++
			case code == codes.Unavailable || code == codes.ResourceExhausted || one.Err() != nil:
				failures = append(failures, err)
				return false
			default:
				refused = append(refused, err)
			}
			return true
		})
		switch {
		case taken >= believed:
			return nil
		case len(refused) >= believed, len(open) == 0 && taken == 0:
			return fmt.Errorf("hand over the change: %w", errors.Join(refused...))
		case len(open) == 0:
			return nil
		case !pause(ctx, betweenAsks):
			return fmt.Errorf("hand over the change: %w", errors.Join(append(refused, failures...)...))
		}
	}
}

// isThere reports whether a refusal says that all is accepted already, as it is at the second sequencer that is asked.
func isThere(err error) bool {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetMetadata()["code"] == string(topology.CodeAlreadyApplied) {
			return true
		}
	}
	return false
}

// betweenAsks is how long a sequencer is left alone that did not give the answer that is waited for.
const betweenAsks = 200 * time.Millisecond

// pause waits, and reports whether ctx lasted.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
