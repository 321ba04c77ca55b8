package log

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/synod-network/synod/sidecar/event"
)

// Layout is one of the two sets of tables that releases of Casper's sidecar made. Both call theirs migration 1.
type Layout int

// The layouts.
const (
	V1 Layout = 1 // for nodes 1.x: deploys
	V2 Layout = 2 // for nodes 2.x: transactions, and the API version and network of each event
)

func (l Layout) String() string { return "v" + strconv.Itoa(int(l)) }

// ErrOtherLayout is returned when a database has the other layout than the configuration asks for.
var ErrOtherLayout = errors.New("database of the other layout")

// CheckLayout compares what was found in a database with what the configuration asks for.
func CheckLayout(found, wanted Layout, where string) error {
	if found == wanted {
		return nil
	}
	if wanted == V2 {
		return fmt.Errorf("%w: %s was made by a 1.x sidecar, and the configuration is for 2.x; convert a copy of it with synod sidecar migrate", ErrOtherLayout, where)
	}
	return fmt.Errorf("%w: %s was made by a 2.x sidecar, and the configuration is for 1.x; use the 2.x configuration, or another database", ErrOtherLayout, where)
}

// Type is the number of an event's kind in the tables event_type and event_log, or 0 if the layout has no table for it. The
// Deploy kinds of 1.x and the Transaction kinds of 2.x share numbers.
func (l Layout) Type(kind event.Kind) int {
	if l == V1 {
		return typesV1[kind]
	}
	return typesV2[kind]
}

// Kind is the inverse of [Layout.Type]; [event.Unknown] for numbers that mean nothing.
func (l Layout) Kind(number int) event.Kind {
	types := typesV2
	if l == V1 {
		types = typesV1
	}
	for kind, n := range types {
		if n == number {
			return kind
		}
	}
	return event.Unknown
}

var (
	typesV1 = map[event.Kind]int{
		event.BlockAdded: 1, event.DeployAccepted: 2, event.DeployExpired: 3, event.DeployProcessed: 4,
		event.Fault: 5, event.FinalitySignature: 6, event.Step: 7, event.Shutdown: 8,
	}
	typesV2 = map[event.Kind]int{
		event.BlockAdded: 1, event.TransactionAccepted: 2, event.TransactionExpired: 3, event.TransactionProcessed: 4,
		event.Fault: 5, event.FinalitySignature: 6, event.Step: 7, event.Shutdown: 8,
	}
)

// Variants are the numbers of transaction variants in layout V2.
var Variants = map[string]int{"Deploy": 0, "Version1": 1}

// Row is an event as the tables of a layout hold it.
type Row struct {
	Type     int
	EventKey string // the column event_log.event_key
	Raw      []byte // the column raw; nil for Shutdown
	Variant  int
}

// Row returns how an entry is stored, and false if it fits none of the tables: an unknown kind, one of the other generation of
// nodes, a body without its key, or text that is not UTF-8. Such events are kept in the side table alone.
func (l Layout) Row(e *Entry) (Row, bool) {
	row := Row{Type: l.Type(e.Kind)}
	if row.Type == 0 {
		return Row{}, false
	}
	if e.Kind == event.Shutdown {
		row.EventKey = e.Origin.Node + "-" + strconv.FormatInt(e.Received.Unix(), 10)
		return row, e.Body == nil && e.Origin.Node != "" // the sidecar's own is not a node's
	}
	if !e.Keyed || !utf8.Valid(e.Body) || bytes.IndexByte(e.Body, 0) >= 0 {
		return Row{}, false
	}
	if e.Key.Variant != "" {
		variant, known := Variants[e.Key.Variant]
		if !known {
			return Row{}, false
		}
		row.Variant = variant
	}
	row.EventKey = eventKey(e.Kind, e.Key)
	row.Raw = l.raw(e.Kind, e.Body)
	return row, true
}

// eventKey is the text by which event_log names an event within its type.
func eventKey(kind event.Kind, key event.Key) string {
	switch kind {
	case event.Fault:
		return strconv.FormatUint(key.Era, 10) + " " + key.PublicKey
	case event.FinalitySignature:
		return key.Hash + " " + key.PublicKey
	case event.Step:
		return strconv.FormatUint(key.Era, 10)
	default:
		return key.Hash
	}
}

// ParseEventKey is the inverse of eventKey: it returns the text before and after the space.
func ParseEventKey(text string) (first, second string) {
	first, second, _ = strings.Cut(text, " ")
	return first, second
}

// The releases store accepted deploys and transactions inside one more object, and 2.x renames a field of Step.
var (
	wrapDeploy      = []byte(`{"deploy":`)
	wrapTransaction = []byte(`{"transaction":`)
	effectsOfNode   = []byte(`"execution_effects":`)
	effectOfStore   = []byte(`"execution_effect":`)
)

// raw turns a body into the text of the column raw.
func (l Layout) raw(kind event.Kind, body []byte) []byte {
	switch {
	case kind == event.DeployAccepted:
		return wrap(wrapDeploy, body)
	case kind == event.TransactionAccepted:
		return wrap(wrapTransaction, body)
	case kind == event.Step && l == V2:
		return renameEffects(body, effectsOfNode, effectOfStore)
	default:
		return body
	}
}

// Body is the inverse: it turns the column raw into the body that the node sent.
func (l Layout) Body(kind event.Kind, raw []byte) []byte {
	switch {
	case kind == event.DeployAccepted:
		return unwrap(wrapDeploy, raw)
	case kind == event.TransactionAccepted:
		return unwrap(wrapTransaction, raw)
	case kind == event.Step && l == V2:
		return renameEffects(raw, effectOfStore, effectsOfNode)
	default:
		return raw
	}
}

func wrap(prefix, body []byte) []byte {
	wrapped := make([]byte, 0, len(prefix)+len(body)+1)
	wrapped = append(append(wrapped, prefix...), body...)
	return append(wrapped, '}')
}

func unwrap(prefix, raw []byte) []byte {
	if inner, wrapped := bytes.CutPrefix(raw, prefix); wrapped && len(inner) > 0 {
		return inner[:len(inner)-1]
	}
	return raw
}

// renameEffects renames the first field of that name, which in a Step comes right after the era.
func renameEffects(body, from, to []byte) []byte {
	at := bytes.Index(body[:min(len(body), 256)], from)
	if at < 0 {
		return body
	}
	renamed := make([]byte, 0, len(body)+1)
	renamed = append(append(renamed, body[:at]...), to...)
	return append(renamed, body[at+len(from):]...)
}

// Retention bounds what is kept. A zero field does not bound; the zero value keeps everything.
type Retention struct {
	Age    time.Duration // since it was stored
	Events int64
	Bytes  int64 // of JSON
}

// IsUnbounded reports whether nothing is ever removed.
func (r Retention) IsUnbounded() bool { return r == Retention{} }

// CheckMigration judges the newest row of Casper's table Migration, or the error of reading it. The words are those of Casper's
// sidecar.
func CheckMigration(version int, succeeded bool, err error) error {
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		//lint:ignore ST1005 the words of Casper's sidecar
		return fmt.Errorf("Error when fetching newest migration version: %w", err)
	case !succeeded:
		//lint:ignore ST1005 the words of Casper's sidecar
		return fmt.Errorf("Cannot proceed with migration, newest migration version: %d didn't finish correctly.", version)
	case version > 1:
		return fmt.Errorf("its migration %d is of a later release than this one knows; the newest known is 1", version)
	}
	return nil
}
