package vault

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/synod-network/synod/keys"
)

// Generate makes and stores the first key of a purpose. If a key of the purpose is in use the error matches fs.ErrExist,
// so that a set-up script may run twice; see [Vault.Rotate].
func (v *Vault) Generate(purpose keys.Purpose) (Entry, error) {
	if newest, err := v.Newest(purpose); err == nil {
		return Entry{}, fmt.Errorf("vault %s holds %s for %s already, rotate it instead: %w", v.dir, newest.Fingerprint.Short(), purpose, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return Entry{}, err
	}
	return v.make(purpose)
}

// Rotate makes a new key beside those in use, which stay. It becomes the newest of its purpose.
func (v *Vault) Rotate(purpose keys.Purpose) (Entry, error) {
	if _, err := v.Newest(purpose); err != nil {
		return Entry{}, fmt.Errorf("rotate: %w", err)
	}
	return v.make(purpose)
}

func (v *Vault) make(purpose keys.Purpose) (Entry, error) {
	if purpose == keys.Encryption {
		key, err := keys.GenerateDecryption()
		if err != nil {
			return Entry{}, err
		}
		return v.AddDecryption(key)
	}
	key, err := keys.Generate(rand.Reader)
	if err != nil {
		return Entry{}, err
	}
	return v.Add(purpose, key)
}

// Add stores a signing key that was made elsewhere. A key that is in the vault already, for whatever purpose, is refused:
// the error matches fs.ErrExist.
func (v *Vault) Add(purpose keys.Purpose, key keys.PrivateKey) (Entry, error) {
	if !purpose.Signs() {
		return Entry{}, fmt.Errorf("add a key: keys for %s do not sign", purpose)
	}
	return v.add(purpose, key.Public().Fingerprint(), func(path string) error { return keys.Save(path, key) })
}

// AddDecryption stores a decryption key that was made elsewhere, by the rules of [Vault.Add].
func (v *Vault) AddDecryption(key keys.DecryptionKey) (Entry, error) {
	return v.add(keys.Encryption, key.Public().Fingerprint(), func(path string) error { return keys.SaveDecryption(path, key) })
}

func (v *Vault) add(purpose keys.Purpose, f keys.Fingerprint, save func(path string) error) (Entry, error) {
	entries, err := v.List()
	if err != nil {
		return Entry{}, err
	}
	for _, e := range entries {
		if e.Fingerprint == f {
			return Entry{}, fmt.Errorf("key %s is in vault %s for %s already, and a key has one purpose: %w", f.Short(), v.dir, e.Purpose, fs.ErrExist)
		}
	}
	e := Entry{Purpose: purpose, Number: next(entries, purpose), Fingerprint: f}
	if err := save(v.path(e)); err != nil {
		return Entry{}, err
	}
	return e, nil
}

// Retire puts a key away: it stays readable and is no longer the newest. To retire a retired key again does nothing.
func (v *Vault) Retire(f keys.Fingerprint) error {
	e, err := v.find(f)
	if err != nil {
		return fmt.Errorf("retire: %w", err)
	}
	from, to := e, e
	from.Retired, to.Retired = false, true
	if err := os.Mkdir(filepath.Join(v.dir, retiredDir), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("retire %s: %w", f.Short(), err)
	}
	if err := move(v.path(from), v.path(to)); err != nil {
		return fmt.Errorf("retire %s: %w", f.Short(), err)
	}
	return nil
}

// move links before it removes and syncs in between, so that a power cut leaves the key at one place or at both. Steps
// that were done before are done with.
func move(from, to string) error {
	if err := os.Link(from, to); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := syncDir(filepath.Dir(to)); err != nil {
		return err
	}
	if err := os.Remove(from); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncDir(filepath.Dir(from))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Signing loads the signing key of a fingerprint for the purpose it was stored for. The error matches fs.ErrNotExist if
// the vault does not hold it.
func (v *Vault) Signing(purpose keys.Purpose, f keys.Fingerprint) (keys.PrivateKey, error) {
	e, err := v.find(f)
	if err != nil {
		return keys.PrivateKey{}, err
	}
	if e.Purpose != purpose {
		return keys.PrivateKey{}, fmt.Errorf("key %s is for %s and must not be used for %s", f.Short(), e.Purpose, purpose)
	}
	key, err := keys.Load(v.path(e))
	if err != nil {
		return keys.PrivateKey{}, err
	}
	if got := key.Public().Fingerprint(); got != f {
		return keys.PrivateKey{}, v.exchanged(e, got)
	}
	return key, nil
}

// Decryption loads the decryption key of a fingerprint, retired or not. The error matches fs.ErrNotExist if the vault does
// not hold it.
func (v *Vault) Decryption(f keys.Fingerprint) (keys.DecryptionKey, error) {
	e, err := v.find(f)
	if err != nil {
		return keys.DecryptionKey{}, err
	}
	if e.Purpose != keys.Encryption {
		return keys.DecryptionKey{}, fmt.Errorf("key %s is for %s and opens nothing", f.Short(), e.Purpose)
	}
	key, err := keys.LoadDecryption(v.path(e))
	if err != nil {
		return keys.DecryptionKey{}, err
	}
	if got := key.Public().Fingerprint(); got != f {
		return keys.DecryptionKey{}, v.exchanged(e, got)
	}
	return key, nil
}

func (v *Vault) exchanged(e Entry, got keys.Fingerprint) error {
	return fmt.Errorf("%s holds key %s, not the one it is named after: restore the file from a copy", v.path(e), got.Short())
}
