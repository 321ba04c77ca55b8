// Package warden keeps a node's opinion of its peers while the node runs. Around the pure ledger of package trust it puts
// what that must not have: a lock, a clock, a file, a log, and the node's key, with which it signs to a banned peer why
// and until when.
//
// The file is written whole, synced, and renamed into place: at once when a ban begins or ends, else within ten seconds
// and at the end. A crash can lose the last seconds of a score, never a decision that an operator was told is stored. A
// file that is damaged is renamed, said in the log, and begun anew.
package warden
