package value

import (
	"bytes"
	"errors"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// anyNumeric draws digits over the whole range.
func anyNumeric(t *rapid.T, scale int, label string) Numeric {
	digits := rapid.IntRange(0, MaxPrecision).Draw(t, label+" digits")
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)
	raw := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label))
	raw.Mod(raw, limit)
	if rapid.Bool().Draw(t, label+" negative") {
		raw.Neg(raw)
	}
	n, err := NumericFromBig(raw, scale)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (n Numeric) rat() *big.Rat {
	return new(big.Rat).SetFrac(n.Unscaled(), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n.Scale())), nil))
}

// halfEven rounds an exact number to a scale, independently of the code under test.
func halfEven(x *big.Rat, scale int) *big.Int {
	scaled := new(big.Rat).Mul(x, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)))
	floor := new(big.Int).Div(scaled.Num(), scaled.Denom())
	rest := new(big.Rat).Sub(scaled, new(big.Rat).SetInt(floor))
	if c := rest.Cmp(big.NewRat(1, 2)); c > 0 || c == 0 && floor.Bit(0) == 1 {
		floor.Add(floor, big.NewInt(1))
	}
	return floor
}

func fits(x *big.Int) bool {
	return new(big.Int).Abs(x).Cmp(new(big.Int).Exp(big.NewInt(10), big.NewInt(MaxPrecision), nil)) < 0
}

// TestNumericsAreExact compares all arithmetic with that of rational numbers.
func TestNumericsAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scales := rapid.IntRange(0, MaxScale)
		sa, sb, sc := scales.Draw(t, "sa"), scales.Draw(t, "sb"), scales.Draw(t, "sc")
		a, b, same := anyNumeric(t, sa, "a"), anyNumeric(t, sb, "b"), anyNumeric(t, sa, "same")
		check := func(what string, got Numeric, err error, want *big.Int, scale int) {
			if !fits(want) {
				if !errors.Is(err, ErrNumericRange) {
					t.Fatalf("%s: got %v, %v; want ErrNumericRange", what, got, err)
				}
			} else if err != nil || got.Unscaled().Cmp(want) != 0 || got.Scale() != scale {
				t.Fatalf("%s of %v, %v: got %v (scale %d), %v; want %v", what, a, b, got, got.Scale(), err, want)
			}
		}
		sum, err := a.Add(same)
		check("sum", sum, err, halfEven(new(big.Rat).Add(a.rat(), same.rat()), sa), sa)
		difference, err := a.Sub(same)
		check("difference", difference, err, halfEven(new(big.Rat).Sub(a.rat(), same.rat()), sa), sa)
		product, err := a.Mul(b, sc)
		check("product", product, err, halfEven(new(big.Rat).Mul(a.rat(), b.rat()), sc), sc)
		if b.Sign() != 0 {
			quotient, err := a.Div(b, sc)
			check("quotient", quotient, err, halfEven(new(big.Rat).Quo(a.rat(), b.rat()), sc), sc)
		}
		if got, want := a.Cmp(same), a.rat().Cmp(same.rat()); got != want {
			t.Fatalf("order of %v and %v: got %d, want %d", a, same, got, want)
		}
		if read, err := ParseNumeric(a.String()); err != nil || read != a {
			t.Fatalf("%v is read as %v, %v", a, read, err)
		}
		if read, err := ParseNumericAt(a.Short(), sa); err != nil || read != a {
			t.Fatalf("%v is read as %v, %v", a.Short(), read, err)
		}
		if got := signedBytes(a.UnscaledBytes()); got.Cmp(a.Unscaled()) != 0 {
			t.Fatalf("bytes of %v mean %v", a, got)
		}
		if cast, err := a.Cast(sc); err == nil && cast.rat().Cmp(a.rat()) != 0 {
			t.Fatalf("cast of %v to scale %d is %v", a, sc, cast)
		}
		digits := rapid.Int64Range(int64(sa)-MaxPrecision+1, int64(sa)).Draw(t, "digits")
		if rounded, err := a.Round(digits); err == nil && digits >= 0 && rounded.rat().Cmp(new(big.Rat).SetFrac(halfEven(a.rat(), int(digits)), bigPow10(int(digits)))) != 0 {
			t.Fatalf("%v rounded to %d digits is %v", a, digits, rounded)
		}
		if n, err := a.Int64(); err == nil && new(big.Int).Quo(a.rat().Num(), a.rat().Denom()).Int64() != n {
			t.Fatalf("integral part of %v is %d", a, n)
		}
	})
}

