package engine

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/value"
)

// builtin is a function of the language. Operands have the right types: packages were validated.
type builtin struct {
	fun   lf.Function
	name  string
	arity int
	one   func(m *machine, a value.Value) (value.Value, error)
	two   func(m *machine, a, b value.Value) (value.Value, error)
	three func(m *machine, a, b, c value.Value) (value.Value, error)
	four  func(m *machine, a, b, c, d value.Value) (value.Value, error)
	// constant is what a function without parameters is.
	constant value.Value
	// calls says that it calls functions that are its operands, or fails after a look at the machine's frames.
	calls bool
	proto *proto
}

// direct says whether the inner loop may apply it without leaving.
func (b *builtin) direct() bool { return !b.calls && b.arity > 0 }

type unaryFn = func(m *machine, a value.Value) (value.Value, error)

func one(f unaryFn) *builtin { return &builtin{arity: 1, one: f} }

func two(f func(m *machine, a, b value.Value) (value.Value, error)) *builtin {
	return &builtin{arity: 2, two: f}
}

func three(f func(m *machine, a, b, c value.Value) (value.Value, error)) *builtin {
	return &builtin{arity: 3, three: f}
}

func calling(b *builtin) *builtin {
	b.calls = true
	return b
}

// builtinTable returns the stable builtins.
func builtinTable() map[lf.Function]*builtin {
	table := map[lf.Function]*builtin{
		lf.FnTrace:     two(trace),
		lf.FnError:     one(userError),
		lf.FnEqual:     two(equal),
		lf.FnLessEq:    two(compare(func(c int) bool { return c <= 0 })),
		lf.FnLess:      two(compare(func(c int) bool { return c < 0 })),
		lf.FnGreaterEq: two(compare(func(c int) bool { return c >= 0 })),
		lf.FnGreater:   two(compare(func(c int) bool { return c > 0 })),

		lf.FnAddInt64: two(arithmetic("ADD_INT64", addInt64)),
		lf.FnSubInt64: two(arithmetic("SUB_INT64", subInt64)),
		lf.FnMulInt64: two(arithmetic("MUL_INT64", mulInt64)),
		lf.FnDivInt64: two(arithmetic("DIV_INT64", divInt64)),
		lf.FnModInt64: two(arithmetic("MOD_INT64", modInt64)),
		lf.FnExpInt64: two(arithmetic("EXP_INT64", expInt64)),

		lf.FnAddNumeric:     two(numericSum("ADD_NUMERIC", value.Numeric.Add)),
		lf.FnSubNumeric:     two(numericSum("SUB_NUMERIC", value.Numeric.Sub)),
		lf.FnMulNumeric:     three(numericProduct("MUL_NUMERIC", value.Numeric.Mul)),
		lf.FnDivNumeric:     three(numericProduct("DIV_NUMERIC", value.Numeric.Div)),
		lf.FnRoundNumeric:   two(roundNumeric),
		lf.FnCastNumeric:    two(castNumeric),
		lf.FnShiftNumeric:   two(shiftNumeric),
		lf.FnInt64ToNumeric: two(int64ToNumeric),
		lf.FnNumericToInt64: one(numericToInt64),

		lf.FnInt64ToText:      one(toText),
		lf.FnNumericToText:    one(toText),
		lf.FnTimestampToText:  one(toText),
		lf.FnDateToText:       one(toText),
		lf.FnPartyToText:      one(toText),
		lf.FnTextToParty:      one(textToParty),
		lf.FnTextToInt64:      one(textToInt64),
		lf.FnTextToNumeric:    two(textToNumeric),
		lf.FnContractIDToText: one(contractIDToText),
		lf.FnSHA256Text:       one(sha256Text),
		lf.FnExplodeText:      one(explodeText),
		lf.FnAppendText:       two(appendText),
		lf.FnImplodeText:      one(implodeText),
		lf.FnCodePointsToText: one(codePointsToText),
		lf.FnTextToCodePoints: one(textToCodePoints),

		lf.FnDateToUnixDays:              one(dateToUnixDays),
		lf.FnUnixDaysToDate:              one(unixDaysToDate),
		lf.FnTimestampToUnixMicroseconds: one(timestampToMicros),
		lf.FnUnixMicrosecondsToTimestamp: one(microsToTimestamp),
		lf.FnCoerceContractID:            one(func(_ *machine, a value.Value) (value.Value, error) { return a, nil }),

		lf.FnFoldl:     calling(three(foldl)),
		lf.FnFoldr:     calling(three(foldr)),
		lf.FnEqualList: calling(three(equalList)),

		lf.FnGenMapEmpty:   {constant: value.EmptyGenMap()},
		lf.FnGenMapInsert:  three(mapInsert),
		lf.FnGenMapLookup:  two(mapLookup),
		lf.FnGenMapDelete:  two(mapDelete),
		lf.FnGenMapKeys:    one(mapKeys),
		lf.FnGenMapValues:  one(mapValues),
		lf.FnGenMapSize:    one(mapSize),
		lf.FnTextMapEmpty:  {constant: value.EmptyTextMap()},
		lf.FnTextMapInsert: three(mapInsert),
		lf.FnTextMapLookup: two(mapLookup),
		lf.FnTextMapDelete: two(mapDelete),
		lf.FnTextMapToList: one(mapToList),
		lf.FnTextMapSize:   one(mapSize),

		lf.FnAnyExceptionMessage: calling(one(anyExceptionMessage)),
		lf.FnFailWithStatus:      {arity: 4, four: failWithStatus},

		lf.FnKeccak256Text:          one(keccak256Text),
		lf.FnHexToText:              one(hexToText),
		lf.FnTextToHex:              one(textToHex),
		lf.FnSHA256Hex:              one(sha256Hex),
		lf.FnSecp256k1Bool:          three(secp256k1Bool),
		lf.FnSecp256k1WithECDSABool: three(secp256k1WithECDSABool),
		lf.FnSecp256k1ValidateKey:   one(secp256k1ValidateKey),
	}
	for f, b := range table {
		b.fun, b.name = f, f.String()
		b.proto = &proto{name: b.name, arity: b.arity, slots: b.arity, room: b.arity, builtin: b}
	}
	return table
}

