package keys

import (
	"crypto/rand"
	"crypto/sha512"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
)

// coefficientSize is the length of a signature's coefficient, in bytes.
const coefficientSize = 16

// equation reports whether all signatures of a batch are valid, by one equation over all of them:
//
//	Σ zᵢ·Rᵢ − Σ zᵢ·sᵢ·B + Σ (Σ zᵢ·kᵢ)·A = 0, times the cofactor,
//
// with a fresh random zᵢ for each signature (Rᵢ, sᵢ) and its hash kᵢ. The inner sum is over the signatures by one key A: they
// share a term, whose scalar is twice as long as zᵢ. That the sum is taken modulo the order of B does no harm to a key that has
// a component of small order, since the cofactor ends it. (Bernstein, Duif, Lange, Schwabe, Yang: High-speed high-security
// signatures, section 5; ZIP-215 for what is accepted.)
func (v *BatchVerifier) equation(batch []Signed) bool {
	var random [batchMost * coefficientSize]byte
	_, _ = rand.Read(random[:len(batch)*coefficientSize]) // never fails

	var (
		base   scalar.Scalar
		points = make([]curve.EdwardsPoint, len(batch))
		coeffs = make([]scalar.Scalar, len(batch))
		// the terms whose points come with each signature, and those whose points were prepared
		dynamic       = make([]*curve.EdwardsPoint, 0, len(batch)+1)
		dynamicScalar = make([]*scalar.Scalar, 0, len(batch)+1)
		static        []*curve.ExpandedEdwardsPoint
		staticScalar  []*scalar.Scalar
		byKey         = make(map[PublicKey]*scalar.Scalar, min(len(batch), 64))
	)
	for i := range batch {
		s, z := &batch[i], &coeffs[i]
		r, sum, ok := decoded(s.Signature)
		if !ok {
			return false
		}
		points[i] = r
		var bits [scalar.ScalarSize]byte
		copy(bits[:], random[i*coefficientSize:][:coefficientSize])
		if _, err := z.SetBits(bits[:]); err != nil {
			return false
		}
		k := challenge(s)
		of := byKey[s.Key]
		if of == nil {
			of = scalar.New()
			byKey[s.Key] = of
			if known := v.prepared(s.Key); known != nil {
				static, staticScalar = append(static, known.point), append(staticScalar, of)
			} else {
				a, ok := decodedPoint(s.Key[:])
				if !ok {
					return false
				}
				dynamic, dynamicScalar = append(dynamic, &a), append(dynamicScalar, of)
			}
		}
		of.Add(of, k.Mul(&k, z))
		base.Add(&base, sum.Mul(&sum, z))
		dynamic, dynamicScalar = append(dynamic, &points[i]), append(dynamicScalar, z)
	}
	base.Neg(&base)
	dynamic, dynamicScalar = append(dynamic, curve.ED25519_BASEPOINT_POINT), append(dynamicScalar, &base)
	var total curve.EdwardsPoint
	return total.ExpandedMultiscalarMulVartime(staticScalar, static, dynamicScalar, dynamic).IsSmallOrder()
}

// challenge is the hash of a signature's point, its key and its message, as a scalar.
func challenge(s *Signed) (k scalar.Scalar) {
	h := sha512.New()
	_, _ = h.Write(s.Signature[:32])
	_, _ = h.Write(s.Key[:])
	_, _ = h.Write(s.Message)
	var sum [sha512.Size]byte
	_, _ = k.SetBytesModOrderWide(h.Sum(sum[:0])) // of this length it never fails
	return k
}

// decoded takes a signature apart. As RFC 8032 wants it, its scalar is below the order.
func decoded(signature Signature) (r curve.EdwardsPoint, s scalar.Scalar, ok bool) {
	if !scalar.ScMinimalVartime(signature[32:]) {
		return r, s, false
	}
	if _, err := s.SetBits(signature[32:]); err != nil {
		return r, s, false
	}
	r, ok = decodedPoint(signature[:32])
	return r, s, ok
}

// decodedPoint reads a point as ZIP-215 does: in any encoding, of any order.
func decodedPoint(encoded []byte) (p curve.EdwardsPoint, ok bool) {
	var compressed curve.CompressedEdwardsY
	if _, err := compressed.SetBytes(encoded); err != nil {
		return p, false
	}
	_, err := p.SetCompressedY(&compressed)
	return p, err == nil
}
