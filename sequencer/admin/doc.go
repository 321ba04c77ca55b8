// Package admin is how operators see and change one running sequencer over gRPC.
//
// The listener is its own, apart from members', peers' and that for health and metrics. Outside a sandbox it speaks TLS and
// asks every caller for a certificate of the operators' authority: nothing here is for the other members of the network, and
// an operator of one sequencer is nobody at another. What changes something is logged with the name in that certificate.
//
// Each service takes what it shows through a small interface, so that the sequencer that runs it stays one of several users.
// What operators change at run time and must survive a restart lies in files of its own, written whole and renamed, and goes
// before the configuration: see [Endpoints] and [Pruner].
package admin
