package members

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// lane sends the submissions of one member.
type lane struct {
	run    *run
	member *member
	work   <-chan time.Duration // when a submission was due; nil: as fast as it goes
	random *rand.ChaCha8
	via    int // the sequencer to which it sends now
}

// batchMost bounds the submissions in one message of a stream.
const batchMost = 64

// send sends until sending ends, again whenever the connection breaks, says when all is answered, and watches the last connection
// until ctx ends: if that breaks, what was accepted through it and is not ordered may be gone.
func (l *lane) send(ctx, sending context.Context, answered func()) {
	answered = sync.OnceFunc(answered)
	defer answered()
	for sending.Err() == nil {
		var err error
		if l.run.config.Unary {
			err = l.unary(ctx, sending)
		} else {
			err = l.stream(ctx, sending, answered)
		}
		if err == nil {
			continue
		}
		l.run.broke(err)
		l.member.forsake(l.via)
		if sending.Err() == nil {
			l.via = l.member.renew(sending, l.run.network, l.via)
			sleep(sending, reconnectAfter)
		}
	}
}

// next makes the next submission, once there is room for one and one is due. Unless it may wait, it returns
// nothing instead of waiting.
func (l *lane) next(sending context.Context, wait bool) (number uint64, request []byte, ok bool) {
	for !l.member.roomy(l.run.config.InFlight) {
		if !wait {
			return 0, nil, false
		}
		select {
		case <-l.member.flights.room:
		case <-sending.Done():
			return 0, nil, false
		}
	}
	due := l.run.elapsed()
	switch {
	case l.work == nil:
	case wait:
		select {
		case due = <-l.work:
		case <-sending.Done():
			return 0, nil, false
		}
	default:
		select {
		case due = <-l.work:
		default:
			return 0, nil, false
		}
	}
	number = l.member.begin(due, l.via, l.run.config.Listen)
	return number, l.make(number), true
}

// make signs the submission of a number.
func (l *lane) make(number uint64) []byte {
	payload := make([]byte, l.run.config.Size)
	_, _ = l.random.Read(payload)
	binary.BigEndian.PutUint32(payload, uint32(l.member.number))
	binary.BigEndian.PutUint64(payload[4:], number)
	s := &sequencing.Submission{
		Sender: l.member.id, Message: sequencing.MessageID(strconv.FormatUint(number, 10)),
		MaxTime: sequencing.Time(time.Now().Add(l.run.config.lifetime()).UnixMicro()), Cost: 1 << 40,
		Sets: []sequencing.RecipientSet{l.recipients(number)}, Envelopes: []sequencing.Envelope{{Payload: payload}},
	}
	request := sequencing.Request{Body: s}
	digest := request.Digest(l.run.network.id)
	key := l.member.protocol
	request.Signatures = []sequencing.KeySignature{{Key: sequencing.Key(key.Public()), Signature: sequencing.Signature(key.Sign(digest[:]))}}
	return request.Encode()
}

// recipients are the members after the sender, others with each submission.
func (l *lane) recipients(number uint64) (set sequencing.RecipientSet) {
	for i := range l.run.config.Recipients {
		set = append(set, sequencing.Recipient{Kind: sequencing.ToMember, Member: l.run.recipient(l.member, number, i).id})
	}
	slices.SortFunc(set, sequencing.Recipient.Compare)
	return set
}

// recipient is the i-th recipient of a member's submission.
func (r *run) recipient(m *member, number uint64, i int) *member {
	return r.members[(uint64(m.number)+number+uint64(i))%uint64(len(r.members))]
}

// unary sends each submission in a call of its own; as many at a time as may be in flight.
func (l *lane) unary(ctx, sending context.Context) error {
	var calls sync.WaitGroup
	var broken atomic.Pointer[error]
	for broken.Load() == nil {
		number, request, ok := l.next(sending, true)
		if !ok {
			break
		}
		l.run.count(func(r *Result) { r.Submitted++ })
		calls.Go(func() {
			_, err := l.run.network.sequencers[l.via].service.SendAsync(l.member.authorised(ctx), &sequencerv1.SendAsyncRequest{Request: request})
			switch status.Code(err) {
			case codes.Unavailable, codes.Unauthenticated, codes.Canceled, codes.DeadlineExceeded:
				l.member.lose(number)
				broken.Store(&err)
				return
			}
			l.answered(number, err == nil)
		})
	}
	calls.Wait()
	if err := broken.Load(); err != nil {
		return *err
	}
	return nil
}

func (l *lane) answered(number uint64, accepted bool) {
	if accepted {
		l.member.accept(number)
		l.run.count(func(r *Result) { r.Accepted++ })
		return
	}
	l.member.refuse(number)
	l.run.count(func(r *Result) { r.Rejected++ })
}

// batch is the numbers of the submissions in one message.
type batch struct {
	sequence uint64
	numbers  []uint64
}

// stream sends batches, as large as what is due, over one stream. It returns when the stream breaks, or without an error when ctx ends.
func (l *lane) stream(ctx, sending context.Context, answered func()) error {
	streaming, cancel := context.WithCancel(l.member.authorised(ctx))
	defer cancel()
	stream, err := l.run.network.sequencers[l.via].service.SendStream(streaming)
	if err != nil {
		return err
	}
	open, ended := make(chan batch, 1024), make(chan error, 1)
	go func() {
		ended <- l.answers(stream, open, func() {
			if sending.Err() != nil {
				answered()
			}
		})
	}()
	var failed error
	for sequence := uint64(1); failed == nil; sequence++ {
		message := &sequencerv1.SendStreamRequest{Sequence: sequence}
		var numbers []uint64
		for len(numbers) < batchMost {
			number, request, ok := l.next(sending, len(numbers) == 0)
			if !ok {
				break
			}
			numbers, message.Requests = append(numbers, number), append(message.Requests, request)
		}
		if len(numbers) == 0 {
			break
		}
		l.run.count(func(r *Result) { r.Submitted += int64(len(numbers)) })
		open <- batch{sequence, numbers}
		failed = stream.Send(message)
	}
	close(open)
	if err := errors.Join(failed, <-ended); ctx.Err() == nil {
		return err
	}
	return nil
}

type sendStream interface {
	Recv() (*sequencerv1.SendStreamResponse, error)
}

// answers notes what became of each batch, says when all are answered, and returns why the stream ended.
func (l *lane) answers(stream sendStream, open <-chan batch, all func()) error {
	refused := map[uint64]map[uint32]bool{}
	var answered uint64
	var broken error
	for b := range open {
		for answered < b.sequence && broken == nil {
			answer, err := stream.Recv()
			if broken = err; err != nil {
				break
			}
			answered = answer.GetSequence()
			for _, r := range answer.GetRefusals() {
				if refused[r.GetSequence()] == nil {
					refused[r.GetSequence()] = map[uint32]bool{}
				}
				refused[r.GetSequence()][r.GetIndex()] = true
				l.run.refusal(r.GetReason() + " " + r.GetCode())
			}
		}
		if answered < b.sequence {
			for _, number := range b.numbers {
				l.member.lose(number)
			}
			continue
		}
		for i, number := range b.numbers {
			l.answered(number, !refused[b.sequence][uint32(i)])
		}
		delete(refused, b.sequence)
	}
	if broken == nil {
		all()
		_, broken = stream.Recv()
	}
	return broken
}
