package vault_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/keys/vault"
)

func open(t *testing.T) (*vault.Vault, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	v, err := vault.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	return v, dir
}

func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func TestEachPurposeHasItsKey(t *testing.T) {
	v, _ := open(t)
	for _, p := range keys.Purposes() {
		e := must[vault.Entry](t)(v.Generate(p))
		if newest := must[vault.Entry](t)(v.Newest(p)); newest != e || e.Purpose != p || e.Number != 1 {
			t.Errorf("%s: made %v, newest %v", p, e, newest)
		}
		if _, err := v.Generate(p); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: a second first key: %v", p, err)
		}
		if p == keys.Encryption {
			if key := must[keys.DecryptionKey](t)(v.Decryption(e.Fingerprint)); key.Public().Fingerprint() != e.Fingerprint {
				t.Errorf("%s: another key", p)
			}
			continue
		}
		if key := must[keys.PrivateKey](t)(v.Signing(p, e.Fingerprint)); key.Public().Fingerprint() != e.Fingerprint {
			t.Errorf("%s: another key", p)
		}
	}
	entries := must[[]vault.Entry](t)(v.List())
	if len(entries) != len(keys.Purposes()) {
		t.Errorf("listed %v", entries)
	}
}

func TestKeyServesItsPurposeOnly(t *testing.T) {
	v, _ := open(t)
	signs, opens := must[vault.Entry](t)(v.Generate(keys.Protocol)), must[vault.Entry](t)(v.Generate(keys.Encryption))
	if _, err := v.Signing(keys.Namespace, signs.Fingerprint); err == nil || !strings.Contains(err.Error(), "must not be used for namespace") {
		t.Errorf("a protocol key as namespace key: %v", err)
	}
	if _, err := v.Decryption(signs.Fingerprint); err == nil {
		t.Error("a protocol key as decryption key")
	}
	if _, err := v.Signing(keys.Protocol, opens.Fingerprint); err == nil {
		t.Error("an encryption key as protocol key")
	}
	key := must[keys.PrivateKey](t)(v.Signing(keys.Protocol, signs.Fingerprint))
	if _, err := v.Add(keys.Namespace, key); !errors.Is(err, fs.ErrExist) {
		t.Errorf("one key stored for two purposes: %v", err)
	}
	if _, err := v.Add(keys.Encryption, keys.FromSeed([32]byte{1})); err == nil {
		t.Error("a signing key stored for encryption")
	}
}

func TestRotateThenRetire(t *testing.T) {
	v, dir := open(t)
	if _, err := v.Rotate(keys.Encryption); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("rotated what is not there: %v", err)
	}
	first := must[vault.Entry](t)(v.Generate(keys.Encryption))
	second := must[vault.Entry](t)(v.Rotate(keys.Encryption))
	if newest := must[vault.Entry](t)(v.Newest(keys.Encryption)); newest != second || second.Number != 2 {
		t.Errorf("newest %v after rotation to %v", newest, second)
	}
	if entries := must[[]vault.Entry](t)(v.List()); len(entries) != 2 || entries[0] != first || entries[0].Retired {
		t.Errorf("rotation changed the old key: %v", entries)
	}
	for range 2 { // the second time does nothing
		if err := v.Retire(first.Fingerprint); err != nil {
			t.Fatal(err)
		}
	}
	if entries := must[[]vault.Entry](t)(v.List()); len(entries) != 2 || !entries[0].Retired || entries[1] != second {
		t.Errorf("after retirement %v", entries)
	}
	if _, err := v.Decryption(first.Fingerprint); err != nil {
		t.Errorf("what was sealed for a retired key can no longer be read: %v", err)
	}
	if err := v.Retire(second.Fingerprint); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Newest(keys.Encryption); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a retired key is the newest: %v", err)
	}
	if third := must[vault.Entry](t)(v.Generate(keys.Encryption)); third.Number != 3 {
		t.Errorf("number %d is used again", third.Number)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.key")); len(left) != 1 {
		t.Errorf("in use: %v", left)
	}
	if err := v.Retire(keys.Fingerprint{1}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("retired what is not there: %v", err)
	}
}

// A crash between the two halves of a retirement leaves the key at both places.
func TestInterruptedRetirementIsCompleted(t *testing.T) {
	v, dir := open(t)
	e := must[vault.Entry](t)(v.Generate(keys.Protocol))
	files, _ := filepath.Glob(filepath.Join(dir, "*.key"))
	if err := os.Mkdir(filepath.Join(dir, "retired"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(files[0], filepath.Join(dir, "retired", filepath.Base(files[0]))); err != nil {
		t.Fatal(err)
	}
	if entries := must[[]vault.Entry](t)(v.List()); len(entries) != 1 || !entries[0].Retired {
		t.Errorf("listed %v", entries)
	}
	if err := v.Retire(e.Fingerprint); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.key")); len(left) != 0 {
		t.Errorf("still in use: %v", left)
	}
}

func TestVaultOpenToOthersIsRefused(t *testing.T) {
	v, dir := open(t)
	e := must[vault.Entry](t)(v.Generate(keys.Protocol))
	if err := v.Retire(e.Fingerprint); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "retired")} {
		if err := os.Chmod(path, 0o750); err != nil {
			t.Fatal(err)
		}
		if _, err := vault.Open(dir); err == nil || !strings.Contains(err.Error(), "chmod 700 "+path) {
			t.Errorf("%s: error %v does not say the fix", path, err)
		}
		if err := os.Chmod(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := vault.Create(filepath.Join(dir, "no", "parent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a parent: %v", err)
	}
}

// TestAWrongPathStaysAsItIs: whoever names a directory that is no vault is told so, and finds nothing new there.
func TestAWrongPathStaysAsItIs(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := vault.Open(filepath.Join(dir, "keys")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("where nothing is: %v", err)
	}
	v, err := vault.Open(dir)
	if err == nil {
		_, err = v.Newest(keys.Namespace)
	}
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "name a directory of keys") {
		t.Errorf("where no key is: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v was made, %v", left, err)
	}
}

func TestForeignAndExchangedFiles(t *testing.T) {
	v, dir := open(t)
	e := must[vault.Entry](t)(v.Generate(keys.Protocol))
	files, _ := filepath.Glob(filepath.Join(dir, "*.key"))
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Create(files[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Signing(keys.Protocol, e.Fingerprint); err == nil || !strings.Contains(err.Error(), "not the one it is named after") {
		t.Errorf("exchanged key: %v", err)
	}
	for _, name := range []string{"node.key", "protocol-1-" + e.Fingerprint.String() + ".key", "master-0001-" + e.Fingerprint.String() + ".key", "protocol-0000-" + e.Fingerprint.String() + ".key"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := v.List(); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "README"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := v.List(); err != nil {
		t.Errorf("a note beside the keys: %v", err)
	}
}

// Rotations at once lose no key, whatever numbers they take.
func TestRacingRotationsKeepAllKeys(t *testing.T) {
	v, _ := open(t)
	must[vault.Entry](t)(v.Generate(keys.Protocol))
	var rotations sync.WaitGroup
	for range 8 {
		rotations.Go(func() {
			if _, err := v.Rotate(keys.Protocol); err != nil {
				t.Error(err)
			}
		})
	}
	rotations.Wait()
	if entries := must[[]vault.Entry](t)(v.List()); len(entries) != 9 {
		t.Errorf("%d keys, want 9", len(entries))
	}
}
