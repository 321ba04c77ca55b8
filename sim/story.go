package sim

import (
	"fmt"
	"io"

	"github.com/synod-network/synod/bft"
)

// story writes down what happens, a line an event, for people to read and for
// tests to compare.
type story struct {
	out   io.Writer // nil: nobody reads
	lines int
}

// tell writes a line: when, who, what. Nobody is "-".
func (s *story) tell(at bft.Time, who string, format string, args ...any) {
	if s.out == nil {
		return
	}
	s.lines++
	fmt.Fprintf(s.out, "%11.6fs  %-3s %s\n", float64(at)/float64(bft.Second), who, fmt.Sprintf(format, args...))
}
