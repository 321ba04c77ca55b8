package casper

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/synod-network/synod/sidecar/event"
)

// Version is the version of a node.
type Version [3]uint64

// Minimum1 and Minimum2 are the oldest nodes that sidecars of the generations 1.x and 2.x read.
var (
	Minimum1 = Version{1, 5, 2}
	Minimum2 = Version{2, 0, 0}
)

// ParseVersion reads "1.5.3".
func ParseVersion(text string) (Version, error) {
	var v Version
	parts := strings.Split(text, ".")
	if len(parts) != len(v) {
		return Version{}, fmt.Errorf("%.40q is not a version of three numbers", text)
	}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil {
			return Version{}, fmt.Errorf("%.40q is not a version of three numbers", text)
		}
		v[i] = n
	}
	return v, nil
}

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

// Less reports whether a version is older than another.
func (v Version) Less(other Version) bool { return slices.Compare(v[:], other[:]) < 0 }

// filters are the streams that a node of this version has.
func (v Version) filters() []event.Filter {
	if v[0] >= 2 {
		return []event.Filter{event.FilterEvents}
	}
	return []event.Filter{event.FilterMain, event.FilterDeploys, event.FilterSigs}
}

// buildVersion is the version in a node's build version, "1.5.3-a2b4c6d8e@DEBUG": what is before the first dash.
func buildVersion(build string) (Version, error) {
	version, _, _ := strings.Cut(build, "-")
	return ParseVersion(version)
}

// apiVersion reads the body of an ApiVersion event.
func apiVersion(e *event.Event) (string, error) {
	text := strings.Trim(string(e.Body), `"`)
	if len(text)+2 != len(e.Body) {
		return "", errors.New("an ApiVersion that is not a string")
	}
	if _, err := ParseVersion(text); err != nil {
		return "", err
	}
	return text, nil
}
