package mocknode

import (
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"time"

	"github.com/synod-network/synod/sidecar/event"
)

// Made is one event before it has a number.
type Made struct {
	Filter event.Filter
	Kind   event.Kind
	Data   []byte // JSON in one line
}

// Shape says how much of what the synthetic chain consists of.
type Shape struct {
	Deploys    int // accepted before each block
	Validators int // each signs each block
	EraBlocks  int // blocks in an era; the last one is followed by a Step
	StepBytes  int // size of a Step's JSON, about
	FaultEvery int // blocks between faults
	LateEvery  int // one deploy of so many expires instead of being processed
}

// DefaultShape gives about forty events a block, 1.1 KB each on average.
func DefaultShape() Shape {
	return Shape{Deploys: 12, Validators: 10, EraBlocks: 10, StepBytes: 16 << 10, FaultEvery: 7, LateEvery: 12}
}

// Load makes the events of a synthetic chain, the same for the same seed and shape. It is not safe for concurrent use.
type Load struct {
	shape      Shape
	seed       uint64
	network    string
	random     *rand.Rand
	version    Version
	validators []string // public keys
	accounts   []string
	parent     string
	height     uint64
	pending    []Made
}

// NewLoad begins a chain. Nodes of different versions tell the same chain in their own ways.
func NewLoad(seed uint64, shape Shape, network string) *Load {
	l := &Load{shape: shape, seed: seed, network: network, random: rand.New(rand.NewPCG(seed, 0))}
	for range max(1, shape.Validators) {
		l.validators = append(l.validators, l.publicKey())
	}
	for range 32 {
		l.accounts = append(l.accounts, l.publicKey())
	}
	l.parent = l.hash()
	return l
}

// Next returns the next event as a node of this version says it.
func (l *Load) Next(version Version) Made {
	if len(l.pending) == 0 {
		l.version = version
		l.block()
	}
	next := l.pending[0]
	l.pending = l.pending[1:]
	return next
}

// block queues the events around one block: its deploys are accepted, it is added, they are processed, it is signed. At the end of
// an era comes the Step. What happens is drawn before anything is told, so that it does not depend on how nodes of a version tell it.
func (l *Load) block() {
	l.random = rand.New(rand.NewPCG(l.seed, l.height+1))
	l.pending = nil
	tell := teller(l.version)
	b := block{
		hash: l.hash(), parent: l.parent, height: l.height, era: l.height / uint64(max(1, l.shape.EraBlocks)),
		at: genesis.Add(time.Duration(l.height) * 16 * time.Second), proposer: pick(l.random, l.validators), validators: l.validators,
		switches: l.shape.EraBlocks > 0 && (l.height+1)%uint64(l.shape.EraBlocks) == 0,
	}
	l.parent, l.height = b.hash, l.height+1
	accepted, late := l.deploys(&b)
	for i := range accepted {
		l.queue(event.FilterDeploys, tell.accepted(l, &accepted[i]))
	}
	if b.switches {
		l.queue(event.FilterMain, tell.step(l, &b))
	}
	l.queue(event.FilterMain, tell.added(l, &b))
	for i := range b.deploys {
		l.queue(event.FilterMain, tell.processed(l, &b, &b.deploys[i]))
	}
	for i := range late {
		l.queue(event.FilterMain, tell.expired(&late[i]))
	}
	for _, validator := range l.validators[:min(len(l.validators), l.shape.Validators)] {
		l.queue(event.FilterSigs, tell.signed(l, &b, validator))
	}
	if l.shape.FaultEvery > 0 && b.height%uint64(l.shape.FaultEvery) == uint64(l.shape.FaultEvery)-1 {
		l.queue(event.FilterMain, fault(&b, l.validators[int(b.height)%len(l.validators)]))
	}
}

// deploys draws those that are accepted before a block, puts those that it processes into it, and returns those that come late.
func (l *Load) deploys(b *block) (accepted, late []deploy) {
	for i := range l.shape.Deploys {
		d := deploy{hash: l.hash(), account: pick(l.random, l.accounts), at: b.at.Add(-time.Duration(i) * time.Second), transfer: l.random.IntN(2) == 0, modern: l.random.IntN(3) > 0}
		accepted = append(accepted, d)
		if l.shape.LateEvery > 0 && l.random.IntN(l.shape.LateEvery) == 0 {
			late = append(late, d)
		} else {
			b.deploys = append(b.deploys, d)
		}
	}
	return accepted, late
}

func (l *Load) queue(filter event.Filter, data []byte) {
	e, err := event.Parse(data)
	if err != nil {
		panic("mocknode: made what is no event: " + string(data)) // a mistake in this package, which any test would meet
	}
	l.pending = append(l.pending, Made{Filter: filter, Kind: e.Kind, Data: data})
}

// genesis is when the synthetic chain begins.
var genesis = time.Date(2024, 1, 5, 10, 0, 0, 0, time.UTC)

type block struct {
	hash, parent, proposer string
	height, era            uint64
	at                     time.Time
	deploys                []deploy
	validators             []string
	switches               bool // the last of its era
}

type deploy struct {
	hash, account string
	at            time.Time
	transfer      bool
	modern        bool // a transaction of the kind that came with 2.0
}

func (l *Load) hash() string { return l.hex(32) }

func (l *Load) signature() string { return "01" + l.hex(64) }

// publicKey is the public key of a real Ed25519 key, since some clients check that a key is a point of the curve.
func (l *Load) publicKey() string {
	seed := make([]byte, ed25519.SeedSize)
	l.fill(seed)
	return "01" + hex.EncodeToString(ed25519.NewKeyFromSeed(seed)[ed25519.SeedSize:])
}

func (l *Load) hex(bytes int) string {
	raw := make([]byte, bytes)
	l.fill(raw)
	return hex.EncodeToString(raw)
}

// fill wants a multiple of 8 bytes.
func (l *Load) fill(to []byte) {
	for i := 0; i+8 <= len(to); i += 8 {
		binary.LittleEndian.PutUint64(to[i:], l.random.Uint64())
	}
}

func pick(random *rand.Rand, from []string) string { return from[random.IntN(len(from))] }
