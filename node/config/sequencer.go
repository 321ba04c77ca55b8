package config

import (
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/synod-network/synod/keys"
)

// Sequencer is the configuration of one sequencer.
type Sequencer struct {
	Name        string `toml:"name" doc:"Name of this node: lower-case letters, digits and dashes. It must be the name that the genesis file gives to this node's key."`
	DataDir     string `toml:"data_dir" doc:"Directory of the store. Relative paths in this file start at the directory of this file."`
	KeyFile     string `toml:"key_file" doc:"The node's private key (PEM, readable by the owner alone). Who holds it is this sequencer: never copy it to a second running node."`
	KeysDir     string `toml:"keys_dir" doc:"Directory of the keys with which this sequencer speaks to members, as a member of the network itself. Its owner alone may enter it."`
	GenesisFile string `toml:"genesis_file" doc:"The file that founded the network; the same at every node."`

	Public    Public    `toml:"public" doc:"Where members of the network connect (gRPC)."`
	Peer      Peer      `toml:"peer" doc:"Where the other sequencers connect (TLS 1.3, both sides proven by node key)."`
	Admin     Admin     `toml:"admin" doc:"Ports for operators."`
	Storage   Storage   `toml:"storage" doc:"What is kept on disk."`
	Trust     Trust     `toml:"trust" doc:"Whom this node believes after it was away for long, or when it is new in an old network."`
	PeerTrust PeerTrust `toml:"peer_trust" doc:"How this node judges its peers: see docs/operations/trust.md. Each node judges for itself. Every time here is 1ms to 8784h."`
	Join      Join      `toml:"join" doc:"For a sequencer that joins a running network."`
	Queue     Queue     `toml:"queue" doc:"Requests accepted from clients that no block carries yet. Above either limit clients are told to retry."`
	Log       Log       `toml:"log" doc:"The log goes to standard error."`
	Shutdown  Shutdown  `toml:"shutdown" doc:"How the node stops on TERM or INT. A second signal ends it at once."`

	Peers []PeerAddress `toml:"peers" doc:"The other sequencers, one table each."`
}

// Public is the listener for clients.
type Public struct {
	Listen    string `toml:"listen" doc:"host:port; port 0 takes any free one. Other addresses than loopback need tls_cert_file and tls_key_file."`
	TLSCert   string `toml:"tls_cert_file" doc:"Certificate chain in PEM; empty for no TLS. Reloaded on HUP."`
	TLSKey    string `toml:"tls_key_file" doc:"Private key of the certificate in PEM."`
	Ordering  bool   `toml:"ordering" doc:"Serve the ordering service too: opaque requests of anybody, as they are ordered. It is for measuring; members do not need it."`
	TokenFile string `toml:"token_file" doc:"File with the bearer tokens of which the ordering service's clients must present one; empty to serve whoever can connect, on loopback only."`

	Connections     int64 `toml:"connections" doc:"Connections of clients open at the same time; 0 for what the limit of open files allows: all but 1024 of it, at least a quarter, at most 16384. At the limit the oldest one goes over which no token was shown."`
	HostConnections int64 `toml:"host_connections" doc:"The same from one host, or one IPv6 network of 64 bits; 0 for half of connections."`
	LargeMessages   Size  `toml:"large_messages" doc:"Bytes of clients' messages above 256KiB that may be under way at the same time; one member may have a quarter of it, and all who have no token yet an eighth. Above it callers are told to retry."`

	RegistrationsPerSecond     int64 `toml:"registrations_per_second" doc:"Topology changes, such as the registration of new members, taken from everybody in a second, 1 to 1000000; bursts may be five times as many."`
	HostRegistrationsPerSecond int64 `toml:"host_registrations_per_second" doc:"The same from one host."`
}

// Peer is the listener for other sequencers.
type Peer struct {
	Listen     string `toml:"listen" doc:"host:port; port 0 takes any free one."`
	Advertised string `toml:"advertised" doc:"host:port at which the other sequencers reach this one, if that is another than listen; empty if not."`
}

