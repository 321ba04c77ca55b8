package instance

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/keys/vault"
	"github.com/synod-network/synod/replica/p2p"
	"github.com/synod-network/synod/sequencer/membership"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// How a sequencer exchanges its keys in place. What its operator wants lies on disk: the newest protocol key of the vault, and a key
// beside the node key's file. What the network knows of it lies in the topology and in the committee of the epoch. A look at both says what
// the next step is, so that a stop at any point loses nothing: see docs/adr/0009-rotating-keys.md.
//
// A running instance signs with the keys that it began with. To sign with others it ends, and another begins: the streams of members end
// too, who then learn the new key by the handshake.

const (
	keysLook = time.Second
	// keysAgain is after what time a change of the topology is handed over again.
	keysAgain = 15 * time.Second
	// oldKeyGrace is how long an old protocol key stays listed beside the one that signs, for tokens and events on their way.
	oldKeyGrace = time.Minute
	// refusedFor is after how long without any link the other node key is tried: the others may have gone over to it.
	refusedFor = 10 * time.Second
)

// rotation keeps the keys of a running instance.
type rotation struct {
	*Instance
	// engine tells who orders, and who is connected.
	engine interface {
		Committee() *bft.Committee
		Links() []p2p.PeerStats
	}
	began  time.Time
	alone  time.Time // since when there is no link; zero if there is one
	told   time.Time // when the topology was last asked for a change
	failed string    // what was logged last
}

// run takes the steps of an exchange until ctx ends, or until other keys are to be used: it then calls again.
func (r *rotation) run(ctx context.Context, again func(tryNext bool)) {
	t := time.NewTicker(keysLook)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		restart, tryNext, err := r.step(ctx, time.Now())
		if err != nil && ctx.Err() == nil && err.Error() != r.failed {
			r.failed = err.Error()
			r.Log.Warn("cannot exchange this sequencer's keys; trying again", slog.String("error", r.failed))
		}
		if restart {
			again(tryNext)
			<-ctx.Done()
			return
		}
	}
}

// step looks at what is wanted and what is known, and does what comes next.
func (r *rotation) step(ctx context.Context, now time.Time) (restart, tryNext bool, err error) {
	if restart, tryNext, err = r.nodeKey(now); err != nil || restart {
		return restart, tryNext, err
	}
	restart, err = r.protocolKey(ctx, now)
	return restart, false, err
}

// nodeKey goes over to the other node key when the committee has, or when nobody talks to this one.
func (r *rotation) nodeKey(now time.Time) (restart, tryNext bool, err error) {
	next, err := loadNext(r.Config.KeyFile)
	if err != nil || next.IsZero() {
		return false, false, err
	}
	committee := r.engine.Committee()
	if committee == nil {
		return false, false, nil
	}
	listed := func(k keys.PrivateKey) bool { return slices.Contains(committee.Members, bft.PublicKey(k.Public())) }
	trying := next.Public() == r.identity.node.Public()
	switch {
	case trying && listed(next):
		r.Log.Info("this sequencer orders by its new key from now on; the old one is gone", slog.String("key", next.Public().String()))
		return false, false, promote(r.Config.KeyFile)
	case !trying && listed(next):
		r.Log.Info("the epoch lists this sequencer's new key; going over to it", slog.String("key", next.Public().String()))
		return true, false, nil
	}
	links := r.engine.Links()
	if len(links) == 0 || slices.ContainsFunc(links, linked) {
		r.alone = time.Time{}
		return false, false, nil
	}
	if r.alone.IsZero() {
		r.alone = now
	}
	if now.Sub(r.alone) < refusedFor {
		return false, false, nil
	}
	r.Log.Warn("no other sequencer is connected; trying this sequencer's other key", slog.Bool("next", !trying))
	return true, !trying, nil
}

func linked(l p2p.PeerStats) bool { return l.Live.Connected }

// protocolKey announces a new protocol key, goes over to it, and withdraws the old ones.
func (r *rotation) protocolKey(ctx context.Context, now time.Time) (restart bool, err error) {
	v, err := vault.Open(r.Config.KeysDir)
	if err != nil {
		return false, err
	}
	newest, err := v.Newest(keys.Protocol)
	if err != nil {
		return false, err
	}
	coming := r.comingKeys()
	announced := slices.ContainsFunc(coming, func(k keys.PublicKey) bool { return k.Fingerprint() == newest.Fingerprint })
	inUse := r.identity.protocol.Public().Fingerprint()
	switch in := r.newestListed(v); {
	case len(coming) == 0: // not listed yet: the identity file tells of the first key
		return false, nil
	case !announced:
		return false, r.list(ctx, now, v, append([]keys.Fingerprint{newest.Fingerprint}, fingerprints(coming)...))
	case in != nil && in.Fingerprint == newest.Fingerprint && inUse != newest.Fingerprint:
		r.Log.Info("this sequencer's new protocol key is in force; going over to it", slog.String("key", newest.Fingerprint.Short()))
		return true, nil
	case inUse != newest.Fingerprint || now.Sub(r.began) < oldKeyGrace:
		return false, nil
	case len(coming) > 1:
		return false, r.list(ctx, now, v, []keys.Fingerprint{newest.Fingerprint})
	}
	return false, retireOld(v, newest)
}

func retireOld(v *vault.Vault, newest vault.Entry) error {
	entries, err := v.List()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Purpose == keys.Protocol && !e.Retired && e.Fingerprint != newest.Fingerprint {
			if err := v.Retire(e.Fingerprint); err != nil {
				return err
			}
		}
	}
	return nil
}

// comingKeys are the protocol keys that the topology lists once everything is in force.
func (r *rotation) comingKeys() (list []keys.PublicKey) {
	r.state.ComingTopology(func(view topology.Snapshot) {
		list = slices.Clone(view.SigningKeys(r.identity.member, keys.Protocol))
	})
	return list
}

func fingerprints(list []keys.PublicKey) (out []keys.Fingerprint) {
	for _, k := range list {
		out = append(out, k.Fingerprint())
	}
	return out
}

// list has the topology list protocol keys of the vault, the first ones if there are too many: each signs, and so does the namespace.
func (r *rotation) list(ctx context.Context, now time.Time, v *vault.Vault, wanted []keys.Fingerprint) error {
	if now.Sub(r.told) < keysAgain {
		return nil
	}
	root, err := v.Newest(keys.Namespace)
	if err != nil {
		return err
	}
	namespace, err := v.Signing(keys.Namespace, root.Fingerprint)
	if err != nil {
		return err
	}
	signers, listed := []keys.PrivateKey{namespace}, []topology.SigningKey{}
	for _, f := range wanted[:min(len(wanted), topology.MaxKeys)] {
		key, err := v.Signing(keys.Protocol, f)
		if err != nil {
			return fmt.Errorf("a protocol key that is listed is not in the vault any more: %w", err)
		}
		signers, listed = append(signers, key), append(listed, topology.SigningKey{Purpose: keys.Protocol, Key: key.Public()})
	}
	mapping := topology.NewOwnerToKeys(r.identity.member, listed, nil)
	signed, err := topology.Sign(r.Genesis.ID, topology.Add(r.state.TopologySerial(mapping.Key())+1, mapping), signers...)
	if err != nil {
		return err
	}
	change := &sequencing.TopologyChange{Transactions: membership.Encode(signed.Encode())}
	if err := r.orderer.Submit(ctx, sequencing.Request{Body: change}.Encode()); err != nil {
		return err
	}
	r.told = now
	r.Log.Info("told the network this sequencer's protocol keys", slog.Int("keys", len(listed)), slog.String("newest", wanted[0].Short()))
	return nil
}