func signedBytes(b []byte) *big.Int {
	x := new(big.Int).SetBytes(b)
	if b[0]&0x80 != 0 {
		x.Sub(x, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return x
}

var dataType = &DataType{ID: Identifier{"p", "M", "T"}, Names: []string{"a", "b", "c"}}

// anyOf draws values of one shape, which depends on seed only.
func anyOf(t *rapid.T, shape, depth int, label string) Value {
	if depth > 3 {
		shape %= 9
	}
	inner := func(i int) Value { return anyOf(t, shape*7+i, depth+1, label) }
	switch shape % 16 {
	case 0:
		return Unit{}
	case 1:
		return Bool(rapid.Bool().Draw(t, label))
	case 2:
		return Int64(rapid.Int64Range(-3, 3).Draw(t, label))
	case 3:
		return Text(rapid.SampledFrom([]string{"", "a", "ab", "b", "¶", "😂"}).Draw(t, label))
	case 4:
		return anyNumeric(t, 5, label)
	case 5:
		return Timestamp(rapid.Int64Range(int64(MinTimestamp), int64(MaxTimestamp)).Draw(t, label))
	case 6:
		return Date(rapid.Int32Range(int32(MinDate), int32(MaxDate)).Draw(t, label))
	case 7:
		return Party(rapid.SampledFrom([]string{"Alice", "Bob"}).Draw(t, label))
	case 8:
		rank := rapid.IntRange(0, 2).Draw(t, label)
		return &Enum{dataType, dataType.Names[rank], rank}
	case 9:
		if rapid.Bool().Draw(t, label) {
			return None()
		}
		return Some(inner(0))
	case 10:
		list := Empty()
		for range rapid.IntRange(0, 3).Draw(t, label) {
			list = Cons(inner(1), list)
		}
		return list
	case 11:
		return &Record{dataType, []Value{inner(1), inner(2), inner(3)}}
	case 12:
		rank := rapid.IntRange(0, 2).Draw(t, label)
		return &Variant{dataType, dataType.Names[rank], rank, inner(rank)}
	case 13:
		m := EmptyTextMap()
		for range rapid.IntRange(0, 3).Draw(t, label) {
			m, _ = m.Insert(Text(rapid.StringMatching("[a-c]").Draw(t, label)), inner(1))
		}
		return m
	case 14:
		m := EmptyGenMap()
		for range rapid.IntRange(0, 3).Draw(t, label) {
			m, _ = m.Insert(inner(1), inner(2))
		}
		return m
	}
	return ContractID(append([]byte{0}, bytes.Repeat([]byte{rapid.Byte().Draw(t, label)}, 32)...))
}

// TestOrderIsTotal checks that Compare orders the values of any type: antisymmetric, transitive, and nothing but equals are equal.
func TestOrderIsTotal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := rapid.IntRange(0, 1000).Draw(t, "shape")
		all := []Value{anyOf(t, shape, 0, "x"), anyOf(t, shape, 0, "y"), anyOf(t, shape, 0, "z")}
		compare := func(a, b Value) int {
			c, err := Compare(a, b)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		for _, a := range all {
			if compare(a, a) != 0 {
				t.Fatalf("%v is not itself", a)
			}
			for _, b := range all {
				if compare(a, b) != -compare(b, a) {
					t.Fatalf("%v and %v are ordered both ways", a, b)
				}
				left, _ := Append(nil, a)
				right, _ := Append(nil, b)
				if (compare(a, b) == 0) != bytes.Equal(left, right) {
					t.Fatalf("%v and %v: the order says %d, the stored forms %x and %x", a, b, compare(a, b), left, right)
				}
			}
		}
		slices.SortFunc(all, compare)
		if compare(all[0], all[2]) > 0 || compare(all[0], all[1]) > 0 || compare(all[1], all[2]) > 0 {
			t.Fatalf("order is not transitive: %v", all)
		}
	})
}

