package keys_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/synod-network/synod/keys"
)

const sealDomain = keys.Domain("synod/test/seal/1")

func TestSealAndOpen(t *testing.T) {
	key, network := keys.DecryptionFromSeed([32]byte{1}), [32]byte{9}
	message := []byte("a view")
	sealed, err := key.Public().Seal(network, sealDomain, message)
	if err != nil {
		t.Fatal(err)
	}
	if len(sealed) != len(message)+keys.SealOverhead {
		t.Errorf("%d bytes of overhead, want %d", len(sealed)-len(message), keys.SealOverhead)
	}
	if opened, err := key.Open(network, sealDomain, sealed); err != nil || !bytes.Equal(opened, message) {
		t.Errorf("opened %q: %v", opened, err)
	}
	again, err := key.Public().Seal(network, sealDomain, message)
	if err != nil || bytes.Equal(again, sealed) {
		t.Errorf("sealed twice to the same bytes: %v", err)
	}
}

// All failures read alike.
func TestOpenRefuses(t *testing.T) {
	key, network := keys.DecryptionFromSeed([32]byte{1}), [32]byte{9}
	sealed, err := key.Public().Seal(network, sealDomain, []byte("a view"))
	if err != nil {
		t.Fatal(err)
	}
	refused := func(name string, network [32]byte, domain keys.Domain, sealed []byte) {
		t.Helper()
		_, err := key.Open(network, domain, sealed)
		if err == nil || !strings.Contains(err.Error(), "not sealed for this key, network and domain") {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused("another network", [32]byte{8}, sealDomain, sealed)
	refused("another domain", network, "synod/test/other/1", sealed)
	refused("nothing", network, sealDomain, nil)
	refused("cut off", network, sealDomain, sealed[:len(sealed)-1])
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		refused(fmt.Sprintf("byte %d changed", i), network, sealDomain, changed)
	}
	if _, err := keys.DecryptionFromSeed([32]byte{2}).Open(network, sealDomain, sealed); err == nil {
		t.Error("another key opens it")
	}
	if _, err := (keys.EncryptionKey{}).Seal(network, sealDomain, nil); err == nil {
		t.Error("sealed for a point of small order: everybody could open it")
	}
}

// RFC 9180 §A.2.1: the recipient's key.
func TestDecryptionKnownAnswer(t *testing.T) {
	key := keys.DecryptionFromSeed([32]byte(unhex(t, "1ac01f181fdf9f352797655161c58b75c656a6cc2716dcb66372da835542e1df")))
	want := keys.EncryptionKey(unhex(t, "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a"))
	if got := key.Public(); got != want {
		t.Errorf("public key %x", got[:])
	}
}

func TestDecryptionFileRoundTrip(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "node.key")
	key, err := keys.GenerateDecryption()
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.SaveDecryption(path, key); err != nil {
		t.Fatal(err)
	}
	loaded, err := keys.LoadDecryption(path)
	if err != nil || loaded.Public() != key.Public() {
		t.Errorf("loaded %v, saved %v: %v", loaded, key, err)
	}
	if err := keys.SaveDecryption(path, key); !errors.Is(err, fs.ErrExist) {
		t.Errorf("overwritten: %v", err)
	}
	if _, err := keys.Load(path); err == nil || !strings.Contains(err.Error(), "want an Ed25519 key") {
		t.Errorf("loaded as a signing key: %v", err)
	}
	signing := filepath.Join(dir, "signing.key")
	if _, err := keys.Create(signing); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.LoadDecryption(signing); err == nil || !strings.Contains(err.Error(), "want an X25519 key") {
		t.Errorf("loaded as a decryption key: %v", err)
	}
	if err := keys.SaveDecryption(path, keys.DecryptionKey{}); err == nil {
		t.Error("saved no key")
	}
}

func TestDecryptionKeyDoesNotPrint(t *testing.T) {
	key := keys.DecryptionFromSeed([32]byte(bytes.Repeat([]byte{0xAB}, 32)))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%d", "%q"} {
		for _, value := range []any{key, &key, struct{ Key keys.DecryptionKey }{key}} {
			printed := strings.ToLower(fmt.Sprintf(verb, value))
			if strings.Contains(printed, "abab") || strings.Contains(printed, "171 171") || strings.Contains(printed, "0xab, 0xab") {
				t.Errorf("%s prints the secret: %s", verb, printed)
			}
		}
	}
}
