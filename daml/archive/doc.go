// Package archive reads and writes Daml packages as they travel: a .dalf file
// holds one encoded package, a .dar file is a zip of them with a manifest that
// says which one is the main package.
//
// A package is known by the SHA-256 of its payload, so the original bytes are
// kept ([Archive]) and decoding them ([Archive.Decode]) is a separate step. The
// encoder orders everything as the Daml compiler does: what the compiler wrote,
// decoded and encoded again, has the same bytes and so the same id.
//
// The encoding is protobuf. It is read and written here directly, without generated
// code: one pass leads from bytes to package lf's types, with no tree of messages in
// between, nesting is bounded on the way, and a message with an unknown field, a
// field twice or a missing field is refused instead of half understood. schema.go
// lists the regular messages; the others are functions named after them.
//
// # Hostile input
//
// Nothing of what is read is trusted. Sizes and counts have limits ([Limits]);
// nesting has [lf.MaxDepth]; interned nodes may refer only to earlier ones, so
// there are no cycles; and the number of nodes is limited as it would be with all
// sharing undone, so that whoever walks a package as a tree finishes.
package archive

// Limits bounds what is read. The zero value of a field means its default.
type Limits struct {
	// DARBytes bounds the uncompressed bytes of all packages of a DAR together.
	// Default 256 MiB.
	DARBytes int64
	// DALFBytes bounds one package. Default 64 MiB.
	DALFBytes int64
	// Packages bounds the packages of a DAR. Default 1000.
	Packages int
	// Nodes bounds the expressions and types of one package, each node counted as
	// often as it is referred to. Default 50 million.
	Nodes int64
}

func (l Limits) withDefaults() Limits {
	if l.DARBytes == 0 {
		l.DARBytes = 256 << 20
	}
	if l.DALFBytes == 0 {
		l.DALFBytes = 64 << 20
	}
	if l.Packages == 0 {
		l.Packages = 1000
	}
	if l.Nodes == 0 {
		l.Nodes = 50_000_000
	}
	return l
}
