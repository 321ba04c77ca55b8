package config

import (
	"bytes"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// keyLines returns the line, from 1, on which each dotted key of a TOML document is set first. A list of tables is reported
// at its first header. A document that does not parse is left to the decoder, whose errors say more.
func keyLines(document []byte) (map[string]int, error) {
	lines := map[string]int{}
	note := func(key []string, offset uint32) {
		name := strings.Join(key, ".")
		if _, seen := lines[name]; !seen {
			lines[name] = 1 + bytes.Count(document[:offset], []byte("\n"))
		}
	}
	var table []string
	var parser unstable.Parser
	parser.Reset(document)
	for parser.NextExpression() {
		expression := parser.Expression()
		key, offset := keyOf(expression)
		switch expression.Kind {
		case unstable.Table:
			table = key
		case unstable.ArrayTable:
			table = key
			note(key, offset)
		case unstable.KeyValue:
			note(append(table[:len(table):len(table)], key...), offset)
		}
	}
	if parser.Error() != nil {
		var discard map[string]any
		return nil, toml.Unmarshal(document, &discard)
	}
	return lines, nil
}

func keyOf(expression *unstable.Node) (key []string, offset uint32) {
	parts := expression.Key()
	for parts.Next() {
		node := parts.Node()
		if len(key) == 0 {
			offset = node.Raw.Offset
		}
		key = append(key, string(node.Data))
	}
	return key, offset
}
