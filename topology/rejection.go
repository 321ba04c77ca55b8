package topology

import (
	"fmt"

	"github.com/synod-network/synod/keys"
)

// Code says in one word why a transaction is refused. Codes are stable: clients branch on them.
type Code string

// The codes.
const (
	// CodeMalformed: the mapping says nothing sensible, whatever the state.
	CodeMalformed Code = "malformed"
	// CodeInvalidSignature: a signature is not by the key that it names; Missing names the key.
	CodeInvalidSignature Code = "invalid-signature"
	// CodeBadThreshold: the threshold is zero, or more than there are.
	CodeBadThreshold Code = "bad-threshold"
	// CodeBadParameter: a parameter is out of its range.
	CodeBadParameter Code = "bad-parameter"
	// CodeBadKeys: a member lacks a key that it needs, or lists one of a purpose that members do not have.
	CodeBadKeys Code = "bad-keys"
	// CodeKeyReused: a key has another purpose or owner already.
	CodeKeyReused Code = "key-reused"
	// CodeNotFounded: the state has no genesis yet.
	CodeNotFounded Code = "not-founded"
	// CodeOtherGenesis: the state was founded by another genesis.
	CodeOtherGenesis Code = "other-genesis"
	// CodeWrongNetwork: it was signed for another network.
	CodeWrongNetwork Code = "wrong-network"
	// CodeWrongSynchronizer: it is about another synchronizer.
	CodeWrongSynchronizer Code = "wrong-synchronizer"
	// CodeTimeBackwards: the sequencing time lies before one that was applied already.
	CodeTimeBackwards Code = "time-backwards"
	// CodeAlreadyApplied: the very change is what is accepted already.
	CodeAlreadyApplied Code = "already-applied"
	// CodeWrongSerial: the serial is not the next one; see Want and Got.
	CodeWrongSerial Code = "wrong-serial"
	// CodeNothingToRemove: what it would remove is not there, or is not the same.
	CodeNothingToRemove Code = "nothing-to-remove"
	// CodeUnknownNamespace: nobody can sign, as the namespace has no root key or owners.
	CodeUnknownNamespace Code = "unknown-namespace"
	// CodeRevoked: the namespace was ended for good.
	CodeRevoked Code = "revoked"
	// CodeMissingSignature: it is a proposal still; Missing names who has not signed.
	CodeMissingSignature Code = "missing-signature"
	// CodeNoConsent: a node key has not agreed to be that of the sequencer; Missing names all such keys.
	CodeNoConsent Code = "no-consent"
	// CodeNotAuthorized: a delegate signed what it may not; Missing names who could.
	CodeNotAuthorized Code = "not-authorized"
	// CodeUnknownMember: the member has no keys.
	CodeUnknownMember Code = "unknown-member"
	// CodeMemberDisabled: the owners disabled the member.
	CodeMemberDisabled Code = "member-disabled"
	// CodeInUse: something else rests on it.
	CodeInUse Code = "in-use"
	// CodeOnboardingRestricted: only namespaces that the owners permit may add anything.
	CodeOnboardingRestricted Code = "onboarding-restricted"
	// CodeTooManyNamespaces: there are as many namespaces without the owners' permission as may be.
	CodeTooManyNamespaces Code = "too-many-namespaces"
	// CodeTooManyMappings: the namespace has had as many mappings as it may.
	CodeTooManyMappings Code = "too-many-mappings"
	// CodeTooManyChanges: the namespace changes faster than it may; NotBefore says when it may again.
	CodeTooManyChanges Code = "too-many-changes"
)

// Rejection says why a transaction is refused and what to do. It is the same on every node.
type Rejection struct {
	Code Code
	// Key is what the transaction is about; empty where that does not matter.
	Key Key
	// Text is a sentence for people.
	Text string
	// Want and Got are the serials of CodeWrongSerial.
	Want, Got Serial
	// NotBefore is the agreed time from which on CodeTooManyChanges does not apply any more.
	NotBefore Time
	// Missing are the keys, or namespaces, whose signatures are missing, ascending. Of a namespace that owners share, the
	// owners who have not signed: some of them suffice, as Text says.
	Missing []keys.Fingerprint
}

// Error implements error.
func (r *Rejection) Error() string {
	if r.Key == (Key{}) {
		return fmt.Sprintf("topology: %s (%s)", r.Text, r.Code)
	}
	return fmt.Sprintf("topology: %s: %s (%s)", r.Key, r.Text, r.Code)
}

func rejected(code Code, format string, args ...any) *Rejection {
	return &Rejection{Code: code, Text: fmt.Sprintf(format, args...)}
}

func malformed(format string, args ...any) *Rejection {
	return rejected(CodeMalformed, format, args...)
}