// TestStoredFormsMeanTheValue stores a value, reads it, and stores it again.
func TestStoredFormsMeanTheValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := anyOf(t, rapid.IntRange(0, 1000).Draw(t, "shape"), 0, "v")
		stored, err := Append(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		read, err := Decode(stored)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Append(nil, read)
		if err != nil || !bytes.Equal(stored, again) {
			t.Fatalf("%x became %x, %v", stored, again, err)
		}
	})
}

// TestMapsBehaveAsSortedLists plays inserts and deletes on a map and on a slice.
func TestMapsBehaveAsSortedLists(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, model := EmptyGenMap(), map[Int64]Int64{}
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			key := Int64(rapid.Int64Range(0, 60).Draw(t, "key"))
			if rapid.IntRange(0, 2).Draw(t, "op") == 0 {
				m, _ = m.Delete(key)
				delete(model, key)
			} else {
				m, _ = m.Insert(key, key*2)
				model[key] = key * 2
			}
		}
		var keys []Int64
		for key, v := range m.All() {
			if model[key.(Int64)] != v {
				t.Fatalf("at %v is %v", key, v)
			}
			keys = append(keys, key.(Int64))
		}
		if !slices.IsSorted(keys) || len(keys) != len(model) || m.Len() != len(model) {
			t.Fatalf("keys %v, want %v", keys, model)
		}
		if depth(m.root) > 2*10 {
			t.Fatalf("a tree of %d is %d deep", m.Len(), depth(m.root))
		}
	})
}

func depth(n *node) int {
	if n == nil {
		return 0
	}
	return 1 + max(depth(n.left), depth(n.right))
}

func TestContractIDsOfDifferentStagesCannotBeCompared(t *testing.T) {
	local := ContractID(append([]byte{0}, make([]byte, 32)...))
	var incomparable *IncomparableIDError
	if _, err := Compare(local, local+"suffix"); !errors.As(err, &incomparable) || incomparable.ID != local+"suffix" {
		t.Errorf("got %v", err)
	}
	if c, err := Compare(local+"a", local+"b"); c >= 0 || err != nil {
		t.Errorf("different suffixes: %d, %v", c, err)
	}
	other := ContractID(append([]byte{0, 1}, make([]byte, 31)...))
	if c, err := Compare(local, other+"suffix"); c >= 0 || err != nil {
		t.Errorf("different locals: %d, %v", c, err)
	}
}

