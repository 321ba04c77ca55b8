package archive

import (
	"slices"

	"github.com/synod-network/synod/daml/lf"
)

// InOrder sorts packages such that each comes after those that it refers to, as far as these are among them, so that they can be
// taken one by one. Otherwise they keep their order. Nothing is decoded: what looks like the id of another package counts as a
// reference to it. That cannot go round in a circle, since an id is the hash of all that the package holds.
func InOrder(packages []Archive) []Archive {
	at := make(map[lf.PackageID]int, len(packages))
	for i, a := range packages {
		at[a.ID] = i
	}
	const (
		waiting = iota
		open    // what it refers to is being sorted
		sorted
	)
	state := make([]uint8, len(packages))
	ordered := make([]Archive, 0, len(packages))
	for i := range packages {
		for stack := []int{i}; len(stack) > 0; {
			top := stack[len(stack)-1]
			if state[top] == waiting {
				state[top] = open
				before := mentioned(packages[top].Payload, at)
				slices.Reverse(before) // so that the first is on top
				for _, other := range before {
					if state[other] == waiting {
						stack = append(stack, other)
					}
				}
				continue
			}
			if stack = stack[:len(stack)-1]; state[top] == open {
				state[top] = sorted
				ordered = append(ordered, packages[top])
			}
		}
	}
	return ordered
}

// mentioned finds the positions of ids in a payload. An id is a string of its own there, so before it is the string's length, which
// is no hexadecimal digit.
func mentioned(payload []byte, at map[lf.PackageID]int) (found []int) {
	const length = 64
	run := 0
	for i, b := range payload {
		if b < '0' || b > '9' && b < 'a' || b > 'f' {
			run = 0
			continue
		}
		if run++; run != length {
			continue
		}
		if k, ok := at[lf.PackageID(payload[i+1-length:i+1])]; ok && !slices.Contains(found, k) {
			found = append(found, k)
		}
	}
	return found
}
