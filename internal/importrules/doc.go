// Package importrules holds the test that keeps dependencies pointing one way, as docs/ARCHITECTURE.md draws them, and the
// ordering engine, the topology and the state machine over the order pure. It has no code of its own: the rules are tables in the tests.
package importrules
