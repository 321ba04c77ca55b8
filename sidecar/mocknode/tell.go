package mocknode

import (
	"fmt"
	"time"
)

// telling is how nodes of a major version put what happens into JSON.
type telling interface {
	accepted(*Load, *deploy) []byte
	added(*Load, *block) []byte
	processed(*Load, *block, *deploy) []byte
	expired(*deploy) []byte
	signed(l *Load, b *block, validator string) []byte
	step(*Load, *block) []byte
}

func teller(version Version) telling {
	if version.OneStream() {
		return teller2{}
	}
	return teller1{}
}

func fault(b *block, validator string) []byte {
	return fmt.Appendf(nil, `{"Fault":{"era_id":%d,"public_key":"%s","timestamp":"%s"}}`, b.era, validator, stamp(b.at))
}

func stamp(at time.Time) string { return at.Format("2006-01-02T15:04:05.000Z") }

// list appends a JSON array.
func list[T any](to []byte, items []T, item func([]byte, T) []byte) []byte {
	to = append(to, '[')
	for i, it := range items {
		if i > 0 {
			to = append(to, ',')
		}
		to = item(to, it)
	}
	return append(to, ']')
}

func quoted(to []byte, text string) []byte {
	to = append(to, '"')
	to = append(to, text...)
	return append(to, '"')
}

func hashes(to []byte, deploys []deploy, which func(deploy) bool) []byte {
	var chosen []string
	for _, d := range deploys {
		if which(d) {
			chosen = append(chosen, d.hash)
		}
	}
	return list(to, chosen, quoted)
}
