// Package vault stores the keys of one node in a directory that only its owner may enter.
//
//	keys/
//	  namespace-0001-1220….key                  a file a key: purpose, number, fingerprint
//	  protocol-0002-1220….key                   the newest of its purpose signs
//	  retired/protocol-0001-1220….key           no longer used for new signatures
//
// The name of a file says what the key is for and which key it must hold; a file that holds another is refused. Keys are
// never overwritten and never deleted: what was sealed for an old key must stay readable, and whether an old signature
// still counts is for the topology to say.
//
// Exchanging a key takes three steps, since the network must know the new one before it signs: [Vault.Rotate] makes it
// beside the old one, a topology transaction announces it and withdraws the old one, and once that is in force
// [Vault.Retire] puts the old one away.
//
// The directory is the only state: any number of processes may use it at once.
package vault

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/synod-network/synod/keys"
)

const (
	retiredDir = "retired"
	extension  = ".key"
	digits     = 4 // of a number, at least
)

// Vault is a directory of keys.
type Vault struct{ dir string }

// Entry says which key a file holds.
type Entry struct {
	Purpose keys.Purpose
	// Number counts the keys of a purpose from 1, in the order in which they were made.
	Number      int
	Fingerprint keys.Fingerprint
	// Retired keys make no new signatures.
	Retired bool
}

// Create opens the vault at dir and makes the directory if its parent is there.
func Create(dir string) (*Vault, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("create vault: %w", err)
	}
	return Open(dir)
}

// Open opens the vault at dir. It refuses a directory that anybody but its owner can enter, and writes nothing: a wrong path
// stays as it is.
func Open(dir string) (*Vault, error) {
	for _, path := range []string{dir, filepath.Join(dir, retiredDir)} {
		info, err := os.Stat(path)
		switch {
		case path != dir && errors.Is(err, fs.ErrNotExist): // no key was ever retired, or a copy left out what is empty
		case err != nil:
			return nil, fmt.Errorf("open vault: %w", err)
		case !info.IsDir():
			return nil, fmt.Errorf("open vault: %s is not a directory", path)
		case info.Mode().Perm()&0o077 != 0:
			return nil, fmt.Errorf("open vault: mode %04o lets others into %s; run: chmod 700 %s", info.Mode().Perm(), path, path)
		}
	}
	return &Vault{dir: dir}, nil
}

// List returns all keys, ordered by purpose and number. A foreign file that ends in .key is an error: it may be a key
// under a name that hides it.
func (v *Vault) List() ([]Entry, error) {
	current, err := listDir(v.dir, false)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	retired, err := listDir(filepath.Join(v.dir, retiredDir), true)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	// A crash while a key is retired leaves it at both places: it is retired.
	for _, r := range retired {
		current = slices.DeleteFunc(current, func(e Entry) bool { return e.Fingerprint == r.Fingerprint })
	}
	all := append(current, retired...)
	slices.SortFunc(all, Entry.compare)
	return all, nil
}

// Newest returns the newest key of a purpose that is not retired. The error matches fs.ErrNotExist if there is none.
func (v *Vault) Newest(purpose keys.Purpose) (Entry, error) {
	entries, err := v.List()
	if err != nil {
		return Entry{}, err
	}
	for _, e := range slices.Backward(entries) {
		if e.Purpose == purpose && !e.Retired {
			return e, nil
		}
	}
	return Entry{}, &noKeyError{v.dir, purpose}
}

// noKeyError says that a directory is no vault with a key for the purpose.
type noKeyError struct {
	dir     string
	purpose keys.Purpose
}

func (e *noKeyError) Error() string {
	return fmt.Sprintf("%s holds no key for %s; name a directory of keys, whose files are called like %s-0001-1220….key", e.dir, e.purpose, e.purpose)
}

// Is makes it match [fs.ErrNotExist].
func (e *noKeyError) Is(target error) bool { return target == fs.ErrNotExist }

func (v *Vault) find(f keys.Fingerprint) (Entry, error) {
	entries, err := v.List()
	if err != nil {
		return Entry{}, err
	}
	for _, e := range entries {
		if e.Fingerprint == f {
			return e, nil
		}
	}
	return Entry{}, fmt.Errorf("vault %s holds no key %s: %w", v.dir, f, fs.ErrNotExist)
}

// next is the number of the next key of a purpose.
func next(entries []Entry, purpose keys.Purpose) int {
	highest := 0
	for _, e := range entries {
		if e.Purpose == purpose {
			highest = max(highest, e.Number)
		}
	}
	return highest + 1
}

func listDir(dir string, retired bool) ([]Entry, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), extension) {
			continue
		}
		e, err := parseName(file.Name())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, file.Name()), err)
		}
		e.Retired = retired
		entries = append(entries, e)
	}
	return entries, nil
}

// parseName reads <purpose>-<number>-<fingerprint>.key, from the end since names of purposes hold dashes.
func parseName(name string) (Entry, error) {
	rest := strings.TrimSuffix(name, extension)
	rest, finger, _ := cutLast(rest, "-")
	purpose, number, _ := cutLast(rest, "-")
	p, errPurpose := keys.ParsePurpose(purpose)
	n, errNumber := strconv.Atoi(number)
	f, errPrint := keys.ParseFingerprint(finger)
	e := Entry{Purpose: p, Number: n, Fingerprint: f}
	if err := errors.Join(errPurpose, errNumber, errPrint); err != nil || n < 1 || e.name() != name {
		return Entry{}, errors.New("not the name of a key; move the file out of the vault")
	}
	return e, nil
}

func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}

func (e Entry) name() string {
	return fmt.Sprintf("%s-%0*d-%s%s", e.Purpose, digits, e.Number, e.Fingerprint, extension)
}

func (e Entry) compare(o Entry) int {
	return cmp.Or(cmp.Compare(e.Purpose, o.Purpose), cmp.Compare(e.Number, o.Number), e.Fingerprint.Compare(o.Fingerprint))
}

func (v *Vault) path(e Entry) string {
	if e.Retired {
		return filepath.Join(v.dir, retiredDir, e.name())
	}
	return filepath.Join(v.dir, e.name())
}
