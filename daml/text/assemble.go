package text

import (
	"github.com/synod-network/synod/daml/archive"
)

// Assemble makes a DAR of a package in the textual form and of the packages of
// other DARs, given by path.
func Assemble(src string, deps []string) (*archive.DAR, error) {
	pkg, err := Parse(src)
	if err != nil {
		return nil, err
	}
	main, err := archive.Encode(pkg)
	if err != nil {
		return nil, err
	}
	dar := &archive.DAR{SDKVersion: "0.0.0", Packages: []archive.Archive{main}}
	for _, path := range deps {
		dep, err := archive.OpenDAR(path, archive.Limits{})
		if err != nil {
			return nil, err
		}
		dar.Packages = append(dar.Packages, dep.Packages...)
	}
	dar.Packages = archive.Unique(dar.Packages)
	return dar, nil
}
