package members

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/internal/turnstile"
	"github.com/synod-network/synod/sequencer/membership"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

const (
	// partSize is how much of a topology, or of recipients, goes into one message, in bytes.
	partSize = 256 << 10
	// downloadPatience is how long a time that is still to come is waited for, and
	// downloadPoll how often it is looked for.
	downloadPatience = 5 * time.Second
	downloadPoll     = 20 * time.Millisecond
)

// RegisterTopology implements the API.
func (s *Service) RegisterTopology(ctx context.Context, request *sequencerv1.RegisterTopologyRequest) (*sequencerv1.RegisterTopologyResponse, error) {
	leave, refused := s.enter(ctx)
	if refused != nil {
		s.config.Observer.Registered(refused.observed())
		return nil, refused
	}
	defer leave()
	response, refused := s.register(ctx, request.GetTransactions())
	if refused != nil {
		s.config.Observer.Registered(refused.observed())
		return nil, refused
	}
	s.config.Observer.Registered("")
	return response, nil
}

func (s *Service) register(ctx context.Context, encoded [][]byte) (*sequencerv1.RegisterTopologyResponse, *failure) {
	change, verified, refused := s.registrable(ctx, encoded)
	if refused != nil {
		return nil, refused
	}
	judged, stop := s.config.State.AwaitChange(change)
	defer stop()
	ordered := sequencing.Request{Body: &sequencing.TopologyChange{Transactions: change}}.Encode()
	s.order(ctx, [][]byte{ordered}, func(f *failure) { refused = f })
	if refused != nil {
		return nil, refused
	}
	patience := time.NewTimer(s.config.OutcomePatience)
	defer patience.Stop()
	select {
	case j := <-judged:
		if refused := s.outcome(j, verified); refused != nil {
			return nil, refused
		}
		return &sequencerv1.RegisterTopologyResponse{TimeMicros: int64(j.At), InForceMicros: int64(j.InForce)}, nil
	case <-patience.C:
	case <-s.stopping:
	case <-ctx.Done():
		return nil, ended(ctx)
	}
	return &sequencerv1.RegisterTopologyResponse{}, nil
}

// outcome says of which transaction the order refused something, nil if of none.
func (s *Service) outcome(j membership.Judgement, list []topology.SignedTransaction) *failure {
	if len(j.Rejections) == 0 {
		return fail(Refused, "the order refused the transactions as a whole").with("code", string(topology.CodeMalformed))
	}
	refused := refusedBecause(j.Rejections)
	if refused == nil || refused.reason != Refused {
		return refused
	}
	switch now := s.acceptable(list); {
	case now == nil: // by rules that came into force since
		return fail(NotReady, "%s; that has changed since: try again", refused.message).with("code", refused.metadata["code"]).after(notReadyRetry)
	case now.reason == NotReady:
		return now
	}
	return refused
}

// registrable returns transactions as they are ordered, and verified, unless they would be refused.
func (s *Service) registrable(ctx context.Context, encoded [][]byte) (change []byte, verified []topology.SignedTransaction, refused *failure) {
	if refused := s.mayRegister(ctx); refused != nil {
		return nil, nil, refused
	}
	change = membership.Encode(encoded...)
	if len(change) > sequencing.MaxTopology {
		return nil, nil, fail(TooLarge, "the transactions have %d bytes together: send them in several calls", len(change)).
			with("size", strconv.Itoa(len(change))).with("limit", strconv.Itoa(sequencing.MaxTopology))
	}
	list, err := membership.Decode(change)
	if err != nil {
		return nil, nil, fail(Invalid, "%v", err)
	}
	for i, u := range list {
		signed, err := u.Verify(s.network)
		if err != nil {
			return nil, nil, fail(BadSignature, "transaction %d: %v", i, err).with("index", strconv.Itoa(i))
		}
		verified = append(verified, signed)
	}
	return change, verified, s.acceptable(verified)
}

// acceptable refuses transactions of which one would be refused, or all are there
// already.
func (s *Service) acceptable(list []topology.SignedTransaction) *failure {
	rejections, inForce := s.config.State.CheckTopology(list...)
	refused := refusedBecause(rejections)
	switch {
	case refused != nil && inForce > 0: // the owners have changed the rules
		wait := time.UnixMicro(int64(inForce)).Sub(s.config.Now())
		return fail(NotReady, "%s; that changes at %d: try again then", refused.message, inForce).with("code", refused.metadata["code"]).after(max(wait, callsRetry/10))
	case refused == nil && !slices.Contains(rejections, nil):
		return refusedTopology(0, rejections[0])
	}
	return refused
}

// refusedBecause is the first rejection for another reason than that a transaction is there already.
func refusedBecause(rejections []*topology.Rejection) *failure {
	for i, r := range rejections {
		switch {
		case r == nil, r.Code == topology.CodeAlreadyApplied:
		case r.Code == topology.CodeInvalidSignature, r.Code == topology.CodeWrongNetwork:
			return fail(BadSignature, "transaction %d: %v", i, r).with("index", strconv.Itoa(i))
		default:
			return refusedTopology(i, r)
		}
	}
	return nil
}

