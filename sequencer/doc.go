// Package sequencer serves an [ordering.Orderer] over gRPC: submit opaque
// requests, subscribe to the order, ask where it stands. Which backend orders
// makes no difference here.
//
// Whatever a stranger can make grow is bounded: messages, streams per connection
// and in all, and what is held for a client. A subscriber is read for at its own
// pace and never queued for; a submitter is told to wait.
//
// Every listener authenticates. Over a network that takes TLS and a bearer token;
// only on loopback may either be left out.
package sequencer
