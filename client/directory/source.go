package directory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/client"
	"github.com/synod-network/synod/internal/grpclink"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// source is a sequencer that is asked for the topology, at its endpoints in turn.
type source struct {
	spec  client.Sequencer
	conns []*grpc.ClientConn
	wrong error // with an endpoint
	turn  int
}

func newSource(spec client.Sequencer, config Config) *source {
	s := &source{spec: spec}
	for _, e := range spec.Endpoints {
		transport, err := e.Credentials(config.Dial != nil)
		if err != nil {
			s.wrong = err
			continue
		}
		options := []grpc.DialOption{grpc.WithTransportCredentials(transport), grpc.WithDisableServiceConfig()}
		if config.Dial != nil {
			options = append(options, grpc.WithContextDialer(config.Dial))
		}
		conn, err := grpclink.Dial("passthrough:///"+e.Address, options...)
		if err != nil {
			s.wrong = err
			continue
		}
		s.conns = append(s.conns, conn)
	}
	return s
}

func (s *source) close() {
	for _, conn := range s.conns {
		_ = conn.Close() // whatever it did is done
	}
}

// answer is what a sequencer says that the topology is, with the rest of the download.
type answer struct {
	from   string
	id     sequencing.MemberID
	at     topology.Time
	digest topology.Digest
	size   uint64
	first  []byte
	rest   grpc.ServerStreamingClient[sequencerv1.DownloadTopologyResponse]
	// patience ends the download when it fires. It is stopped until the rest is wanted.
	patience *time.Timer
}

var errSlow = errors.New("it takes too long")

// tell reads the first part of a download, from the first endpoint that answers. The download ends with the context.
func (s *source) tell(ctx context.Context, config Config) told {
	last := s.wrong
	for range s.conns {
		s.turn++
		a, err := s.tellAt(ctx, s.conns[s.turn%len(s.conns)], config)
		if err == nil {
			return told{answer: a}
		}
		last = fmt.Errorf("sequencer %s: %w", s.spec.Alias, err)
	}
	return told{trouble: last}
}

func (s *source) tellAt(ctx context.Context, conn *grpc.ClientConn, config Config) (a *answer, err error) {
	ctx, end := context.WithCancelCause(ctx)
	patience := time.AfterFunc(config.CallTimeout, func() { end(errSlow) })
	defer func() {
		patience.Stop()
		if err != nil {
			err = because(ctx, err)
			end(nil)
		}
	}()
	service := sequencerv1.NewSequencerServiceClient(conn)
	hello, err := service.Handshake(ctx, &sequencerv1.HandshakeRequest{ClientVersions: []uint32{1}, NetworkId: config.Network[:]})
	if err != nil {
		return nil, err
	}
	id := sequencing.MemberID(hello.GetSequencer())
	if s.spec.ID != "" && id != s.spec.ID {
		return nil, fmt.Errorf("it is sequencer %s, not %s", id, s.spec.ID)
	}
	stream, err := service.DownloadTopology(ctx, &sequencerv1.DownloadTopologyRequest{})
	if err != nil {
		return nil, err
	}
	part, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	if len(part.GetDigest()) != len(topology.Digest{}) || part.GetSize() > uint64(config.MaxSize) {
		return nil, fmt.Errorf("it offers a topology of %d bytes with a digest of %d; at most %d and %d are taken", part.GetSize(), len(part.GetDigest()), config.MaxSize, len(topology.Digest{}))
	}
	return &answer{from: s.spec.Alias, id: id, at: topology.Time(part.GetTimeMicros()), digest: topology.Digest(part.GetDigest()), size: part.GetSize(),
		first: part.GetData(), rest: stream, patience: patience}, nil
}

// because is why a call failed, in the words of who ended it.
func because(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errSlow) {
		return errSlow
	}
	return err
}

// download reads the rest within a time, and decodes what must have the digest.
func (a *answer) download(within time.Duration) (*topology.State, error) {
	a.patience.Reset(within)
	defer a.patience.Stop()
	data := a.first
	for {
		if uint64(len(data)) > a.size {
			return nil, fmt.Errorf("it sends more than the %d bytes that it offered", a.size)
		}
		part, err := a.rest.Recv()
		if err == io.EOF {
			return topology.DecodeState(data, a.digest)
		}
		if err != nil {
			return nil, because(a.rest.Context(), err)
		}
		data = append(data, part.GetData()...)
	}
}
