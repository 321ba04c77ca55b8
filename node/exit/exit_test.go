package exit_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/synod-network/synod/node/exit"
)

func TestCode(t *testing.T) {
	plain := errors.New("no")
	for _, tc := range []struct {
		name string
		err  error
		want int
	}{
		{"nil", nil, 0},
		{"plain", plain, 1},
		{"coded", exit.With(exit.BadConfig, plain), 78},
		{"wrapped after coding", fmt.Errorf("start: %w", exit.With(exit.Unavailable, plain)), 75},
		{"outermost wins", exit.With(exit.Unhealthy, exit.With(exit.BadConfig, plain)), 4},
		{"nothing to code", exit.With(exit.Usage, nil), 0},
	} {
		if got := exit.Code(tc.err); got != tc.want {
			t.Errorf("%s: code %d, want %d", tc.name, got, tc.want)
		}
	}
}
