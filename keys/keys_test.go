package keys_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/synod-network/synod/keys"
)

func TestSignAndVerify(t *testing.T) {
	key, err := keys.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	message := []byte("a block")
	signature := key.Sign(message)

	if !keys.Verify(key.Public(), message, signature) {
		t.Error("own signature refused")
	}
	if keys.Verify(key.Public(), []byte("b block"), signature) {
		t.Error("accepted over another message")
	}
	if keys.Verify(keys.FromSeed([32]byte{1}).Public(), message, signature) {
		t.Error("accepted for another key")
	}
	for i := range signature {
		bad := signature
		bad[i] ^= 1
		if keys.Verify(key.Public(), message, bad) {
			t.Errorf("accepted with byte %d changed", i)
		}
	}
}

// RFC 8032 §7.1, test 2.
func TestKnownAnswer(t *testing.T) {
	key := keys.FromSeed([32]byte(unhex(t, "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")))
	if got := fullHex(key.Public()); got != "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c" {
		t.Errorf("public key %s", got)
	}
	want := "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
		"085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
	if got := key.Sign([]byte{0x72}); hex.EncodeToString(got[:]) != want {
		t.Errorf("signature %x", got)
	}
}

// torsion lists every encoding of the eight points of small order that decodes under ZIP-215: eight canonical ones,
// and six non-canonical ones (y not reduced, or the sign of x = 0 set).
var torsion = []struct {
	encoding  string
	canonical bool
}{
	{"0100000000000000000000000000000000000000000000000000000000000000", true},
	{"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", true},
	{"0000000000000000000000000000000000000000000000000000000000000000", true},
	{"0000000000000000000000000000000000000000000000000000000000000080", true},
	{"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", true},
	{"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85", true},
	{"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", true},
	{"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa", true},
	{"0100000000000000000000000000000000000000000000000000000000000080", false},
	{"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", false},
	{"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", false},
	{"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", false},
	{"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", false},
	{"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", false},
}

// Every pair of small-order points makes a signature with S = 0 that ZIP-215 accepts over any message, because the
// cofactor takes both points to the identity. The standard library refuses most of them: proof that the two rules
// are not interchangeable, and a guard against anybody exchanging them here.
func TestRuleIsZIP215(t *testing.T) {
	message := []byte("Zcash")
	stdRefused, stdRefusedCanonical := 0, 0
	for _, a := range torsion {
		for _, r := range torsion {
			key := keys.PublicKey(unhex(t, a.encoding))
			var signature keys.Signature
			copy(signature[:32], unhex(t, r.encoding))
			if !keys.Verify(key, message, signature) {
				t.Errorf("A=%s R=%s: refused, ZIP-215 accepts", a.encoding, r.encoding)
			}
			if !ed25519.Verify(key[:], message, signature[:]) {
				stdRefused++
				if a.canonical && r.canonical {
					stdRefusedCanonical++
				}
			}
		}
	}
	if stdRefused == 0 || stdRefusedCanonical == 0 {
		t.Errorf("the standard library refused %d of 196, %d of them canonical: this table no longer tells the rules apart", stdRefused, stdRefusedCanonical)
	}
}

func TestCraftedSignaturesRefused(t *testing.T) {
	const order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010" // L, little-endian
	const identity = "0100000000000000000000000000000000000000000000000000000000000000"
	const noPoint = "0200000000000000000000000000000000000000000000000000000000000000" // y = 2 is not on the curve
	zero := strings.Repeat("0", 64)
	for _, c := range []struct{ name, a, r, s string }{
		{"S equals the group order", identity, identity, order},
		{"S has high bits", identity, identity, strings.Repeat("0", 62) + "e0"},
		{"key is no point", noPoint, identity, zero},
		{"R is no point", identity, noPoint, zero},
		{"S is wrong", identity, identity, "01" + zero[2:]},
	} {
		t.Run(c.name, func(t *testing.T) {
			var signature keys.Signature
			copy(signature[:32], unhex(t, c.r))
			copy(signature[32:], unhex(t, c.s))
			if keys.Verify(keys.PublicKey(unhex(t, c.a)), []byte("m"), signature) {
				t.Error("accepted")
			}
		})
	}
}

func TestPublicKeyAsText(t *testing.T) {
	key := keys.FromSeed([32]byte{7}).Public()
	text, err := json.Marshal(map[keys.PublicKey]keys.PublicKey{key: key})
	if err != nil {
		t.Fatal(err)
	}
	var back map[keys.PublicKey]keys.PublicKey
	if err := json.Unmarshal(text, &back); err != nil || back[key] != key {
		t.Errorf("round trip of %s: %v, %v", text, back, err)
	}
	if !strings.HasPrefix(fullHex(key), key.String()) || len(key.String()) != 16 {
		t.Errorf("String %q is not the beginning of %s", key, fullHex(key))
	}
	for _, bad := range []string{"", "00", strings.Repeat("g", 64), strings.Repeat("0", 65), strings.Repeat("0", 1<<20)} {
		if _, err := keys.ParsePublicKey(bad); err == nil || len(err.Error()) > 250 {
			t.Errorf("%.20q: error %.300v", bad, err)
		}
	}
}

func TestPrivateKeyDoesNotPrint(t *testing.T) {
	seed := [32]byte(bytes.Repeat([]byte{0xAB}, 32))
	key := keys.FromSeed(seed)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%d", "%q"} {
		for _, value := range []any{key, &key, struct{ Key keys.PrivateKey }{key}} {
			printed := strings.ToLower(fmt.Sprintf(verb, value))
			if strings.Contains(printed, "abab") || strings.Contains(printed, "171 171") || strings.Contains(printed, "0xab, 0xab") {
				t.Errorf("%s prints the secret: %s", verb, printed)
			}
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func fullHex(k keys.PublicKey) string { return hex.EncodeToString(k[:]) }

func BenchmarkVerify(b *testing.B) {
	key := keys.FromSeed([32]byte{1})
	message := make([]byte, 32)
	signature := key.Sign(message)
	for b.Loop() {
		if !keys.Verify(key.Public(), message, signature) {
			b.Fatal("refused")
		}
	}
}
