package event

import "errors"

var errNotObject = errors.New("not a JSON object")

// eachField calls visit with the name (between its quotes, escapes left as they are) and the value of each field of a JSON object,
// until visit returns false. It does no more than find where values end, which makes it many times faster than decoding: an
// object that is not valid JSON may be misread, but never beyond its end.
func eachField(object []byte, visit func(name, value []byte) bool) error {
	at := skipSpace(object, 0)
	if at >= len(object) || object[at] != '{' {
		return errNotObject
	}
	at = skipSpace(object, at+1)
	for at < len(object) && object[at] != '}' {
		nameEnd := stringEnd(object, at)
		colon := skipSpace(object, nameEnd)
		if nameEnd-at < 2 || colon >= len(object) || object[colon] != ':' {
			return errNotObject
		}
		start := skipSpace(object, colon+1)
		end := valueEnd(object, start)
		if end == start {
			return errNotObject
		}
		if !visit(object[at+1:nameEnd-1], object[start:end]) {
			return nil
		}
		at = skipSpace(object, end)
		if at < len(object) && object[at] == ',' {
			at = skipSpace(object, at+1)
		}
	}
	if at >= len(object) {
		return errNotObject
	}
	return nil
}

func skipSpace(data []byte, at int) int {
	for at < len(data) && (data[at] == ' ' || data[at] == '\t' || data[at] == '\n' || data[at] == '\r') {
		at++
	}
	return at
}

// stringEnd returns where the JSON string ends that starts at a place, or that place if none starts there.
func stringEnd(data []byte, start int) int {
	if start >= len(data) || data[start] != '"' {
		return start
	}
	for at := start + 1; at < len(data); at++ {
		switch data[at] {
		case '\\':
			at++
		case '"':
			return at + 1
		}
	}
	return start
}

// valueEnd returns where the JSON value ends that starts at a place, or that place if it does not end.
func valueEnd(data []byte, start int) int {
	depth := 0
	for at := start; at < len(data); at++ {
		switch data[at] {
		case '"':
			end := stringEnd(data, at)
			if end == at {
				return start
			}
			at = end - 1
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth == 0 {
				return at
			}
			depth--
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return at
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return at + 1
		}
	}
	return len(data)
}
