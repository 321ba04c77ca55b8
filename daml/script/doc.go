// Package script runs a list of commands, written as JSON, on a ledger in memory, and shows what each party sees of it. It is what
// `synod daml run` does; docs/daml-run.md describes the form of scripts.
package script
