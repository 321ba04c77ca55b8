package value

import (
	"errors"
	"math/big"
	"math/bits"
	"strings"
)

// MaxPrecision is how many decimal digits a Numeric has, MaxScale how many of them can be behind the point.
const (
	MaxPrecision = 38
	MaxScale     = 37
)

// ErrNumericRange says that a result needs more than MaxPrecision digits, or would lose digits where none may be lost.
var ErrNumericRange = errors.New("out of the range of Numeric")

// Numeric is a decimal number of fixed scale: magnitude × 10^-scale. The zero value is 0 at scale 0.
//
// 38 digits need 127 bits, and the sum of two magnitudes needs 128, so sign and magnitude fit two words without overflow.
type Numeric struct {
	hi, lo uint64 // magnitude, below 10^38
	neg    bool   // never set for zero
	scale  uint8
}

type uint128 struct{ hi, lo uint64 }

func (a uint128) less(b uint128) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

// pow10 holds 10^0 … 10^38.
var pow10 = func() (table [MaxPrecision + 1]uint128) {
	table[0] = uint128{0, 1}
	for i := 1; i < len(table); i++ {
		hi, lo := bits.Mul64(table[i-1].lo, 10)
		table[i] = uint128{table[i-1].hi*10 + hi, lo}
	}
	return table
}()

func makeNumeric(neg bool, m uint128, scale uint8) (Numeric, error) {
	if !m.less(pow10[MaxPrecision]) {
		return Numeric{}, ErrNumericRange
	}
	return Numeric{hi: m.hi, lo: m.lo, neg: neg && m != uint128{}, scale: scale}, nil
}

// NumericFromBig returns unscaled × 10^-scale.
func NumericFromBig(unscaled *big.Int, scale int) (Numeric, error) {
	if scale < 0 || scale > MaxScale || unscaled.BitLen() > 128 {
		return Numeric{}, ErrNumericRange
	}
	var buffer [16]byte
	unscaled.FillBytes(buffer[:])
	return makeNumeric(unscaled.Sign() < 0, fromBytes(buffer), uint8(scale))
}

func fromBytes(b [16]byte) (m uint128) {
	for i := range 8 {
		m.hi = m.hi<<8 | uint64(b[i])
		m.lo = m.lo<<8 | uint64(b[i+8])
	}
	return m
}

// NumericFromInt64 returns x at a scale.
func NumericFromInt64(x int64, scale int) (Numeric, error) {
	n := Numeric{lo: uint64(x), neg: x < 0}
	if n.neg {
		n.lo = -n.lo
	}
	return n.Cast(scale)
}

// Scale is how many digits n has behind the point.
func (n Numeric) Scale() int { return int(n.scale) }

// Sign is -1, 0 or 1.
func (n Numeric) Sign() int {
	switch {
	case n.neg:
		return -1
	case n.hi|n.lo == 0:
		return 0
	}
	return 1
}

func (n Numeric) magnitude() uint128 { return uint128{n.hi, n.lo} }

// Unscaled returns n × 10^scale.
func (n Numeric) Unscaled() *big.Int {
	var buffer [16]byte
	for i := range 8 {
		buffer[i], buffer[i+8] = byte(n.hi>>(56-8*i)), byte(n.lo>>(56-8*i))
	}
	x := new(big.Int).SetBytes(buffer[:])
	if n.neg {
		x.Neg(x)
	}
	return x
}

// Cmp compares two numbers of the same scale.
func (n Numeric) Cmp(m Numeric) int {
	switch {
	case n.neg != m.neg:
		return boolOrder(m.neg, n.neg)
	case n.magnitude() == m.magnitude():
		return 0
	case n.magnitude().less(m.magnitude()) == n.neg:
		return 1
	}
	return -1
}

// Add returns n + m, which have the same scale.
func (n Numeric) Add(m Numeric) (Numeric, error) {
	if n.neg == m.neg {
		lo, carry := bits.Add64(n.lo, m.lo, 0)
		hi, _ := bits.Add64(n.hi, m.hi, carry)
		return makeNumeric(n.neg, uint128{hi, lo}, n.scale)
	}
	if n.magnitude().less(m.magnitude()) {
		n, m = m, n
	}
	lo, borrow := bits.Sub64(n.lo, m.lo, 0)
	hi, _ := bits.Sub64(n.hi, m.hi, borrow)
	return makeNumeric(n.neg, uint128{hi, lo}, n.scale)
}

