package synchronizer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/replica"
	"github.com/synod-network/synod/sequencer/history"
	"github.com/synod-network/synod/sequencer/membership"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// Config is what a [State] needs.
type Config struct {
	// Dir is where the history and the kept state lie.
	Dir string
	// Founding is the topology with which the network began.
	Founding *topology.Genesis
	Network  sequencing.NetworkID
	// Verify checks signatures.
	Verify sequencing.Verifier
	// SegmentSize is the size of a file of the history in bytes, 0 for its default.
	SegmentSize int64
	// Now is the clock by which is judged what the order has not judged yet. Default [time.Now].
	Now      func() time.Time
	Observer Observer
	Log      *slog.Logger
}

// Observer is told what was applied, on the goroutine of the order.
type Observer interface {
	// Sequenced tells of one applied block: what was recorded, and what was dropped.
	Sequenced(*sequencing.Output)
}

type nobody struct{}

func (nobody) Sequenced(*sequencing.Output) {}

// State is the state of the network at this sequencer.
type State struct {
	cfg     Config
	history *history.Store
	watches watches
	waiting waiting

	mu      sync.RWMutex // guards what follows, changed by the order alone
	machine *sequencing.Machine
	members *membership.Topology
	judged  []membership.Judgement // in the block that is being applied, of changes that somebody waits for
}

var _ replica.Application = (*State)(nil)

// Open opens the history, and takes up the state that was kept.
func Open(cfg Config) (_ *State, err error) {
	if cfg.Observer == nil {
		cfg.Observer = nobody{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &State{cfg: cfg}
	s.history, err = history.Open(history.Options{Dir: cfg.Dir, Network: cfg.Network, SegmentSize: cfg.SegmentSize, Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	if err := s.restore(); err != nil {
		return nil, errors.Join(fmt.Errorf("restore the state in %s: %w", cfg.Dir, err), s.history.Close())
	}
	return s, nil
}

// Close makes what was applied durable and closes the history. Nothing may use the state
// any more.
func (s *State) Close() error { return s.history.Close() }

func (s *State) restore() error {
	kept, err := s.history.Snapshot()
	if errors.Is(err, history.ErrNoSnapshot) {
		founded := &topology.State{}
		if r := founded.Load(s.cfg.Founding); r != nil {
			return r
		}
		s.members = s.listening(membership.New(founded))
		s.machine = sequencing.New(s.cfg.Network, s.members)
		return nil
	}
	if err != nil {
		return err
	}
	defer kept.Close()
	beside, err := kept.Beside()
	if err != nil {
		return err
	}
	m, encoded, err := splitBeside(beside)
	if err != nil {
		return err
	}
	return s.take(m, encoded, kept.Chunk)
}

// take makes a state the current one, from its manifest, the encoding of its topology, and the
// chunks of its machine.
func (s *State) take(m manifest, encoded []byte, chunk func(int) ([]byte, error)) error {
	founded, err := topology.DecodeState(encoded, m.topology)
	if err != nil {
		return err
	}
	genesis, _ := founded.Founded()
	if founded.Network() != s.cfg.Network || genesis != s.cfg.Founding.Digest() {
		return errors.New("the topology is that of another network")
	}
	members := s.listening(membership.New(founded))
	machine, err := sequencing.Restore(m.sequencing.Digest(), m.sequencing, members, chunk)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.machine, s.members = machine, members
	s.mu.Unlock()
	return nil
}

// Start implements [replica.Application].
func (s *State) Start() (bft.CommitIndex, replica.Snapshot, error) {
	if s.machine.Height() == 0 {
		return 0, nil, nil
	}
	shot, err := s.snapshot()
	return bft.CommitIndex(s.machine.Height()), shot, err
}

// Apply implements [replica.Application].
func (s *State) Apply(b ordering.Block) error {
	block := sequencing.Parse(s.cfg.Network, b).Verify(s.cfg.Verify)
	s.mu.Lock()
	out, err := s.machine.Apply(block)
	judged := s.judged
	s.judged = nil
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if err := s.history.Append(out); err != nil {
		return err
	}
	s.cfg.Observer.Sequenced(out)
	s.watches.tell(out)
	s.waiting.tell(judged)
	return nil
}

// EndEpoch implements [replica.Application]. The committee and the parameters of the next
// epoch are those that the topology has now.
func (s *State) EndEpoch() (replica.Ended, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	view, err := s.members.State().Snapshot(topology.Time(s.now()))
	if err != nil {
		return replica.Ended{}, err
	}
	shot, err := s.snapshot()
	if err != nil {
		return replica.Ended{}, err
	}
	s.members.State().Prune(s.horizon())
	return replica.Ended{State: shot.digest(), Members: view.Committee(), Params: view.Parameters().Ordering, Snapshot: shot}, nil
}

// horizon is the time from which on the topology is kept and handed over. It depends on the state
// alone, so that all sequencers hand over the same.
func (s *State) horizon() topology.Time {
	now := s.now()
	return max(s.members.State().Floor(), topology.Time(now-s.members.Parameters(now).TopologyTolerance))
}

// Keep implements [replica.Application].
func (s *State) Keep(kept replica.Snapshot) error {
	shot := kept.(*snapshot)
	return s.history.PutSnapshot(shot.machine, joinBeside(shot.encoded, shot.topology))
}

// Verify implements [replica.Application].
func (s *State) Verify(state bft.Digest, encoded []byte) (replica.Pieces, error) {
	if digestOf(encoded) != state {
		return nil, errSnapshot
	}
	return decodeManifest(encoded)
}

// Install implements [replica.Application].
func (s *State) Install(encoded []byte, piece func(int) ([]byte, error)) (replica.Snapshot, error) {
	m, err := decodeManifest(encoded)
	if err != nil {
		return nil, err
	}
	var founded []byte
	for i := range m.pieces {
		data, err := piece(i)
		if err != nil {
			return nil, err
		}
		founded = append(founded, data...)
	}
	if err := s.take(m, founded, func(i int) ([]byte, error) { return piece(len(m.pieces) + i) }); err != nil {
		return nil, err
	}
	if err := s.history.BeginWith(s.machine, joinBeside(encoded, founded)); err != nil {
		return nil, err
	}
	s.watches.tellAll()
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.snapshot()
}

// joinBeside is what lies beside a kept snapshot: the manifest behind its length, and the topology.
func joinBeside(manifest, topology []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(manifest)))
	return append(append(b, manifest...), topology...)
}

func splitBeside(b []byte) (m manifest, topology []byte, err error) {
	if len(b) < 4 || uint64(binary.BigEndian.Uint32(b)) > uint64(len(b)-4) {
		return m, nil, errSnapshot
	}
	n := 4 + int(binary.BigEndian.Uint32(b))
	m, err = decodeManifest(b[4:n])
	return m, b[n:], err
}
