// Package config reads the configuration file of a Casper sidecar, of both generations, as it is.
//
// The two layouts are told apart by their tables: [[connections]] and [rest_server] belong to releases for nodes 1.x, [sse_server]
// and [rest_api_server] to those for nodes 2.x. Both become one [Config]. As with Casper's sidecar, keys that mean nothing do not
// keep it from starting; but they are reported ([Note]), since a misspelt key is a setting that somebody believes in.
//
// What synod's sidecar can do beyond Casper's is configured in a table of its own, [synod], which Casper's sidecar ignores: a file
// serves both.
package config
