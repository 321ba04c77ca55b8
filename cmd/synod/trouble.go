package main

import (
	"errors"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/synod-network/synod/node/exit"
)

// classified words what became of calls to sequencers, in one line with what to do, and gives it its exit code: no answer from anywhere may
// be different soon, a workload without sense will not. What several sequencers say alike is said once.
func classified(err error) error {
	if _, ok := status.FromError(err); err == nil || !ok {
		return exit.With(exit.Usage, err)
	}
	about, failures := apart(err)
	var texts []string
	of, code := map[string][]string{}, 0
	for i, failure := range failures {
		where, text, one := worded(failure)
		if of[text] == nil {
			texts = append(texts, text)
		}
		if of[text] = append(of[text], where); i > 0 && one != code {
			one = exit.Unavailable
		}
		code = one
	}
	for i, text := range texts {
		if where := slices.DeleteFunc(of[text], func(s string) bool { return s == "" }); len(where) > 0 {
			texts[i] = strings.Join(where, ", ") + ": " + text
		}
	}
	return exit.Errorf(code, "%s%s", about, strings.Join(texts, "; "))
}

// apart returns the errors that were joined into one, and what is said of all of them.
func apart(err error) (about string, list []error) {
	for e := err; e != nil; e = errors.Unwrap(e) {
		joined, ok := e.(interface{ Unwrap() []error })
		if !ok {
			continue
		}
		if all := joined.Unwrap(); e.Error() == errors.Join(all...).Error() {
			about, _ = strings.CutSuffix(err.Error(), e.Error())
			return about, all
		}
	}
	return "", []error{err}
}

// worded is where a call failed, and why.
func worded(err error) (where, text string, code int) {
	where, said, raw := strings.Cut(err.Error(), "rpc error:")
	where = strings.TrimSuffix(strings.TrimSpace(where), ":")
	s, _ := status.FromError(err)
	switch {
	case s.Code() == codes.DeadlineExceeded:
		return where, "no answer in time; is the sequencer running, and is this its public listener?", exit.Unavailable
	case !raw:
		return "", err.Error(), exit.Failed
	}
	if _, after, found := strings.Cut(said, "desc = "); found {
		said = after
	}
	if s.Code() == codes.Unavailable {
		text, code = connectionTrouble(said, true, true)
		return where, text, code
	}
	if s.Code() == codes.Unimplemented {
		return where, "it does not serve this there (" + said + "); name the public listener of a sequencer, which serves the ordering service only with public.ordering = true", exit.BadConfig
	}
	return where, said, exit.Failed
}

// connectionTrouble words why a sequencer could not be reached, from what gRPC says of it, with what to do. encrypted says that TLS was
// spoken, shown that a certificate was.
func connectionTrouble(message string, encrypted, shown bool) (text string, code int) {
	says := func(any ...string) bool {
		for _, one := range any {
			if strings.Contains(message, one) {
				return true
			}
		}
		return false
	}
	switch {
	case says("certificate required") || encrypted && !shown && says("bad certificate"):
		return "it asks for an operator's certificate; write --tls-cert and --tls-key, or --net DIR", exit.BadConfig
	case says("tls: expired certificate"):
		return "it refuses the certificate that was shown, because that has expired or is not valid yet; make another with synod cert client", exit.BadConfig
	case says("tls: unknown certificate authority", "tls: bad certificate", "tls: certificate unknown", "tls: unsupported certificate"):
		return "it refuses the certificate that was shown: that is not an operator's, or of another authority than this sequencer's operators have", exit.BadConfig
	case says("certificate has expired or is not yet valid"):
		return "its certificate has expired, or is not valid yet; make another with synod cert server, and have the sequencer read it with HUP", exit.BadConfig
	case says("signed by unknown authority"):
		return "its certificate is not from the authority in --tls-ca", exit.BadConfig
	case says("cannot validate certificate for", "certificate is valid for", "certificate is not valid for any names", "doesn't contain any IP SANs"):
		return "its certificate is for other hosts: " + last(message), exit.BadConfig
	case says("looked like an HTTP/1.1 header"):
		return "it speaks HTTP/1 there; name a gRPC listener: public.listen for members, admin.grpc_listen for operators", exit.BadConfig
	case says("first record does not look like a TLS handshake"):
		return "it does not speak TLS there; leave out --tls-ca and --tls (of a sandbox, name --ready-file instead of --net), or name the listener that does (admin.grpc_listen for operators)", exit.BadConfig
	case says("produced zero addresses", "no such host"):
		return "no such host is known", exit.Unavailable
	case says("connection refused"):
		return "nothing listens there; is the sequencer running, and is this the right port?", exit.Unavailable
	case hungUp(message) && !encrypted:
		return "it hangs up; perhaps it speaks TLS: write --tls-ca", exit.Unavailable
	case strings.Contains(message, "error reading server preface: EOF"):
		return "it hangs up; is this the right port, and does it speak TLS?", exit.Unavailable
	}
	return last(message), exit.Unavailable
}

// hungUp reports whether the other end ended a connection that it had taken.
func hungUp(message string) bool {
	for _, one := range []string{"error reading server preface", "error reading from server", "broken pipe", "connection reset by peer"} {
		if strings.Contains(message, one) {
			return true
		}
	}
	return false
}

// last is the innermost of what gRPC nests in `desc = "…"`.
func last(message string) string {
	const begin = `desc = "`
	for at := strings.Index(message, begin); at >= 0; at = strings.Index(message, begin) {
		message = strings.TrimSuffix(message[at+len(begin):], `"`)
	}
	return strings.TrimPrefix(message, "transport: ")
}
