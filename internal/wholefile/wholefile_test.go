package wholefile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// full takes half of what is written, as a disk does that is full.
func full(w io.Writer) error {
	_, err := io.WriteString(w, "half of")
	return errors.Join(err, syscall.ENOSPC)
}

// TestAFullDiskLeavesNothingHalf: neither a part of a new file, nor of an old one, nor a draft.
func TestAFullDiskLeavesNothingHalf(t *testing.T) {
	dir := t.TempDir()
	fresh, old := filepath.Join(dir, "fresh"), filepath.Join(dir, "old")
	if err := Create(old, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, name := range map[string]func(string, string) error{fresh: os.Link, old: os.Rename} {
		if err := write(path, 0o600, full, name); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: %v", path, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v: want the old file alone", entries, err)
	}
	if content, err := os.ReadFile(old); err != nil || string(content) != "before" {
		t.Errorf("%q, %v", content, err)
	}
}

func TestCreateOverwritesNothingAndReplaceDoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, c := range []struct {
		write func(string, []byte, fs.FileMode) error
		fails error
		want  string
		mode  fs.FileMode
	}{
		{Create, nil, "0", 0o600}, {Create, fs.ErrExist, "0", 0o600}, {Replace, nil, "2", 0o644},
	} {
		content := map[bool]string{true: "2", false: "0"}[c.mode == 0o644]
		if c.fails != nil {
			content = "1"
		}
		if err := c.write(path, []byte(content), c.mode); !errors.Is(err, c.fails) {
			t.Errorf("%v, want %v", err, c.fails)
		}
		got, err := os.ReadFile(path)
		info, statErr := os.Stat(path)
		if err != nil || statErr != nil || string(got) != c.want || info.Mode() != c.mode {
			t.Errorf("%q with mode %v, want %q with %v; %v, %v", got, info.Mode(), c.want, c.mode, err, statErr)
		}
	}
}
