package config

import (
	"bytes"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// written is one key of a TOML document, or the header of a table.
type written struct {
	key  string // dotted from the root; of a list of tables without the index
	line int    // from 1
	kind unstable.Kind
	text string // the value, of a string without its quotes; empty for tables and lists
}

// writtenIn returns all keys of a TOML document in its order, those of inline tables too. A document that does not parse is
// left to the decoder, whose errors say more.
func writtenIn(document []byte) ([]written, error) {
	reader := documentReader{document: document}
	var table []string
	var parser unstable.Parser
	parser.Reset(document)
	for parser.NextExpression() {
		expression := parser.Expression()
		switch expression.Kind {
		case unstable.Table, unstable.ArrayTable:
			key, line := reader.keyOf(expression)
			table = key
			reader.found = append(reader.found, written{key: strings.Join(key, "."), line: line, kind: expression.Kind})
		case unstable.KeyValue:
			reader.keyValue(table, expression)
		}
	}
	if parser.Error() != nil {
		var discard map[string]any
		return nil, toml.Unmarshal(document, &discard)
	}
	return reader.found, nil
}

type documentReader struct {
	document []byte
	found    []written
}

func (r *documentReader) keyValue(table []string, expression *unstable.Node) {
	key, line := r.keyOf(expression)
	key = append(table[:len(table):len(table)], key...)
	value := expression.Value()
	w := written{key: strings.Join(key, "."), line: line, kind: value.Kind}
	if value.Kind != unstable.InlineTable && value.Kind != unstable.Array {
		w.text = string(value.Data)
	}
	r.found = append(r.found, w)
	r.inside(key, value)
}

// inside goes on to the keys of inline tables in a value.
func (r *documentReader) inside(key []string, value *unstable.Node) {
	children := value.Children()
	switch value.Kind {
	case unstable.InlineTable:
		for children.Next() {
			r.keyValue(key, children.Node())
		}
	case unstable.Array:
		for children.Next() {
			r.inside(key, children.Node())
		}
	}
}

func (r *documentReader) keyOf(expression *unstable.Node) (key []string, line int) {
	parts := expression.Key()
	for parts.Next() {
		node := parts.Node()
		if len(key) == 0 {
			line = 1 + bytes.Count(r.document[:node.Raw.Offset], []byte("\n"))
		}
		key = append(key, string(node.Data))
	}
	return key, line
}
