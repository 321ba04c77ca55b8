package sequencing

import (
	"fmt"
	"strconv"
	"strings"
)

// Code says what became of a request that was not carried out. Its number and
// name are stable: they are stored, hashed and shown to clients.
type Code uint8

// The codes, in the order in which the rules are looked at. Requests that end in
// a code before [DuplicateMessage] are dropped: nobody hears of them, because
// anybody could repeat them and nobody can be charged. The rest reach the sender
// as a deliver error.
const (
	Malformed           Code = 1  // does not decode
	BadSignature        Code = 2  // the signature is not by the key over the content
	UnknownMember       Code = 3  // the topology knows no such active member
	UnknownKey          Code = 4  // the key is not one of the member's
	Disabled            Code = 5  // the member was shut out
	Expired             Code = 6  // max-sequencing-time has passed
	TooFarAhead         Code = 7  // max-sequencing-time lies too far ahead
	Replayed            Code = 8  // this very submission was sequenced already
	TooManyInFlight     Code = 9  // the sender has too many submissions remembered
	StaleSerial         Code = 10 // a purchase that is not above the last
	StaleAcknowledgment Code = 11 // an acknowledgement that is not above the last, or above the present
	NotAuthorised       Code = 12 // too few signatures of those who decide
	TopologyRefused     Code = 13 // the topology did not accept the change
	CannotPay           Code = 14 // not even being told of a refusal is paid for

	DuplicateMessage   Code = 20 // another submission of the sender has this message id
	TooLarge           Code = 21 // payloads exceed the limit
	TopologyTimeAhead  Code = 22 // topology time is after sequencing time
	TopologyTimeTooOld Code = 23 // topology time is before what is tolerated
	UnknownRecipient   Code = 24 // a recipient is not an active member, or a group is empty
	TooManyRecipients  Code = 25 // recipients exceed the limit
	NotEligible        Code = 26 // the sender is not among the eligible
	AlreadySent        Code = 27 // the aggregation was delivered before
	AlreadyContributed Code = 28 // the sender contributed to the aggregation before
	CostTooLow         Code = 29 // the submission costs more than its sender expected
	TrafficExhausted   Code = 30 // the sender has too little traffic left
	lastCode                = TrafficExhausted
	firstDelivered          = DuplicateMessage
	maxDetail               = 255
)

// Category says what a client should do about a code.
type Category string

// The categories.
const (
	// Invalid requests will never be accepted: correct them.
	Invalid Category = "invalid"
	// Unauthorised requests come from somebody who may not make them.
	Unauthorised Category = "unauthorised"
	// Conflict means that the order already holds something that excludes this:
	// most often the very effect that was wanted.
	Conflict Category = "conflict"
	// Stale requests were built on a view that no longer holds: build them anew.
	Stale Category = "stale"
	// Exhausted means to wait, or to buy.
	Exhausted Category = "exhausted"
)

var codes = [lastCode + 1]struct {
	name     string
	category Category
	sentence string // %q takes the detail, if there is one
}{
	Malformed:           {"malformed", Invalid, "the request does not decode"},
	BadSignature:        {"bad_signature", Unauthorised, "the signature is not valid"},
	UnknownMember:       {"unknown_member", Unauthorised, "%q is not an active member of the network"},
	UnknownKey:          {"unknown_key", Unauthorised, "the request is signed by a key that is not one of %q now"},
	Disabled:            {"member_disabled", Unauthorised, "%q was shut out of the network"},
	Expired:             {"expired", Stale, "max-sequencing-time passed before the submission was sequenced"},
	TooFarAhead:         {"max_sequencing_time_too_far", Invalid, "max-sequencing-time lies further ahead than the network allows"},
	Replayed:            {"replayed", Conflict, "this very submission was sequenced before"},
	TooManyInFlight:     {"too_many_in_flight", Exhausted, "too many submissions of %q have not reached their max-sequencing-time: wait for it"},
	StaleSerial:         {"stale_serial", Conflict, "a purchase for %q with this or a higher serial is in force"},
	StaleAcknowledgment: {"stale_acknowledgement", Conflict, "the acknowledgement by %q is not above its last, or above the present"},
	NotAuthorised:       {"not_authorised", Unauthorised, "too few of those who decide signed the request"},
	TopologyRefused:     {"topology_refused", Invalid, "the topology did not accept the change"},
	CannotPay:           {"cannot_pay", Exhausted, "%q has no traffic left: wait for the base allowance, or buy traffic"},
	DuplicateMessage:    {"duplicate_message_id", Conflict, "another submission with this message id was sequenced: use a new id for new content"},
	TooLarge:            {"too_large", Invalid, "the payloads exceed the network's limit: split the batch"},
	TopologyTimeAhead:   {"topology_time_ahead", Invalid, "topology time is after the sequencing time"},
	TopologyTimeTooOld:  {"topology_time_too_old", Stale, "topology time is older than the network tolerates: build the batch anew"},
	UnknownRecipient:    {"unknown_recipient", Stale, "recipient %q is not an active member, or is a group without one"},
	TooManyRecipients:   {"too_many_recipients", Invalid, "the recipients exceed the network's limit: split the batch"},
	NotEligible:         {"not_eligible", Invalid, "%q is not among the eligible senders of the aggregation"},
	AlreadySent:         {"already_sent", Conflict, "the aggregation was delivered before: there is nothing left to do"},
	AlreadyContributed:  {"already_contributed", Conflict, "the sender contributed to the aggregation before: wait for the others"},
	CostTooLow:          {"cost_too_low", Stale, "the submission costs more than its sender expected: %q bytes of traffic"},
	TrafficExhausted:    {"traffic_exhausted", Exhausted, "the submission costs more traffic than the sender has left: %q bytes; wait for the base allowance, or buy traffic"},
}

// Codes lists all codes.
func Codes() (list []Code) {
	for c := range codes {
		if codes[c].name != "" {
			list = append(list, Code(c))
		}
	}
	return list
}

// String returns the stable name of the code.
func (c Code) String() string {
	if c > lastCode || codes[c].name == "" {
		return fmt.Sprintf("code_%d", uint8(c))
	}
	return codes[c].name
}

// Category returns what a client should do about it.
func (c Code) Category() Category {
	if c > lastCode {
		return ""
	}
	return codes[c].category
}

// Delivered reports whether the sender gets a deliver error.
func (c Code) Delivered() bool { return c >= firstDelivered }

// Refusal says why a request is not carried out. It is an error.
type Refusal struct {
	Code   Code
	Detail string // whom or what it is about, at most 255 bytes; may be empty
}

// Error says in a sentence what happened and what to do.
func (r Refusal) Error() string {
	if r.Code > lastCode || codes[r.Code].name == "" {
		return r.Code.String()
	}
	before, after, takesDetail := strings.Cut(codes[r.Code].sentence, "%q")
	if !takesDetail {
		return before
	}
	return before + strconv.Quote(r.Detail) + after
}
