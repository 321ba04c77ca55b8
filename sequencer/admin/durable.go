package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/synod-network/synod/internal/wholefile"
)

// maxFile bounds what is read of a file of this package, in bytes.
const maxFile = 1 << 20

// readFile reads JSON that writeFile wrote; it leaves into alone if there is no file. A damaged file is an error and not
// forgotten: what an operator said would silently be undone.
func readFile(path string, into any) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read what operators set: %w", err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return fmt.Errorf("read what operators set: %w", err)
	}
	if len(content) > maxFile {
		return fmt.Errorf("read what operators set: %s has more than %d bytes", path, maxFile)
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("read what operators set: %s: %w; correct it, or remove it to return to the configuration file", path, err)
	}
	return nil
}

// writeFile replaces a file durably: a crash leaves the old content or the new one.
func writeFile(path string, what any) error {
	content, err := json.MarshalIndent(what, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return wholefile.Replace(path, append(content, '\n'), 0o600)
}
