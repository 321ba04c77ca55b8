package archive

import (
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// failure carries a decoding error up to the exported function that recovers it.
type failure struct{ err error }

func recoverFailure(err *error) {
	switch r := recover().(type) {
	case nil:
	case failure:
		*err = r.err
	default:
		panic(r)
	}
}

// cursor reads the fields of one protobuf message in the order in which they come.
type cursor struct {
	d       *decoder
	message string // its name, for errors
	rest    []byte
	seen    uint64 // singular fields below 64 that came already

	num   protowire.Number
	typ   protowire.Type
	value uint64
	data  []byte
}

func (d *decoder) open(message string, b []byte) cursor {
	return cursor{d: d, message: message, rest: b}
}

// next reads one field; it says false at the end of the message.
func (c *cursor) next() bool {
	if len(c.rest) == 0 {
		return false
	}
	num, typ, n := protowire.ConsumeTag(c.rest)
	if n < 0 {
		c.failf("not a protobuf message: %v", protowire.ParseError(n))
	}
	c.num, c.typ, c.rest = num, typ, c.rest[n:]
	switch typ {
	case protowire.VarintType:
		c.value, n = protowire.ConsumeVarint(c.rest)
	case protowire.BytesType:
		c.data, n = protowire.ConsumeBytes(c.rest)
	case protowire.Fixed64Type:
		c.value, n = protowire.ConsumeFixed64(c.rest)
	default:
		c.failf("field %d has wire type %d, which no field has", num, typ)
	}
	if n < 0 {
		c.failf("field %d: %v", num, protowire.ParseError(n))
	}
	c.rest = c.rest[n:]
	return true
}

// once refuses a field that came already.
func (c *cursor) once() {
	if c.num < 64 {
		if bit := uint64(1) << c.num; c.seen&bit != 0 {
			c.failf("field %d comes twice", c.num)
		} else {
			c.seen |= bit
		}
	}
}

func (c *cursor) want(typ protowire.Type) {
	if c.typ != typ {
		c.failf("field %d has wire type %d instead of %d", c.num, c.typ, typ)
	}
}

// bytes gives the content of a singular field that holds text or a message.
func (c *cursor) bytes() []byte {
	c.once()
	return c.item()
}

// item gives the content of a repeated field that holds text or a message.
func (c *cursor) item() []byte {
	c.want(protowire.BytesType)
	return c.data
}

func (c *cursor) text(b []byte) string {
	if !utf8.Valid(b) {
		c.failf("field %d is not UTF-8", c.num)
	}
	return string(b)
}

// empty reads a field whose message has no fields.
func (c *cursor) empty() {
	if len(c.bytes()) != 0 {
		c.failf("field %d should be empty", c.num)
	}
}

func (c *cursor) varint() uint64 {
	c.once()
	c.want(protowire.VarintType)
	return c.value
}

func (c *cursor) bool() bool {
	v := c.varint()
	if v > 1 {
		c.failf("field %d: %d is neither false nor true", c.num, v)
	}
	return v == 1
}

func (c *cursor) int32() int32 {
	v := c.varint()
	if int64(v) != int64(int32(v)) {
		c.failf("field %d: %d does not fit 32 bits", c.num, int64(v))
	}
	return int32(v)
}

// index reads a position in a table.
func (c *cursor) index() int {
	v := c.int32()
	if v < 0 {
		c.failf("field %d: %d is no position in a table", c.num, v)
	}
	return int(v)
}

// indices reads a repeated number, packed or not, into the list.
func (c *cursor) indices(to []int) []int {
	if c.typ == protowire.VarintType {
		if c.value > 1<<31-1 {
			c.failf("field %d: %d is no position in a table", c.num, c.value)
		}
		return append(to, int(c.value))
	}
	for b := c.item(); len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 || v > 1<<31-1 {
			c.failf("field %d is no list of positions in a table", c.num)
		}
		to, b = append(to, int(v)), b[n:]
	}
	return to
}

func (c *cursor) unknown() {
	c.failf("field %d is unknown: the package was written for a newer version of the format", c.num)
}

func (c *cursor) failf(format string, args ...any) {
	c.d.failf("%s: %s", c.message, fmt.Sprintf(format, args...))
}
