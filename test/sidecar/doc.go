// Package sidecar tells what a sidecar lives through, against the real binary, pretended nodes and real clients. Everything is checked
// end to end: what subscribers got against what the nodes say they sent.
package sidecar
