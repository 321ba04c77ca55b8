package admin

import (
	"context"
	"log/slog"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// The reasons of failures, which the API's description lists with their codes.
const (
	reasonUnknownPeer   = "UNKNOWN_PEER"
	reasonUnknownMember = "UNKNOWN_MEMBER"
	reasonInvalid       = "INVALID"
	reasonNotReady      = "NOT_READY"
	reasonNotNeeded     = "NOT_NEEDED"
	reasonNotStored     = "NOT_STORED"
	reasonFailed        = "FAILED"
)

const errorDomain = "admin.synod.network"

// Failure is an answer that the API lists: a reason, with its code.
func Failure(code codes.Code, reason, message string) error {
	plain := status.New(code, message)
	detailed, err := plain.WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: errorDomain})
	if err != nil { // only what cannot be marshalled gets here
		return plain.Err()
	}
	return detailed.Err()
}

func invalid(message string) error { return Failure(codes.InvalidArgument, reasonInvalid, message) }

// Auditor logs what operators change, a line "audit" each time.
type Auditor struct{ log *slog.Logger }

// NewAuditor returns an auditor that writes to a log.
func NewAuditor(log *slog.Logger) Auditor { return Auditor{log} }

// Note says who did what, and from where, also when it failed.
func (a Auditor) Note(ctx context.Context, what string, err error, more ...slog.Attr) {
	name, from := caller(ctx)
	level, result := slog.LevelInfo, "done"
	attributes := []slog.Attr{slog.String("action", what), slog.String("by", name), slog.String("from", from)}
	attributes = append(attributes, more...)
	if err != nil {
		level, result = slog.LevelWarn, "failed"
		attributes = append(attributes, slog.String("error", err.Error()))
	}
	// An operator may have raised the level of the log: what operators do is said all the same.
	if !a.log.Enabled(ctx, level) {
		level = slog.LevelError
	}
	a.log.LogAttrs(ctx, level, "audit", append(attributes, slog.String("result", result))...)
}

// caller is the name in the certificate of who calls, and the address.
func caller(ctx context.Context) (name, from string) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return "this process", "here"
	}
	if info, ok := p.AuthInfo.(credentials.TLSInfo); ok && len(info.State.PeerCertificates) > 0 {
		return info.State.PeerCertificates[0].Subject.CommonName, p.Addr.String()
	}
	return "nobody in particular", p.Addr.String()
}
