package config

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a time span written as Go writes it: "500ms", "30s", "1h30m".
type Duration time.Duration

// String returns the span in the form that UnmarshalText reads.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText writes the span as "500ms".
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads "500ms"; a bare number is refused, since its unit would be a guess.
func (d *Duration) UnmarshalText(text []byte) error {
	span, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is no duration; write it like 500ms, 30s or 2h", text)
	}
	if span < 0 {
		return fmt.Errorf("%q is negative; a duration is 0 or more", text)
	}
	*d = Duration(span)
	return nil
}

// Score is a number on the scale of peers' scores, from -1 to 1, or a distance on it: "-0.5".
type Score float64

// String returns the number in the form that UnmarshalText reads.
func (s Score) String() string { return strconv.FormatFloat(float64(s), 'g', -1, 64) }

// MarshalText writes the number as "-0.5".
func (s Score) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads "-0.5".
func (s *Score) UnmarshalText(text []byte) error {
	number, err := strconv.ParseFloat(string(text), 64)
	if err != nil || number != number || number < -2 || number > 2 {
		return fmt.Errorf("%q is no score; write a number like -0.5", text)
	}
	*s = Score(number)
	return nil
}

// Size is a number of bytes written with a binary unit: "512B", "64KiB", "4MiB", "2GiB".
type Size int64

// Binary units, in bytes.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
	TiB Size = 1 << 40
)

var sizeUnits = []struct {
	suffix string
	size   Size
}{{"TiB", TiB}, {"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}, {"B", 1}}

// String returns the size in the largest unit that divides it.
func (s Size) String() string {
	for _, unit := range sizeUnits {
		if s != 0 && s%unit.size == 0 {
			return strconv.FormatInt(int64(s/unit.size), 10) + unit.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// MarshalText writes the size as "4MiB".
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads "4MiB"; decimal units (MB) and bare numbers are refused, since people disagree on what they mean.
func (s *Size) UnmarshalText(text []byte) error {
	for _, unit := range sizeUnits {
		digits, found := strings.CutSuffix(string(text), unit.suffix)
		if !found {
			continue
		}
		count, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || count < 0 || count > int64(1<<62)/int64(unit.size) {
			break
		}
		*s = Size(count) * unit.size
		return nil
	}
	return fmt.Errorf("%q is no size; write it like 512B, 64KiB, 4MiB or 2GiB", text)
}

// Digest is a SHA-256 digest, written as 64 hexadecimal digits; the zero digest, written as an empty text, means none.
type Digest [32]byte

// String returns the digest in hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText writes the digest in hexadecimal.
func (d Digest) MarshalText() ([]byte, error) {
	if d == (Digest{}) {
		return nil, nil
	}
	return []byte(d.String()), nil
}

// UnmarshalText reads what MarshalText writes.
func (d *Digest) UnmarshalText(text []byte) error {
	parsed, err := hex.DecodeString(string(text))
	if err != nil || len(parsed) != len(d) && len(parsed) != 0 {
		return fmt.Errorf("%.80q is no digest; it has 64 hexadecimal digits", text)
	}
	*d = Digest{}
	copy(d[:], parsed)
	return nil
}

// Bytes are written as base64.
type Bytes []byte

// MarshalText writes base64.
func (b Bytes) MarshalText() ([]byte, error) { return base64.StdEncoding.AppendEncode(nil, b), nil }

// UnmarshalText reads what MarshalText writes.
func (b *Bytes) UnmarshalText(text []byte) error {
	parsed, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		return fmt.Errorf("it is not base64: %w", err)
	}
	*b = parsed
	return nil
}

// Instant is a point in time in microseconds since 1970, UTC, written as RFC 3339: "2026-11-21T09:00:00Z".
type Instant int64

// InstantOf cuts t to microseconds.
func InstantOf(t time.Time) Instant { return Instant(t.UnixMicro()) }

// String returns the instant in RFC 3339, UTC.
func (i Instant) String() string { return time.UnixMicro(int64(i)).UTC().Format(time.RFC3339Nano) }

// MarshalText writes the instant in RFC 3339.
func (i Instant) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText reads RFC 3339 and cuts to microseconds.
func (i *Instant) UnmarshalText(text []byte) error {
	t, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return fmt.Errorf("%q is no time; write it like 2026-11-21T09:00:00Z", text)
	}
	*i = InstantOf(t)
	return nil
}
