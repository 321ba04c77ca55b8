// Package network lays out a network's files in one directory: the genesis, and for each sequencer a folder with its key, its
// configuration and its data. "synod network init" writes such a directory and the sandbox runs one, so a network that began as
// a sandbox can be taken apart and run as separate processes without change.
//
//	DIR/genesis.toml
//	DIR/owners/owner1/       keys of who decides on the network; needed only to change it
//	DIR/sequencer1/node.toml
//	DIR/sequencer1/key.pem   orders
//	DIR/sequencer1/keys/     of the sequencer as a member
//	DIR/sequencer1/data/
//	DIR/sequencer2/…
package network

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/internal/wholefile"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/exit"
	"github.com/synod-network/synod/node/genesis"
	"github.com/synod-network/synod/replica/store"
	"github.com/synod-network/synod/topology"
)

// MaxSequencers is the most that one directory is made for: beyond it, ports of neighbours would collide with other roles'.
const MaxSequencers = 64

// Plan says what network to make.
type Plan struct {
	Dir        string
	Name       string
	Sequencers int

	// Host is where the sequencers listen for each other. Clients' and operators' listeners stay on loopback until an operator
	// gives them certificates.
	Host string

	// BasePort is where ports are counted from: sequencer i has base + 10·i + 1 for clients, 2 for peers, 3 for HTTP, 4 for
	// profiles. With 0 every listener takes any free port, which suits only nodes that run in one process.
	BasePort int

	// Owners is the number of owners, and OwnerThreshold how many of them change the network together.
	Owners, OwnerThreshold int

	Parameters genesis.Parameters
	Traffic    topology.Traffic // what members' submissions cost; by default nothing
	Onboarding topology.Onboarding
	Storage    config.Storage // of each node
	Ordering   bool           // each node serves the ordering service too
	Now        time.Time      // becomes the beginning of agreed time
}

// DefaultPlan returns the plan for four sequencers on this machine.
func DefaultPlan(dir string) Plan {
	return Plan{
		Dir: dir, Name: "synod", Sequencers: 4, Host: "127.0.0.1", BasePort: 7100,
		Owners: 1, OwnerThreshold: 1,
		Parameters: genesis.DefaultParameters(), Traffic: topology.Traffic{Window: 10 * 60 * bft.Second}, Onboarding: topology.DefaultOnboarding(), Storage: config.DefaultSequencer().Storage, Now: time.Now(),
	}
}

// Network is a directory that was laid out.
type Network struct {
	Dir     string
	Genesis *genesis.Genesis
	Nodes   []Node
}

// Node is where the things of one sequencer are.
type Node struct {
	Name       string
	Dir        string
	ConfigFile string
	KeyFile    string
	KeysDir    string
	DataDir    string
}

const (
	genesisFile = "genesis.toml"
	ownersDir   = "owners"
	draftDir    = ".draft"
)

// NodeAt returns where things for the i-th sequencer, from 0, of the network in dir are, whether they exist or not.
func NodeAt(dir string, i int) Node {
	name := "sequencer" + strconv.Itoa(i+1)
	return nodeNamed(dir, name)
}

func nodeNamed(dir, name string) Node {
	home := filepath.Join(dir, name)
	return Node{
		Name:       name,
		Dir:        home,
		ConfigFile: filepath.Join(home, configFile),
		KeyFile:    filepath.Join(home, "key.pem"),
		KeysDir:    filepath.Join(home, "keys"),
		DataDir:    filepath.Join(home, "data"),
	}
}

