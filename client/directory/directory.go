package directory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/synod-network/synod/client"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// Config says which network to follow. The zero value of a field that has a default means that default.
type Config struct {
	// Genesis is the beginning of the network, which everything else follows from.
	Genesis *topology.Genesis
	// Network is the network's id.
	Network sequencing.NetworkID
	// Sequencers are those to ask. Each has one vote.
	Sequencers []client.Sequencer
	// Threshold is how many of them must name the same topology. It must be larger than the number of sequencers that may lie.
	// Default 1.
	Threshold int
	// Every is how often they are asked. Default 10 s.
	Every time.Duration
	// CallTimeout ends a question or a download that takes longer. Default 10 s.
	CallTimeout time.Duration
	// MaxSize is the largest topology that is downloaded, in bytes. Default 256 MiB.
	MaxSize int
	// Changed, if set, is called after each change, one at a time.
	Changed func()
	// Log takes what an operator should know. Default: nothing is logged.
	Log *slog.Logger
	// Dial replaces how addresses are connected to, as a proxy does; nil for TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)
}

func (c Config) withDefaults() Config {
	c.Threshold = cmp.Or(c.Threshold, 1)
	c.Every = cmp.Or(c.Every, 10*time.Second)
	c.CallTimeout = cmp.Or(c.CallTimeout, 10*time.Second)
	c.MaxSize = cmp.Or(c.MaxSize, 256<<20)
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	return c
}

func (c Config) validate() error {
	switch {
	case c.Genesis == nil:
		return errors.New("no genesis: it is what everything else is believed for")
	case c.Threshold < 1 || c.Threshold > len(c.Sequencers):
		return fmt.Errorf("threshold %d: want 1 to %d, the number of sequencers", c.Threshold, len(c.Sequencers))
	case c.Every < 0 || c.CallTimeout < 0 || c.MaxSize < 0:
		return errors.New("every, call timeout and max size must be more than 0")
	}
	return client.ValidateSequencers(c.Sequencers, c.Dial != nil)
}

// Directory knows the topology as of the last time that enough sequencers agreed on it. Make one with [New], run it with
// [Directory.Run]. Its methods may be called from any goroutine. It serves as Directory in a client's configuration, and as
// [client.MemberKeys].
type Directory struct {
	config Config

	mu     sync.RWMutex
	state  *topology.State // not changed once it is here
	digest topology.Digest
	known  topology.Time // up to when it is the topology
	ask    []client.Sequencer
	asked  int // how often ask was set

	sources []*source // of Run
	served  int       // the value of asked that they are of
}

var (
	_ client.Directory  = (*Directory)(nil)
	_ client.MemberKeys = (*Directory)(nil)
)

// New returns a directory that knows the genesis and nothing later yet.
func New(config Config) (*Directory, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, fmt.Errorf("configuration of the directory: %w", err)
	}
	state := &topology.State{}
	if rejection := state.Load(config.Genesis); rejection != nil {
		return nil, fmt.Errorf("configuration of the directory: genesis: %w", rejection)
	}
	if state.Network() != config.Network {
		id := state.Network()
		return nil, fmt.Errorf("configuration of the directory: the genesis is of network %x, not %x", id[:8], config.Network[:8])
	}
	d := &Directory{config: config, state: state, digest: state.Digest(), known: state.Sequenced()}
	d.ask, d.asked = config.Sequencers, 1
	return d, nil
}

// each shows a view what is in force, as far as is known here, and then what will be once everything that was ordered is.
func (d *Directory) each(view func(topology.Snapshot)) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	view(d.at(d.known))
	if effective := d.state.Effective(); effective > d.known {
		view(d.at(effective))
	}
}

// at is the topology at a time, or the first that is kept. The caller holds the lock.
func (d *Directory) at(t topology.Time) topology.Snapshot {
	p, _ := d.state.Snapshot(max(t, d.state.Floor())) // a state answers for its floor and later
	return p
}

// View is the topology that is in force, and up to when it is known. What it returns is shared: do not modify it.
func (d *Directory) View() topology.Snapshot {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.at(d.known)
}

