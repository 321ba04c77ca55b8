package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/synod-network/synod/internal/wholefile"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/keys/vault"
	"github.com/synod-network/synod/node/exit"
	"github.com/synod-network/synod/node/genesis"
	"github.com/synod-network/synod/node/network"
	"github.com/synod-network/synod/sequencer/owner"
	"github.com/synod-network/synod/topology"
)

// owners are the flags of what owners do.
type owners struct {
	reach       reach
	genesisFile string
	keys        []string
	proposal    string
	patience    time.Duration
}

func (o *owners) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.genesisFile, "genesis", "./net/genesis.toml", "genesis `file` of the network")
	flags.StringArrayVar(&o.keys, "owner-keys", nil, "`directory` of an owner's keys; repeatable (required)")
	flags.StringVar(&o.proposal, "proposal", "", "`file` in which the change goes from owner to owner while signatures are missing")
	flags.StringVar(&o.reach.readyFile, "ready-file", "", "`file` that a running network wrote: its sequencers are asked")
	flags.StringArrayVar(&o.reach.endpoints, "endpoint", nil, "`host:port` of a sequencer's public listener; repeatable: name more than could lie together")
	flags.StringVar(&o.reach.authorities, "tls-ca", "", "`file` of certificates (PEM) to trust; without it no TLS")
	flags.DurationVar(&o.patience, "timeout", time.Minute, "how long to wait for the change to be in force")
}

func newAddSequencer() *cobra.Command {
	var o owners
	cmd := &cobra.Command{
		Use:   "add-sequencer",
		Short: "List another sequencer, as owner of the network",
		Long: "Signs that the sequencer of an identity file (made by synod sequencer join) is one of the network's, and has it ordered.\n" +
			"It orders from the epoch after it has said that it is ready. A new identity file of a sequencer that is listed gives it\n" +
			"its new key. Where more than one owner must agree, each runs the same command with the same --proposal file.",
		Example: "  synod network add-sequencer --identity ./sequencer5/identity.toml --owner-keys ./net/owners/owner1 --ready-file ./net/ready.json",
		Args:    noArgs,
	}
	o.flags(cmd)
	file := cmd.Flags().String("identity", "", "identity `file` of the sequencer (required)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *file == "" {
			return exit.Errorf(exit.Usage, "no identity is named; write --identity FILE, made by synod sequencer join")
		}
		identity, err := network.LoadIdentity(*file)
		if err != nil {
			return exit.With(exit.BadConfig, err)
		}
		consent := identity.Consent()
		known, err := identity.Signed()
		if err != nil {
			return exit.With(exit.BadConfig, err)
		}
		return o.change(cmd, known, func(n *owner.Network) (topology.Transaction, error) {
			return n.Listing(consent.SequencerNode)
		}, fmt.Sprintf("lists %s with node key %s", consent.Member.Name, consent.Node), consent)
	}
	return cmd
}

func newRemoveSequencer() *cobra.Command {
	var o owners
	cmd := &cobra.Command{
		Use:     "remove-sequencer",
		Short:   "Take a sequencer out, as owner of the network",
		Long:    "Signs that a sequencer is no longer one of the network's, and has that ordered. From the next epoch on it orders no more.",
		Example: "  synod network remove-sequencer --name sequencer5 --owner-keys ./net/owners/owner1 --ready-file ./net/ready.json",
		Args:    noArgs,
	}
	o.flags(cmd)
	name := cmd.Flags().String("name", "", "name of the sequencer (required)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *name == "" {
			return exit.Errorf(exit.Usage, "no sequencer is named; write --name NAME")
		}
		return o.change(cmd, nil, func(n *owner.Network) (topology.Transaction, error) { return n.Unlisting(*name) }, "no longer lists "+*name)
	}
	return cmd
}

// change makes, signs and submits one change, with consents of the node keys that it lists, behind transactions that it rests on.
func (o *owners) change(cmd *cobra.Command, before []topology.SignedTransaction, compose func(*owner.Network) (topology.Transaction, error), did string, consents ...topology.Consent) error {
	signers, err := o.signers()
	if err != nil {
		return err
	}
	g, err := genesis.Load(o.genesisFile)
	if err != nil {
		return exit.With(exit.BadConfig, err)
	}
	for _, c := range consents {
		if r := c.Check(g.ID); r != nil {
			return exit.Errorf(exit.BadConfig, "the identity of %s is not for the network %s of the genesis file: %s", c.Member.Name, g.Name, r.Text)
		}
	}
	addresses, err := o.reach.addresses()
	if err != nil {
		return err
	}
	options, err := o.reach.options()
	if err != nil {
		return err
	}
	if o.patience <= 0 {
		return exit.Errorf(exit.Usage, "--timeout %s leaves no time; write 1m, or more than topology changes take", o.patience)
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), o.patience)
	defer cancel()
	n, err := owner.Connect(ctx, g, addresses, options...)
	if err != nil {
		return classified(err)
	}
	defer n.Close()
	if len(addresses) < int(n.TrustThreshold()) {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %d sequencers were asked, which may all lie; name %d or more\n", len(addresses), n.TrustThreshold())
	}
	content, err := compose(n)
	if err != nil {
		return err
	}
	if err := o.matter(n, g, content, signers, consents, before); err != nil {
		return err
	}
	signed, err := o.sign(g, content, signers, consents)
	if err != nil {
		return err
	}
	missing, err := n.Missing(signed, before...)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return o.handOn(cmd, signed, signers, missing)
	}
	serial := content.Serial
	left, err := n.Submit(ctx, func(s *topology.State) bool { return s.Serial(content.Mapping.Key()) >= serial }, append(before, signed)...)
	if err != nil {
		return classified(err)
	}
	if left > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "the network %s, in force in %s\n", did, left)
		return nil
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "the network %s\n", did)
	return nil
}

