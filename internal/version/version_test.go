package version_test

import (
	"strings"
	"testing"

	"github.com/synod-network/synod/internal/version"
)

func TestReadNamesTheToolchain(t *testing.T) {
	info := version.Read()
	if !strings.HasPrefix(info.Go, "go1.") || info.Platform == "" || info.Version == "" {
		t.Fatalf("incomplete: %+v", info)
	}
}

func TestString(t *testing.T) {
	info := version.Info{
		Version: "v1.2.3", Revision: "0123456789abcdef", Date: "2026-11-21T09:00:00Z", Modified: true,
		Go: "go1.26.8", Platform: "linux/amd64",
	}
	const want = "synod v1.2.3 go1.26.8 linux/amd64 commit 0123456789ab of 2026-11-21T09:00:00Z with local changes"
	if got := info.String(); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}
