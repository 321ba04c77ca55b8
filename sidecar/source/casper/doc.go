// Package casper reads the event streams of Casper nodes, 1.x and 2.x, into a sink.
//
//	probe /status ──► open the streams of that version ──► read ──► queue ──► Sink.Append
//	      ▲                    from where the sink           │
//	      └── wait ◄───────────── got to ◄───────────────────┘ lost, silent, not as it should be
//
// Each node has a goroutine ([Source.Run] starts and ends them) that connects again whenever the streams end. A node is given up
// after so many attempts without data between them, or at once if it runs a version that is too old. What a node sends that is not
// understood is passed on and counted; it is never a reason to disconnect, since the node would send it again.
//
// Where a stream resumes is asked of [event.Positions], which the sink keeps in the same transaction as the events. So a sidecar
// that was killed goes on after the last event that survived.
package casper