func TestTextForms(t *testing.T) {
	for _, s := range []string{"0001-01-01T00:00:00Z", "2019-12-16T11:17:54.940779Z", "2019-12-16T11:17:54.900Z", "9999-12-31T23:59:59.999999Z"} {
		if got, err := ParseTimestamp(s); err != nil || got.String() != s {
			t.Errorf("%s is read as %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"2019-12-16T11:17:54.9407791Z", "10000-01-01T00:00:00Z", "yesterday", "0000-12-31T23:59:59Z"} {
		if got, err := ParseTimestamp(s); err == nil {
			t.Errorf("%s is read as %v", s, got)
		}
	}
	for _, s := range []string{"", "a/b", "a\x00", string(bytes.Repeat([]byte("a"), 256))} {
		if _, err := ParseParty(s); err == nil {
			t.Errorf("%.10q is a party", s)
		}
	}
	for _, s := range []string{"", "00", "02" + string(bytes.Repeat([]byte("00"), 32)), "xy"} {
		if _, err := ParseContractID(s); err == nil {
			t.Errorf("%q is a contract id", s)
		}
	}
}

// FuzzDecode checks that no bytes break the decoder, and that what it accepts has one stored form only.
func FuzzDecode(f *testing.F) {
	m, _ := EmptyTextMap().Insert(Text("k"), ListOf(Some(Int64(-5)), None()))
	for _, v := range []Value{Unit{}, m, &Record{Fields: []Value{Party("A"), &Variant{Con: "C", Arg: Date(3)}}}} {
		stored, _ := Append(nil, v)
		f.Add(stored)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := Decode(b)
		if err != nil {
			return
		}
		if err := CheckNesting(v); err != nil {
			t.Fatal(err)
		}
		stored, err := Append(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode(stored)
		if err != nil {
			t.Fatalf("%x was accepted, but not its own form %x: %v", b, stored, err)
		}
		if twice, _ := Append(nil, again); !bytes.Equal(twice, stored) {
			t.Fatalf("%x and %x", stored, twice)
		}
	})
}

// TestTiesGoToTheEvenDigit has what random numbers seldom are: exactly between two results.
func TestTiesGoToTheEvenDigit(t *testing.T) {
	for _, tc := range []struct{ a, b, product, quotient string }{ // at scale 1
		{"0.5", "0.5", "0.2", "1.0"},
		{"1.5", "0.5", "0.8", "3.0"},
		{"-0.5", "0.5", "-0.2", "-1.0"},
		{"0.1", "8.0", "0.8", "0.0"},
		{"2.1", "4.0", "8.4", "0.5"},
		{"0.1", "0.8", "0.1", "0.1"},
		{"0.3", "2.0", "0.6", "0.2"},
		{"0.5", "2.0", "1.0", "0.2"},
		{"1000000000000000000000000000000000000.5", "2.0", "2000000000000000000000000000000000001.0", "500000000000000000000000000000000000.2"},
	} {
		a, err1 := ParseNumericAt(tc.a, 1)
		b, err2 := ParseNumericAt(tc.b, 1)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if got, err := a.Mul(b, 1); err != nil || got.String() != tc.product {
			t.Errorf("%s × %s = %v, %v; want %s", tc.a, tc.b, got, err, tc.product)
		}
		if got, err := a.Div(b, 1); err != nil || got.String() != tc.quotient {
			t.Errorf("%s ÷ %s = %v, %v; want %s", tc.a, tc.b, got, err, tc.quotient)
		}
	}
}

// TestOrderHasItsDirection pins which of two values is less.
func TestOrderHasItsDirection(t *testing.T) {
	one := func(key, v Value) Value { m, _ := EmptyGenMap().Insert(key, v); return m }
	for _, tc := range []struct{ less, more Value }{
		{Bool(false), Bool(true)},
		{Text("￿"), Text("𐀀")},
		{None(), Some(Int64(-1))},
		{ListOf(Int64(1)), ListOf(Int64(1), Int64(0))},
		{ListOf(Int64(1), Int64(9)), ListOf(Int64(2))},
		{&Enum{Rank: 0}, &Enum{Rank: 1}},
		{&Variant{Rank: 0, Arg: Int64(9)}, &Variant{Rank: 1, Arg: Int64(0)}},
		{&Record{Fields: []Value{Int64(0), Int64(9)}}, &Record{Fields: []Value{Int64(1), Int64(0)}}},
		{EmptyGenMap(), one(Int64(0), Int64(0))},
		{one(Int64(0), Int64(9)), one(Int64(1), Int64(0))},
		{Timestamp(-1), Timestamp(0)},
	} {
		if c, err := Compare(tc.less, tc.more); c != -1 || err != nil {
			t.Errorf("%v against %v: %d, %v", tc.less, tc.more, c, err)
		}
	}
}
