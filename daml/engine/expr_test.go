package engine

import (
	"fmt"
	"strings"
	"testing"

	"github.com/synod-network/synod/daml/lf"
)

// exprCase is an expression with the value or the error that it comes to.
type exprCase struct {
	ty, expr, want string // want begins with "!" for an error that contains the rest
}

// runExprs evaluates expressions, each as a value of one module that also has definitions.
func runExprs(t *testing.T, version, definitions string, cases []exprCase) {
	t.Helper()
	var source strings.Builder
	fmt.Fprintf(&source, "language %s\nmetadata ('test' : '1.0.0')\nmodule M {\n%s\n", version, definitions)
	for i, tc := range cases {
		fmt.Fprintf(&source, "val it%d: %s = %s;\n", i, tc.ty, tc.expr)
	}
	source.WriteString("}")
	e, packages := newEngine(t, source.String())
	for i, tc := range cases {
		v, _, err := e.evaluate(valueRef(packages[0], fmt.Sprintf("it%d", i)), nil)
		got := ""
		if err != nil {
			got = "!" + err.Error()
		} else {
			got = Show(v)
		}
		failure, wantsFailure := strings.CutPrefix(tc.want, "!")
		if got != tc.want && !(wantsFailure && err != nil && strings.Contains(err.Error(), failure)) {
			t.Errorf("%s\n got %s\nwant %s", tc.expr, got, tc.want)
		}
	}
}

const arithmeticFailure = "!DAML_FAILURE(9,0): Interpretation error: Error: User failure: UNHANDLED_EXCEPTION/DA.Exception.ArithmeticError:ArithmeticError" +
	" (error category 9): ArithmeticError while evaluating "

