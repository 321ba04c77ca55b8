// Package value holds the values that Daml-LF programs compute with and ledgers store: their Go types, exact decimal
// arithmetic, the total order that contracts can observe, text forms, and the binary form of stored values.
//
// A value is immutable. Values that came out of a program carry the type they were built at (a [DataType], shared by all values
// of the type); values that came from a store or a client may lack it, and get it when the engine checks them against a template.
// What a store may hold nests at most [MaxNesting] deep, so code that walks stored values may recurse; what a running program
// holds is bounded by its memory budget only, so [Compare] and [Equal] keep a stack of their own.
package value
