package engine

import (
	"math"
	"math/bits"

	"github.com/synod-network/synod/daml/value"
)

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
