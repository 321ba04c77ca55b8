package owner

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

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
			if err := n.register(t.Context(), min(2, len(c.answers)), &sequencerv1.RegisterTopologyRequest{}); (err == nil) != (c.want == yes) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if asked != len(c.answers) {
				t.Errorf("%d were asked", asked)
			}
		})
	}
}

// Whoever says nothing, or that it is not in force, holds the owner up no longer than othersPatience once enough say that it is.
func TestWaitingForWhatIsInForce(t *testing.T) {
	type answer = func(context.Context) error
	yes := func(context.Context) error { return nil }
	never := func(context.Context) error { return errNotYet }
	silent := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	later := func(after time.Duration) answer {
		began := time.Now()
		return func(context.Context) error {
			if time.Since(began) < after {
				return errNotYet
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		answers func() []answer
		took    time.Duration // at least; a second more at most
		fails   bool
	}{
		"all have it":             {func() []answer { return []answer{yes, yes, yes, yes} }, 0, false},
		"one is silent":           {func() []answer { return []answer{silent, yes, yes, yes} }, othersPatience, false},
		"one denies it":           {func() []answer { return []answer{yes, never, yes, yes} }, othersPatience, false},
		"all are slow":            {func() []answer { return []answer{later(9 * time.Second), later(8 * time.Second)} }, 9 * time.Second, false},
		"one comes a bit later":   {func() []answer { return []answer{yes, later(2 * time.Second), yes} }, 2 * time.Second, false},
		"one alone says that":     {func() []answer { return []answer{yes, never, silent, never} }, time.Minute, true},
		"one, and it is the only": {func() []answer { return []answer{later(time.Second)} }, time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, answers := &Network{}, c.answers()
				for i := range answers {
					n.services = append(n.services, numbered{number: i})
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				began := time.Now()
				err := n.await(ctx, min(2, len(answers)), func(ctx context.Context, s sequencerv1.SequencerServiceClient) error {
					return answers[s.(numbered).number](ctx)
				})
				if took := time.Since(began); took < c.took || took > c.took+time.Second || (err != nil) != c.fails {
					t.Errorf("after %s: %v; want %s, an error %t", took, err, c.took, c.fails)
				}
				if c.fails && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("it does not say that time ran out: %v", err)
				}
			})
		})
	}
}

// numbered is a sequencer that is told from others.
type numbered struct {
	sequencerv1.SequencerServiceClient
	number int
}