func TestBuiltins(t *testing.T) {
	covered := map[string]bool{}
	for _, f := range []struct{ group, rows string }{
		{"Int64", `
ADD_INT64 1 2 | Int64 | 3
ADD_INT64 9223372036854775807 1 | Int64 | !arith (ADD_INT64 9223372036854775807 1).
ADD_INT64 -9223372036854775808 -1 | Int64 | !arith (ADD_INT64 -9223372036854775808 -1).
SUB_INT64 1 2 | Int64 | -1
SUB_INT64 -9223372036854775808 1 | Int64 | !arith (SUB_INT64 -9223372036854775808 1).
SUB_INT64 0 -9223372036854775808 | Int64 | !arith (SUB_INT64 0 -9223372036854775808).
SUB_INT64 -1 -9223372036854775808 | Int64 | 9223372036854775807
MUL_INT64 -3 7 | Int64 | -21
MUL_INT64 3037000500 3037000500 | Int64 | !arith (MUL_INT64 3037000500 3037000500).
MUL_INT64 4611686018427387904 -2 | Int64 | -9223372036854775808
MUL_INT64 4611686018427387904 2 | Int64 | !arith (MUL_INT64 4611686018427387904 2).
DIV_INT64 -7 2 | Int64 | -3
DIV_INT64 1 0 | Int64 | !arith (DIV_INT64 1 0).
DIV_INT64 -9223372036854775808 -1 | Int64 | !arith (DIV_INT64 -9223372036854775808 -1).
MOD_INT64 -7 2 | Int64 | -1
MOD_INT64 7 -2 | Int64 | 1
MOD_INT64 -9223372036854775808 -1 | Int64 | 0
MOD_INT64 1 0 | Int64 | !arith (MOD_INT64 1 0).
EXP_INT64 2 62 | Int64 | 4611686018427387904
EXP_INT64 -2 63 | Int64 | -9223372036854775808
EXP_INT64 2 63 | Int64 | !arith (EXP_INT64 2 63).
EXP_INT64 5 0 | Int64 | 1
EXP_INT64 5 -1 | Int64 | !arith (EXP_INT64 5 -1).
EXP_INT64 -1 9223372036854775807 | Int64 | -1
`},
		{"Numeric", `
ADD_NUMERIC @2 1.25 2.50 | Numeric 2 | 3.75
ADD_NUMERIC @0 99999999999999999999999999999999999999. 1. | Numeric 0 | !arith (ADD_NUMERIC 99999999999999999999999999999999999999.0 1.0).
SUB_NUMERIC @2 1.25 2.50 | Numeric 2 | -1.25
MUL_NUMERIC @1 @1 @1 0.0 0.5 0.5 | Numeric 1 | 0.2
MUL_NUMERIC @1 @1 @1 0.0 1.5 0.5 | Numeric 1 | 0.8
MUL_NUMERIC @1 @1 @2 0.00 0.5 0.5 | Numeric 2 | 0.25
MUL_NUMERIC @0 @0 @0 0. 10000000000000000000. 10000000000000000000. | Numeric 0 | !arith (MUL_NUMERIC 0.0 10000000000000000000.0 10000000000000000000.0).
DIV_NUMERIC @1 @1 @3 0.000 2.0 3.0 | Numeric 3 | 0.667
DIV_NUMERIC @1 @1 @0 0. 1.0 2.0 | Numeric 0 | 0.
DIV_NUMERIC @1 @1 @0 0. 3.0 2.0 | Numeric 0 | 2.
DIV_NUMERIC @1 @1 @1 0.0 1.0 0.0 | Numeric 1 | !arith (DIV_NUMERIC 0.0 1.0 0.0).
ROUND_NUMERIC @2 1 0.25 | Numeric 2 | 0.20
ROUND_NUMERIC @2 -1 15.00 | Numeric 2 | 20.00
ROUND_NUMERIC @2 3 0.25 | Numeric 2 | !arith (ROUND_NUMERIC 3 0.25).
ROUND_NUMERIC @0 -37 4000000000000000000000000000000000000. | Numeric 0 | 0.
ROUND_NUMERIC @0 -38 1. | Numeric 0 | !arith (ROUND_NUMERIC -38 1.0).
CAST_NUMERIC @2 @1 0.0 1.50 | Numeric 1 | 1.5
CAST_NUMERIC @2 @1 0.0 1.25 | Numeric 1 | !arith (CAST_NUMERIC 0.0 1.25).
SHIFT_NUMERIC @2 @1 0.0 1.25 | Numeric 1 | 12.5
INT64_TO_NUMERIC @10 0.0000000000 42 | Numeric 10 | 42.0000000000
INT64_TO_NUMERIC @37 0.0000000000000000000000000000000000000 10 | Numeric 37 | !arith (INT64_TO_NUMERIC 0.0 10).
NUMERIC_TO_INT64 @2 -1.99 | Int64 | -1
NUMERIC_TO_INT64 @0 9223372036854775808. | Int64 | !arith (NUMERIC_TO_INT64 9223372036854775808.0).
`},
		{"text", `
INT64_TO_TEXT -5 | Text | "-5"
NUMERIC_TO_TEXT @4 1.5000 | Text | "1.5"
NUMERIC_TO_TEXT @0 -3. | Text | "-3.0"
TIMESTAMP_TO_TEXT 1970-01-01T00:00:01.5Z | Text | "1970-01-01T00:00:01.500Z"
DATE_TO_TEXT 2019-12-16 | Text | "2019-12-16"
TEXT_TO_PARTY "Alice" | Optional Party | Some('Alice')
TEXT_TO_PARTY "Al/ice" | Optional Party | None
TEXT_TO_PARTY "" | Optional Party | None
TEXT_TO_INT64 "+7" | Optional Int64 | Some(7)
TEXT_TO_INT64 "-9223372036854775808" | Optional Int64 | Some(-9223372036854775808)
TEXT_TO_INT64 "9223372036854775808" | Optional Int64 | None
TEXT_TO_INT64 "+-7" | Optional Int64 | None
TEXT_TO_INT64 "" | Optional Int64 | None
TEXT_TO_INT64 " 1" | Optional Int64 | None
TEXT_TO_NUMERIC @2 0.00 "007.500" | Optional (Numeric 2) | Some(7.50)
TEXT_TO_NUMERIC @2 0.00 "1.125" | Optional (Numeric 2) | None
TEXT_TO_NUMERIC @2 0.00 "-0" | Optional (Numeric 2) | Some(0.00)
TEXT_TO_NUMERIC @2 0.00 "1." | Optional (Numeric 2) | None
EXPLODE_TEXT "a¶😂" | List Text | ["a", "¶", "😂"]
IMPLODE_TEXT (Cons @Text ["a", "", "bc"] (Nil @Text)) | Text | "abc"
APPEND_TEXT "ab" "cd" | Text | "abcd"
CODE_POINTS_TO_TEXT (Cons @Int64 [97, 128514] (Nil @Int64)) | Text | "a😂"
CODE_POINTS_TO_TEXT (Cons @Int64 [55296] (Nil @Int64)) | Text | !invalid code point 0xd800
CODE_POINTS_TO_TEXT (Cons @Int64 [0] (Nil @Int64)) | Text | !MALFORMED_TEXT(8,0)
TEXT_TO_CODE_POINTS "a😂" | List Int64 | [97, 128514]
SHA256_TEXT "" | Text | "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SHA256_HEX "" | Text | "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SHA256_HEX "0" | Text | !INTERPRETATION_CRYPTO_ERROR_MALFORMED_BYTE_ENCODING(9,0)
KECCAK256_TEXT "" | Text | "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
KECCAK256_TEXT "AB" | Text | !MALFORMED_BYTE_ENCODING
TEXT_TO_HEX "äb" | Text | "c3a462"
HEX_TO_TEXT "c3a462" | Text | "äb"
HEX_TO_TEXT "C3" | Text | !MALFORMED_BYTE_ENCODING
HEX_TO_TEXT "ff" | Text | "�"
`},
		{"time", `
DATE_TO_UNIX_DAYS 1970-01-02 | Int64 | 1
UNIX_DAYS_TO_DATE -719162 | Date | 0001-01-01
UNIX_DAYS_TO_DATE 2932897 | Date | !arith (UNIX_DAYS_TO_DATE 2932897).
TIMESTAMP_TO_UNIX_MICROSECONDS 1970-01-01T00:00:01Z | Int64 | 1000000
UNIX_MICROSECONDS_TO_TIMESTAMP 253402300799999999 | Timestamp | 9999-12-31T23:59:59.999999Z
UNIX_MICROSECONDS_TO_TIMESTAMP 253402300800000000 | Timestamp | !arith (UNIX_MICROSECONDS_TO_TIMESTAMP 253402300800000000).
`},
		{"comparison", `
EQUAL @Int64 1 1 | Bool | true
EQUAL @(List Int64) (Cons @Int64 [1] (Nil @Int64)) (Cons @Int64 [2] (Nil @Int64)) | Bool | false
EQUAL @(Int64 -> Int64) (ADD_INT64 1) (ADD_INT64 1) | Bool | !NON_COMPARABLE_VALUES(8,0)
LESS @Text "a" "b" | Bool | true
LESS @Text "￿" "𐀀" | Bool | true
LESS_EQ @Int64 2 2 | Bool | true
GREATER @(Optional Int64) (Some @Int64 1) (None @Int64) | Bool | true
GREATER_EQ @Bool False True | Bool | false
EQUAL @TypeRep (type_rep @M:R) (type_rep @M:Color) | Bool | false
LESS @TypeRep (type_rep @M:Color) (type_rep @M:R) | Bool | true
LESS @M:Color (M:Color:Red) (M:Color:Green) | Bool | true
LESS @M:Shape (M:Shape:Square 9) (M:Shape:Circle 1) | Bool | false
LESS @(List Int64) (Cons @Int64 [1] (Nil @Int64)) (Cons @Int64 [1, 0] (Nil @Int64)) | Bool | true
`},
		{"lists", `
FOLDL @Int64 @Text (\(acc: Text) (x: Int64) -> APPEND_TEXT acc (INT64_TO_TEXT x)) "" (Cons @Int64 [1, 2, 3] (Nil @Int64)) | Text | "123"
FOLDR @Int64 @Text (\(x: Int64) (acc: Text) -> APPEND_TEXT acc (INT64_TO_TEXT x)) "" (Cons @Int64 [1, 2, 3] (Nil @Int64)) | Text | "321"
FOLDL @Int64 @Int64 ADD_INT64 0 (Cons @Int64 [1, 2, 3] (Nil @Int64)) | Int64 | 6
EQUAL_LIST @Int64 (EQUAL @Int64) (Cons @Int64 [1, 2] (Nil @Int64)) (Cons @Int64 [1, 2] (Nil @Int64)) | Bool | true
EQUAL_LIST @Int64 (EQUAL @Int64) (Cons @Int64 [1, 2] (Nil @Int64)) (Cons @Int64 [1] (Nil @Int64)) | Bool | false
EQUAL_LIST @Int64 (EQUAL @Int64) (Nil @Int64) (Nil @Int64) | Bool | true
`},
		{"maps", `
GENMAP_KEYS @Text @Int64 (GENMAP_INSERT @Text @Int64 "b" 1 (GENMAP_INSERT @Text @Int64 "a" 2 (GENMAP_EMPTY @Text @Int64))) | List Text | ["a", "b"]
GENMAP_VALUES @Text @Int64 (GENMAP_INSERT @Text @Int64 "b" 1 (GENMAP_INSERT @Text @Int64 "a" 2 (GENMAP_EMPTY @Text @Int64))) | List Int64 | [2, 1]
GENMAP_LOOKUP @Text @Int64 "a" (GENMAP_INSERT @Text @Int64 "a" 2 (GENMAP_EMPTY @Text @Int64)) | Optional Int64 | Some(2)
GENMAP_LOOKUP @Text @Int64 "z" (GENMAP_INSERT @Text @Int64 "a" 2 (GENMAP_EMPTY @Text @Int64)) | Optional Int64 | None
GENMAP_DELETE @Text @Int64 "a" (GENMAP_INSERT @Text @Int64 "a" 2 (GENMAP_EMPTY @Text @Int64)) | GenMap Text Int64 | {}
GENMAP_SIZE @Text @Int64 (GENMAP_INSERT @Text @Int64 "a" 3 (GENMAP_INSERT @Text @Int64 "a" 2 (GENMAP_EMPTY @Text @Int64))) | Int64 | 1
GENMAP_INSERT @(Int64 -> Int64) @Int64 (ADD_INT64 1) 1 (GENMAP_EMPTY @(Int64 -> Int64) @Int64) | GenMap (Int64 -> Int64) Int64 | !NON_COMPARABLE_VALUES
TEXTMAP_LOOKUP @Int64 "a" (TEXTMAP_INSERT @Int64 "a" 2 (TEXTMAP_EMPTY @Int64)) | Optional Int64 | Some(2)
TEXTMAP_SIZE @Int64 (TEXTMAP_DELETE @Int64 "a" (TEXTMAP_INSERT @Int64 "a" 2 (TEXTMAP_EMPTY @Int64))) | Int64 | 0
TEXTMAP_TO_LIST @Int64 (TEXTMAP_INSERT @Int64 "a" 2 (TEXTMAP_EMPTY @Int64)) | List <key: Text, value: Int64> | [<*value.Struct>]
`},
		{"failures", `
ERROR @Int64 "no" | Int64 | !INTERPRETATION_USER_ERROR(9,0): Interpretation error: Error: User failure: no
FAIL_WITH_STATUS @Int64 "my/id" INVALID_INDEPENDENT_OF_SYSTEM_STATE "text" (TEXTMAP_EMPTY @Text) | Int64 | !DAML_FAILURE(8,0): Interpretation error: Error: User failure: my/id (error category 8): text
TRACE @Int64 "hello" 5 | Int64 | 5
ANY_EXCEPTION_MESSAGE (to_any_exception @M:Oops (M:Oops {what = "x"})) | Text | "oops x"
throw @Int64 @M:Oops (M:Oops {what = "y"}) | Int64 | !UNHANDLED_EXCEPTION/M:Oops (error category 9): oops y
throw @Int64 @M:Worse (M:Worse {}) | Int64 | !<Failed to calculate message as M:Oops was thrown during conversion>
`},
		{"contract ids", `
\(c: ContractId M:R) -> CONTRACT_ID_TO_TEXT @M:R c | ContractId M:R -> Optional Text | <*engine.function>
\(c: ContractId M:R) -> COERCE_CONTRACT_ID @M:R @Int64 c | ContractId M:R -> ContractId Int64 | <*engine.function>
\(p: Party) -> PARTY_TO_TEXT p | Party -> Text | <*engine.function>
`},
	} {
		var cases []exprCase
		for row := range strings.Lines(strings.TrimSpace(f.rows)) {
			parts := strings.Split(strings.TrimSuffix(row, "\n"), " | ")
			if len(parts) != 3 {
				continue
			}
			want := parts[2]
			if operation, ok := strings.CutPrefix(want, "!arith "); ok {
				want = arithmeticFailure + operation
			}
			cases = append(cases, exprCase{parts[1], parts[0], want})
			for word := range strings.FieldsSeq(strings.Trim(parts[0], `\()`)) {
				covered[strings.Trim(word, "()")] = true
			}
		}
		t.Run(f.group, func(t *testing.T) { runExprs(t, "2.1", exprDefinitions, cases) })
	}
	for _, word := range []string{"SECP256K1_BOOL", "SECP256K1_WITH_ECDSA_BOOL", "SECP256K1_VALIDATE_KEY"} {
		covered[word] = true // in TestSecp256k1
	}
	for _, f := range lf.Functions() {
		if f.Since() != lf.V2_Dev && !covered[f.String()] {
			t.Errorf("builtin %s has no test", f)
		}
	}
}