// Sub returns n - m, which have the same scale.
func (n Numeric) Sub(m Numeric) (Numeric, error) {
	m.neg = !m.neg && m.magnitude() != uint128{}
	return n.Add(m)
}

// Mul returns n × m, rounded half-even to a scale. The operands may have any scales.
func (n Numeric) Mul(m Numeric, scale int) (Numeric, error) {
	shift := int(n.scale) + int(m.scale) - scale // how many digits of the exact product go
	if n.hi|m.hi == 0 && shift >= 0 && shift <= 19 {
		hi, lo := bits.Mul64(n.lo, m.lo)
		return roundedQuotient(n.neg != m.neg, uint128{hi, lo}, pow10[shift].lo, scale)
	}
	product := n.Unscaled()
	product.Mul(product, m.Unscaled())
	if shift <= 0 {
		return NumericFromBig(product.Mul(product, bigPow10(-shift)), scale)
	}
	return NumericFromBig(divideHalfEven(product, bigPow10(shift)), scale)
}

// Div returns n ÷ m, rounded half-even to a scale; m is not zero. The operands may have any scales.
func (n Numeric) Div(m Numeric, scale int) (Numeric, error) {
	if m.Sign() == 0 {
		return Numeric{}, ErrNumericRange
	}
	shift := scale - int(n.scale) + int(m.scale)
	if n.hi|m.hi == 0 && shift >= 0 && shift <= 19 {
		hi, lo := bits.Mul64(n.lo, pow10[shift].lo)
		return roundedQuotient(n.neg != m.neg, uint128{hi, lo}, m.lo, scale)
	}
	dividend, divisor := n.Unscaled(), m.Unscaled()
	if shift >= 0 {
		dividend.Mul(dividend, bigPow10(shift))
	} else {
		divisor.Mul(divisor, bigPow10(-shift))
	}
	return NumericFromBig(divideHalfEven(dividend, divisor), scale)
}

// roundedQuotient divides a magnitude by one word, rounding half-even.
func roundedQuotient(neg bool, m uint128, divisor uint64, scale int) (Numeric, error) {
	hi, rest := m.hi/divisor, m.hi%divisor
	lo, rest := bits.Div64(rest, m.lo, divisor)
	if half := divisor - rest; rest > half || rest == half && lo&1 == 1 {
		var carry uint64
		lo, carry = bits.Add64(lo, 1, 0)
		hi += carry
	}
	return makeNumeric(neg, uint128{hi, lo}, uint8(scale))
}

func bigPow10(exponent int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(exponent)), nil)
}

func divideHalfEven(dividend, divisor *big.Int) *big.Int {
	quotient, rest := new(big.Int).QuoRem(dividend, divisor, new(big.Int))
	twice := new(big.Int).Lsh(rest, 1)
	if c := twice.CmpAbs(divisor); c > 0 || c == 0 && quotient.Bit(0) == 1 {
		quotient.Add(quotient, big.NewInt(int64(dividend.Sign()*divisor.Sign())))
	}
	return quotient
}

// Round rounds n half-even to a multiple of 10^-digits, keeping its scale. Digits may be negative (hundreds and so on), above
// scale - MaxPrecision, and at most the scale.
func (n Numeric) Round(digits int64) (Numeric, error) {
	if digits > int64(n.scale) || digits <= int64(n.scale)-MaxPrecision {
		return Numeric{}, ErrNumericRange
	}
	unit := bigPow10(int(n.scale) - int(digits))
	rounded := divideHalfEven(n.Unscaled(), unit)
	return NumericFromBig(rounded.Mul(rounded, unit), int(n.scale))
}

// Cast returns the same number at another scale, if that is exact.
func (n Numeric) Cast(scale int) (Numeric, error) {
	if scale == int(n.scale) {
		return n, nil
	}
	x := n.Unscaled()
	if scale > int(n.scale) {
		return NumericFromBig(x.Mul(x, bigPow10(scale-int(n.scale))), scale)
	}
	quotient, rest := x.QuoRem(x, bigPow10(int(n.scale)-scale), new(big.Int))
	if rest.Sign() != 0 {
		return Numeric{}, ErrNumericRange
	}
	return NumericFromBig(quotient, scale)
}

