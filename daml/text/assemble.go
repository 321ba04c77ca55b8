package text

import (
	"fmt"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/lf"
)

// Assemble makes a DAR of a package in the textual form and of the packages of
// other DARs, given by path. The text may name the main packages of those by their
// names instead of ids. Packages of [StablePackages] that are referred to are added.
func Assemble(src string, deps []string) (*archive.DAR, error) {
	names := map[string]lf.PackageID{}
	var others []archive.Archive
	for _, path := range deps {
		dep, err := archive.OpenDAR(path, archive.Limits{})
		if err != nil {
			return nil, err
		}
		main, err := dep.Main().Decode(archive.Limits{})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		names[main.Metadata.Name] = main.ID
		others = append(others, dep.Packages...)
	}
	pkg, err := ParseWith(src, names)
	if err != nil {
		return nil, err
	}
	main, err := archive.Encode(pkg)
	if err != nil {
		return nil, err
	}
	packages := append([]archive.Archive{main}, others...)
	stable, err := stableUsed(packages)
	if err != nil {
		return nil, err
	}
	return &archive.DAR{SDKVersion: "0.0.0", Packages: archive.Unique(append(packages, stable...))}, nil
}