const exprDefinitions = `
  record @serializable R = { a: Int64, b: Text };
  record @serializable P (a: *) = { fst: a, snd: a };
  variant @serializable Shape = Circle: Int64 | Square: Int64;
  enum @serializable Color = Red | Green | Blue;
  record @serializable Oops = { what: Text };
  exception Oops = { message \(e: M:Oops) -> APPEND_TEXT "oops " (M:Oops {what} e) };
  record @serializable Worse = {};
  exception Worse = { message \(e: M:Worse) -> throw @Text @M:Oops (M:Oops {what = "z"}) };
  val id: forall (a: *). a -> a = /\(a: *). \(x: a) -> x;
  val fact: Int64 -> Int64 = \(n: Int64) -> case EQUAL @Int64 n 0 of True -> 1 | False -> MUL_INT64 n (M:fact (SUB_INT64 n 1));
  val len: List Int64 -> Int64 = \(l: List Int64) -> case l of Nil -> 0 | Cons x xs -> ADD_INT64 1 (M:len xs);
`

func TestExpressions(t *testing.T) {
	runExprs(t, "2.1", exprDefinitions, []exprCase{
		{"Unit", "()", "()"},
		{"Bool", "True", "true"},
		{"Int64", "let x: Int64 = 1; y: Int64 = ADD_INT64 x 1 in ADD_INT64 x y", "3"},
		{"Int64", "let x: Int64 = 1 in let x: Int64 = 2 in x", "2"},
		{"Int64", `(\(x: Int64) (y: Int64) -> SUB_INT64 x y) 5 3`, "2"},
		{"Int64", `(\(f: Int64 -> Int64) -> f 5) (SUB_INT64 7)`, "2"},
		{"Int64", `(\(x: Int64) -> \(y: Int64) -> SUB_INT64 x y) 5 3`, "2"},
		{"Int64", `M:id @(Int64 -> Int64) (M:id @Int64) 4`, "4"},
		{"Int64", "M:fact 20", "2432902008176640000"},
		{"Int64", "M:len (Cons @Int64 [1, 2, 3] (Nil @Int64))", "3"},
		{"M:R", `M:R {a = 1, b = "x"}`, `R{a: 1, b: "x"}`},
		{"Int64", `M:R {a} (M:R {a = 1, b = "x"})`, "1"},
		{"M:R", `M:R {(M:R {a = 1, b = "x"}) with b = "y"}`, `R{a: 1, b: "y"}`},
		{"M:P Text", `M:P @Text {fst = "a", snd = "b"}`, `P{fst: "a", snd: "b"}`},
		{"M:Shape", "M:Shape:Square 3", "Square(3)"},
		{"Int64", "case M:Shape:Square 3 of M:Shape:Circle r -> r | M:Shape:Square s -> MUL_INT64 s s", "9"},
		{"Text", `case M:Color:Green of M:Color:Red -> "r" | M:Color:Green -> "g" | M:Color:Blue -> "b"`, `"g"`},
		{"Text", `case M:Color:Blue of M:Color:Red -> "r" | _ -> "other"`, `"other"`},
		{"Text", `case M:Color:Red of _ -> "first" | M:Color:Red -> "r"`, `"first"`},
		{"Int64", "case Some @Int64 4 of None -> 0 | Some x -> x", "4"},
		{"Int64", "case None @Int64 of Some x -> x | None -> 0", "0"},
		{"Int64", "case () of () -> 3", "3"},
		{"Int64", "case Cons @Int64 [1, 2] (Nil @Int64) of Nil -> 0 | Cons h t -> case t of Nil -> h | Cons h2 t2 -> ADD_INT64 (MUL_INT64 h 10) h2", "12"},
		{"Int64", "(<a = 1, b = 2>).b", "2"},
		{"Int64", "(<<b = 2, a = 1> with a = 5>).a", "5"},
		{"List Int64", "Cons @Int64 [1, 2] (Cons @Int64 [3] (Nil @Int64))", "[1, 2, 3]"},
		{"Optional M:Color", "from_any @M:Color (to_any @M:Color (M:Color:Red))", "Some(Red)"},
		{"Optional M:R", "from_any @M:R (to_any @M:Color (M:Color:Red))", "None"},
		{"Optional M:Oops", `from_any_exception @M:Oops (to_any_exception @M:Oops (M:Oops {what = "q"}))`, `Some(Oops{what: "q"})`},
		{"TypeRep", "type_rep @M:Color", "M:Color"},
		{"Int64", "loc(1, 2, 3, 4) 5", "5"},
		{"Int64", "(/\\(a: *). \\(x: a) -> x) @Int64 6", "6"},
		{"Numeric 2", "-12.50", "-12.50"},
		{"Date", "2020-02-29", "2020-02-29"},
	})
}