// Shift moves the point: the digits stay, the scale changes.
func (n Numeric) Shift(scale int) Numeric {
	n.scale = uint8(scale)
	return n
}

// Int64 returns the integral part of n, if it fits.
func (n Numeric) Int64() (int64, error) {
	x := n.Unscaled()
	x.Quo(x, bigPow10(int(n.scale)))
	if !x.IsInt64() {
		return 0, ErrNumericRange
	}
	return x.Int64(), nil
}

// UnscaledBytes returns n × 10^scale as the shortest big-endian two's complement, which contract hashes are over.
func (n Numeric) UnscaledBytes() []byte {
	m := n.magnitude()
	if n.neg {
		lo, borrow := bits.Sub64(0, m.lo, 0)
		hi, _ := bits.Sub64(0, m.hi, borrow)
		m = uint128{hi, lo}
	}
	var b [17]byte // one byte more for a sign that needs its own
	for i := range 8 {
		b[i+1], b[i+9] = byte(m.hi>>(56-8*i)), byte(m.lo>>(56-8*i))
	}
	if n.neg {
		b[0] = 0xff
	}
	start := 0
	for start < 16 && b[start] == b[0] && b[start+1]&0x80 == b[0]&0x80 {
		start++
	}
	return b[start:]
}

// digits returns the parts before and behind the point.
func (n Numeric) digits() (sign, whole, fraction string) {
	d := n.Unscaled()
	text := d.Abs(d).String()
	if missing := int(n.scale) + 1 - len(text); missing > 0 {
		text = strings.Repeat("0", missing) + text
	}
	if n.neg {
		sign = "-"
	}
	point := len(text) - int(n.scale)
	return sign, text[:point], text[point:]
}

// String returns n with all digits of its scale: "-10.50", and "3." at scale 0.
func (n Numeric) String() string {
	sign, whole, fraction := n.digits()
	return sign + whole + "." + fraction
}

// Short returns n as contracts print it: no needless zeros, but at least one digit behind the point.
func (n Numeric) Short() string {
	sign, whole, fraction := n.digits()
	if fraction = strings.TrimRight(fraction, "0"); fraction == "" {
		fraction = "0"
	}
	return sign + whole + "." + fraction
}

// ParseNumeric reads the form that String writes, whose scale is the number of digits behind the point.
func ParseNumeric(text string) (Numeric, error) {
	body, neg := strings.CutPrefix(text, "-")
	whole, fraction, found := strings.Cut(body, ".")
	if !found || !allDigits(whole) || whole == "" || !allDigits(fraction) || len(whole) > 1 && whole[0] == '0' {
		return Numeric{}, errors.New("not a numeric: want digits, a point, and the digits of the scale")
	}
	precision := len(whole) + len(fraction)
	if whole == "0" {
		precision--
	}
	if precision > MaxPrecision || len(fraction) > MaxScale {
		return Numeric{}, ErrNumericRange
	}
	return fromDigits(neg, whole, fraction, len(fraction))
}

// ParseNumericAt reads what contracts accept from users: an optional sign, any number of needless zeros, the point optional.
func ParseNumericAt(text string, scale int) (Numeric, error) {
	body := text
	neg := strings.HasPrefix(body, "-")
	if neg || strings.HasPrefix(body, "+") {
		body = body[1:]
	}
	whole, fraction, point := strings.Cut(body, ".")
	if whole == "" || !allDigits(whole) || point && fraction == "" || !allDigits(fraction) {
		return Numeric{}, errors.New("not a decimal number")
	}
	whole, fraction = strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0")
	if len(whole) > MaxPrecision-scale || len(fraction) > scale {
		return Numeric{}, ErrNumericRange
	}
	return fromDigits(neg, whole, fraction, scale)
}

func fromDigits(neg bool, whole, fraction string, scale int) (Numeric, error) {
	var m uint128
	text := whole + fraction + strings.Repeat("0", scale-len(fraction))
	for i := range len(text) {
		hi, lo := bits.Mul64(m.lo, 10)
		hi += m.hi * 10
		lo, carry := bits.Add64(lo, uint64(text[i]-'0'), 0)
		m = uint128{hi + carry, lo}
	}
	return makeNumeric(neg, m, uint8(scale))
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
