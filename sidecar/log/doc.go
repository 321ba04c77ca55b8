// Package log accepts the events of all sources, drops duplicates, numbers the rest and makes them durable before anybody sees
// them.
//
//	sources ── Append ──► group ──► Store.Commit ──► publish ──► Append returns
//	                        │  (events, their numbers and the sources' positions in one transaction)
//	                        └─ while the database is away ──► Spool on disk, drained later in order
//
// One goroutine ([Log.Run]) does all of this. What arrives while it commits forms the next group, so the cost of a synced
// transaction is shared by as many events as are waiting, and nobody waits when few are.
//
// An event's number is assigned in the transaction that stores it, or in the spool record that keeps it; so a number is never
// given twice, whatever is killed when.
//
// Subscribers who come back are served from the database and from what the spool holds beyond it (resume.go).
//
// A [Store] is a database; log/sqlite, log/postgres and log/memory (no database) are the stores, log/logtest is the suite that
// all of them pass. How rows look is in layout.go: the tables are those of Casper's sidecar, so that its databases open in place
// and go back to it unharmed; what synod needs beyond them is in tables of its own that begin with synod_.
package log
