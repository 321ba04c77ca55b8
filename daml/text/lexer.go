package text

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/synod-network/synod/daml/lf"
)

// sort says what a token is.
type sort uint8

const (
	tokEnd       sort = iota
	tokName           // an identifier that is no word of the syntax, or a quoted one
	tokWord           // a word of the syntax
	tokSymbol         // punctuation
	tokInt            // 42
	tokNumeric        // 4.2
	tokText           // "..."
	tokQuoted         // '...'
	tokTimestamp      // 2026-11-26T01:02:03Z
	tokDate           // 2026-11-26
)

type token struct {
	sort   sort
	text   string // as it is meant: without quotes and escapes
	number int64  // of tokInt, tokTimestamp (µs), tokDate (days)
	offset int
	quoted bool // a name in backquotes: never a word
}

// String describes the token in errors.
func (t token) String() string {
	switch t.sort {
	case tokEnd:
		return "the end"
	case tokText:
		return strconv.Quote(t.text)
	case tokQuoted:
		return "'" + t.text + "'"
	}
	return strconv.Quote(t.text)[1 : len(strconv.Quote(t.text))-1]
}

// meaning is what a word of the syntax stands for, where that is one thing.
type meaning struct {
	function    func() *lf.BuiltinFun
	builtinType *lf.TypeBuiltin
	literal     func() lf.Expr
}

// words are the words of the syntax of types and expressions, which must be quoted
// to be names. The words that introduce definitions and their clauses are not
// among them: no name stands there.
var words = syntaxWords()

func syntaxWords() map[string]meaning {
	words := map[string]meaning{}
	for w := range strings.FieldsSeq(`
		Cons Nil Some None True False forall let in with case of to loc nat
		to_any from_any type_rep to_any_exception from_any_exception throw catch try
		to_interface from_interface unsafe_from_interface
		to_required_interface from_required_interface unsafe_from_required_interface
		call_method view_interface signatory_interface observer_interface interface_template_type_rep
		choice_controller choice_observer experimental
		upure ubind create create_by_interface fetch_template fetch_interface
		exercise exercise_interface exercise_interface_with_guard exercise_by_key
		fetch_by_key query_n_by_key uget_time ledger_time_lt uembed_expr`) {
		words[w] = meaning{}
	}
	for _, f := range lf.Functions() {
		words[f.String()] = meaning{function: func() *lf.BuiltinFun { return &lf.BuiltinFun{Fun: f} }}
	}
	for _, b := range lf.BuiltinTypes() {
		words[b.String()] = meaning{builtinType: &lf.TypeBuiltin{Builtin: b}}
	}
	words["Option"] = words[lf.TypeOptional.String()]
	for c := lf.InvalidIndependentOfSystemState; c.String() != ""; c++ {
		words[c.String()] = meaning{literal: func() lf.Expr { return &lf.LitFailureCategory{Category: c} }}
	}
	for m := lf.RoundingMode(0); m.String() != ""; m++ {
		words[m.String()] = meaning{literal: func() lf.Expr { return &lf.LitRoundingMode{Mode: m} }}
	}
	return words
}

func isWord(s string) bool {
	_, ok := words[s]
	return ok
}

// lexer cuts a text into tokens.
type lexer struct {
	src    string
	offset int
	tokens []token
}

// lex cuts the text into tokens, the last of which is tokEnd.
func lex(src string) (tokens []token, err error) {
	l := &lexer{src: src}
	for {
		if err := l.skipSpace(); err != nil {
			return nil, err
		}
		if l.offset == len(src) {
			return append(l.tokens, token{sort: tokEnd, offset: l.offset}), nil
		}
		t, n, err := l.token(src[l.offset:])
		if err != nil {
			return nil, l.errorf("%v", err)
		}
		t.offset = l.offset
		l.tokens = append(l.tokens, t)
		l.offset += n
	}
}

func (l *lexer) errorf(format string, args ...any) error {
	return newError(l.src, l.offset, fmt.Sprintf(format, args...))
}

func newError(src string, offset int, message string) *Error {
	before := src[:offset]
	return &Error{
		Line:    1 + strings.Count(before, "\n"),
		Column:  offset - strings.LastIndexByte(before, '\n'),
		Message: message,
	}
}

// skipSpace skips blanks, // comments and /* comments */.
func (l *lexer) skipSpace() error {
	for l.offset < len(l.src) {
		rest := l.src[l.offset:]
		switch {
		case strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			l.offset++
		case strings.HasPrefix(rest, "//"):
			if n := strings.IndexByte(rest, '\n'); n >= 0 {
				l.offset += n
			} else {
				l.offset = len(l.src)
			}
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest[2:], "*/")
			if n < 0 {
				return l.errorf("the comment does not end")
			}
			l.offset += n + 4
		default:
			return nil
		}
	}
	return nil
}

