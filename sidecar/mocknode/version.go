package mocknode

import (
	"fmt"
	"strconv"
	"strings"
)

// Version is the version of a node's protocol: three numbers.
type Version [3]uint64

// ParseVersion reads "1.5.3".
func ParseVersion(text string) (Version, error) {
	var v Version
	parts := strings.Split(text, ".")
	if len(parts) != len(v) {
		return Version{}, fmt.Errorf("%q is not a version: write three numbers, as 1.5.3", text)
	}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil {
			return Version{}, fmt.Errorf("%q is not a version: write three numbers, as 1.5.3", text)
		}
		v[i] = n
	}
	return v, nil
}

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

// Build is the build version that a node of this version reports.
func (v Version) Build() string { return v.String() + "-c0ffee123" }

// OneStream reports whether nodes of this version have /events instead of three streams.
func (v Version) OneStream() bool { return v[0] >= 2 }
