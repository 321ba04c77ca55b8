package members

import (
	"context"
	"time"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// Entered is a call that may begin.
type Entered struct {
	// Context is the call's, for its handler.
	Context context.Context
	// Caller is the member that calls; empty for a stranger, who need not say.
	Caller string
	// Most is how many bytes a message of the call may have, 0 for any number.
	Most int
	// Leave ends the call.
	Leave func()
}

// Most of a message, in bytes: of methods that anybody may call, and of those of members that send no requests.
const (
	fewBytes     = 8 << 10
	topologyMost = sequencing.MaxTopology + sequencing.MaxTopology/4 // each transaction has a length
	memberMost   = 64 << 10
)

// strangers are the methods that anybody may call, and how large a message of theirs may be.
var strangers = map[string]int{
	sequencerv1.SequencerService_Handshake_FullMethodName:        fewBytes,
	sequencerv1.SequencerService_Challenge_FullMethodName:        fewBytes,
	sequencerv1.SequencerService_Authenticate_FullMethodName:     fewBytes,
	sequencerv1.SequencerService_GetTime_FullMethodName:          fewBytes,
	sequencerv1.SequencerService_DownloadTopology_FullMethodName: fewBytes,
	sequencerv1.SequencerService_RegisterTopology_FullMethodName: topologyMost,
}

type enteredKey struct{}

// Enter begins a call of a method before any message of it is read: it checks the token where one is needed, and the limits of calls. Where it
// is not asked, a handler does the same once it has its message.
func (s *Service) Enter(ctx context.Context, method string) (Entered, error) {
	if most, ok := strangers[method]; ok {
		leave, refused := s.enter(ctx)
		if refused != nil {
			return Entered{}, refused
		}
		return Entered{Context: context.WithValue(ctx, enteredKey{}, caller{}), Most: most, Leave: leave}, nil
	}
	c, leave, refused := s.enterAs(ctx)
	if refused != nil {
		return Entered{}, refused
	}
	entered := Entered{Context: context.WithValue(ctx, enteredKey{}, c), Caller: string(c.id), Most: memberMost, Leave: leave}
	switch method {
	case sequencerv1.SequencerService_SendAsync_FullMethodName, sequencerv1.SequencerService_SendStream_FullMethodName:
		entered.Most = 0
	}
	return entered, nil
}

// Overloaded is the refusal of a call that finds no room.
func (s *Service) Overloaded(message string, retryAfter time.Duration) error {
	return fail(TooManyCalls, "%s", message).after(retryAfter)
}
