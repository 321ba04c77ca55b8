package main

import (
	"strings"

	"github.com/synod-network/synod/node/exit"
)

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
	case says("first record does not look like a TLS handshake"):
		return "it does not speak TLS there; leave out --tls-ca, or name the listener that does (admin.grpc_listen for operators)", exit.BadConfig
	case says("produced zero addresses", "no such host"):
		return "no such host is known", exit.Unavailable
	case says("connection refused"):
		return "nothing listens there; is the sequencer running, and is this the right port?", exit.Unavailable
	case hungUp(message) && !encrypted:
		return "it hangs up; perhaps it speaks TLS: write --tls-ca", exit.Unavailable
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
