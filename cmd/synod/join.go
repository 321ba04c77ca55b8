package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/exit"
	"github.com/synod-network/synod/node/genesis"
	"github.com/synod-network/synod/node/network"
)

func newSequencerJoin() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "join",
		Short: "Make a sequencer for a network that runs, and run it",
		Long: "Makes keys, configuration and an identity file for one more sequencer, unless the directory holds them, and runs it. It\n" +
			"follows the order; once the owners have listed it (synod network add-sequencer with the identity file) and it has\n" +
			"caught up, it says so and orders from the next epoch on. It trusts the genesis file and, if one is given, the digest of\n" +
			"a hand-over, as synod bft topology shows it at any other sequencer; what it fetches is checked against these. Stopped, it goes\n" +
			"on where it was: run it again, with this command or with synod sequencer --config. Of a directory that exists only --handover\n" +
			"is taken anew. Meanwhile synod bft onboarding --net DIR tells how far it is.",
		Example: "  synod sequencer join --dir ./sequencer5 --name sequencer5 --genesis ./net/genesis.toml --base-port 7150 \\\n" +
			"    --peer sequencer1=127.0.0.1:7112 --peer sequencer2=127.0.0.1:7122 --endpoint 127.0.0.1:7111",
		Args: noArgs,
	}
	flags, newcomer := cmd.Flags(), network.Newcomer{}
	flags.StringVar(&newcomer.Dir, "dir", "./sequencer", "directory of the new sequencer")
	flags.StringVar(&newcomer.Name, "name", "", "name of the new sequencer (required)")
	flags.StringVar(&newcomer.GenesisFile, "genesis", "", "genesis `file` of the network (required)")
	basePort := flags.Int("base-port", 7150, "port that its ports are counted from: +1 for clients, 2 for peers, 3 for health and metrics, 4 for profiles, 5 for operators")
	host := flags.String("host", "127.0.0.1", "address on which it listens for the other sequencers")
	peers := flags.StringArray("peer", nil, "another sequencer, as `name=host:port`, or name=key@host:port if it is not in the genesis; repeatable")
	endpoints := flags.StringArray("endpoint", nil, "`host:port` of a sequencer's public listener, to say that this one is ready; repeatable")
	authorities := flags.String("tls-ca", "", "`file` of certificates (PEM) to trust at those listeners (default no TLS)")
	handover := flags.String("handover", "", "`digest` of a hand-over that another operator told you; goes before the one in the directory (default none)")
	readyFile := flags.String("ready-file", "", "`file` to write once it can order, with where it listens (default none)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if newcomer.Name == "" || newcomer.GenesisFile == "" {
			return exit.Errorf(exit.Usage, "--name and --genesis are needed; see synod sequencer join --help")
		}
		if *basePort < 1 || *basePort > 65535-5 {
			return exit.Errorf(exit.Usage, "--base-port %d leaves no room for five ports from 1 to 65535 above it", *basePort)
		}
		known, err := parsePeers(*peers, newcomer.GenesisFile)
		if err != nil {
			return err
		}
		var told config.Digest
		if err := told.UnmarshalText([]byte(*handover)); err != nil {
			return exit.Errorf(exit.Usage, "--handover: %w", err)
		}
		if _, err := trusted(*authorities); err != nil {
			return err
		}
		var anew []string // what the directory may hold otherwise
		if told != (config.Digest{}) {
			anew = []string{"trust.handover=" + *handover}
		}
		newcomer.Adjust = func(c *config.Sequencer) {
			listen := func(host string, digit int) string { return fmt.Sprintf("%s:%d", host, *basePort+digit) }
			c.Public.Listen, c.Peer.Listen = listen("127.0.0.1", 1), listen(*host, 2)
			c.Admin.Listen, c.Admin.Pprof, c.Admin.GRPC = listen("127.0.0.1", 3), listen("127.0.0.1", 4), listen("127.0.0.1", 5)
			c.Peers, c.Trust.Handover = known, told
			c.Join = config.Join{Endpoints: strings.Join(*endpoints, ","), TLSCA: absolute(*authorities)}
		}
		file, identity, err := network.Join(newcomer)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "identity for the owners: %s; they run\n", identity)
		fmt.Fprintf(cmd.OutOrStdout(), "synod network add-sequencer --identity %s\n", identity)
		return runSequencer(cmd.Context(), file, anew, *readyFile, false)
	}
	return cmd
}

// absolute makes a path mean the same in a file as on the command line.
func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil && path != "" {
		return full
	}
	return path
}

// parsePeers reads what --peer says.
func parsePeers(texts []string, genesisFile string) (list []config.PeerAddress, err error) {
	if len(texts) == 0 {
		return nil, exit.Errorf(exit.Usage, "no other sequencer is named; write --peer name=host:port")
	}
	g, err := genesis.Load(genesisFile)
	if err != nil {
		return nil, exit.With(exit.BadConfig, err)
	}
	for _, text := range texts {
		name, address, ok := strings.Cut(text, "=")
		if !ok {
			return nil, exit.Errorf(exit.Usage, "--peer %q is not name=host:port", text)
		}
		peer := config.PeerAddress{Name: name, Address: address}
		if key, rest, found := strings.Cut(address, "@"); found {
			if peer.Key, err = keys.ParsePublicKey(key); err != nil {
				return nil, exit.Errorf(exit.Usage, "--peer %s: %w", name, err)
			}
			peer.Address = rest
		} else if m, known := g.Find(name); known {
			peer.Key = m.Key
		} else {
			return nil, exit.Errorf(exit.Usage, "--peer %s: the genesis knows no such sequencer; write name=key@host:port", name)
		}
		list = append(list, peer)
	}
	return list, nil
}