// Admin is the listeners for operators.
type Admin struct {
	Listen string `toml:"listen" doc:"host:port of HTTP/1 for /health, /health/live, /health/ready and /metrics."`
	GRPC   string `toml:"grpc_listen" doc:"host:port of the operators' service (gRPC, TLS), which the commands synod status, bft, members and others call; empty for none."`
	Cert   string `toml:"tls_cert_file" doc:"Certificate (PEM) that grpc_listen shows, as synod cert server makes it. Reloaded on HUP."`
	Key    string `toml:"tls_key_file" doc:"Private key of the certificate in PEM."`
	CA     string `toml:"client_ca_file" doc:"Authority (PEM) of this sequencer's operators: grpc_listen serves nobody without a certificate from it. Reloaded on HUP."`
	Pprof  string `toml:"pprof_listen" doc:"host:port of HTTP/1 for Go's profiles under /debug/pprof/. They reveal memory contents: loopback only. Empty for none."`
}

// Storage bounds what is kept.
type Storage struct {
	RetainCommits int64 `toml:"retain_commits" doc:"Ordered blocks kept at least, whatever their size; 1000 or more."`
	RetainBytes   Size  `toml:"retain_bytes" doc:"Bytes above which ordered blocks beyond retain_commits are removed, oldest first; 0B to keep everything."`
	SegmentSize   Size  `toml:"segment_size" doc:"Size of one file of block payloads, 1MiB to 1GiB."`
}

// Trust bounds the age of what a node knows by itself.
type Trust struct {
	Period   Duration `toml:"period" doc:"A node whose newest ordered block is older does not order before trust.handover is set: since then keys may have been retired and stolen, with which a false history can be signed. 1s or more, or 0s for no limit."`
	Handover Digest   `toml:"handover" doc:"Digest of a hand-over between epochs that you were told by another operator, from the log of a node that is up to date; this node then goes nowhere before it, and takes over the state after it. Take it out once the log says that it has done its work. Empty for none."`
}

// PeerTrust is how a node judges its peers. Scores lie between -1 and 1.
type PeerTrust struct {
	HalfLife        Duration `toml:"half_life" doc:"Time in which a score halves."`
	LimitAt         Score    `toml:"limit_at" doc:"At or below this score a peer is read slowly, above -1 and below -0.3."`
	Probation       Score    `toml:"probation" doc:"Score after a ban, above -1 and at most 0."`
	FirstBan        Duration `toml:"first_ban" doc:"Length of a first ban; each further one is twice as long."`
	LongestBan      Duration `toml:"longest_ban" doc:"The most that a ban lasts, first_ban or more."`
	BanJitter       Score    `toml:"ban_jitter" doc:"By up to which share a ban is longer or shorter, 0 to 0.5: so that bans do not end at once everywhere."`
	StrikeWindow    Duration `toml:"strike_window" doc:"Time without a ban after which the next one counts as a first one again."`
	SuspectWindow   Duration `toml:"suspect_window" doc:"If a third of the members look bad within this time, this node suspects itself and bans nobody."`
	LooksBadAt      Score    `toml:"looks_bad_at" doc:"What a peer must lose in that time to look bad, above 0 and at most 2."`
	SuspectFor      Duration `toml:"suspect_for" doc:"How long such a suspicion lasts."`
	QuorumGrace     Duration `toml:"quorum_grace" doc:"How long a quorum may lack before bans of members are put on hold."`
	RememberedPeers int64    `toml:"remembered_peers" doc:"Of how many peers something is remembered, 1 to 1024; the least important is forgotten first."`
}

// Join says where a newcomer announces itself.
type Join struct {
	Endpoints string `toml:"endpoints" doc:"host:port of public listeners of other sequencers, separated by commas, at which this one says that it has caught up and is ready to order; empty if it orders already."`
	TLSCA     string `toml:"tls_ca_file" doc:"Certificates (PEM) that those listeners' certificates must descend from; empty to connect without TLS."`
}