// Bytes that a value takes, for budgets.
const (
	functionSize = 96
	listSize     = 48
	optionalSize = 32
	mapNodeSize  = 96
)

// alloc counts memory that an operation takes.
func (m *machine) alloc(bytes int64) { m.allocated += bytes }

func newText(m *machine, s string) value.Value {
	m.alloc(int64(len(s)) + 16)
	return value.Text(s)
}

func some(m *machine, v value.Value) value.Value {
	m.alloc(optionalSize)
	return value.Some(v)
}

func trace(m *machine, a, b value.Value) (value.Value, error) {
	if len(m.traces) < maxTraces {
		m.traces = append(m.traces, string(a.(value.Text)))
	}
	return b, nil
}

const maxTraces = 10_000

func userError(_ *machine, a value.Value) (value.Value, error) {
	return nil, &Failure{Code: "INTERPRETATION_USER_ERROR", Message: "User failure: " + string(a.(value.Text))}
}

// work charges what an operation does beyond one step, such as comparing long texts.
func (m *machine) work64(bytes int) { m.tick -= int64(bytes / 64) }

func weight(v value.Value) int {
	if t, ok := v.(value.Text); ok {
		return len(t)
	}
	return 0
}

func equal(m *machine, a, b value.Value) (value.Value, error) {
	m.work64(min(weight(a), weight(b)))
	same, err := value.Equal(a, b)
	return value.Bool(same), failureOrNil(err)
}

func compare(holds func(c int) bool) func(m *machine, a, b value.Value) (value.Value, error) {
	return func(m *machine, a, b value.Value) (value.Value, error) {
		m.work64(min(weight(a), weight(b)))
		c, err := value.Compare(a, b)
		return value.Bool(holds(c)), failureOrNil(err)
	}
}

func arithmetic(name string, f func(a, b int64) (int64, bool)) func(m *machine, a, b value.Value) (value.Value, error) {
	return func(m *machine, a, b value.Value) (value.Value, error) {
		result, ok := f(int64(a.(value.Int64)), int64(b.(value.Int64)))
		if !ok {
			return nil, m.throwArithmetic(name, a, b)
		}
		m.allocated += 8
		return value.Int64(result), nil
	}
}

func addInt64(a, b int64) (int64, bool) { c := a + b; return c, (c > a) == (b > 0) }
func subInt64(a, b int64) (int64, bool) { c := a - b; return c, (c < a) == (b > 0) }

func mulInt64(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	negative := (a < 0) != (b < 0)
	if hi != 0 || lo > 1<<63 || lo == 1<<63 && !negative {
		return 0, false
	}
	if negative {
		lo = -lo
	}
	return int64(lo), true
}

func magnitude(a int64) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}

