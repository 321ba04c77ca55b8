package engine

import (
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
