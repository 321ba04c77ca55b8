package archive

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/synod-network/synod/daml/lf"
)

// DAR is the content of a .dar file, as far as a ledger cares: its packages. The
// sources and compiler files that a DAR also holds are ignored.
type DAR struct {
	SDKVersion string    // of the compiler that wrote it; may be ""
	Packages   []Archive // the main package first, each once
}

// Main is the package that the DAR was made for.
func (d *DAR) Main() Archive { return d.Packages[0] }

// OpenDAR reads a .dar file.
func OpenDAR(path string, limits Limits) (*DAR, error) {
	limits = limits.withDefaults()
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a folder; name the .dar file in it, which the Daml compiler writes to .daml/dist", path)
	}
	dar, err := ReadDAR(f, info.Size(), limits)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return dar, nil
}

// manifestPath is where a DAR says what it holds.
const manifestPath = "META-INF/MANIFEST.MF"

// maxManifest bounds the manifest; that of a DAR with 1000 packages fits.
const maxManifest = 1 << 20

// maxFiles bounds the files of a DAR, of which most are sources.
const maxFiles = 100_000

// ReadDAR reads the content of a .dar file of so many bytes.
func ReadDAR(r io.ReaderAt, size int64, limits Limits) (*DAR, error) {
	limits = limits.withDefaults()
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, notZip(r, size, err)
	}
	if len(z.File) > maxFiles {
		return nil, fmt.Errorf("the DAR holds %d files; the limit is %d", len(z.File), maxFiles)
	}
	files := make(map[string]*zip.File, len(z.File))
	for _, f := range z.File {
		if files[f.Name] != nil {
			return nil, fmt.Errorf("the DAR holds two files named %s", f.Name)
		}
		files[f.Name] = f
	}
	mf, ok := files[manifestPath]
	if !ok {
		return nil, fmt.Errorf("the DAR has no %s", manifestPath)
	}
	text, err := readFile(mf, maxManifest)
	if err != nil {
		return nil, err
	}
	m, err := parseManifest(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", manifestPath, err)
	}
	if len(m.dalfs) > limits.Packages {
		return nil, fmt.Errorf("the DAR holds %d packages; the limit is %d", len(m.dalfs), limits.Packages)
	}
	return m.read(files, limits)
}

// notZip says what a file is that is no zip archive.
func notZip(r io.ReaderAt, size int64, err error) error {
	start := make([]byte, 64)
	n, _ := r.ReadAt(start, 0) // what cannot be read says nothing
	switch start := string(start[:n]); {
	case size == 0:
		return errors.New("not a DAR: the file is empty; build or copy it again")
	case strings.HasPrefix(start, "version https://git-lfs"):
		return errors.New("not a DAR, but the pointer that Git LFS leaves for one: git lfs pull brings the file")
	case strings.HasPrefix(start, "PK"):
		return fmt.Errorf("not a whole DAR (%w): its end is missing or damaged; build or copy it again", err)
	}
	return fmt.Errorf("not a DAR (%w): a DAR is what the Daml compiler or synod daml assemble writes", err)
}

// read reads the packages that the manifest names, the main one first.
func (m manifest) read(files map[string]*zip.File, limits Limits) (*DAR, error) {
	dar := &DAR{SDKVersion: m.sdkVersion}
	left := limits.DARBytes
	seen := map[lf.PackageID]bool{}
	for _, name := range m.dalfs {
		f, ok := files[name]
		if !ok {
			return nil, fmt.Errorf("the manifest names package %s, which the DAR does not hold", name)
		}
		b, err := readFile(f, min(left, limits.DALFBytes))
		if err != nil {
			return nil, err
		}
		left -= int64(len(b))
		a, err := ReadDALF(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if !seen[a.ID] {
			seen[a.ID] = true
			dar.Packages = append(dar.Packages, a)
		}
	}
	return dar, nil
}

// readFile unpacks at most limit bytes, whatever the file claims to hold.
func readFile(f *zip.File, limit int64) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	defer r.Close()
	var b bytes.Buffer
	if f.UncompressedSize64 <= uint64(limit) {
		b.Grow(int(f.UncompressedSize64) + bytes.MinRead)
	}
	n, err := io.Copy(&b, io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	if n > limit {
		return nil, fmt.Errorf("%s is larger than the %d bytes that may be unpacked for it", f.Name, limit)
	}
	return b.Bytes(), nil
}

// manifest is what the manifest of a DAR says.
type manifest struct {
	dalfs      []string // the main one first
	sdkVersion string
}

func parseManifest(text []byte) (manifest, error) {
	var m manifest
	s := strings.ReplaceAll(string(text), "\r\n", "\n")
	s = strings.ReplaceAll(s, "\n ", "") // a line that begins with a space continues the one before
	entries := map[string]string{}
	for line := range strings.SplitSeq(s, "\n") {
		if line = strings.TrimRight(line, " "); line == "" {
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			return m, fmt.Errorf("line %.40q has no colon", line)
		}
		if _, twice := entries[key]; twice {
			return m, fmt.Errorf("%s comes twice", key)
		}
		entries[key] = strings.TrimSpace(value)
	}
	if f, ok := entries["Format"]; ok && f != "daml-lf" {
		return m, fmt.Errorf("entry Format is %q, not daml-lf", f)
	}
	if e, ok := entries["Encryption"]; ok && e != "non-encrypted" {
		return m, fmt.Errorf("entry Encryption is %q; encrypted DARs cannot be read", e)
	}
	m.sdkVersion = entries["Sdk-Version"]
	main := entries["Main-Dalf"]
	if main == "" {
		return m, errors.New("entry Main-Dalf is missing, which says which package is the main one")
	}
	m.dalfs = []string{main}
	listed := false
	for name := range strings.SplitSeq(entries["Dalfs"], ",") {
		switch name = strings.TrimSpace(name); name {
		case "":
		case main:
			listed = true
		default:
			m.dalfs = append(m.dalfs, name)
		}
	}
	if !listed {
		return m, fmt.Errorf("entry Dalfs does not list the main package %s", main)
	}
	return m, nil
}