func refusedTopology(index int, r *topology.Rejection) *failure {
	return fail(Refused, "transaction %d: %v", index, r).with("code", string(r.Code)).with("index", strconv.Itoa(index))
}

// mayRegister limits how often strangers make this sequencer check what they send. Each host has a limit; and while few
// registrations are left for everybody, they are for hosts that have not come lately, so that those who come again and again,
// however many they are, keep nobody out who comes once.
func (s *Service) mayRegister(ctx context.Context) *failure {
	now := s.config.Now()
	host := s.hosts.put(turnstile.HostOf(ctx), &visitor{Limiter: rate.NewLimiter(rate.Limit(s.config.HostRegistrations), burstOf(s.config.HostRegistrations))})
	returns := now.UnixNano()-host.last.Swap(now.UnixNano()) < int64(lately)
	reserved := returns && s.registrations.TokensAt(now) < float64(burstOf(s.config.Registrations))/2
	if !host.AllowN(now, 1) || reserved || !s.registrations.AllowN(now, 1) {
		return fail(TooManyCalls, "registrations come faster than this sequencer takes them: try later or at another one").after(callsRetry)
	}
	return nil
}

// visitor is a host that registers.
type visitor struct {
	*rate.Limiter
	last atomic.Int64 // when it came last, ns
}

// lately is for how long a host counts as one that comes again.
const lately = time.Minute

// burstOf is how many may come at once where so many may come each second.
func burstOf(perSecond float64) int { return max(1, int(5*perSecond)) }

// encodedTopology is the last encoding that was asked for.
type encodedTopology struct {
	mu      sync.Mutex
	changed sequencing.Time // 0: none
	data    []byte
	digest  topology.Digest
}

// encoded returns the topology as of the last change, which is returned too.
func (s *Service) encoded() (data []byte, digest topology.Digest, changed sequencing.Time, err error) {
	e := &s.topology
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		before := s.config.State.TopologyChanged()
		if e.data != nil && e.changed == before {
			return e.data, e.digest, e.changed, nil
		}
		if data, digest, _, err = s.config.State.EncodeTopology(); err != nil {
			return nil, digest, 0, err
		}
		if s.config.State.TopologyChanged() == before { // nothing was accepted between
			e.data, e.digest, e.changed = data, digest, before
		}
	}
}

// DownloadTopology implements the API.
func (s *Service) DownloadTopology(request *sequencerv1.DownloadTopologyRequest, stream grpc.ServerStreamingServer[sequencerv1.DownloadTopologyResponse]) error {
	leave, refused := s.enter(stream.Context())
	if refused != nil {
		return refused
	}
	defer leave()
	select {
	case s.downloads <- struct{}{}:
		defer func() { <-s.downloads }()
	default:
		return fail(TooManyCalls, "this sequencer serves as many downloads as it may, %d: try later or at another one", s.config.Downloads).after(callsRetry)
	}
	at := sequencing.Time(request.GetTimeMicros())
	if refused := s.await(stream.Context(), at); refused != nil {
		return refused
	}
	now := s.config.State.Time()
	data, digest, changed, err := s.encoded()
	if err != nil {
		s.config.Log.Error("the topology could not be encoded", "error", err)
		return failureOf(err)
	}
	switch {
	case at == 0:
		at = max(now, changed)
	case at < changed:
		return fail(Pruned, "the topology as of %d is not kept: it changed at %d; ask for that time or a later one", at, changed).
			with("last", strconv.FormatInt(int64(changed), 10))
	}
	part := &sequencerv1.DownloadTopologyResponse{TimeMicros: int64(at), Digest: digest[:], Size: uint64(len(data))}
	return s.inParts(data, func(data []byte) error {
		part.Data = data
		err := stream.Send(part)
		part = &sequencerv1.DownloadTopologyResponse{}
		return err
	})
}

// inParts sends data in parts, one at least, and gives up on who reads them too slowly.
func (s *Service) inParts(data []byte, send func(part []byte) error) error {
	sent := make(chan error, 1)
	late := time.NewTimer(s.config.PartPatience)
	defer late.Stop()
	for {
		n := min(len(data), partSize)
		part := data[:n]
		data = data[n:]
		go func() { sent <- send(part) }() // ends with the call, if not before
		select {
		case err := <-sent:
			if err != nil || len(data) == 0 {
				return err
			}
		case <-late.C:
			return fail(TooManyCalls, "the download is read too slowly, and its place is needed: try again, or at another sequencer").after(callsRetry)
		case <-s.stopping:
			return shuttingDown()
		}
		late.Reset(s.config.PartPatience)
	}
}

// await waits until everything up to a time is known.
func (s *Service) await(ctx context.Context, at sequencing.Time) *failure {
	if s.config.State.Time() >= at {
		return nil
	}
	patience, poll := time.NewTimer(downloadPatience), time.NewTicker(downloadPoll)
	defer patience.Stop()
	defer poll.Stop()
	for s.config.State.Time() < at {
		select {
		case <-poll.C:
		case <-patience.C:
			return fail(NotReady, "this sequencer knows the order up to %d, not yet up to %d", s.config.State.Time(), at).after(notReadyRetry)
		case <-s.stopping:
			return shuttingDown()
		case <-ctx.Done():
			return ended(ctx)
		}
	}
	return nil
}
