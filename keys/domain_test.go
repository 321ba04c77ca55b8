package keys_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/synod-network/synod/keys"
)

func TestSignatureBindsNetworkDomainAndMessage(t *testing.T) {
	key := keys.FromSeed([32]byte{1})
	network := [32]byte{9}
	const domain = keys.Domain("synod/test/1")
	signature := key.SignDomain(network, domain, []byte("message"))
	ring := keys.NewRing([]keys.PublicKey{key.Public()})
	for _, c := range []struct {
		name    string
		key     keys.PublicKey
		network [32]byte
		domain  keys.Domain
		message string
		want    bool
	}{
		{"as signed", key.Public(), network, domain, "message", true},
		{"another key", keys.FromSeed([32]byte{2}).Public(), network, domain, "message", false},
		{"another network", key.Public(), [32]byte{8}, domain, "message", false},
		{"another domain", key.Public(), network, "synod/test/2", "message", false},
		{"a domain that begins alike", key.Public(), network, "synod/test/1/x", "message", false},
		{"another message", key.Public(), network, domain, "messagE", false},
	} {
		if got := keys.VerifyDomain(c.key, c.network, c.domain, []byte(c.message), signature); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if got := ring.VerifyDomain(c.key, c.network, c.domain, []byte(c.message), signature); got != c.want {
			t.Errorf("%s, by a ring: %v", c.name, got)
		}
		if got := (*keys.Ring)(nil).VerifyDomain(c.key, c.network, c.domain, []byte(c.message), signature); got != c.want {
			t.Errorf("%s, by no ring: %v", c.name, got)
		}
	}
	if keys.Verify(key.Public(), []byte("message"), signature) {
		t.Error("counts as a signature without a domain")
	}
}

// What is bound cannot be read with another boundary between domain, network and message.
func TestBoundariesDoNotMove(t *testing.T) {
	key := keys.FromSeed([32]byte{1})
	network := [32]byte(append([]byte("b\x00"), bytes.Repeat([]byte{'n'}, 30)...))
	signature := key.SignDomain(network, "synod/a", []byte("xmessage"))
	shifted := [32]byte(append(network[2:], 'x', 'm'))
	for _, domain := range []keys.Domain{"synod/ab", "synod/a"} {
		if keys.VerifyDomain(key.Public(), shifted, domain, []byte("essage"), signature) {
			t.Errorf("domain %q with a shifted network id is accepted", domain)
		}
	}
	for _, bad := range []keys.Domain{"", "other/1", "synod/a\x00b"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("signed in %q, which is no domain", bad)
				}
			}()
			key.SignDomain(network, bad, nil)
		}()
	}
}

func TestFingerprintNamesOneKey(t *testing.T) {
	key := keys.FromSeed([32]byte{1}).Public()
	f := key.Fingerprint()
	// A change of this value is a change of every identity of every network.
	if want := "1220e7dcc45b686f63a2ec81e6eebafa7313425206ef51bf3a7cfd5a842e219e01cc"; f.String() != want {
		t.Errorf("fingerprint %s, want %s", f, want)
	}
	if f == keys.FromSeed([32]byte{2}).Public().Fingerprint() {
		t.Error("two keys share a fingerprint")
	}
	if f == keys.EncryptionKey(key).Fingerprint() {
		t.Error("an encryption key with the bytes of a signing key has its fingerprint")
	}
	text, err := json.Marshal(map[keys.Fingerprint]keys.Fingerprint{f: f})
	if err != nil {
		t.Fatal(err)
	}
	var back map[keys.Fingerprint]keys.Fingerprint
	if err := json.Unmarshal(text, &back); err != nil || back[f] != f {
		t.Errorf("round trip of %s: %v, %v", text, back, err)
	}
	for _, bad := range []string{"", "1220", f.String()[4:], "1221" + f.String()[4:], f.String() + "0", strings.ToUpper(f.String()), "1220" + strings.Repeat("g", 64)} {
		if _, err := keys.ParseFingerprint(bad); err == nil || len(err.Error()) > 250 {
			t.Errorf("%.20q: error %v", bad, err)
		}
	}
}

func TestPurposesAsText(t *testing.T) {
	for _, p := range keys.Purposes() {
		back, err := keys.ParsePurpose(p.String())
		if err != nil || back != p || !p.Valid() {
			t.Errorf("%s reads as %v: %v", p, back, err)
		}
	}
	if _, err := keys.ParsePurpose("master"); err == nil {
		t.Error("master is a purpose")
	}
	if keys.Purpose(0).Valid() || keys.Encryption.Signs() || !keys.Ordering.Signs() {
		t.Error("what is a purpose, and which of them signs, has changed")
	}
}
