package lf

import (
	"strings"
	"time"
)

// IsName says whether s is an identifier: a letter, underscore or dollar sign and
// then these or digits, at most 1000 characters.
func IsName(s string) bool {
	if s == "" || len(s) > 1000 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; !isLetter(c) && (i == 0 || !isDigit(c)) {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '$'
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// IsDottedName says whether s is one or more identifiers joined by dots, at most
// 1000 characters.
func IsDottedName(s string) bool {
	if len(s) > 1000 {
		return false
	}
	for part := range strings.SplitSeq(s, ".") {
		if !IsName(part) {
			return false
		}
	}
	return true
}

// IsPackageID says whether s can be a package id. Ids of real packages are 64
// hexadecimal digits; the language allows letters, digits, "-", "_" and spaces.
func IsPackageID(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, packageNameChars+" ") == ""
}

const packageNameChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// IsPackageName says whether s can be the name of a package.
func IsPackageName(s string) bool {
	return s != "" && len(s) <= 255 && strings.Trim(s, packageNameChars) == ""
}

// IsPackageVersion says whether s can be the version of a package: numbers without
// leading zeros joined by dots.
func IsPackageVersion(s string) bool {
	if len(s) > 255 {
		return false
	}
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || len(part) > 1 && part[0] == '0' || strings.Trim(part, "0123456789") != "" {
			return false
		}
	}
	return true
}

// ComparePackageVersions orders two package versions by their numbers from left to
// right; where one continues the other, the longer one is greater.
func ComparePackageVersions(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := 0; i < len(as) && i < len(bs); i++ {
		if n := len(as[i]) - len(bs[i]); n != 0 {
			return n
		}
		if n := strings.Compare(as[i], bs[i]); n != 0 {
			return n
		}
	}
	return len(as) - len(bs)
}

// IsNumeric says whether s is a numeric as literals write it: an optional minus, 1
// to 38 digits without leading zeros, a point, and 0 to 37 of the digits behind it.
func IsNumeric(s string) bool {
	s = strings.TrimPrefix(s, "-")
	whole, fraction, ok := strings.Cut(s, ".")
	if !ok || whole == "" || len(whole) > 1 && whole[0] == '0' {
		return false
	}
	digits := len(whole) + len(fraction)
	if whole == "0" {
		digits--
	}
	return digits <= 38 && len(fraction) <= 37 &&
		strings.Trim(whole, "0123456789") == "" && strings.Trim(fraction, "0123456789") == ""
}

// NumericScale gives the scale of a numeric: its digits behind the point.
func NumericScale(s string) int { return len(s) - 1 - strings.IndexByte(s, '.') }

// First and last values of Date and Timestamp: the years 1 to 9999.
var (
	firstTime = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	lastTime  = time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC).UnixMicro()
)

// IsTimestamp says whether so many microseconds since 1970 are a time between the
// years 1 and 9999.
func IsTimestamp(micros int64) bool { return micros >= firstTime && micros <= lastTime }

// IsDate says whether so many days since 1970 are a date between the years 1 and
// 9999.
func IsDate(days int32) bool {
	micros := int64(days) * 24 * int64(time.Hour/time.Microsecond)
	return micros >= firstTime && micros <= lastTime
}
