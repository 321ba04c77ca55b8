package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Event is one event as a node sent it.
type Event struct {
	Kind Kind
	Tag  string // the name in the JSON: "BlockAdded"; for an Unknown kind whatever the node said

	// Body is the JSON value under the tag, without line breaks: for {"DeployExpired":{"deploy_hash":"…"}} it is
	// {"deploy_hash":"…"}. It is nil for an event that is a bare string ("Shutdown"). If Tag is empty, the data was not an event
	// at all and Body is that data, to be passed on as it came ([Opaque]). Nobody changes these bytes.
	Body []byte

	Origin     Origin
	ID         uint32 // the node's own number for it; meaningless unless HasID
	HasID      bool   // false for ApiVersion, which nodes send without a number
	APIVersion string // in force on this connection when it came: "1.5.3"
	Network    string // chainspec name, such as "casper"; empty if the node does not say
	Build      string // the node's build version, "1.5.3-a2b4c6d8e"
	Received   time.Time
}

// Origin is one stream of one node. It is comparable, and the key of [Positions].
type Origin struct {
	Node   string // URL with a slash at the end, as upstream writes it to the database: "http://127.0.0.1:18101/"
	Filter Filter
}

// Filter is a stream that a node offers, named by its path.
type Filter string

// The streams of Casper nodes. Nodes from 2.0.0 have only [FilterEvents].
const (
	FilterMain    Filter = "events/main"
	FilterDeploys Filter = "events/deploys"
	FilterSigs    Filter = "events/sigs"
	FilterEvents  Filter = "events"
)

// ErrMalformed is what [Parse] returns for data that is not an event of any kind.
var ErrMalformed = errors.New("not an event: neither a JSON string nor an object with one field")

// Parse reads the data of one server-sent event: an object with the tag as its only field, or a bare string. It sets Kind, Tag and
// Body; Body may be a part of data. A tag that is not known gives [Unknown], not an error.
func Parse(data []byte) (Event, error) {
	data = bytes.TrimSpace(data)
	if !json.Valid(data) {
		return Event{}, fmt.Errorf("%w: invalid JSON", ErrMalformed)
	}
	if data[0] == '"' {
		var tag string
		err := json.Unmarshal(data, &tag)
		if err != nil || tag == "" {
			return Event{}, ErrMalformed
		}
		return Event{Kind: KindOf(tag), Tag: tag}, nil
	}
	tag, body, err := only(data)
	if err == nil && KindOf(tag) == Unknown {
		err = json.Unmarshal([]byte(`"`+tag+`"`), &tag)
	}
	if err != nil || tag == "" {
		return Event{}, ErrMalformed
	}
	if bytes.ContainsAny(body, "\r\n") {
		var compact bytes.Buffer
		if err := json.Compact(&compact, body); err != nil {
			return Event{}, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		body = compact.Bytes()
	}
	return Event{Kind: KindOf(tag), Tag: tag, Body: body}, nil
}

// Opaque makes an event of data that [Parse] refused, so that it can be passed on as it came. Line breaks become spaces.
func Opaque(data []byte) Event {
	body := bytes.Map(func(r rune) rune {
		if r == '\r' || r == '\n' {
			return ' '
		}
		return r
	}, data)
	return Event{Kind: Unknown, Body: body}
}

// AppendJSON appends the event as nodes send it, {"tag":body} or "tag" (opaque data as it is), without a line break.
func (e *Event) AppendJSON(to []byte) []byte {
	before, body, after := e.Parts()
	return append(append(append(to, before...), body...), after...)
}

// Parts returns what AppendJSON appends in three pieces, of which the middle one is the body, not copied.
func (e *Event) Parts() (before string, body []byte, after string) {
	switch {
	case e.Tag == "":
		return "", e.Body, ""
	case e.Body == nil:
		return quote(e.Tag), nil, ""
	default:
		return "{" + quote(e.Tag) + ":", e.Body, "}"
	}
}

func quote(tag string) string {
	if KindOf(tag) != Unknown { // a plain name
		return `"` + tag + `"`
	}
	quoted, _ := json.Marshal(tag) // a string always marshals
	return string(quoted)
}
