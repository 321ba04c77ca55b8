package keys_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/synod-network/synod/keys"
)

func TestFileRoundTrip(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "node.key")
	created, err := keys.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := keys.Load(path)
	if err != nil || loaded.Public() != created.Public() {
		t.Fatalf("loaded %v, created %v: %v", loaded, created, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("temporary files stay behind: %v", left)
	}
}

func TestKeyOpenToOthersIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node.key")
	if _, err := keys.Create(path); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o644, 0o601} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := keys.Load(path)
		if err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("mode %o: error %v does not say the fix in one line", mode, err)
		}
	}
	for _, mode := range []os.FileMode{0o600, 0o400} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := keys.Load(path); err != nil {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

// Of many creators at once exactly one wins, and the file holds the winner's key.
func TestKeyIsNeverOverwritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node.key")
	var winner atomic.Pointer[keys.PrivateKey]
	var creators sync.WaitGroup
	for range 8 {
		creators.Go(func() {
			key, err := keys.Create(path)
			switch {
			case err == nil && winner.Swap(&key) != nil:
				t.Error("two creators succeeded")
			case err != nil && !errors.Is(err, fs.ErrExist):
				t.Error(err)
			}
		})
	}
	creators.Wait()
	loaded, err := keys.Load(path)
	if err != nil || loaded.Public() != winner.Load().Public() {
		t.Errorf("file holds %v, %v; the winner made %v", loaded, err, winner.Load())
	}
}

func TestBadFilesAreRefused(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	otherDER, err := x509.MarshalPKCS8PrivateKey(other)
	if err != nil {
		t.Fatal(err)
	}
	otherPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: otherDER})
	for name, content := range map[string][]byte{
		"empty":           {},
		"not PEM":         []byte("hello\n"),
		"not a key":       pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("hello")}),
		"certificate":     pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: otherDER}),
		"not Ed25519":     otherPEM,
		"two keys":        append(otherPEM, otherPEM...),
		"far too large":   make([]byte, 1<<20),
		"directory":       nil,
		"missing":         nil,
		"unreadable link": nil,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "node.key")
			switch {
			case content != nil:
				err = os.WriteFile(path, content, 0o600)
			case name == "directory":
				err = os.Mkdir(path, 0o700)
			case name == "unreadable link":
				err = os.Symlink(path+".gone", path)
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := keys.Load(path); err == nil || strings.Count(err.Error(), path) != 1 {
				t.Errorf("error %v: want one that names the file once", err)
			}
		})
	}
}
