package node_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/node/exit"
)

// TestReadyFileThatIsADirectory: it stays, though what an earlier run left behind is removed.
func TestReadyFileThatIsADirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "net")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	err := node.ReadyFile(dir, node.NewHealth(), nil).Run(t.Context(), func() { t.Error("it counts as begun") })
	if exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), "is a directory; name a file") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
}

// TestWhatIsNoReadyFile: only one that is not there yet is worth waiting for.
func TestWhatIsNoReadyFile(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		content string
		code    int
		want    string
	}{
		"missing": {"", exit.Unavailable, "is the network running?"},
		"toml":    {"name = 1", exit.BadConfig, "is no ready file"},
		"other":   {`{"pid": 7}`, exit.BadConfig, "is no ready file"},
		".":       {"", exit.BadConfig, "is a directory"},
	} {
		path := filepath.Join(dir, name)
		if c.content != "" {
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := node.ReadReady(path); exit.Code(err) != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
