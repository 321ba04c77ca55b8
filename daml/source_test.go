package daml

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// TestSourceIsComplete: what a package that decides imports decides with it, so it is part of the source too. It holds nothing but
// what is on disk.
func TestSourceIsComplete(t *testing.T) {
	folders := map[string]bool{}
	imported := map[string]string{} // folder → a file that imports it
	err := fs.WalkDir(deciding, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(deciding, name)
		if err != nil {
			return err
		}
		if onDisk, err := os.ReadFile(name); err != nil || string(onDisk) != string(text) {
			t.Errorf("%s is another on disk: %v", name, err)
		}
		folders[path.Dir(name)] = true
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if folder, ours := strings.CutPrefix(p, "github.com/synod-network/synod/"); ours {
				imported[strings.TrimPrefix(folder, "daml/")] = name
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for folder, name := range imported {
		if !folders[folder] {
			t.Errorf("%s imports %s, which is not embedded: add it to the line above deciding", name, folder)
		}
	}
	for folder := range folders {
		if folder != "engine" && imported[folder] == "" {
			t.Errorf("%s is embedded, and nothing that decides imports it", folder)
		}
	}
}

// TestSourceChanges: a changed rule gives another digest, and so does one that moves to another file. Tests decide nothing.
func TestSourceChanges(t *testing.T) {
	source := func(files ...string) fs.FS {
		m := fstest.MapFS{}
		for i := 0; i < len(files); i += 2 {
			m[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
		}
		return m
	}
	rule := digest(source("validate/rule.go", "strict"))
	for name, other := range map[string]fs.FS{
		"a stricter rule":           source("validate/rule.go", "stricter"),
		"a rule of another package": source("engine/rule.go", "strict"),
		"another file":              source("validate/rule.go", "strict", "validate/more.go", ""),
		"the same in two files":     source("validate/rule.go", "str", "validate/rule2.go", "ict"),
	} {
		if digest(other) == rule {
			t.Errorf("%s gives the same digest", name)
		}
	}
	if digest(source("validate/rule.go", "strict", "validate/rule_test.go", "x", "validate/notes.txt", "y")) != rule {
		t.Error("tests change the digest")
	}
	if Source() == digest(source()) {
		t.Error("the source is empty")
	}
}

func BenchmarkSource(b *testing.B) {
	for b.Loop() {
		Source()
	}
}