// symbols are the punctuation, longer ones before their beginnings.
var symbols = [...]string{"->", "<-", "/\\", "||", "\\", "@", ".", ":", ",", ";", "(", ")", "<", ">", "{", "}", "[", "]", "*", "=", "|"}

var (
	timestampPattern = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z`)
	datePattern      = regexp.MustCompile(`^\d{4}-\d\d-\d\d`)
	numberPattern    = regexp.MustCompile(`^-?\d+(\.\d*)?`)
	namePattern      = regexp.MustCompile(`^[a-zA-Z_$][a-zA-Z0-9_$]*`)
	textPattern      = regexp.MustCompile(`^"(?:[^"\\\n]|\\.)*"`)
	quotedPattern    = regexp.MustCompile(`^'[^'\\\n]*'`)
	backquoted       = regexp.MustCompile("^`[a-zA-Z_$][a-zA-Z0-9_$]*`")
)

// token reads one token and gives its length.
func (l *lexer) token(s string) (token, int, error) {
	if n := len(namePattern.FindString(s)); n > 0 {
		t := token{sort: tokName, text: s[:n]}
		if isWord(t.text) {
			t.sort = tokWord
		}
		return t, n, nil
	}
	if n := len(backquoted.FindString(s)); n > 0 {
		return token{sort: tokName, text: s[1 : n-1], quoted: true}, n, nil
	}
	if n := len(textPattern.FindString(s)); n > 0 {
		text, err := unquote(s[1 : n-1])
		return token{sort: tokText, text: text}, n, err
	}
	if n := len(quotedPattern.FindString(s)); n > 0 {
		return token{sort: tokQuoted, text: s[1 : n-1]}, n, nil
	}
	if c := s[0]; c >= '0' && c <= '9' || c == '-' {
		if t, n, err := number(s); n > 0 || err != nil {
			return t, n, err
		}
	}
	for _, symbol := range symbols {
		if strings.HasPrefix(s, symbol) {
			return token{sort: tokSymbol, text: symbol}, len(symbol), nil
		}
	}
	r, _ := utf8.DecodeRuneInString(s)
	return token{}, 0, fmt.Errorf("%q is no part of the syntax, or a text that does not end on its line", r)
}

// number reads a time, date, numeric or integer; 0 bytes if there is none.
func number(s string) (token, int, error) {
	if n := len(timestampPattern.FindString(s)); n > 0 {
		at, err := time.Parse("2006-01-02T15:04:05.999999Z", s[:n])
		if err != nil || !lf.IsTimestamp(at.UnixMicro()) {
			return token{}, 0, fmt.Errorf("%s is no time between the years 1 and 9999", s[:n])
		}
		return token{sort: tokTimestamp, text: s[:n], number: at.UnixMicro()}, n, nil
	}
	if n := len(datePattern.FindString(s)); n > 0 {
		at, err := time.Parse("2006-01-02", s[:n])
		if err != nil {
			return token{}, 0, fmt.Errorf("%s is no date between the years 1 and 9999", s[:n])
		}
		days := at.Unix() / (24 * 60 * 60)
		return token{sort: tokDate, text: s[:n], number: days}, n, nil
	}
	text := numberPattern.FindString(s)
	if strings.Contains(text, ".") {
		return token{sort: tokNumeric, text: text}, len(text), nil
	}
	if text == "" {
		return token{}, 0, nil
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return token{}, 0, fmt.Errorf("%s does not fit 64 bits", text)
	}
	return token{sort: tokInt, text: text, number: v}, len(text), nil
}

// unquote resolves the escapes in a text: those of Go, and \'.
func unquote(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, validText(s)
	}
	var b strings.Builder
	for len(s) > 0 {
		if strings.HasPrefix(s, `\'`) {
			b.WriteByte('\'')
			s = s[2:]
			continue
		}
		r, multibyte, rest, err := strconv.UnquoteChar(s, '"')
		if err != nil {
			return "", fmt.Errorf("the text has an escape that is unknown, at %.10q", s)
		}
		if r < utf8.RuneSelf || !multibyte {
			b.WriteByte(byte(r))
		} else {
			b.WriteRune(r)
		}
		s = rest
	}
	return b.String(), validText(b.String())
}

func validText(s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("the text is not UTF-8")
	}
	return nil
}
