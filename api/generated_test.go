package api_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The generated Go is what the .proto files and the pinned generators give.
// A generator that cannot be built is a failure: unchecked is not up to date.
func TestGeneratedCodeIsUpToDate(t *testing.T) {
	// Reading what the generator reads keeps `go test` from answering out of its
	// cache after one of these has changed.
	readFiles(t, ".", ".proto")
	readFiles(t, "../tools/protogen", "")

	fresh := t.TempDir()
	script, err := filepath.Abs("../tools/generate.sh")
	if err != nil {
		t.Fatal(err)
	}
	if output, err := exec.Command(script, fresh).CombinedOutput(); err != nil {
		t.Fatalf("cannot generate, so whether the committed code is stale is unknown: %v\n%s"+
			"the generators are built from the module cache or proxy; fill it with `cd tools/protogen && go mod download`",
			err, output)
	}
	want, got := readFiles(t, fresh, ".pb.go"), readFiles(t, ".", ".pb.go")
	for path, content := range want {
		switch committed, found := got[path]; {
		case !found:
			t.Errorf("api/%s is missing: run tools/generate.sh", path)
		case !bytes.Equal(committed, content):
			t.Errorf("api/%s is stale: run tools/generate.sh", path)
		}
	}
	for path := range got {
		if _, found := want[path]; !found {
			t.Errorf("api/%s is generated from nothing any more: delete it", path)
		}
	}
}

// readFiles reads the files below root whose names end in suffix, by their path
// from root.
func readFiles(t *testing.T, root, suffix string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, suffix) {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		files[name] = content
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
