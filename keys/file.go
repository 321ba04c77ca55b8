package keys

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/synod-network/synod/internal/wholefile"
)

const (
	pemType     = "PRIVATE KEY" // PKCS#8, RFC 7468 §10
	maxFileSize = 64 << 10      // a key file has about 120 bytes
)

// Create generates a key and stores it at path; see [Save].
func Create(path string) (PrivateKey, error) {
	key, err := Generate(rand.Reader)
	if err != nil {
		return PrivateKey{}, err
	}
	if err := Save(path, key); err != nil {
		return PrivateKey{}, err
	}
	return key, nil
}

// Save stores key at path as PKCS#8 in PEM, readable by its owner alone. The file appears whole or not at all and
// survives a power cut once Save has returned. An existing file is never overwritten: the error then matches
// fs.ErrExist.
func Save(path string, key PrivateKey) error {
	if key.IsZero() {
		return fmt.Errorf("save key %s: there is no key to save", path)
	}
	return savePEM(path, key.secret)
}

// SaveDecryption stores key at path by the rules of [Save].
func SaveDecryption(path string, key DecryptionKey) error {
	if key.IsZero() {
		return fmt.Errorf("save key %s: there is no key to save", path)
	}
	return savePEM(path, key.secret)
}

func savePEM(path string, secret any) error {
	der, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		return fmt.Errorf("save key %s: %w", path, err)
	}
	if err := createFile(path, pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})); err != nil {
		return fmt.Errorf("save key %s: %w", path, err)
	}
	return nil
}

// Load reads the key that [Save] or openssl genpkey stored at path. It refuses a file that anybody but its owner can
// read or write, as such a key may have been copied or exchanged.
func Load(path string) (PrivateKey, error) {
	secret, err := loadPEM[ed25519.PrivateKey](path, "Ed25519")
	return PrivateKey{secret: secret}, err
}

// LoadDecryption reads what [SaveDecryption] or openssl genpkey -algorithm X25519 stored at path, by the rules of [Load].
func LoadDecryption(path string) (DecryptionKey, error) {
	secret, err := loadPEM[*ecdh.PrivateKey](path, "X25519")
	if err == nil && secret.Curve() != ecdh.X25519() {
		return DecryptionKey{}, fmt.Errorf("load key %s: want an X25519 key, found one of %v", path, secret.Curve())
	}
	return DecryptionKey{secret: secret}, err
}

func loadPEM[Key any](path, algorithm string) (Key, error) {
	var none Key
	text, err := readPrivate(path)
	if err != nil {
		return none, fmt.Errorf("load key %s: %w", path, err)
	}
	parsed, err := parsePEM(text)
	if err != nil {
		return none, fmt.Errorf("load key %s: %w", path, err)
	}
	key, ok := parsed.(Key)
	if !ok {
		return none, fmt.Errorf("load key %s: want an %s key, found %T", path, algorithm, parsed)
	}
	return key, nil
}

func parsePEM(text []byte) (any, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != pemType || len(rest) != 0 {
		return nil, fmt.Errorf("want exactly one whole PEM block %q; if the file was cut off as it was written or copied, restore it from a backup, or move it away and make a new key", pemType)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("what the PEM block holds is no private key in PKCS #8; restore the file from a backup") // the parser's words speak of its bytes
	}
	return key, nil
}

// readPrivate judges the permissions of the file that it has open, so that nobody can exchange it in between.
func readPrivate(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, errors.Unwrap(err) // the caller names the path
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("not a regular file")
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("mode %04o lets others at the key; run: chmod 600 %s", info.Mode().Perm(), path)
	case info.Size() > maxFileSize:
		return nil, fmt.Errorf("%d bytes are too many for a key", info.Size())
	}
	return io.ReadAll(io.LimitReader(f, maxFileSize))
}

// createFile writes a file for its owner alone, whole and once: two racing creators cannot replace each other's key.
func createFile(path string, content []byte) error {
	err := wholefile.Create(path, content, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%w: move it away first, a key is never overwritten", os.ErrExist)
	}
	return err
}
