package owner

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
)

// says is a sequencer that answers every registration alike.
type says struct {
	sequencerv1.SequencerServiceClient
	code  codes.Code
	asked *int
}

func (s says) RegisterTopology(context.Context, *sequencerv1.RegisterTopologyRequest, ...grpc.CallOption) (*sequencerv1.RegisterTopologyResponse, error) {
	*s.asked++
	return &sequencerv1.RegisterTopologyResponse{}, status.Error(s.code, s.code.String())
}

// One sequencer that lies or is behind does not decide what the owner is told; of those that are believed one is honest.
func TestOneSequencerDoesNotDecide(t *testing.T) {
	const yes, no, down = codes.OK, codes.FailedPrecondition, codes.Internal
	for name, c := range map[string]struct {
		answers []codes.Code
		want    codes.Code
	}{
		"a liar refuses":            {[]codes.Code{no, yes, yes, yes}, yes},
		"a liar takes":              {[]codes.Code{yes, no, no, no}, no},
		"the first one fails":       {[]codes.Code{down, yes, yes, yes}, yes},
		"all take":                  {[]codes.Code{yes, yes, yes, yes}, yes},
		"two, and one of them lies": {[]codes.Code{no, yes}, yes},
		"one":                       {[]codes.Code{no}, no},
	} {
		t.Run(name, func(t *testing.T) {
			n, asked := &Network{}, 0
			for _, code := range c.answers {
				n.services = append(n.services, says{code: code, asked: &asked})
			}
			if err := n.register(t.Context(), 2, &sequencerv1.RegisterTopologyRequest{}); (err == nil) != (c.want == yes) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if asked != len(c.answers) {
				t.Errorf("%d were asked", asked)
			}
		})
	}
}
