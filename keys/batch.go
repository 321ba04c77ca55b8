package keys

import (
	"runtime"
	"slices"
	"sync"

	"github.com/oasisprotocol/curve25519-voi/curve"
	voi "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// Signed is a signature that is said to be by Key over Message.
type Signed struct {
	Key       PublicKey
	Message   []byte
	Signature Signature
}

// Valid reports whether it is, by the rule of [Verify].
func (s Signed) Valid() bool { return Verify(s.Key, s.Message, s.Signature) }

const (
	// batchMost is how many signatures are checked by one equation: larger ones gain little.
	batchMost = 512
	// batchLeast is how many are needed for the equation to be worth it.
	batchLeast = 4
)

// BatchVerifier checks many signatures at once, in a quarter of the time that they take one by one. It answers
// exactly as [Verify] does: the equation of a batch has the cofactor in it, as ZIP-215 has, and its coefficients are
// random, so that bad signatures cancel each other with probability 2^-125. It is safe for concurrent use.
//
// Keys by which something was signed are remembered in prepared form, up to a number. So are signatures that were
// verified ahead.
type BatchVerifier struct {
	most  int
	ahead *ahead

	mu    sync.RWMutex
	known map[PublicKey]*prepared
}

// prepared is a key with multiples of its point: for a signature by itself, and for an equation.
type prepared struct {
	key   *voi.ExpandedPublicKey
	point *curve.ExpandedEdwardsPoint
}

// NewBatchVerifier returns a verifier that remembers so many keys, at 1.5 KiB each.
func NewBatchVerifier(remembered int) *BatchVerifier {
	return &BatchVerifier{most: remembered, ahead: newAhead(aheadMost), known: map[PublicKey]*prepared{}}
}

// VerifyAhead is Verify for signatures that will be asked for once more, as those of a submission before and after it
// is ordered: the second time, the answer is remembered. It remembers some thousands, of messages that are digests of
// 32 bytes.
func (v *BatchVerifier) VerifyAhead(batch []Signed) []bool {
	valid := v.verifyAll(batch)
	v.ahead.add(batch, valid)
	return valid
}

// Verify reports for each signature whether it is valid. It uses the processors that are there.
func (v *BatchVerifier) Verify(batch []Signed) []bool {
	valid := make([]bool, len(batch))
	left := v.ahead.take(batch, valid)
	if len(left) == len(batch) {
		return v.verifyAll(batch)
	}
	others := make([]Signed, len(left))
	for i, at := range left {
		others[i] = batch[at]
	}
	for i, ok := range v.verifyAll(others) {
		valid[left[i]] = ok
	}
	return valid
}

// All reports whether all signatures are valid. It does not look for those that are not, which would cost several times as
// much: whoever can refuse all for one is not made to work by it.
func (v *BatchVerifier) All(batch []Signed) bool {
	for len(batch) >= batchLeast {
		part := batch[:min(batchMost, len(batch))]
		if !v.equation(part) {
			return false
		}
		batch = batch[len(part):]
	}
	return !slices.ContainsFunc(batch, func(s Signed) bool { return !v.one(s) })
}

func (v *BatchVerifier) verifyAll(batch []Signed) []bool {
	valid := make([]bool, len(batch))
	size := min(batchMost, (len(batch)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))
	if size < batchMost/8 {
		size = batchMost / 8 // not worth a goroutine
	}
	var others sync.WaitGroup
	for len(batch) > size {
		part, answers := batch[:size], valid[len(valid)-len(batch):][:size]
		others.Go(func() { v.verify(part, answers) })
		batch = batch[size:]
	}
	v.verify(batch, valid[len(valid)-len(batch):])
	others.Wait()
	return valid
}

// verify checks a part. If something in it is bad, each is checked by itself: with prepared keys that costs twice
// what the equation costs, and searching by halves would cost more.
func (v *BatchVerifier) verify(part []Signed, valid []bool) {
	together := len(part) >= batchLeast && v.equation(part)
	for i := range part {
		if valid[i] = together || v.one(part[i]); valid[i] {
			v.remember(part[i].Key)
		}
	}
}

func (v *BatchVerifier) one(s Signed) bool {
	if key := v.prepared(s.Key); key != nil {
		return voi.VerifyExpandedWithOptions(key.key, s.Message, s.Signature[:], zip215)
	}
	return s.Valid()
}

func (v *BatchVerifier) prepared(key PublicKey) *prepared {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.known[key]
}

// remember prepares a key by which something was truly signed; when it knows too many, some other is forgotten.
func (v *BatchVerifier) remember(key PublicKey) {
	if v.prepared(key) != nil || v.most <= 0 {
		return
	}
	expanded, err := voi.NewExpandedPublicKey(key[:])
	point, ok := decodedPoint(key[:])
	if err != nil || !ok {
		return // such a key signs nothing
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for other := range v.known {
		if len(v.known) < v.most {
			break
		}
		delete(v.known, other)
	}
	v.known[key] = &prepared{expanded, curve.NewExpandedEdwardsPoint(&point)}
}