// SequencerKeys implements [client.Directory]: the keys that a sequencer signs with now, and those that it will sign with once
// what was ordered is in force.
func (d *Directory) SequencerKeys(id sequencing.MemberID) (all []keys.PublicKey) {
	m, err := topology.ParseMember(string(id))
	if err != nil || m.Role != topology.Sequencer {
		return nil
	}
	d.each(func(p topology.Snapshot) {
		if p.Status(m) != topology.Active {
			return
		}
		for _, k := range p.SigningKeys(m, keys.Protocol) {
			if !slices.Contains(all, k) {
				all = append(all, k)
			}
		}
	})
	return all
}

// MaySign implements [client.MemberKeys]. Sequencers keep the topology of the last hour; of an earlier time nobody may be
// believed to have signed.
func (d *Directory) MaySign(id sequencing.MemberID, key sequencing.Key, at sequencing.Time) bool {
	m, err := topology.ParseMember(string(id))
	if err != nil {
		return false
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	p, err := d.state.Snapshot(topology.Time(at))
	return err == nil && p.Status(m) == topology.Active && slices.Contains(p.SigningKeys(m, keys.Protocol), keys.PublicKey(key))
}

// EncryptionKeys are the keys to encrypt to for a member; none for one that is not active.
func (d *Directory) EncryptionKeys(id sequencing.MemberID) []keys.EncryptionKey {
	m, err := topology.ParseMember(string(id))
	if err != nil {
		return nil
	}
	if p := d.View(); p.Status(m) == topology.Active {
		return slices.Clone(p.EncryptionKeys(m))
	}
	return nil
}

// Sequencers are the sequencers that serve now or are about to.
func (d *Directory) Sequencers() (all []sequencing.MemberID) {
	d.each(func(p topology.Snapshot) {
		for _, n := range p.Sequencers().Sequencers {
			if id := sequencing.MemberID(n.Member.String()); !slices.Contains(all, id) {
				all = append(all, id)
			}
		}
	})
	return all
}

// Serving are those of some sequencers that the topology lists: what a client's SetSequencers should have after a change. Those
// that were configured without an id stay.
func (d *Directory) Serving(known []client.Sequencer) (serving []client.Sequencer) {
	listed := d.Sequencers()
	for _, s := range known {
		if s.ID == "" || slices.Contains(listed, s.ID) {
			serving = append(serving, s)
		}
	}
	return serving
}

// SetSequencers changes who is asked.
func (d *Directory) SetSequencers(sequencers []client.Sequencer) error {
	config := d.config
	config.Sequencers = sequencers
	if err := config.validate(); err != nil {
		return fmt.Errorf("change whom the directory asks: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ask, d.asked = sequencers, d.asked+1
	return nil
}

// Run follows the topology until the context ends. It is called once.
func (d *Directory) Run(ctx context.Context) {
	defer func() { d.connect(nil) }()
	ticker := time.NewTicker(d.config.Every)
	defer ticker.Stop()
	for {
		d.mu.RLock()
		ask, asked := d.ask, d.asked
		d.mu.RUnlock()
		if d.served != asked {
			d.connect(ask)
			d.served = asked
		}
		if err := d.look(ctx); err != nil && ctx.Err() == nil {
			d.config.Log.Warn("the topology could not be followed", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// connect replaces the sources.
func (d *Directory) connect(sequencers []client.Sequencer) {
	for _, s := range d.sources {
		s.close()
	}
	d.sources = nil
	for _, s := range sequencers {
		d.sources = append(d.sources, newSource(s, d.config))
	}
}

// ErrDisagreement: no threshold of sequencers names the same topology. They may be between two changes.
var ErrDisagreement = errors.New("the sequencers do not name the same topology")

// look asks all sequencers once, and takes over what enough of them agree on. It waits for nobody that says nothing.
func (d *Directory) look(ctx context.Context) error {
	var asking sync.WaitGroup
	defer asking.Wait()
	ctx, end := context.WithCancel(ctx)
	defer end()
	told := make(chan told, len(d.sources))
	for _, s := range d.sources {
		asking.Go(func() { told <- s.tell(ctx, d.config) })
	}
	agreed, trouble := d.listen(told)
	if len(agreed) == 0 {
		return fmt.Errorf("%w: %d of %d must: %w", ErrDisagreement, d.config.Threshold, len(d.sources), trouble)
	}
	known := vouched(agreed, d.config.Threshold)
	d.mu.Lock()
	same := agreed[0].digest == d.digest
	if same {
		d.known = max(d.known, known)
	}
	d.mu.Unlock()
	if same {
		return nil
	}
	for _, a := range agreed {
		state, err := a.download(d.config.CallTimeout)
		if err == nil {
			return d.adopt(state, agreed[0].digest, known)
		}
		d.config.Log.Warn("the topology could not be downloaded", "sequencer", a.from, "error", err)
		trouble = errors.Join(trouble, fmt.Errorf("sequencer %s: %w", a.from, err))
	}
	return fmt.Errorf("nobody of those that agree could give the topology: %w", trouble)
}

// told is what came of asking one sequencer.
type told struct {
	answer  *answer // nil if there was trouble
	trouble error
}

// listen collects answers until all are there, or until enough agree and the rest had a moment more: with the fastest alone, one that
// lies and one that is behind could hold up the directory for ever.
func (d *Directory) listen(from <-chan told) (agreed []*answer, trouble error) {
	var answers []*answer
	var moment <-chan time.Time
	for range d.sources {
		select {
		case t := <-from:
			if t.answer == nil {
				trouble = errors.Join(trouble, t.trouble)
				continue
			}
			answers = append(answers, t.answer)
			if agreed = agreement(answers, d.config.Threshold); len(agreed) > 0 && moment == nil {
				timer := time.NewTimer(d.config.CallTimeout / 10)
				defer timer.Stop()
				moment = timer.C
			}
		case <-moment:
			return agreed, trouble
		}
	}
	return agreed, trouble
}

// agreement finds a digest that enough answers name, the latest if there are several, and returns those that do.
func agreement(answers []*answer, threshold int) (agreed []*answer) {
	voters := map[topology.Digest][]*answer{}
	identities := map[sequencing.MemberID]bool{}
	for _, a := range answers {
		if !identities[a.id] { // one that answers under two names has one vote
			identities[a.id] = true
			voters[a.digest] = append(voters[a.digest], a)
		}
	}
	for _, list := range voters {
		if len(list) < threshold {
			continue
		}
		if agreed == nil {
			agreed = list
			continue
		}
		n := cmp.Compare(vouched(list, threshold), vouched(agreed, threshold))
		if n > 0 || n == 0 && list[0].digest.String() > agreed[0].digest.String() {
			agreed = list
		}
	}
	return agreed
}

// vouched is the latest time that enough answers claim to speak of: one of them is true.
func vouched(answers []*answer, threshold int) topology.Time {
	times := make([]topology.Time, len(answers))
	for i, a := range answers {
		times[i] = a.at
	}
	slices.Sort(times)
	return times[len(times)-threshold]
}

// adopt makes a state the topology, if it continues what is known.
func (d *Directory) adopt(state *topology.State, digest topology.Digest, known topology.Time) error {
	genesis, _ := state.Founded()
	d.mu.Lock()
	ours, _ := d.state.Founded()
	switch {
	case state.Network() != d.state.Network() || genesis != ours || state.Synchronizer() != d.state.Synchronizer():
		d.mu.Unlock()
		return fmt.Errorf("the topology on which sequencers agree is of another network: genesis %s, not %s", genesis, ours)
	case state.Sequenced() < d.state.Sequenced():
		d.mu.Unlock()
		return fmt.Errorf("the topology on which sequencers agree is older, its last change of %d: the last one known is of %d", state.Sequenced(), d.state.Sequenced())
	}
	d.state, d.digest, d.known = state, digest, max(known, d.known)
	d.mu.Unlock()
	d.config.Log.Info("the topology changed", "digest", digest, "changed", state.Sequenced(), "effective", state.Effective())
	if d.config.Changed != nil {
		d.config.Changed()
	}
	return nil
}
