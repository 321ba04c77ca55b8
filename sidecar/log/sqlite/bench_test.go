package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/logtest"
	"github.com/synod-network/synod/sidecar/log/sqlite"
)

func BenchmarkCommit(b *testing.B) {
	s, err := sqlite.Open(b.Context(), sqlite.Config{Path: filepath.Join(b.TempDir(), "db"), Layout: log.V1, Readers: 1, AutoCheckpoint: 1000})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	logtest.Bench(b, s)
}
