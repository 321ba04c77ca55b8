package instance

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/internal/grpclink"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/keys/vault"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/sequencer/membership"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// A newcomer that the owners have listed orders only once it says that it is ready: when it has
// caught up. It says so by its trust certificate, at other sequencers, since nothing that it proposes
// is ordered before.

const (
	announceEvery    = time.Second
	announceAgain    = 15 * time.Second
	announcePatience = 10 * time.Second
)

// announce says that this sequencer is ready, once it is, and returns when the topology knows.
func (i *Instance) announce(ctx context.Context) error {
	t := time.NewTicker(announceEvery)
	defer t.Stop()
	var said string
	var heard time.Time // when a sequencer took it; it is in force here a moment later
	for !i.isReady() {
		if time.Since(heard) > announceAgain && i.isListed() && i.caughtUp() {
			err := i.certify(ctx)
			switch {
			case err == nil:
				heard = time.Now()
				i.onboard.setTrouble("")
			case ctx.Err() == nil && err.Error() != said:
				said = err.Error()
				i.onboard.setTrouble(said)
				i.Log.Warn("cannot say that this sequencer is ready to order; trying again", slog.String("error", said))
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
	return nil
}

func (i *Instance) isReady() (ready bool) {
	i.state.ComingTopology(func(view topology.Snapshot) { ready = view.Ready(i.identity.member) })
	return ready
}

func (i *Instance) isListed() (yes bool) {
	i.state.Topology(func(view topology.Snapshot) {
		for _, n := range view.Sequencers().Sequencers {
			yes = yes || n.Member == i.identity.member && i.identity.holds(n.Node)
		}
	})
	return yes
}

// caughtUp reports whether this sequencer is where the others are: in their epoch, and no more than a few blocks behind with what it has
// decided and with what it has applied.
func (i *Instance) caughtUp() bool { return isCloseTo(i.replica.Progress()) }

func isCloseTo(p *bft.Progress) bool {
	return p != nil && p.Known && p.BehindEpochs == 0 && p.Behind < closeBehind && p.Applied+closeBehind > p.Commit
}

// closeBehind is how many commits behind a newcomer may be to say that it is ready.
const closeBehind = 100

// certify signs the certificate and hands it to any sequencer that takes it.
func (i *Instance) certify(ctx context.Context) error {
	certificate, err := i.certificate()
	if err != nil {
		return err
	}
	if i.orderer.Ready() == nil { // it orders already
		change := &sequencing.TopologyChange{Transactions: membership.Encode(certificate)}
		return i.orderer.Submit(ctx, sequencing.Request{Body: change}.Encode())
	}
	addresses := i.Config.Join.Addresses()
	if len(addresses) == 0 {
		return errors.New("no other sequencer is named where to say so; set join.endpoints")
	}
	transport, err := joinTransport(i.Config.Join)
	if err != nil {
		return err
	}
	var failures []error
	for _, address := range addresses {
		if err = register(ctx, address, transport, certificate); err == nil {
			i.Log.Info("this sequencer has caught up and says that it is ready to order", slog.String("at", address))
			return nil
		}
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

func (i *Instance) certificate() ([]byte, error) {
	v, err := vault.Open(i.Config.KeysDir)
	if err != nil {
		return nil, err
	}
	root, err := v.Newest(keys.Namespace)
	if err != nil {
		return nil, err
	}
	namespace, err := v.Signing(keys.Namespace, root.Fingerprint)
	if err != nil {
		return nil, err
	}
	var mapping topology.MemberTrustCertificate
	var serial topology.Serial
	i.state.Topology(func(view topology.Snapshot) {
		mapping = topology.MemberTrustCertificate{Synchronizer: view.Synchronizer(), Member: i.identity.member}
	})
	serial = i.state.TopologySerial(mapping.Key())
	signed, err := topology.Sign(i.Genesis.ID, topology.Add(serial+1, mapping), namespace)
	if err != nil {
		return nil, err
	}
	return signed.Encode(), nil
}

func joinTransport(j config.Join) (credentials.TransportCredentials, error) {
	if j.TLSCA == "" {
		return insecure.NewCredentials(), nil
	}
	content, err := os.ReadFile(j.TLSCA)
	if err != nil {
		return nil, fmt.Errorf("join.tls_ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("join.tls_ca_file: %s holds no certificate in PEM", j.TLSCA)
	}
	return credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool}), nil
}

func register(ctx context.Context, address string, transport credentials.TransportCredentials, transaction []byte) error {
	ctx, cancel := context.WithTimeout(ctx, announcePatience)
	defer cancel()
	conn, err := grpclink.Dial(address, grpc.WithTransportCredentials(transport))
	if err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	defer conn.Close()
	_, err = sequencerv1.NewSequencerServiceClient(conn).RegisterTopology(ctx, &sequencerv1.RegisterTopologyRequest{Transactions: [][]byte{transaction}})
	if err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	return nil
}
