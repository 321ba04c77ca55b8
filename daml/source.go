// Package daml knows the source of the packages below it that decide what a Daml package is compiled to, and whether it is valid. A
// compiled package that is kept for later is good for the very same source only: [Source] names it.
package daml

import (
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

// deciding are the packages that decide, and with them those that they import. Whoever adds one is reminded by a test. The tests in
// these folders come along, as a pattern cannot tell them apart, and are not looked at.
//
//go:embed archive/*.go engine/*.go internal/wire/*.go lf/*.go shape/*.go text/*.go tx/*.go validate/*.go value/*.go
var deciding embed.FS

// Source is the SHA-256 of the source of what decides: every change of it gives another, of a comment too. It is computed in about a
// millisecond.
func Source() [sha256.Size]byte { return digest(deciding) }

func digest(source fs.FS) (sum [sha256.Size]byte) {
	h := sha256.New()
	err := fs.WalkDir(source, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(source, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%s %d\n", path, len(text))
		h.Write(text)
		return nil
	})
	if err != nil {
		panic(fmt.Sprintf("source of the Daml engine, which is part of this program: %v", err)) // no disk is read
	}
	h.Sum(sum[:0])
	return sum
}