func divInt64(a, b int64) (int64, bool) {
	if b == 0 || a == math.MinInt64 && b == -1 {
		return 0, false
	}
	return a / b, true
}

func modInt64(a, b int64) (int64, bool) {
	if b == 0 {
		return 0, false
	}
	if b == -1 {
		return 0, true
	}
	return a % b, true
}

// expInt64 squares and multiplies; overflow of a square that is needed is overflow of the result.
func expInt64(base, exponent int64) (int64, bool) {
	if exponent < 0 {
		return 0, false
	}
	result, ok := int64(1), true
	for exponent > 0 {
		if exponent&1 == 1 {
			if result, ok = mulInt64(result, base); !ok {
				return 0, false
			}
		}
		if exponent >>= 1; exponent > 0 {
			if base, ok = mulInt64(base, base); !ok {
				return 0, false
			}
		}
	}
	return result, true
}

const numericSize = 24

func numericSum(name string, f func(a, b value.Numeric) (value.Numeric, error)) func(m *machine, a, b value.Value) (value.Value, error) {
	return func(m *machine, a, b value.Value) (value.Value, error) {
		result, err := f(a.(value.Numeric), b.(value.Numeric))
		if err != nil {
			return nil, m.throwArithmetic(name, a, b)
		}
		m.alloc(numericSize)
		return result, nil
	}
}

func numericProduct(name string, f func(a, b value.Numeric, scale int) (value.Numeric, error)) func(m *machine, scale, a, b value.Value) (value.Value, error) {
	return func(m *machine, scale, a, b value.Value) (value.Value, error) {
		result, err := f(a.(value.Numeric), b.(value.Numeric), scale.(value.Numeric).Scale())
		if err != nil {
			return nil, m.throwArithmetic(name, scale, a, b)
		}
		m.alloc(numericSize)
		return result, nil
	}
}

func roundNumeric(m *machine, digits, a value.Value) (value.Value, error) {
	result, err := a.(value.Numeric).Round(int64(digits.(value.Int64)))
	if err != nil {
		return nil, m.throwArithmetic("ROUND_NUMERIC", digits, a)
	}
	m.alloc(numericSize)
	return result, nil
}

func castNumeric(m *machine, scale, a value.Value) (value.Value, error) {
	result, err := a.(value.Numeric).Cast(scale.(value.Numeric).Scale())
	if err != nil {
		return nil, m.throwArithmetic("CAST_NUMERIC", scale, a)
	}
	m.alloc(numericSize)
	return result, nil
}

func shiftNumeric(m *machine, scale, a value.Value) (value.Value, error) {
	m.alloc(numericSize)
	return a.(value.Numeric).Shift(scale.(value.Numeric).Scale()), nil
}

func int64ToNumeric(m *machine, scale, a value.Value) (value.Value, error) {
	result, err := value.NumericFromInt64(int64(a.(value.Int64)), scale.(value.Numeric).Scale())
	if err != nil {
		return nil, m.throwArithmetic("INT64_TO_NUMERIC", scale, a)
	}
	m.alloc(numericSize)
	return result, nil
}

func numericToInt64(m *machine, a value.Value) (value.Value, error) {
	result, err := a.(value.Numeric).Int64()
	if err != nil {
		return nil, m.throwArithmetic("NUMERIC_TO_INT64", a)
	}
	return value.Int64(result), nil
}

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

// foldl calls a function with what it returned last and the next element.
func foldl(m *machine, f, start, list value.Value) (value.Value, error) {
	k := &foldlKont{f.(*function), list.(*value.List)}
	return k.resume(m, start)
}

type foldlKont struct {
	f    *function
	rest *value.List
}

func (k *foldlKont) resume(m *machine, acc value.Value) (value.Value, error) {
	if k.rest.Length == 0 {
		return acc, nil
	}
	next := k.rest.Head
	k.rest = k.rest.Tail // nothing else refers to k
	return nil, m.call(k, false, k.f, acc, next)
}

// foldr calls a function with elements from the last to the first.
func foldr(m *machine, f, start, list value.Value) (value.Value, error) {
	l := list.(*value.List)
	elements := make([]value.Value, 0, l.Length)
	for e := range l.All() {
		elements = append(elements, e)
	}
	m.alloc(int64(l.Length) * slotSize)
	m.tick -= int64(l.Length)
	return (&foldrKont{f.(*function), elements}).resume(m, start)
}

type foldrKont struct {
	f    *function
	rest []value.Value
}

