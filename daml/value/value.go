package value

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"time"
)

// MaxNesting is how deep a value may nest that a ledger stores: a value without parts has depth 0.
const MaxNesting = 100

// ErrNesting says that a value nests too deep to be stored.
var ErrNesting = fmt.Errorf("value nests deeper than %d", MaxNesting)

// Value is one of the types of this package, or of those that live only while a program runs (functions).
type Value interface{ Kind() Kind }

// Kind tells the variants of Value apart.
type Kind uint8

// The kinds of values. Those from KindStruct on exist only while a program runs, and are never stored.
const (
	KindUnit Kind = iota
	KindBool
	KindInt64
	KindNumeric
	KindText
	KindTimestamp
	KindDate
	KindParty
	KindContractID
	KindOptional
	KindList
	KindTextMap
	KindGenMap
	KindRecord
	KindVariant
	KindEnum
	KindStruct
	KindAny
	KindTypeRep
	KindFunction
)

// Stored says whether ledgers can store values of this kind.
func (k Kind) Stored() bool { return k < KindStruct }

type (
	// Unit is the only value of its type.
	Unit struct{}
	// Bool is true or false.
	Bool bool
	// Int64 is a signed 64-bit integer.
	Int64 int64
	// Text is valid UTF-8 without NUL.
	Text string
	// Timestamp is a time in microseconds since 1970-01-01T00:00:00Z, within the years 1 to 9999.
	Timestamp int64
	// Date is a day, counted from 1970-01-01, within the years 1 to 9999.
	Date int32
	// Party is the name of a party.
	Party string
	// ContractID holds the bytes of a contract id; see [ContractID.Local].
	ContractID string
)

// The range of Timestamp and Date.
const (
	MinTimestamp Timestamp = -62135596800_000000
	MaxTimestamp Timestamp = 253402300799_999999
	MinDate      Date      = -719162
	MaxDate      Date      = 2932896
)

// Identifier names a data type, template or interface. Module and Entity are dotted.
type Identifier struct{ Package, Module, Entity string }

// String returns package:Module:Entity.
func (id Identifier) String() string { return id.Package + ":" + id.Module + ":" + id.Entity }

// Qualified returns Module:Entity, which all versions of a type share.
func (id Identifier) Qualified() string { return id.Module + ":" + id.Entity }

// DataType is what the values of a user-defined type share: its name, and the names of its fields or constructors in order.
type DataType struct {
	ID    Identifier
	Names []string
}

// Optional is one value or none: V is nil for none.
type Optional struct{ V Value }

// List is a value in front of a list. The empty list is a List of length 0, whose other fields are nil.
type List struct {
	Head   Value
	Tail   *List
	Length int
}

// Record is a value per field. Without a Type the fields are known by position only, and trailing Nones may be missing.
type Record struct {
	Type   *DataType
	Fields []Value
}

// Variant is a constructor with its argument. Rank is the constructor's position, and counts only if there is a Type.
type Variant struct {
	Type *DataType
	Con  string
	Rank int
	Arg  Value
}

// Enum is a constructor without argument. Rank is the constructor's position, and counts only if there is a Type.
type Enum struct {
	Type *DataType
	Con  string
	Rank int
}

// Struct is a record without a declared type, its fields sorted by name.
type Struct struct {
	Names  []string
	Fields []Value
}

// TypeRep is a closed type as a value. Order is bytes which compare as the types do.
type TypeRep struct {
	Name  string // in LF's text syntax, for people
	Order string
	Con   *Identifier // set if the type is a constructor without arguments
}

// Any is a value together with its type.
type Any struct {
	Type *TypeRep
	V    Value
}

var (
	none    = &Optional{}
	nothing = &List{}
)

// None returns the optional without a value.
func None() *Optional { return none }

// Some returns an optional with a value.
func Some(v Value) *Optional { return &Optional{v} }

// Empty returns the empty list.
func Empty() *List { return nothing }

