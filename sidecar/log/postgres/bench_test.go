package postgres_test

import (
	"testing"

	"github.com/synod-network/synod/internal/pgtest"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/logtest"
	"github.com/synod-network/synod/sidecar/log/postgres"
)

func BenchmarkCommit(b *testing.B) {
	server := pgtest.Start(b, "fsync = on", "max_wal_size = 4GB")
	s, err := postgres.Open(b.Context(), postgres.Config{DSN: server.Database(b), MaxConnections: 4, Layout: log.V1, Directory: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	logtest.Bench(b, s)
}
