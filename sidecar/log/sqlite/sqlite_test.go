package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/logtest"
	"github.com/synod-network/synod/sidecar/log/sqlite"
)

func TestStore(t *testing.T) {
	logtest.Run(t, func(t *testing.T, layout log.Layout) logtest.Open {
		path := filepath.Join(t.TempDir(), "events ?#.db3")
		return func(t *testing.T) log.Store {
			t.Helper()
			s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Layout: layout, Readers: 4, AutoCheckpoint: 1000})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	})
}