// Cons returns a list with one more value in front.
func Cons(head Value, tail *List) *List { return &List{head, tail, tail.Length + 1} }

// ListOf returns a list of values.
func ListOf(values ...Value) *List {
	list := Empty()
	for i := len(values) - 1; i >= 0; i-- {
		list = Cons(values[i], list)
	}
	return list
}

// All yields the values of a list in order.
func (l *List) All() func(yield func(Value) bool) {
	return func(yield func(Value) bool) {
		for ; l.Length > 0; l = l.Tail {
			if !yield(l.Head) {
				return
			}
		}
	}
}

// Kind and its siblings tell which variant of Value a type is.
func (Unit) Kind() Kind       { return KindUnit }
func (Bool) Kind() Kind       { return KindBool }
func (Int64) Kind() Kind      { return KindInt64 }
func (Numeric) Kind() Kind    { return KindNumeric }
func (Text) Kind() Kind       { return KindText }
func (Timestamp) Kind() Kind  { return KindTimestamp }
func (Date) Kind() Kind       { return KindDate }
func (Party) Kind() Kind      { return KindParty }
func (ContractID) Kind() Kind { return KindContractID }
func (*Optional) Kind() Kind  { return KindOptional }
func (*List) Kind() Kind      { return KindList }
func (*Record) Kind() Kind    { return KindRecord }
func (*Variant) Kind() Kind   { return KindVariant }
func (*Enum) Kind() Kind      { return KindEnum }
func (*Struct) Kind() Kind    { return KindStruct }
func (*Any) Kind() Kind       { return KindAny }
func (*TypeRep) Kind() Kind   { return KindTypeRep }

// Kind is KindTextMap or KindGenMap.
func (m *Map) Kind() Kind {
	if m.text {
		return KindTextMap
	}
	return KindGenMap
}

// String returns RFC 3339 with as many digits of the second as are needed, in threes.
func (t Timestamp) String() string {
	moment := time.UnixMicro(int64(t)).UTC()
	switch {
	case t%1_000_000 == 0:
		return moment.Format("2006-01-02T15:04:05Z")
	case t%1_000 == 0:
		return moment.Format("2006-01-02T15:04:05.000Z")
	}
	return moment.Format("2006-01-02T15:04:05.000000Z")
}

// ParseTimestamp reads RFC 3339. Digits behind the microsecond are refused.
func ParseTimestamp(text string) (Timestamp, error) {
	moment, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return 0, fmt.Errorf("not a timestamp: %q; want 2026-01-31T12:00:00.000000Z", text)
	}
	if moment.Nanosecond()%1000 != 0 {
		return 0, fmt.Errorf("timestamp %q is finer than a microsecond", text)
	}
	return MakeTimestamp(moment.UnixMicro())
}

// MakeTimestamp checks the range of Timestamp.
func MakeTimestamp(micros int64) (Timestamp, error) {
	if t := Timestamp(micros); t >= MinTimestamp && t <= MaxTimestamp {
		return t, nil
	}
	return 0, errors.New("timestamp is outside the years 1 to 9999")
}

// String returns the date as 2026-01-31.
func (d Date) String() string { return time.Unix(int64(d)*86400, 0).UTC().Format("2006-01-02") }

// ParseDate reads 2026-01-31.
func ParseDate(text string) (Date, error) {
	moment, err := time.Parse("2006-01-02", text)
	if err != nil {
		return 0, fmt.Errorf("not a date: %q; want 2026-01-31", text)
	}
	return MakeDate(moment.Unix() / 86400)
}

// MakeDate checks the range of Date.
func MakeDate(days int64) (Date, error) {
	if days >= int64(MinDate) && days <= int64(MaxDate) {
		return Date(days), nil
	}
	return 0, errors.New("date is outside the years 1 to 9999")
}

