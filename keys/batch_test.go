package keys_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
	"pgregory.net/rapid"

	"github.com/synod-network/synod/keys"
)

// crafted are signatures on which rules of verification differ, and plain bad ones.
func crafted(t *testing.T) (list []keys.Signed) {
	var points [][]byte
	for _, p := range torsion {
		points = append(points, unhex(t, p.encoding))
	}
	points = append(points, unhex(t, "0200000000000000000000000000000000000000000000000000000000000000")) // on no curve
	for _, a := range points {
		for _, r := range points {
			for _, s := range []string{
				"0000000000000000000000000000000000000000000000000000000000000000",
				"edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010", // the group order
				"0100000000000000000000000000000000000000000000000000000000000000",
			} {
				c := keys.Signed{Key: keys.PublicKey(a), Message: []byte("crafted")}
				copy(c.Signature[:32], r)
				copy(c.Signature[32:], unhex(t, s))
				list = append(list, c)
			}
		}
	}
	return list
}

func honest(number int) keys.Signed {
	key := keys.FromSeed([32]byte{byte(number % 7)})
	message := fmt.Appendf(nil, "message %d", number)
	return keys.Signed{Key: key.Public(), Message: message, Signature: key.Sign(message)}
}

// mixed is a signature by a key that has a component of small order beside that of its secret: all rules but those with the
// cofactor take it for bad, or for good by chance.
func mixed(t *testing.T, number int) keys.Signed {
	wide := func(text string) *scalar.Scalar {
		sum := sha512.Sum512([]byte(text))
		s, err := scalar.NewFromBytesModOrderWide(sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	point := func(s *scalar.Scalar, small []byte) (encoded [32]byte) {
		var compressed curve.CompressedEdwardsY
		if _, err := compressed.SetBytes(small); err != nil {
			t.Fatal(err)
		}
		p := curve.NewEdwardsPoint()
		if _, err := p.SetCompressedY(&compressed); err != nil {
			t.Fatal(err)
		}
		p.Add(p, curve.NewEdwardsPoint().MulBasepoint(curve.ED25519_BASEPOINT_TABLE, s))
		return *compressed.SetEdwardsPoint(p)
	}
	signed := keys.Signed{Message: fmt.Appendf(nil, "mixed %d", number)}
	secret, nonce := wide(fmt.Sprint("secret", number%3)), wide(fmt.Sprint("nonce", number))
	signed.Key = point(secret, unhex(t, torsion[number%len(torsion)].encoding))
	r := point(nonce, unhex(t, torsion[number/3%len(torsion)].encoding))
	hash := sha512.Sum512(slices.Concat(r[:], signed.Key[:], signed.Message))
	k, err := scalar.NewFromBytesModOrderWide(hash[:])
	if err != nil {
		t.Fatal(err)
	}
	copy(signed.Signature[:], r[:])
	if err := k.Add(k.Mul(k, secret), nonce).ToBytes(signed.Signature[32:]); err != nil {
		t.Fatal(err)
	}
	return signed
}

// Signatures by one key share a term of the equation.
func TestABatchOfKeysWithAComponentOfSmallOrder(t *testing.T) {
	for _, remembered := range []int{0, 100} {
		v := keys.NewBatchVerifier(remembered)
		for size := 4; size <= 300; size *= 4 {
			batch := make([]keys.Signed, size)
			for i := range batch {
				batch[i] = mixed(t, i)
				if !keys.Verify(batch[i].Key, batch[i].Message, batch[i].Signature) {
					t.Fatalf("signature %d is not valid by itself", i)
				}
			}
			wantSame(t, v, batch)
			wantSame(t, v, batch) // now its keys are prepared, if any are
			batch[size/2].Signature[33] ^= 1
			wantSame(t, v, batch)
		}
	}
}

// Without coefficients, or with the same one, what is too much in one signature would make up for what the other lacks.
func TestBadSignaturesDoNotCancelEachOther(t *testing.T) {
	v := keys.NewBatchVerifier(10)
	batch := make([]keys.Signed, 20)
	for i := range batch {
		batch[i] = honest(i)
	}
	one := scalar.NewFromUint64(1)
	for _, pair := range [][2]int{{0, 7}, {3, 5}} { // by one key, and by two
		altered := slices.Clone(batch)
		for i, change := range []func(s *scalar.Scalar){func(s *scalar.Scalar) { s.Add(s, one) }, func(s *scalar.Scalar) { s.Sub(s, one) }} {
			signature := altered[pair[i]].Signature[32:]
			s, err := scalar.NewFromCanonicalBytes(signature)
			if err != nil {
				t.Fatal(err)
			}
			change(s)
			if err := s.ToBytes(signature); err != nil {
				t.Fatal(err)
			}
		}
		for range 20 {
			wantSame(t, v, altered)
		}
	}
}

func wantSame(t interface{ Fatalf(string, ...any) }, v *keys.BatchVerifier, batch []keys.Signed) {
	all := !slices.ContainsFunc(batch, func(s keys.Signed) bool { return !keys.Verify(s.Key, s.Message, s.Signature) })
	if got := v.All(batch); got != all {
		t.Fatalf("all of %d are valid: %v, one by one %v", len(batch), got, all)
	}
	for i, got := range v.Verify(batch) {
		if want := keys.Verify(batch[i].Key, batch[i].Message, batch[i].Signature); got != want {
			t.Fatalf("signature %d of %d (%x by %x): %v in the batch, %v by itself", i, len(batch), batch[i].Signature, batch[i].Key, got, want)
		}
	}
}

func TestABatchAnswersAsEachByItself(t *testing.T) {
	bad, v := crafted(t), keys.NewBatchVerifier(5)
	rapid.Check(t, func(r *rapid.T) {
		var batch []keys.Signed
		for range rapid.IntRange(0, 150).Draw(r, "size") {
			number := rapid.IntRange(0, 1000).Draw(r, "number")
			s := honest(number)
			switch rapid.SampledFrom([]string{"", "", "", "", "crafted", "flipped", "of another"}).Draw(r, "kind") {
			case "crafted":
				s = bad[number%len(bad)]
			case "flipped":
				s.Signature[number%64] ^= 1 << (number % 8)
			case "of another":
				s.Key = honest(number + 1).Key
			}
			batch = append(batch, s)
		}
		wantSame(r, v, batch)
	})
}

// Every crafted signature stands once alone among good ones, so that no other hides it.
func TestACraftedSignatureIsFoundAmongGoodOnes(t *testing.T) {
	v := keys.NewBatchVerifier(100)
	accepted := 0
	for i, c := range crafted(t) {
		if testing.Short() && i%7 > 0 {
			continue
		}
		batch := make([]keys.Signed, 20)
		for k := range batch {
			batch[k] = honest(k)
		}
		batch[i%20] = c
		if keys.Verify(c.Key, c.Message, c.Signature) {
			accepted++
		}
		wantSame(t, v, batch)
	}
	if accepted == 0 {
		t.Error("no crafted signature is valid: they tell no rules apart")
	}
}

func TestALargeBatchIsSplit(t *testing.T) {
	v := keys.NewBatchVerifier(7)
	batch := make([]keys.Signed, 1500)
	for i := range batch {
		batch[i] = honest(i)
	}
	for _, i := range []int{0, 511, 512, 1499} {
		batch[i].Message = []byte("altered")
	}
	for i, valid := range v.Verify(batch) {
		if want := i != 0 && i != 511 && i != 512 && i != 1499; valid != want {
			t.Fatalf("signature %d: %v", i, valid)
		}
	}
	if got := v.Verify(nil); len(got) != 0 {
		t.Errorf("nothing has %d answers", len(got))
	}
}

// One core, so that the figure is that of a core.
func BenchmarkBatch(b *testing.B) {
	for _, size := range []int{1, 8, 64, 256, 512} {
		for _, bad := range []int{0, 1} {
			b.Run(fmt.Sprintf("signatures=%d/bad=%d", size, bad), func(b *testing.B) {
				v := keys.NewBatchVerifier(100)
				batch := make([]keys.Signed, size)
				for i := range batch {
					key := keys.FromSeed([32]byte{byte(i % 50)})
					message := make([]byte, 32)
					batch[i] = keys.Signed{Key: key.Public(), Message: message, Signature: key.Sign(message)}
				}
				v.Verify(batch)
				for range bad {
					batch[rand.IntN(size)].Signature[40] ^= 1
				}
				for b.Loop() {
					v.Verify(batch)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(size)/1000, "µs/signature")
			})
		}
	}
}

// A digest whose signature was verified ahead is answered as any other, and only the very same one.
func TestWhatWasVerifiedAheadIsAnsweredTheSame(t *testing.T) {
	bad, v := crafted(t), keys.NewBatchVerifier(5)
	rapid.Check(t, func(r *rapid.T) {
		var batch []keys.Signed
		for range rapid.IntRange(1, 40).Draw(r, "size") {
			number := rapid.IntRange(0, 1000).Draw(r, "number")
			key, digest := keys.FromSeed([32]byte{byte(number % 7)}), sha256.Sum256([]byte{byte(number), byte(number >> 8)})
			s := keys.Signed{Key: key.Public(), Message: digest[:], Signature: key.Sign(digest[:])}
			if rapid.Bool().Draw(r, "ahead") {
				v.VerifyAhead([]keys.Signed{s})
			}
			switch rapid.SampledFrom([]string{"", "", "", "crafted", "flipped", "of another", "another digest"}).Draw(r, "kind") {
			case "crafted":
				s = bad[number%len(bad)]
				s.Message = digest[:]
				v.VerifyAhead([]keys.Signed{s})
			case "flipped":
				s.Signature[number%64] ^= 1 << (number % 8)
			case "of another":
				s.Key = honest(number + 1).Key
			case "another digest":
				s.Message = append([]byte{digest[0] ^ 1}, digest[1:]...)
			}
			batch = append(batch, s)
		}
		wantSame(r, v, batch)
	})
}
