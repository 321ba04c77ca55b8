package telemetry

// Replica measures what waits inside this node between those who take part in ordering: the links' readers, the loop, the disk
// and whoever answers peers that are behind. The links' own queues are with [Peers], what clients submitted is with [Ingress].
type Replica struct{ scraped[ReplicaState] }

// ReplicaState is what waits now.
type ReplicaState struct {
	// Inbox is what peers sent and the loop has not taken in; a reader waits whose message does not fit, and with it its peer.
	Inbox, InboxLimit Waiting
	// Writer is what waits for the disk; beyond the limit the loop takes nothing more from peers.
	Writer      Waiting
	WriterLimit int64 // bytes
	// Chain is the payloads of ordered blocks in memory, for whoever applies or reads them; beyond the limit they are read from disk.
	Chain      Waiting
	ChainLimit int64 // bytes
	Serving    int   // requests of peers that are behind, not answered yet
}

// Waiting is how much is in a queue.
type Waiting struct{ Messages, Bytes int64 }

func newReplica(d *declarer) *Replica {
	r := &Replica{}
	for _, g := range []struct {
		name, help string
		read       func(ReplicaState) int64
	}{
		{"inbox_messages", "Messages from peers that the engine has not taken in.", func(s ReplicaState) int64 { return s.Inbox.Messages }},
		{"inbox_bytes", "Bytes of the messages from peers that the engine has not taken in, or that wait for room.", func(s ReplicaState) int64 { return s.Inbox.Bytes }},
		{"inbox_limit_messages", "Messages from peers at which links wait.", func(s ReplicaState) int64 { return s.InboxLimit.Messages }},
		{"inbox_limit_bytes", "Bytes of messages from peers at which links wait.", func(s ReplicaState) int64 { return s.InboxLimit.Bytes }},
		{"writer_records", "Records, and messages behind them, that wait for the disk.", func(s ReplicaState) int64 { return s.Writer.Messages }},
		{"writer_bytes", "Bytes of the records that wait for the disk or are being written.", func(s ReplicaState) int64 { return s.Writer.Bytes }},
		{"writer_limit_bytes", "Bytes that wait for the disk at which the engine takes in nothing more.", func(s ReplicaState) int64 { return s.WriterLimit }},
		{"chain_blocks", "Ordered blocks in memory for whoever applies or reads them.", func(s ReplicaState) int64 { return s.Chain.Messages }},
		{"chain_bytes", "Bytes of the ordered blocks in memory.", func(s ReplicaState) int64 { return s.Chain.Bytes }},
		{"chain_limit_bytes", "Bytes at which ordered blocks that are on disk leave memory.", func(s ReplicaState) int64 { return s.ChainLimit }},
		{"serving_requests", "Requests of peers that are behind, not answered yet.", func(s ReplicaState) int64 { return int64(s.Serving) }},
	} {
		r.gauge(d, "replica_"+g.name, g.help, func(s ReplicaState) float64 { return float64(g.read(s)) })
	}
	d.registry.MustRegister(r)
	return r
}