// Create makes the network of the plan. It overwrites nothing: where a network is, it fails with an error that matches
// fs.ErrExist.
func Create(plan Plan) (*Network, error) {
	if err := plan.validate(); err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	if err := plan.refuseOccupied(); err != nil {
		return nil, err
	}
	draft := filepath.Join(plan.Dir, draftDir)
	if err := os.RemoveAll(draft); err != nil { // of an attempt that was interrupted
		return nil, fmt.Errorf("create network: %w", err)
	}
	if err := os.MkdirAll(draft, 0o755); err != nil {
		return nil, fmt.Errorf("create network: %w", err)
	}
	if err := plan.write(draft); err != nil {
		_ = os.RemoveAll(draft) // the first error says more
		return nil, fmt.Errorf("create network: %w", err)
	}
	if err := plan.publish(draft); err != nil {
		return nil, fmt.Errorf("create network: %w", err)
	}
	return Open(plan.Dir)
}

// Open reads the network in a directory.
func Open(dir string) (*Network, error) {
	g, err := genesis.Load(filepath.Join(dir, genesisFile))
	if err != nil {
		return nil, err
	}
	n := &Network{Dir: dir, Genesis: g}
	for _, member := range g.Members {
		n.Nodes = append(n.Nodes, nodeNamed(dir, member.Name))
	}
	return n, nil
}

// NodesBelow returns the sequencers of a directory: those of a network, or the one whose folder it is.
func NodesBelow(dir string) ([]Node, error) {
	own := nodeNamed(filepath.Dir(filepath.Clean(dir)), filepath.Base(filepath.Clean(dir)))
	if _, err := os.Stat(own.ConfigFile); err == nil {
		c, _, err := config.LoadSequencer(config.Sources{File: own.ConfigFile})
		if err != nil {
			return nil, exit.With(exit.BadConfig, err)
		}
		own.Name = c.Name
		return []Node{own}, nil
	}
	n, err := Open(dir)
	if err != nil {
		return nil, err
	}
	return n.Nodes, nil
}

// Ensure opens the network in the plan's directory, or creates it where there is none. A network of another size than planned is
// an error: membership does not change by restarting.
func Ensure(plan Plan) (*Network, error) {
	n, err := Open(plan.Dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return Create(plan)
	}
	if err != nil {
		return nil, exit.With(exit.BadConfig, err)
	}
	if len(n.Nodes) != plan.Sequencers {
		return nil, fmt.Errorf("%s holds a network of %d sequencers, not %d; ask for %d, or name another directory",
			plan.Dir, len(n.Nodes), plan.Sequencers, len(n.Nodes))
	}
	return n, nil
}

func (p Plan) validate() error {
	switch {
	case p.Dir == "":
		return errors.New("the directory has no name; write one, as ./net")
	case p.Sequencers < 1 || p.Sequencers > MaxSequencers:
		return fmt.Errorf("a network has 1 to %d sequencers, not %d; 4 is the least that bears a faulty one", MaxSequencers, p.Sequencers)
	case !config.ValidName(p.Name):
		return fmt.Errorf("network name %q must begin with a lower-case letter and hold at most 63 lower-case letters, digits and dashes", p.Name)
	case p.Owners < 1 || p.Owners > topology.MaxOwners || p.OwnerThreshold < 1 || p.OwnerThreshold > p.Owners:
		return fmt.Errorf("%d of %d owners: a network has 1 to %d owners, of whom 1 to all must agree", p.OwnerThreshold, p.Owners, topology.MaxOwners)
	case p.BasePort != 0 && (p.BasePort < 1 || p.port(p.Sequencers-1, adminGRPC) > 65535):
		return fmt.Errorf("base port %d leaves no room for %d sequencers below port 65536", p.BasePort, p.Sequencers)
	case p.Host == "":
		return errors.New("the host is empty; name the address at which the sequencers reach each other")
	}
	return nil
}

func (p Plan) refuseOccupied() error {
	if err := refuseFile(p.Dir); err != nil {
		return err
	}
	occupied := []string{filepath.Join(p.Dir, genesisFile), filepath.Join(p.Dir, ownersDir), filepath.Join(p.Dir, operatorsDir)}
	for i := range p.Sequencers {
		occupied = append(occupied, NodeAt(p.Dir, i).Dir)
	}
	for _, path := range occupied {
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%w: %s; nothing was changed; name another directory, or remove it if nobody needs its keys", fs.ErrExist, path)
		}
	}
	return nil
}