// Contract ids: a version byte, the part that the creating transaction determines, and a suffix that the synchronizer adds.
const (
	prefixV1 = 1 + 32
	prefixV2 = 1 + 12
	// maxContractID is the most bytes of an id; clients allow for that many in hexadecimal.
	maxContractID = 127
)

// Local returns the part that the creating transaction determines, with the version.
func (c ContractID) Local() string { return string(c[:c.prefix()]) }

// Suffix returns what the synchronizer added; it is empty while the creating transaction runs.
func (c ContractID) Suffix() string { return string(c[c.prefix():]) }

func (c ContractID) prefix() int {
	if c != "" && c[0] == 1 {
		return min(prefixV2, len(c))
	}
	return min(prefixV1, len(c))
}

// String returns the id in hexadecimal.
func (c ContractID) String() string { return hex.EncodeToString([]byte(c)) }

// ParseContractID reads hexadecimal.
func ParseContractID(text string) (ContractID, error) {
	raw, err := hex.DecodeString(text)
	if err != nil {
		return "", fmt.Errorf("contract id %.80q is not hexadecimal", text)
	}
	return MakeContractID(raw)
}

// MakeContractID checks the length and version of an id.
func MakeContractID(raw []byte) (ContractID, error) {
	var prefix int
	switch {
	case len(raw) > 0 && raw[0] == 0:
		prefix = prefixV1
	case len(raw) > 0 && raw[0] == 1:
		prefix = prefixV2
	default:
		return "", errors.New("contract id is of no known version")
	}
	if len(raw) < prefix || len(raw) > maxContractID {
		return "", fmt.Errorf("contract id has %d bytes; want %d to %d", len(raw), prefix, maxContractID)
	}
	return ContractID(raw), nil
}

const partyPunctuation = " :-_"

// ParseParty checks that a text can name a party: 1 to 255 letters, digits, spaces, colons, minuses and underscores.
func ParseParty(text string) (Party, error) {
	if text == "" || len(text) > 255 {
		return "", fmt.Errorf("party name has %d characters; want 1 to 255", len(text))
	}
	for i := range len(text) {
		c := text[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') && !containsByte(partyPunctuation, c) {
			return "", fmt.Errorf("party %q has a %q; want letters, digits, space, colon, minus and underscore", text, c)
		}
	}
	return Party(text), nil
}

func containsByte(s string, c byte) bool {
	for i := range len(s) {
		if s[i] == c {
			return true
		}
	}
	return false
}

// CheckNesting returns ErrNesting if v nests too deep to be stored, and an error if it holds a function or the like.
func CheckNesting(v Value) error { return checkNesting(v, 0) }

func checkNesting(v Value, depth int) error {
	if depth > MaxNesting {
		return ErrNesting
	}
	switch v := v.(type) {
	case *Optional:
		if v.V != nil {
			return checkNesting(v.V, depth+1)
		}
	case *List:
		for ; v.Length > 0; v = v.Tail {
			if err := checkNesting(v.Head, depth+1); err != nil {
				return err
			}
		}
	case *Map:
		for key, part := range v.All() {
			if err := checkNesting(key, depth+1); err != nil {
				return err
			}
			if err := checkNesting(part, depth+1); err != nil {
				return err
			}
		}
	case *Record:
		for _, field := range v.Fields {
			if err := checkNesting(field, depth+1); err != nil {
				return err
			}
		}
	case *Variant:
		return checkNesting(v.Arg, depth+1)
	default:
		if v == nil || !v.Kind().Stored() {
			return errors.New("functions and values of type Any cannot be stored")
		}
	}
	return nil
}

// Kept returns how many fields of a record are significant: all but the trailing Nones.
func (r *Record) Kept() int {
	n := len(r.Fields)
	for n > 0 {
		if o, ok := r.Fields[n-1].(*Optional); !ok || o.V != nil {
			break
		}
		n--
	}
	return n
}

// Size estimates the memory of a value's own cell in bytes, for budgets.
func Size(fields int) int64 { return int64(min(fields, math.MaxInt32))*16 + 32 }