// signers loads the owners' keys.
func (o *owners) signers() (list []keys.PrivateKey, err error) {
	if len(o.keys) == 0 {
		return nil, exit.Errorf(exit.Usage, "no owner's keys are named; write --owner-keys DIR")
	}
	for _, dir := range o.keys {
		v, err := vault.Open(dir)
		if err != nil {
			return nil, exit.Errorf(exit.BadConfig, "--owner-keys: %w", err)
		}
		entry, err := v.Newest(keys.Namespace)
		if err != nil {
			return nil, exit.Errorf(exit.BadConfig, "--owner-keys: %w", err)
		}
		key, err := v.Signing(keys.Namespace, entry.Fingerprint)
		if err != nil {
			return nil, exit.With(exit.BadConfig, err)
		}
		list = append(list, key)
	}
	return list, nil
}

// sign signs the change, together with those who signed the same before in the proposal file.
func (o *owners) sign(g *genesis.Genesis, content topology.Transaction, signers []keys.PrivateKey, consents []topology.Consent) (topology.SignedTransaction, error) {
	signed, err := topology.Sign(g.ID, content, signers...)
	if err == nil {
		signed, err = signed.WithConsents(consents...)
	}
	if err != nil || o.proposal == "" {
		return signed, err
	}
	text, err := os.ReadFile(o.proposal)
	if errors.Is(err, os.ErrNotExist) {
		return signed, nil
	}
	if err != nil {
		return signed, err
	}
	others, err := readProposal(g, string(text))
	if err != nil {
		return signed, fmt.Errorf("%s is no proposal for this network: %w", o.proposal, err)
	}
	if theirs := others.Content(); theirs.Mapping.Key() == content.Mapping.Key() && theirs.Serial < content.Serial {
		return signed, fmt.Errorf("%s proposes what was decided meanwhile, this or otherwise: its serial is %d, and the next %d; begin again with another file", o.proposal, theirs.Serial, content.Serial)
	}
	merged, err := signed.Merge(others)
	if err != nil {
		return signed, fmt.Errorf("%s holds another change than this one: %w", o.proposal, err)
	}
	return merged, nil
}

func readProposal(g *genesis.Genesis, text string) (signed topology.SignedTransaction, err error) {
	data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return signed, err
	}
	u, err := topology.DecodeTransaction(data)
	if err != nil {
		return signed, err
	}
	return u.Verify(g.ID)
}

// matter wants the signature of each key to count, so that none of somebody else goes from owner to owner.
func (o *owners) matter(n *owner.Network, g *genesis.Genesis, content topology.Transaction, signers []keys.PrivateKey, consents []topology.Consent, before []topology.SignedTransaction) error {
	unsigned, err := topology.Sign(g.ID, content)
	if err == nil {
		unsigned, err = unsigned.WithConsents(consents...)
	}
	if err != nil {
		return err
	}
	needed, err := n.Missing(unsigned, before...)
	if err != nil {
		return err
	}
	for i, key := range signers {
		signed, err := unsigned.Sign(key)
		if err != nil {
			return err
		}
		missing, err := n.Missing(signed, before...)
		if err != nil {
			return err
		}
		if len(missing) == len(needed) {
			return exit.Errorf(exit.Failed, "the key in %s is of no owner of this network, who are %v", o.keys[i], needed)
		}
	}
	return nil
}

// handOn leaves the change for the next owner.
func (o *owners) handOn(cmd *cobra.Command, signed topology.SignedTransaction, signers []keys.PrivateKey, missing []keys.Fingerprint) error {
	if o.proposal == "" {
		var here []keys.Fingerprint
		for _, key := range signers {
			here = append(here, key.Public().Fingerprint())
		}
		return exit.Errorf(exit.Failed, "signatures of owners %v are missing, and --owner-keys named %v; if that is an owner, write --proposal FILE, and hand the file on", missing, here)
	}
	if err := wholefile.Replace(o.proposal, []byte(base64.StdEncoding.EncodeToString(signed.Encode())+"\n"), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "signed; signatures of other owners are missing (%v): the next one runs this command with %s\n", missing, o.proposal)
	return nil
}