// refuseFile refuses a path that is to be a directory and is something else.
func refuseFile(dir string) error {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return exit.Errorf(exit.Usage, "%s is a file; name a directory, which is made if it is not there", dir)
	}
	return nil
}

// write makes the whole network in the draft directory.
func (p Plan) write(draft string) error {
	if err := os.Mkdir(filepath.Join(draft, ownersDir), 0o700); err != nil {
		return err
	}
	for i := range p.Sequencers {
		if err := os.Mkdir(NodeAt(draft, i).Dir, 0o755); err != nil {
			return err
		}
	}
	founders, err := p.makeFounders(draft)
	if err != nil {
		return err
	}
	g, err := p.found(founders)
	if err != nil {
		return err
	}
	if err := p.writeCertificates(draft); err != nil {
		return err
	}
	for i := range g.Members {
		if err := p.writeConfig(NodeAt(draft, i), i, g.Members); err != nil {
			return err
		}
		// The store is made here and not at the first start: a sequencer that finds none has lost it, and must not sign
		// before it knows what it may have signed.
		options := store.Options{Dir: NodeAt(draft, i).DataDir, Network: g.Committee().Network}
		if err := store.Create(options, store.Newborn); err != nil {
			return err
		}
	}
	return g.Save(filepath.Join(draft, genesisFile))
}

func (p Plan) writeConfig(node Node, i int, members []genesis.Member) error {
	c := config.DefaultSequencer()
	c.Name, c.Storage = node.Name, p.Storage
	c.Public.Listen, c.Public.Ordering = p.address(loopback, i, clients), p.Ordering
	c.Peer.Listen = p.address(p.Host, i, peers)
	c.Admin.Listen = p.address(loopback, i, operators)
	c.Admin.Pprof = p.address(loopback, i, profiles)
	c.Admin.GRPC = p.address(loopback, i, adminGRPC)
	c.Admin.Cert, c.Admin.Key, c.Admin.CA = adminCert, adminKey, "../"+operatorsDir+"/ca-cert.pem"
	for j, member := range members {
		if j == i {
			continue
		}
		peer := config.PeerAddress{Name: member.Name, Key: member.Key}
		if p.BasePort != 0 {
			peer.Address = p.address(p.Host, j, peers)
		}
		c.Peers = append(c.Peers, peer)
	}
	if err := c.Validate(); err != nil {
		return err
	}
	header := "Configuration of " + node.Name + ", a sequencer of the network " + p.Name + ". Every key is here with its value; a key that is left out has its default. " +
		"For one run, the environment overrides the file (SYNOD_LOG__LEVEL for log.level) and flags override both; see synod config show."
	return wholefile.Replace(node.ConfigFile, config.Render(c, header), 0o644)
}

const loopback = "127.0.0.1"

// The listeners of a sequencer, as the last digit of their ports.
const (
	clients   = 1
	peers     = 2
	operators = 3
	profiles  = 4
	adminGRPC = 5
)

func (p Plan) port(i, listener int) int { return p.BasePort + 10*(i+1) + listener }

func (p Plan) address(host string, i, listener int) string {
	if p.BasePort == 0 {
		return net.JoinHostPort(host, "0")
	}
	return net.JoinHostPort(host, strconv.Itoa(p.port(i, listener)))
}

// publish moves the draft into place, the genesis last: where it is, the network is whole.
func (p Plan) publish(draft string) error {
	moves := []string{ownersDir, operatorsDir}
	for i := range p.Sequencers {
		moves = append(moves, NodeAt("", i).Dir)
	}
	for _, name := range moves {
		if err := os.Rename(filepath.Join(draft, name), filepath.Join(p.Dir, name)); err != nil {
			return err
		}
	}
	if err := os.Rename(filepath.Join(draft, genesisFile), filepath.Join(p.Dir, genesisFile)); err != nil {
		return err
	}
	return os.Remove(draft)
}
