package historytest

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// Network is the network of every story.
var Network = sequencing.NetworkID{'s', 't', 'o', 'r', 'y'}

// Start is the time of a story's first block.
const Start = 1000 * sequencing.Second

// Story makes blocks of random requests and applies them to a machine. It is a
// function of its seed.
type Story struct {
	Machine *sequencing.Machine
	// Members is how many there are, Largest the largest payload in bytes.
	Members, Largest int

	rng  *rand.Rand
	now  sequencing.Time
	sent int
}

// NewStory returns a story that has not begun.
func NewStory(seed uint64) *Story {
	return &Story{Machine: sequencing.New(Network, world{}), Members: 7, Largest: 100,
		rng: rand.New(rand.NewPCG(seed, 7)), now: Start}
}

// Now is the time of the next block.
func (s *Story) Now() sequencing.Time { return s.now }

// Next applies the next block, of up to six requests of all kinds, and returns what
// it yields.
func (s *Story) Next() *sequencing.Output {
	var requests []sequencing.Request
	for range s.rng.IntN(7) {
		switch s.rng.IntN(12) {
		case 0:
			requests = append(requests, sequencing.Request{Body: &sequencing.TopologyChange{Transactions: fmt.Appendf(nil, "change %d", s.sent)}})
		case 1:
			requests = append(requests, sequencing.Request{Body: sequencing.Tick{}})
		default:
			requests = append(requests, s.submission())
		}
	}
	return s.Apply(requests...)
}

// Apply applies a block of the given requests.
func (s *Story) Apply(requests ...sequencing.Request) *sequencing.Output {
	var encoded [][]byte
	for i := range requests {
		encoded = append(encoded, requests[i].Encode())
	}
	block := ordering.Block{Height: s.Machine.Height() + 1, Time: int64(s.now), Payloads: []ordering.Payload{ordering.Pack(encoded...)}}
	s.now += sequencing.Time(1+s.rng.IntN(3)) * sequencing.Second
	out, err := s.Machine.Apply(sequencing.Parse(Network, block).Verify(believe))
	if err != nil {
		panic(err) // the story tells no block that does not follow
	}
	return out
}

// submission is one by a random sender to random recipients, now and then with a
// message id that was used before, or under an aggregation rule.
func (s *Story) submission() sequencing.Request {
	s.sent++
	id := s.sent
	if s.rng.IntN(10) == 0 {
		id -= s.rng.IntN(min(5, s.sent))
	}
	b := &sequencing.Submission{Sender: s.name(), Message: sequencing.MessageID(fmt.Sprintf("message %d", id)),
		MaxTime: s.now + sequencing.Minute, Cost: 1 << 30}
	if s.rng.IntN(6) == 0 {
		b.Aggregation = &sequencing.Aggregation{Threshold: 1, Eligible: []sequencing.MemberID{b.Sender}}
		if other := s.name(); b.Sender < other {
			b.Aggregation.Threshold = 1 + s.rng.IntN(2)
			b.Aggregation.Eligible = append(b.Aggregation.Eligible, other)
		}
	}
	for range 1 + s.rng.IntN(3) {
		b.Sets = append(b.Sets, s.recipients())
		for range 1 + s.rng.IntN(2) {
			payload := strings.Repeat(string(rune('a'+s.rng.IntN(26))), s.rng.IntN(s.Largest+1))
			b.Envelopes = append(b.Envelopes, sequencing.Envelope{Set: len(b.Sets) - 1, Payload: []byte(payload)})
		}
	}
	return Send(b)
}

// Send is a submission as its sender would sign it.
func Send(b *sequencing.Submission) sequencing.Request {
	return sequencing.Request{Body: b, Signatures: []sequencing.KeySignature{{Key: keyOf(b.Sender)}}}
}

// Name is that of a member by number.
func Name(i int) sequencing.MemberID { return sequencing.MemberID(fmt.Sprintf("PAR::%03d", i)) }

func (s *Story) name() sequencing.MemberID { return Name(s.rng.IntN(s.Members)) }

func (s *Story) recipients() sequencing.RecipientSet {
	if s.rng.IntN(12) == 0 {
		return sequencing.RecipientSet{{Kind: sequencing.ToMediatorGroup, Group: 1}}
	}
	if s.rng.IntN(16) == 0 {
		return large(s.rng.IntN(4))
	}
	var set sequencing.RecipientSet
	for i := range s.Members {
		if s.rng.IntN(4) == 0 {
			set = append(set, sequencing.Recipient{Kind: sequencing.ToMember, Member: Name(i)})
		}
	}
	if set == nil {
		set = sequencing.RecipientSet{{Kind: sequencing.ToMember, Member: s.name()}}
	}
	return set
}

// large is a recipient set that events do not show whole, of members with long names and of one with a short.
func large(i int) sequencing.RecipientSet {
	set := sequencing.RecipientSet{{Kind: sequencing.ToMember, Member: Name(i)}}
	for n := range 9 {
		set = append(set, sequencing.Recipient{Kind: sequencing.ToMember, Member: sequencing.MemberID(fmt.Sprintf("PAR::1%0249d", n))})
	}
	return set
}

func keyOf(id sequencing.MemberID) sequencing.Key { return sha256.Sum256([]byte(id)) }

// believe takes every signature for valid: who signs is not what is tested here.
func believe(signed []sequencing.SignedDigest) []bool {
	valid := make([]bool, len(signed))
	for i := range valid {
		valid[i] = true
	}
	return valid
}

// world is a topology in which everybody who is named is a member, at all times.
type world struct{}

func (world) Member(id sequencing.MemberID, _ sequencing.Time) (sequencing.Standing, bool) {
	return sequencing.Standing{Keys: []sequencing.Key{keyOf(id)}}, true
}

func (world) Group(sequencing.Recipient, sequencing.Time) []sequencing.MemberID {
	return []sequencing.MemberID{Name(0), Name(1), "MED::one"}
}

func (world) Authority(sequencing.Time) sequencing.Authority { return sequencing.Authority{} }

func (world) Parameters(sequencing.Time) sequencing.Parameters {
	return sequencing.Parameters{MaxAhead: sequencing.MaxAhead, TopologyTolerance: sequencing.Minute, MaxBytes: 1 << 30,
		MaxRecipients: 1 << 20, MaxInFlight: 1 << 20}
}

func (world) Change(sequencing.Time, []byte) bool { return true }
