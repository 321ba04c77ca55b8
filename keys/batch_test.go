package keys_test

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

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
	for _, size := range []int{1, 8, 64, 256} {
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
