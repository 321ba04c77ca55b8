package text

import "github.com/synod-network/synod/daml/lf"

// ParseType reads a type as a package of that language version may write it.
func ParseType(src string, version lf.Version) (t lf.Type, err error) {
	tokens, err := lex(src)
	if err != nil {
		return nil, err
	}
	p := &parser{src: src, tokens: tokens, version: version}
	defer recoverError(&err)
	t = p.typ()
	if p.peek().sort != tokEnd {
		p.failf("there should be nothing behind the type, not %v", p.peek())
	}
	return t, nil
}

// ParseExpr reads an expression as a package of that language version may write it.
func ParseExpr(src string, version lf.Version) (e lf.Expr, err error) {
	tokens, err := lex(src)
	if err != nil {
		return nil, err
	}
	p := &parser{src: src, tokens: tokens, version: version}
	defer recoverError(&err)
	e = p.expr()
	if p.peek().sort != tokEnd {
		p.failf("there should be nothing behind the expression, not %v", p.peek())
	}
	return e, nil
}
