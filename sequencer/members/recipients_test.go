package members_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/sequencer/members"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// recipients asks for the recipients of an event.
func (n *node) recipients(ctx context.Context, at sequencing.Time, digest []byte) (encoded []byte, err error) {
	stream, err := n.client.GetRecipients(ctx, &sequencerv1.GetRecipientsRequest{TimeMicros: int64(at), Digest: digest})
	if err != nil {
		return nil, err
	}
	size := uint64(0)
	for {
		part, err := stream.Recv()
		if err == io.EOF {
			if uint64(len(encoded)) != size {
				return nil, fmt.Errorf("%d bytes, %d were announced", len(encoded), size)
			}
			return encoded, nil
		}
		if err != nil {
			return nil, err
		}
		size += part.GetSize()
		encoded = append(encoded, part.GetData()...)
	}
}

// crowd is alice, carol and so many others, whose names make a large recipient set.
func crowd(n int) (names []string, many []topology.Member) {
	names = []string{"alice", "carol"}
	for i := range n {
		names = append(names, fmt.Sprintf("member%d%s", i, strings.Repeat("x", 60)))
		many = append(many, membertest.Participant(names[i+2]))
	}
	return names, many
}

// The sender and each recipient are told who got a submission to many, at every sequencer the same; nobody else is.
func TestRecipientsAreToldToWhomItConcerns(t *testing.T) {
	names, many := crowd(20)
	s := start(t, options{plan: membertest.Plan{Participants: names, Sequencers: 2}})
	n := s.nodes[0]
	n.send(alice, "m", many...)
	d := n.subscribe(n.as(many[3]), many[3], 0).next()
	e := d.Envelopes[0]
	want := s.submission(alice, "m", many...).Sets[0]
	if e.Recipients != nil || e.Set != want.Digest() {
		t.Fatalf("%d recipients are told, set %v", len(e.Recipients), e.Set)
	}
	s.until("the other sequencer", func() bool { return s.nodes[1].state.Time() >= d.Time })
	for _, n := range s.nodes {
		for _, m := range []topology.Member{alice, many[0], many[19]} {
			encoded, err := n.recipients(n.as(m), d.Time, e.Set[:])
			if err != nil {
				t.Fatalf("%s asks: %v", m, err)
			}
			if set, err := sequencing.DecodeRecipientSet(encoded); err != nil || !slices.Equal(set, want) {
				t.Errorf("%s is told %v, %v", m, set, err)
			}
		}
		for _, tc := range []struct {
			by   topology.Member
			at   sequencing.Time
			set  sequencing.Digest
			code codes.Code
			want members.Reason
		}{
			{carol, d.Time, e.Set, codes.PermissionDenied, members.NotYours},
			{carol, d.Time + 1, e.Set, codes.PermissionDenied, members.NotYours},
			{alice, d.Time + 1, e.Set, codes.PermissionDenied, members.NotYours},
			{alice, d.Time, sequencing.Digest{}, codes.PermissionDenied, members.NotYours},
			{alice, 0, e.Set, codes.InvalidArgument, members.Invalid},
		} {
			_, err := n.recipients(n.as(tc.by), tc.at, tc.set[:])
			wantFailure(t, err, tc.code, tc.want)
		}
		_, err := n.recipients(n.as(alice), d.Time, e.Set[:31])
		wantFailure(t, err, codes.InvalidArgument, members.Invalid)
		_, err = n.recipients(patience(t), d.Time, e.Set[:])
		wantFailure(t, err, codes.Unauthenticated, members.Unauthenticated)
	}
	// A stranger hears the same of an event that there is and of one that there is not.
	_, there := n.recipients(n.as(carol), d.Time, e.Set[:])
	_, not := n.recipients(n.as(carol), d.Time+1, e.Set[:])
	if strings.ReplaceAll(there.Error(), fmt.Sprint(d.Time), "T") != strings.ReplaceAll(not.Error(), fmt.Sprint(d.Time+1), "T") {
		t.Errorf("a stranger tells %v from %v", there, not)
	}
}

// So many questions are answered at once, and no more.
func TestQuestionsForRecipientsAreBounded(t *testing.T) {
	held, release := make(chan struct{}), make(chan struct{})
	s := start(t, options{plan: membertest.Plan{Participants: []string{"alice", "bob"}}, config: func(c *members.Config) {
		c.Lookups = 1
		c.State = slow{c.State, held, release}
	}})
	n := s.nodes[0]
	n.send(alice, "m", bob)
	d := n.subscribe(n.as(bob), bob, 0).next()
	asAlice, answered := n.as(alice), make(chan error, 1)
	go func() {
		_, err := n.recipients(asAlice, d.Time, d.Envelopes[0].Set[:])
		answered <- err
	}()
	<-held
	_, err := n.recipients(n.as(bob), d.Time, d.Envelopes[0].Set[:])
	if _, retry := wantFailure(t, err, codes.ResourceExhausted, members.TooManyCalls); retry == nil {
		t.Error("no delay is named")
	}
	close(release)
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

// slow is a state that holds questions for recipients up.
type slow struct {
	members.State
	held, release chan struct{}
}

func (s slow) Recipients(member sequencing.Index, at sequencing.Time, set sequencing.Digest) ([]byte, error) {
	close(s.held)
	<-s.release
	return s.State.Recipients(member, at, set)
}
