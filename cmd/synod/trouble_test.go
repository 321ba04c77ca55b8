package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/synod-network/synod/node/exit"
)

// TestConnectionTrouble: what gRPC and TLS say, as they say it, becomes what an operator can act on.
func TestConnectionTrouble(t *testing.T) {
	for _, tc := range []struct {
		message          string
		encrypted, shown bool
		code             int
		want             string
	}{
		{`connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"`, false, false, exit.Unavailable, "nothing listens there"},
		{`connection error: desc = "error reading server preface: connection reset by peer"`, false, false, exit.Unavailable, "write --tls-ca"},
		{`write tcp 127.0.0.1:50486->127.0.0.1:22015: write: broken pipe`, false, false, exit.Unavailable, "write --tls-ca"},
		{`connection error: desc = "error reading server preface: EOF"`, false, false, exit.Unavailable, "write --tls-ca"},
		{`connection error: desc = "error reading server preface: remote error: tls: certificate required"`, true, false, exit.BadConfig, "write --tls-cert and --tls-key"},
		{`connection error: desc = "error reading server preface: remote error: tls: unknown certificate authority"`, true, true, exit.BadConfig, "of another authority"},
		{`connection error: desc = "error reading server preface: remote error: tls: bad certificate"`, true, true, exit.BadConfig, "of another authority"},
		{`connection error: desc = "error reading server preface: remote error: tls: expired certificate"`, true, true, exit.BadConfig, "synod cert client"},
		{`connection error: desc = "transport: authentication handshake failed: tls: first record does not look like a TLS handshake"`, true, true, exit.BadConfig, "does not speak TLS there"},
		{`connection error: desc = "transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by unknown authority"`, true, true, exit.BadConfig, "not from the authority in --tls-ca"},
		{`connection error: desc = "transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2029"`, true, true, exit.BadConfig, "its certificate has expired"},
		{`connection error: desc = "transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate is valid for localhost, not example.org"`, true, true, exit.BadConfig, "for localhost, not example.org"},
		{`connection error: desc = "error reading server preface: EOF"`, true, true, exit.Unavailable, "right port"},
		{`connection error: desc = "error reading server preface: http2: failed reading the frame payload: http2: frame too large, note that the frame header looked like an HTTP/1.1 header"`, true, true, exit.BadConfig, "public.listen for members"},
		{`name resolver error: produced zero addresses`, false, false, exit.Unavailable, "no such host"},
		{`the decision is complete, but cannot be ordered: 1 of 4 sequencers connected, 3 needed for a quorum`, true, true, exit.Unavailable, "the decision is complete, but cannot be ordered: 1 of 4 sequencers connected"},
	} {
		text, code := connectionTrouble(tc.message, tc.encrypted, tc.shown)
		if code != tc.code || !strings.Contains(text, tc.want) || strings.Contains(text, "desc =") {
			t.Errorf("%s\nbecomes %d, %s\nwant %d, %s", tc.message, code, text, tc.code, tc.want)
		}
	}
}

// TestClassified: what became of calls to one sequencer or to several is one line, without the words of gRPC.
func TestClassified(t *testing.T) {
	refused := status.Error(codes.Unavailable, `connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"`)
	silent := status.Error(codes.DeadlineExceeded, "context deadline exceeded")
	nothing := "nothing listens there; is the sequencer running, and is this the right port?"
	for _, c := range []struct {
		err  error
		code int
		want string
	}{
		{fmt.Errorf("load: a:1: %w", refused), exit.Unavailable, "load: a:1: " + nothing},
		{refused, exit.Unavailable, nothing},
		{fmt.Errorf("load: no sequencer can be reached: %w", errors.Join(fmt.Errorf("a:1: %w", refused), fmt.Errorf("b:2: %w", refused))), exit.Unavailable,
			"load: no sequencer can be reached: a:1, b:2: " + nothing},
		{fmt.Errorf("load: no sequencer can be reached: %w", errors.Join(fmt.Errorf("a:1: %w", refused), fmt.Errorf("b:2: %w", silent), fmt.Errorf("c:3: %w", refused))), exit.Unavailable,
			"load: no sequencer can be reached: a:1, c:3: " + nothing + "; b:2: no answer in time; is the sequencer running, and is this its public listener?"},
		{fmt.Errorf("hand over the change: %w", errors.Join(status.Error(codes.PermissionDenied, "not yours"), status.Error(codes.PermissionDenied, "not yours"))), exit.Failed,
			"hand over the change: not yours"},
		{fmt.Errorf("load: a:1: %w", status.Error(codes.Unimplemented, "unknown service synod.ordering.v1.OrderingService")), exit.BadConfig,
			"load: a:1: it does not serve this there (unknown service synod.ordering.v1.OrderingService); name the public listener of a sequencer, which serves the ordering service only with public.ordering = true"},
		{errors.New("rate must be above 0"), exit.Usage, "rate must be above 0"},
	} {
		if got := classified(c.err); got.Error() != c.want || exit.Code(got) != c.code {
			t.Errorf("%v\nbecomes %d, %v\nwant %d, %s", c.err, exit.Code(got), got, c.code, c.want)
		}
	}
	if err := classified(nil); err != nil {
		t.Error(err)
	}
}
