// Package lf is Daml-LF 2 as Go values: the small typed lambda calculus to which
// Daml is compiled and in which contracts reach a ledger.
//
// A [Package] holds modules, a module holds data types, values, templates,
// interfaces and exceptions, and these hold types ([Type]) and expressions
// ([Expr]). All of it is plain data: package archive reads and writes it, package
// text prints and parses it, package validate judges it and package engine runs
// it. Nothing here computes.
//
// # Names
//
// References are absolute: a [Ref] names package, module and definition. A
// package that was read from an archive knows its own id and its references to
// itself carry that id. A package written by hand or parsed from text has no id
// until it is encoded; its id, and the package of references to itself, is "".
//
// # Shape and sharing
//
// The shape is that of the archive format, so that encoding what was decoded
// gives the same bytes: applications, abstractions and lets take several
// arguments at once (LF 2.1 writes them so; from LF 2.2 on they come one by one,
// except for arguments of App), and source positions are [Located] nodes. Types
// are binary applications, as in the specification.
//
// Archives intern types and, from LF 2.2 on, expressions. A decoded package keeps
// that sharing: equal pointers are the same table entry. Nodes are immutable once
// built; whoever rewrites builds new ones.
//
// # Depth
//
// Walkers may recurse. The decoder refuses packages whose types or expressions
// nest deeper than [MaxDepth] and packages which, with all sharing undone, would
// have more nodes than its limits allow, and the parser of the textual form does
// the same. A walker with a frame of one kilobyte needs about 10 MiB of stack for
// the deepest package, far from Go's limit of 1 GiB, beyond which a process
// cannot be saved. What runs programs, in contrast, must keep its own stack:
// no limit on the program bounds how deep evaluation goes.
package lf

// MaxDepth is the deepest nesting of types, kinds and expressions in a package,
// counted in nodes along one path from a definition to a leaf. Compilers stay
// below a few hundred.
const MaxDepth = 10_000