// TestArgumentsAreEvaluatedFromRightToLeft pins the order in which the reference implementation evaluates, which shows where more
// than one part fails.
func TestArgumentsAreEvaluatedFromRightToLeft(t *testing.T) {
	const definitions = exprDefinitions + `
  val f: Int64 -> Int64 -> Int64 = \(x: Int64) (y: Int64) -> 0;
  val boom: Text -> Int64 = \(s: Text) -> ERROR @Int64 s;
`
	second := "!User failure: second"
	runExprs(t, "2.1", definitions, []exprCase{
		{"Int64", `M:f (M:boom "first") (M:boom "second")`, second},
		{"Int64", `ADD_INT64 (M:boom "first") (M:boom "second")`, second},
		{"Int64", `(ERROR @(Int64 -> Int64) "first") (M:boom "second")`, second},
		{"List Int64", `Cons @Int64 [M:boom "first", M:boom "second"] (Nil @Int64)`, second},
		{"List Int64", `Cons @Int64 [M:boom "first"] (ERROR @(List Int64) "second")`, second},
		{"M:R", `M:R {a = M:boom "first", b = ERROR @Text "second"}`, second},
		{"<b: Int64, a: Int64>", `<b = M:boom "first", a = M:boom "second">`, second},
		{"M:R", `M:R {(ERROR @M:R "first") with a = M:boom "second"}`, second},
		{"Int64", `let x: Int64 = M:boom "second"; y: Int64 = M:boom "first" in 0`, second},
		{"Int64", `case M:boom "second" of _ -> M:boom "first"`, second},
		{"Int64", `let g: Int64 -> Int64 = \(x: Int64) -> M:boom "never" in 3`, "3"},
		{"Int64", `(\(x: Int64) -> ERROR @(Int64 -> Int64) "first") 1 (M:boom "second")`, second},
	})
}

