package engine

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/synod-network/synod/daml/value"
)

// literalText is how builtins show values of simple types.
func literalText(v value.Value) string {
	switch v := v.(type) {
	case value.Bool:
		return strconv.FormatBool(bool(v))
	case value.Int64:
		return strconv.FormatInt(int64(v), 10)
	case value.Numeric:
		return v.Short()
	case value.Timestamp:
		return v.String()
	case value.Date:
		return v.String()
	case value.Party:
		return string(v)
	case value.Text:
		return string(v)
	}
	return "<unit>"
}

func toText(m *machine, a value.Value) (value.Value, error) { return newText(m, literalText(a)), nil }

func textToParty(m *machine, a value.Value) (value.Value, error) {
	p, err := value.ParseParty(string(a.(value.Text)))
	if err != nil {
		return value.None(), nil
	}
	return some(m, p), nil
}

func textToInt64(m *machine, a value.Value) (value.Value, error) {
	s := string(a.(value.Text))
	digits := strings.TrimPrefix(strings.TrimPrefix(s, "+"), "-")
	if strings.HasPrefix(s, "+-") || digits == "" || strings.Trim(digits, "0123456789") != "" {
		return value.None(), nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return value.None(), nil
	}
	return some(m, value.Int64(n)), nil
}

func textToNumeric(m *machine, scale, a value.Value) (value.Value, error) {
	n, err := value.ParseNumericAt(string(a.(value.Text)), scale.(value.Numeric).Scale())
	if err != nil {
		return value.None(), nil
	}
	return some(m, n), nil
}

// contractIDToText gives nothing on a ledger, where ids are not final yet.
func contractIDToText(*machine, value.Value) (value.Value, error) { return value.None(), nil }

func explodeText(m *machine, a value.Value) (value.Value, error) {
	s := string(a.(value.Text))
	list := value.Empty()
	m.work64(8 * len(s))
	for len(s) > 0 {
		_, size := utf8.DecodeLastRuneInString(s)
		list = value.Cons(value.Text(s[len(s)-size:]), list)
		s = s[:len(s)-size]
	}
	m.alloc(int64(list.Length) * (listSize + 16))
	return list, nil
}

func appendText(m *machine, a, b value.Value) (value.Value, error) {
	m.work64(weight(a) + weight(b))
	return newText(m, string(a.(value.Text))+string(b.(value.Text))), nil
}

func implodeText(m *machine, a value.Value) (value.Value, error) {
	var b strings.Builder
	for part := range a.(*value.List).All() {
		b.WriteString(string(part.(value.Text)))
		m.tick--
	}
	m.work64(b.Len())
	return newText(m, b.String()), nil
}

func codePointsToText(m *machine, a value.Value) (value.Value, error) {
	var b strings.Builder
	for part := range a.(*value.List).All() {
		cp := int64(part.(value.Int64))
		if cp < 0 || cp > utf8.MaxRune || !utf8.ValidRune(rune(cp)) {
			return nil, &Failure{Code: "INTERPRETATION_USER_ERROR", Message: fmt.Sprintf("invalid code point 0x%x.", uint64(cp))}
		}
		b.WriteRune(rune(cp))
		m.tick--
	}
	return checkedText(m, b.String())
}

// checkedText refuses NUL, which no stored text may hold.
func checkedText(m *machine, s string) (value.Value, error) {
	if strings.IndexByte(s, 0) >= 0 {
		return nil, &Failure{Code: "MALFORMED_TEXT", Message: "Text must not contain the null character"}
	}
	return newText(m, s), nil
}

func textToCodePoints(m *machine, a value.Value) (value.Value, error) {
	s := string(a.(value.Text))
	list := value.Empty()
	m.work64(8 * len(s))
	for len(s) > 0 {
		r, size := utf8.DecodeLastRuneInString(s)
		list = value.Cons(value.Int64(r), list)
		s = s[:len(s)-size]
	}
	m.alloc(int64(list.Length) * (listSize + 8))
	return list, nil
}

func dateToUnixDays(_ *machine, a value.Value) (value.Value, error) {
	return value.Int64(a.(value.Date)), nil
}

func unixDaysToDate(m *machine, a value.Value) (value.Value, error) {
	d, err := value.MakeDate(int64(a.(value.Int64)))
	if err != nil {
		return nil, m.throwArithmetic("UNIX_DAYS_TO_DATE", a)
	}
	return d, nil
}

func timestampToMicros(_ *machine, a value.Value) (value.Value, error) {
	return value.Int64(a.(value.Timestamp)), nil
}

func microsToTimestamp(m *machine, a value.Value) (value.Value, error) {
	t, err := value.MakeTimestamp(int64(a.(value.Int64)))
	if err != nil {
		return nil, m.throwArithmetic("UNIX_MICROSECONDS_TO_TIMESTAMP", a)
	}
	return t, nil
}
