package store

import (
	"fmt"
	"strconv"
	"strings"
)

// segment is one file of the log.
type segment struct {
	number uint64
	path   string

	// Set before the segment is in use, and constant after that.
	header segmentHeader

	// Guarded by segments.mu. A file is open while it is pinned, and may stay open longer. The writing goroutine pins
	// its segment, changes its capacity, and may read that without the lock.
	capacity int64
	file     File
	pins     int
	retired  bool
}

// firstGroup is the offset of a segment's first group.
const firstGroup = pageSize

const (
	segmentSuffix = ".segment"
	sparePrefix   = "spare-"
	draftPrefix   = "draft-"
)

// segmentName names a segment that is in use or next in line. Names sort as numbers do.
func segmentName(number uint64) string { return fmt.Sprintf("%016x%s", number, segmentSuffix) }

// spareName names a file that waits to be used again; draftName one whose zeros are not all written.
func spareName(number uint64) string { return sparePrefix + segmentName(number) }
func draftName(number uint64) string { return draftPrefix + segmentName(number) }

// parseSegmentName is the inverse of segmentName; false for any other file.
func parseSegmentName(name string) (uint64, bool) {
	hex, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(hex) != 16 {
		return 0, false
	}
	n, err := strconv.ParseUint(hex, 16, 64)
	return n, err == nil
}