func TestSecp256k1(t *testing.T) {
	const (
		key       = "3056301006072a8648ce3d020106052b8104000a03420004cb99a55d62f9e5a4b0b6ce69d52e9e3e8ec8ec6c2ef0bb2d3e8c3c9b0d1d66a0"
		malformed = "INTERPRETATION_CRYPTO_ERROR_MALFORMED_KEY"
	)
	good, message, signature := secpVector(t)
	runExprs(t, "2.3", exprDefinitions, []exprCase{
		{"Bool", fmt.Sprintf(`SECP256K1_BOOL %q %q %q`, signature, message, good), "true"},
		{"Bool", fmt.Sprintf(`SECP256K1_BOOL %q %q %q`, signature, message+"00", good), "false"},
		{"Bool", fmt.Sprintf(`SECP256K1_BOOL %q %q %q`, signature, "xy", good), "!MALFORMED_BYTE_ENCODING"},
		{"Bool", fmt.Sprintf(`SECP256K1_BOOL %q %q %q`, "3006", message, good), "!INTERPRETATION_CRYPTO_ERROR_MALFORMED_SIGNATURE"},
		{"Bool", fmt.Sprintf(`SECP256K1_BOOL %q %q %q`, signature, message, key), "!" + malformed},
		{"Bool", fmt.Sprintf(`SECP256K1_WITH_ECDSA_BOOL %q (SHA256_HEX %q) %q`, signature, message, good), "true"},
		{"Bool", fmt.Sprintf(`SECP256K1_VALIDATE_KEY %q`, good), "true"},
		{"Bool", fmt.Sprintf(`SECP256K1_VALIDATE_KEY %q`, good[:len(good)-2]+"00"), "false"},
		{"Bool", `SECP256K1_VALIDATE_KEY "00"`, "!" + malformed},
	})
}
