// Package api holds the protocol buffers that outsiders build on, with the Go
// generated from them beside each file. tools/generate.sh writes it again.
//
// What is here is a promise: fields keep their numbers and meaning within a
// version, and the tests hold the wire bytes to it.
package api