func (k *foldrKont) resume(m *machine, acc value.Value) (value.Value, error) {
	last := len(k.rest) - 1
	if last < 0 {
		return acc, nil
	}
	next := k.rest[last]
	k.rest = k.rest[:last]
	return nil, m.call(k, false, k.f, next, acc)
}

// equalList compares lists by a function on elements.
func equalList(m *machine, f, a, b value.Value) (value.Value, error) {
	k := &equalListKont{f.(*function), a.(*value.List), b.(*value.List)}
	return k.resume(m, value.Bool(true))
}

type equalListKont struct {
	f    *function
	a, b *value.List
}

func (k *equalListKont) resume(m *machine, same value.Value) (value.Value, error) {
	switch {
	case !bool(same.(value.Bool)):
		return same, nil
	case k.a.Length == 0 || k.b.Length == 0:
		return value.Bool(k.a.Length == k.b.Length), nil
	}
	x, y := k.a.Head, k.b.Head
	k.a, k.b = k.a.Tail, k.b.Tail
	return nil, m.call(k, false, k.f, y, x)
}

func (m *machine) mapError(err error) error {
	if err == nil {
		return nil
	}
	return failure(err)
}

func mapInsert(m *machine, key, v, in value.Value) (value.Value, error) {
	result, err := in.(*value.Map).Insert(key, v)
	m.alloc(int64(bits.Len(uint(in.(*value.Map).Len()))+1) * mapNodeSize)
	m.tick -= int64(bits.Len(uint(in.(*value.Map).Len())))
	return result, m.mapError(err)
}

func mapLookup(m *machine, key, in value.Value) (value.Value, error) {
	v, err := in.(*value.Map).Get(key)
	m.tick -= int64(bits.Len(uint(in.(*value.Map).Len())))
	if v == nil {
		return value.None(), m.mapError(err)
	}
	return some(m, v), nil
}

func mapDelete(m *machine, key, in value.Value) (value.Value, error) {
	result, err := in.(*value.Map).Delete(key)
	m.alloc(int64(bits.Len(uint(in.(*value.Map).Len()))+1) * mapNodeSize)
	m.tick -= int64(bits.Len(uint(in.(*value.Map).Len())))
	return result, m.mapError(err)
}

func (m *machine) listOf(n int, each func(yield func(value.Value))) value.Value {
	all := make([]value.Value, 0, n)
	each(func(v value.Value) { all = append(all, v) })
	m.alloc(int64(n) * listSize)
	m.tick -= int64(n)
	return value.ListOf(all...)
}

func mapKeys(m *machine, a value.Value) (value.Value, error) {
	in := a.(*value.Map)
	return m.listOf(in.Len(), func(yield func(value.Value)) {
		for key := range in.All() {
			yield(key)
		}
	}), nil
}

func mapValues(m *machine, a value.Value) (value.Value, error) {
	in := a.(*value.Map)
	return m.listOf(in.Len(), func(yield func(value.Value)) {
		for _, v := range in.All() {
			yield(v)
		}
	}), nil
}

var entryNames = []string{"key", "value"}

func mapToList(m *machine, a value.Value) (value.Value, error) {
	in := a.(*value.Map)
	m.alloc(int64(in.Len()) * value.Size(2))
	return m.listOf(in.Len(), func(yield func(value.Value)) {
		for key, v := range in.All() {
			yield(&value.Struct{Names: entryNames, Fields: []value.Value{key, v}})
		}
	}), nil
}

func mapSize(_ *machine, a value.Value) (value.Value, error) {
	return value.Int64(a.(*value.Map).Len()), nil
}

func anyExceptionMessage(m *machine, a value.Value) (value.Value, error) {
	exception := a.(*value.Any)
	if *exception.Type.Con == arithmeticError {
		return exception.V.(*value.Record).Fields[0], nil
	}
	g, err := m.e.exceptionMessage(*exception.Type.Con)
	if err != nil {
		return nil, errors.New("exception of an unknown package: " + err.Error())
	}
	f, err := m.functionOf(g)
	if err != nil {
		return nil, err
	}
	return nil, m.call(same{}, false, f, exception.V)
}

func failWithStatus(_ *machine, id, category, message, metadata value.Value) (value.Value, error) {
	f := &Failure{
		Code: damlFailure, Category: int(category.(value.Int64)), StatusID: string(id.(value.Text)), Message: string(message.(value.Text)),
		Metadata: map[string]string{},
	}
	for key, v := range metadata.(*value.Map).All() {
		f.Metadata[string(key.(value.Text))] = string(v.(value.Text))
	}
	return nil, f
}
