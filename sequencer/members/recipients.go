package members

import (
	"errors"

	"google.golang.org/grpc"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// GetRecipients implements the API. What it answers to a stranger does not depend on
// whether there is such an event.
func (s *Service) GetRecipients(request *sequencerv1.GetRecipientsRequest, stream grpc.ServerStreamingServer[sequencerv1.GetRecipientsResponse]) error {
	c, leave, refused := s.enterAs(stream.Context())
	if refused != nil {
		return refused
	}
	defer leave()
	at := sequencing.Time(request.GetTimeMicros())
	if at <= 0 || len(request.GetDigest()) != len(sequencing.Digest{}) {
		return fail(Invalid, "recipients of an event at %d by a digest of %d bytes: want the time of an event, and %d bytes", at, len(request.GetDigest()), len(sequencing.Digest{}))
	}
	select {
	case s.lookups <- struct{}{}:
		defer func() { <-s.lookups }()
	default:
		return fail(TooManyCalls, "this sequencer answers as many questions for recipients as it may, %d: try later or at another one", s.config.Lookups).after(callsRetry)
	}
	encoded, refused := s.recipients(c.id, at, sequencing.Digest(request.GetDigest()))
	if refused != nil {
		return refused
	}
	part := &sequencerv1.GetRecipientsResponse{Size: uint64(len(encoded))}
	return s.inParts(encoded, func(data []byte) error {
		part.Data = data
		err := stream.Send(part)
		part = &sequencerv1.GetRecipientsResponse{}
		return err
	})
}

func (s *Service) recipients(member sequencing.MemberID, at sequencing.Time, set sequencing.Digest) ([]byte, *failure) {
	none := func() *failure {
		return fail(NotYours, "%s has no event at %d with recipients %v: ask for those of an event that this member received or sent", member, at, set)
	}
	m, ok := s.config.State.Member(member)
	if !ok {
		return nil, none()
	}
	encoded, err := s.config.State.Recipients(m.Index, at, set)
	switch {
	case errors.Is(err, sequencing.ErrNotShown):
		return nil, none()
	case err != nil:
		refused := failureOf(err)
		if refused.reason == Internal {
			s.config.Log.Error("the recipients of an event could not be read", "member", string(member), "at", int64(at), "error", err)
		}
		return nil, refused
	}
	return encoded, nil
}
