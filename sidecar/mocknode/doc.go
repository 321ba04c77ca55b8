// Package mocknode pretends to be a Casper node, as far as a sidecar can see one: the event streams and the status page, with
// events that a seed decides, and faults on request.
//
//	load ──► ring of sent events ──► one goroutine a stream ──► HTTP
//	(pure)        │
//	              └──► Options.Sent: what the node says it sent, for a test to compare with what arrived
//
// Two nodes with one seed tell the same chain, event by event. What differs between real nodes is an option: the numbers that they
// give to events, how late they are, which version they run, and what goes wrong with them.
//
// Nodes 1.x have three streams, /events/main, /events/deploys and /events/sigs; nodes 2.x have /events. Each begins with the API
// version, takes start_from=N to replay what the ring still has from number N on, and sends a comment when nothing else is to be
// sent. The REST port has /status, /rpc with info_get_status, and, for tests and people who want to see a sidecar suffer, faults:
//
//	curl -X POST 'http://127.0.0.1:14101/mock/disconnect'
package mocknode