// Addresses returns the endpoints.
func (j Join) Addresses() (list []string) {
	for address := range strings.SplitSeq(j.Endpoints, ",") {
		if address = strings.TrimSpace(address); address != "" {
			list = append(list, address)
		}
	}
	return list
}

// Queue bounds the requests that wait.
type Queue struct {
	Bytes    Size  `toml:"bytes" doc:"Bytes that may wait, 1MiB to 1TiB."`
	Requests int64 `toml:"requests" doc:"Requests that may wait, 1 to 100000000."`
}

// Log is the form of the log.
type Log struct {
	Level  Level  `toml:"level" doc:"debug, info, warn or error. Reloaded on HUP."`
	Format string `toml:"format" doc:"text, json, or auto: text on a terminal, else json."`
}

// Shutdown bounds the phases of a stop.
type Shutdown struct {
	LameDuck     Duration `toml:"lame_duck" doc:"Time between health going down and the first refused request, for load balancers to look elsewhere: a little more than interval × failures of their check. At most 1h."`
	DrainTimeout Duration `toml:"drain_timeout" doc:"Longest time for requests in hand to be ordered and subscriptions to end, above 0s and at most 1h."`
}

// PeerAddress is where another sequencer is reached.
type PeerAddress struct {
	Name    string         `toml:"name" doc:"The peer's name."`
	Key     keys.PublicKey `toml:"key" doc:"The peer's public key in hexadecimal. The key is the identity; the address may change."`
	Address string         `toml:"address" doc:"host:port of the peer's peer listener; empty to wait until the peer connects."`
}

// DefaultSequencer returns the values that hold where nothing else is said: sequencer 1 of a network on one machine.
func DefaultSequencer() *Sequencer {
	return &Sequencer{
		Name:        "sequencer1",
		DataDir:     "data",
		KeyFile:     "key.pem",
		KeysDir:     "keys",
		GenesisFile: "../genesis.toml",
		Public:      Public{Listen: "127.0.0.1:7111", LargeMessages: 256 * MiB, RegistrationsPerSecond: 10, HostRegistrationsPerSecond: 2},
		Peer:        Peer{Listen: "127.0.0.1:7112"},
		Admin:       Admin{Listen: "127.0.0.1:7113", Pprof: "127.0.0.1:7114"},
		Storage:     Storage{RetainCommits: 100_000, RetainBytes: 20 * GiB, SegmentSize: 64 * MiB},
		Trust:       Trust{Period: Duration(14 * 24 * time.Hour)},
		PeerTrust: PeerTrust{
			HalfLife: Duration(time.Hour), LimitAt: -0.5, Probation: -0.6,
			FirstBan: Duration(5 * time.Minute), LongestBan: Duration(30 * 24 * time.Hour), BanJitter: 0.1, StrikeWindow: Duration(30 * 24 * time.Hour),
			SuspectWindow: Duration(time.Minute), LooksBadAt: 0.2, SuspectFor: Duration(5 * time.Minute),
			QuorumGrace: Duration(10 * time.Second), RememberedPeers: 1024,
		},
		Queue:    Queue{Bytes: 64 * MiB, Requests: 100_000},
		Log:      Log{Level: Level(slog.LevelInfo), Format: "auto"},
		Shutdown: Shutdown{LameDuck: 0, DrainTimeout: Duration(10 * time.Second)},
	}
}

// LoadSequencer reads the configuration of a sequencer; paths in the result are relative to the process, not to the file.
func LoadSequencer(sources Sources) (*Sequencer, *Loaded, error) {
	c := DefaultSequencer()
	loaded, err := Load(c, sources)
	if err != nil {
		return nil, nil, err
	}
	base := filepath.Dir(sources.File)
	for _, path := range []*string{&c.DataDir, &c.KeyFile, &c.KeysDir, &c.GenesisFile, &c.Public.TLSCert, &c.Public.TLSKey, &c.Public.TokenFile, &c.Join.TLSCA, &c.Admin.Cert, &c.Admin.Key, &c.Admin.CA} {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(base, *path)
		}
	}
	return c, loaded, nil
}

