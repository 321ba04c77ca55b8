package mocknode

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
)

// Line is one line of a journal, in JSON: something that the node said.
type Line struct {
	ID     *uint32 `json:"id"` // null for what has none
	Filter string  `json:"filter"`
	Kind   string  `json:"kind"`
	Bytes  int     `json:"bytes"`
	SHA256 string  `json:"sha256"` // of the data, as it was sent
	Fault  string  `json:"fault,omitempty"`
}

// LineOf describes something that the node said.
func LineOf(s Sent) Line {
	digest := sha256.Sum256(s.Data)
	line := Line{Filter: string(s.Filter), Kind: s.Kind.String(), Bytes: len(s.Data), SHA256: hex.EncodeToString(digest[:]), Fault: s.Fault}
	if s.HasID {
		line.ID = &s.ID
	}
	return line
}

// Journal writes a line for everything that the node says. After an error it writes nothing more and calls failed once.
func Journal(to io.Writer, failed func(error)) func(Sent) {
	encoder, broken := json.NewEncoder(to), false
	return func(s Sent) {
		if broken {
			return
		}
		if err := encoder.Encode(LineOf(s)); err != nil {
			broken = true
			failed(err)
		}
	}
}
