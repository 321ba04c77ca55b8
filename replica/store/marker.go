package store

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/synod-network/synod/bft"
)

// Origin says how the store came into being, for as long as it lives.
type Origin string

const (
	// Newborn: the member's key had signed nothing when the store was made. Everything that it signed since is in here,
	// so the member may propose at once. A key without its store is not a newborn, nor is a copy of an older store: a
	// member that forgot a block may sign a second one for the same round.
	Newborn Origin = "newborn"
	// Replacement: the store replaces one that was lost or may be old. The member must first learn from a quorum from
	// which epoch on it may propose again.
	Replacement Origin = "replacement"
)

// marker is the file that makes a directory a store: a page of text, for people too.
type marker struct {
	network bft.NetworkID
	origin  Origin
}

func (o Options) markerPath() string { return filepath.Join(o.Dir, "store") }

const markerText = "synod store\nformat %d\nnetwork %s\norigin %s\n"

// Create makes an empty store, durably. Its error is ErrExists if there is one already. Of the options it uses Dir,
// Network and FS.
func Create(opts Options, origin Origin) error {
	opts = opts.withDefaults()
	if origin != Newborn && origin != Replacement {
		return fmt.Errorf("create store in %s: unknown origin %q", opts.Dir, origin)
	}
	if _, err := readMarker(opts); !errors.Is(err, ErrMissing) {
		return errors.Join(fmt.Errorf("create store in %s: %w", opts.Dir, ErrExists), err)
	}
	if err := create(opts, origin); err != nil {
		return fmt.Errorf("create store in %s: %w", opts.Dir, err)
	}
	return nil
}

func create(opts Options, origin Origin) error {
	for _, dir := range []string{opts.Dir, opts.logDir(), opts.indexDir()} {
		if err := opts.FS.MkdirAll(dir); err != nil {
			return err
		}
	}
	page := alignedBuffer(pageSize)
	text := fmt.Appendf(page[:0], markerText, formatVersion, opts.Network, origin)
	for i := len(text); i < pageSize; i++ {
		page[i] = '\n'
	}
	draft := opts.markerPath() + ".draft"
	f, err := opts.FS.Create(draft)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(page, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	// The marker comes last: a directory with a marker is whole.
	if err := opts.FS.SyncDir(opts.Dir); err != nil {
		return err
	}
	if err := opts.FS.Rename(draft, opts.markerPath()); err != nil {
		return err
	}
	return errors.Join(opts.FS.SyncDir(opts.Dir), opts.FS.SyncDir(filepath.Dir(opts.Dir)))
}

func readMarker(opts Options) (m marker, err error) {
	f, err := opts.FS.Open(opts.markerPath())
	if errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("%s: %w; create one, or correct the path", opts.Dir, ErrMissing)
	}
	if err != nil {
		return m, fmt.Errorf("open store: %w", err)
	}
	page := make([]byte, pageSize)
	_, err = f.ReadAt(page, 0)
	if err = errors.Join(err, f.Close()); err != nil {
		return m, fmt.Errorf("read %s: %w", opts.markerPath(), err)
	}
	var version int
	var network string
	if _, err := fmt.Sscanf(strings.TrimSpace(string(page)), strings.TrimSpace(markerText), &version, &network, &m.origin); err != nil {
		return m, fmt.Errorf("%s: %w: it is not the marker of a store", opts.markerPath(), ErrCorrupt)
	}
	if version != formatVersion {
		return m, fmt.Errorf("%s: %w: version %d, this program writes %d", opts.markerPath(), ErrFormat, version, formatVersion)
	}
	id, err := hex.DecodeString(network)
	if err != nil || len(id) != len(m.network) || m.origin != Newborn && m.origin != Replacement {
		return m, fmt.Errorf("%s: %w: it is not the marker of a store", opts.markerPath(), ErrCorrupt)
	}
	copy(m.network[:], id)
	if m.network != opts.Network {
		return m, fmt.Errorf("%s: %w: %s, this node's is %s", opts.Dir, ErrNetwork, m.network, opts.Network)
	}
	return m, nil
}

// Origin says how the store came into being.
func (s *Store) Origin() Origin { return s.origin }
