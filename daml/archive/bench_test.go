package archive_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/synod-network/synod/daml/archive"
)

// BenchmarkOpenAndDecode reads and decodes every package of a DAR from SYNOD_DAR_DIR:
// splice-amulet has 37 packages in 1.3 MB.
func BenchmarkOpenAndDecode(b *testing.B) {
	path := filepath.Join(os.Getenv("SYNOD_DAR_DIR"), "splice-amulet-0.1.14.dar")
	if _, err := os.Stat(path); err != nil {
		b.Skip("SYNOD_DAR_DIR has no splice-amulet-0.1.14.dar")
	}
	b.ReportAllocs()
	for b.Loop() {
		dar, err := archive.OpenDAR(path, archive.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		for _, a := range dar.Packages {
			if _, err := a.Decode(archive.Limits{}); err != nil {
				b.Fatal(err)
			}
		}
	}
}