// Validate implements [Validator].
func (c *Sequencer) Validate() error {
	for _, check := range []func() error{
		c.validateIdentity, c.validatePublic, c.validateOperators, c.validateListeners, c.validateLimits, c.validatePeerTrust, c.validatePeers, c.validateJoin,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// ValidName reports whether a name suits a node or a network: it appears in paths, metrics and host names.
func ValidName(name string) bool { return namePattern.MatchString(name) }

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

func (c *Sequencer) validateIdentity() error {
	if !ValidName(c.Name) {
		return Keyf("name", "%q must begin with a lower-case letter and hold at most 63 lower-case letters, digits and dashes", c.Name)
	}
	for _, path := range []struct{ key, value string }{
		{"data_dir", c.DataDir}, {"key_file", c.KeyFile}, {"keys_dir", c.KeysDir}, {"genesis_file", c.GenesisFile},
	} {
		if path.value == "" {
			return Keyf(path.key, "is empty; name a path, relative to this file or absolute")
		}
	}
	return nil
}

func (c *Sequencer) validatePublic() error {
	if (c.Public.TLSCert == "") != (c.Public.TLSKey == "") {
		return Keyf("public.tls_cert_file", "and public.tls_key_file go together; set both or neither")
	}
	if err := checkAddress("public.listen", c.Public.Listen); err != nil {
		return err
	}
	if c.Public.TLSCert == "" && !isLoopback(c.Public.Listen) {
		return Keyf("public.listen", "%q can be reached from other machines; set public.tls_cert_file and public.tls_key_file, or listen on 127.0.0.1", c.Public.Listen)
	}
	return nil
}

func (c *Sequencer) validateOperators() error {
	if err := checkAddress("admin.listen", c.Admin.Listen); err != nil {
		return err
	}
	if c.Admin.GRPC != "" {
		if err := checkAddress("admin.grpc_listen", c.Admin.GRPC); err != nil {
			return err
		}
		if c.Admin.Cert == "" || c.Admin.Key == "" || c.Admin.CA == "" {
			return Keyf("admin.grpc_listen", "needs admin.tls_cert_file, admin.tls_key_file and admin.client_ca_file; make them with synod cert, or leave it empty")
		}
	}
	if c.Admin.Pprof == "" {
		return nil
	}
	if err := checkAddress("admin.pprof_listen", c.Admin.Pprof); err != nil {
		return err
	}
	if !isLoopback(c.Admin.Pprof) {
		return Keyf("admin.pprof_listen", "%q can be reached from other machines and profiles reveal memory contents; listen on 127.0.0.1, or leave it empty", c.Admin.Pprof)
	}
	return nil
}

// validateListeners also finds two listeners on one address, which the system would report less clearly.
func (c *Sequencer) validateListeners() error {
	if err := checkAddress("peer.listen", c.Peer.Listen); err != nil {
		return err
	}
	if c.Peer.Advertised != "" {
		if err := checkRemote("peer.advertised", c.Peer.Advertised); err != nil {
			return err
		}
	}
	listeners := []struct{ key, address string }{
		{"public.listen", c.Public.Listen}, {"peer.listen", c.Peer.Listen},
		{"admin.listen", c.Admin.Listen}, {"admin.grpc_listen", c.Admin.GRPC}, {"admin.pprof_listen", c.Admin.Pprof},
	}
	for i, l := range listeners {
		for _, other := range listeners[:i] {
			if collide(l.address, other.address) {
				return Keyf(l.key, "%q has the port of %s, which is %q; give each listener its own port", l.address, other.key, other.address)
			}
		}
	}
	return nil
}

// collide reports whether two listeners cannot be open at once. Empty ones are not opened; whoever listens everywhere leaves
// nothing of the port.
func collide(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	everywhere := func(host string) bool {
		ip := net.ParseIP(host)
		return host == "" || ip != nil && ip.IsUnspecified()
	}
	local := func(host string) string {
		if host == "localhost" {
			return "127.0.0.1"
		}
		return host
	}
	return everywhere(hostA) || everywhere(hostB) || local(hostA) == local(hostB)
}

func (c *Sequencer) validateLimits() error {
	switch {
	case c.Storage.RetainCommits < 1000:
		return Keyf("storage.retain_commits", "%d is too few for peers to catch up from; keep at least 1000", c.Storage.RetainCommits)
	case c.Storage.SegmentSize < MiB || c.Storage.SegmentSize > GiB:
		return Keyf("storage.segment_size", "%s is outside 1MiB to 1GiB; 64MiB suits most disks", c.Storage.SegmentSize)
	case c.Trust.Period != 0 && time.Duration(c.Trust.Period) < time.Second:
		return Keyf("trust.period", "%s is over before a node has started; write 1s or more, or 0s for no limit", c.Trust.Period)
	case c.Public.RegistrationsPerSecond < 1 || c.Public.RegistrationsPerSecond > mostRegistrations:
		return Keyf("public.registrations_per_second", "%d is not from 1 to %d; 10 suits most networks", c.Public.RegistrationsPerSecond, mostRegistrations)
	case c.Public.HostRegistrationsPerSecond < 1 || c.Public.HostRegistrationsPerSecond > mostRegistrations:
		return Keyf("public.host_registrations_per_second", "%d is not from 1 to %d; 2 suits most networks", c.Public.HostRegistrationsPerSecond, mostRegistrations)
	case c.Queue.Bytes < MiB:
		return Keyf("queue.bytes", "%s is too small to hold the largest request; use 64MiB", c.Queue.Bytes)
	case c.Queue.Bytes > TiB:
		return Keyf("queue.bytes", "%s is more than any memory holds; write 1TiB or less, 64MiB suits most nodes", c.Queue.Bytes)
	case c.Public.Connections < 0 || c.Public.HostConnections < 0:
		return Keyf("public.connections", "and public.host_connections must not be below 0; use 0 for the default")
	case c.Public.LargeMessages < 64*MiB:
		return Keyf("public.large_messages", "%s is too small, since one member may have a quarter of it and a message 16MiB; use 256MiB", c.Public.LargeMessages)
	case c.Queue.Requests < 1:
		return Keyf("queue.requests", "%d lets nothing in; use 100000", c.Queue.Requests)
	case c.Queue.Requests > mostQueued:
		return Keyf("queue.requests", "%d is no bound; write %d or less, 100000 suits most nodes", c.Queue.Requests, mostQueued)
	case c.Log.Format != "auto" && c.Log.Format != "text" && c.Log.Format != "json":
		return Keyf("log.format", "%q is unknown; use auto, text or json", c.Log.Format)
	case c.Shutdown.DrainTimeout == 0:
		return Keyf("shutdown.drain_timeout", "0s would lose requests in hand at each stop; use 10s")
	case time.Duration(c.Shutdown.DrainTimeout) > longestStop:
		return Keyf("shutdown.drain_timeout", "%s would hold up a stop; write 1h or less, 10s suits most nodes", c.Shutdown.DrainTimeout)
	case time.Duration(c.Shutdown.LameDuck) > longestStop:
		return Keyf("shutdown.lame_duck", "%s would hold up a stop; write 1h or less, a minute is long", c.Shutdown.LameDuck)
	}
	return nil
}

// The most that may be configured: above it a bound bounds nothing.
const (
	mostRegistrations = 1_000_000
	mostQueued        = 100_000_000
	longestStop       = time.Hour
)

// longestBan is the most that may be configured.
const longestBan = 366 * 24 * time.Hour

func (c *Sequencer) validatePeerTrust() error {
	p := c.PeerTrust
	for _, d := range []struct {
		key   string
		value Duration
	}{
		{"half_life", p.HalfLife}, {"first_ban", p.FirstBan}, {"strike_window", p.StrikeWindow}, {"suspect_window", p.SuspectWindow},
		{"suspect_for", p.SuspectFor}, {"quorum_grace", p.QuorumGrace},
	} {
		switch span := time.Duration(d.value); {
		case span < time.Millisecond:
			return Keyf("peer_trust."+d.key, "%s is too short; write 1ms or more", d.value)
		case span > longestBan:
			return Keyf("peer_trust."+d.key, "%s is too long; write 8784h, which is a leap year, or less", d.value)
		}
	}
	switch {
	case p.LongestBan < p.FirstBan || time.Duration(p.LongestBan) > longestBan:
		return Keyf("peer_trust.longest_ban", "%s is outside peer_trust.first_ban, which is %s, to 8784h", p.LongestBan, p.FirstBan)
	case !(p.LimitAt > -1 && p.LimitAt < -0.3):
		return Keyf("peer_trust.limit_at", "%s is not above -1 and below -0.3", p.LimitAt)
	case !(p.Probation > -1 && p.Probation <= 0):
		return Keyf("peer_trust.probation", "%s is not above -1 and at most 0", p.Probation)
	case !(p.BanJitter >= 0 && p.BanJitter <= 0.5):
		return Keyf("peer_trust.ban_jitter", "%s is not from 0 to 0.5", p.BanJitter)
	case !(p.LooksBadAt > 0 && p.LooksBadAt <= 2):
		return Keyf("peer_trust.looks_bad_at", "%s is not above 0 and at most 2", p.LooksBadAt)
	case p.RememberedPeers < 1 || p.RememberedPeers > 1024:
		return Keyf("peer_trust.remembered_peers", "%d is not from 1 to 1024", p.RememberedPeers)
	}
	return nil
}

func (c *Sequencer) validateJoin() error {
	for _, address := range c.Join.Addresses() {
		if err := checkRemote("join.endpoints", address); err != nil {
			return err
		}
		if c.Join.TLSCA == "" && !isLoopback(address) {
			return Keyf("join.tls_ca_file", "is empty, but %s is on another machine; name the authority of its certificate", address)
		}
	}
	return nil
}

func (c *Sequencer) validatePeers() error {
	names, held := map[string]bool{c.Name: true}, map[keys.PublicKey]bool{}
	for _, peer := range c.Peers {
		switch {
		case !ValidName(peer.Name):
			return Keyf("peers", "name %q must begin with a lower-case letter and hold at most 63 lower-case letters, digits and dashes", peer.Name)
		case names[peer.Name]:
			return Keyf("peers", "%s is listed twice, or is this node; list each other sequencer once", peer.Name)
		case peer.Key == keys.PublicKey{}:
			return Keyf("peers", "%s has no key; copy it from the genesis file", peer.Name)
		case held[peer.Key]:
			return Keyf("peers", "%s has the key of another peer; copy its own from the genesis file", peer.Name)
		}
		names[peer.Name], held[peer.Key] = true, true
		if peer.Address != "" {
			if err := checkRemote("peers", peer.Address); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkAddress judges an address to listen on.
func checkAddress(key, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || strings.ContainsAny(host, " /@") {
		return Keyf(key, "%q is no address; write host:port, as 127.0.0.1:7111 or [::1]:7111", address)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return Keyf(key, "port %q is no number from 0 to 65535", port)
	}
	return nil
}

// checkRemote judges an address that others connect to.
func checkRemote(key, address string) error {
	if err := checkAddress(key, address); err != nil {
		return err
	}
	if host, _, _ := net.SplitHostPort(address); host == "" || hasPort(address, 0) {
		return Keyf(key, "%q cannot be connected to; write host:port with a port above 0", address)
	}
	return nil
}

func hasPort(address string, port int) bool {
	_, text, err := net.SplitHostPort(address)
	return err == nil && text == strconv.Itoa(port)
}

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
