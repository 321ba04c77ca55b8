// Package node is what every role of synod shares, whatever it does: the order in which a process starts and stops ([Group]),
// whether it is usable ([Health]), where it listens ([Listen], [ReadyFile]) and the HTTP ports for operators
// ([ServeHTTP], [OperatorHandler], [ProfileHandler]).
//
// A role is assembled from stages in its own package and run by a Group:
//
//	health := node.NewHealth()
//	health.Ready("quorum", engine.HasQuorum)
//	group := node.Group{Stages: []node.Stage{store, links, engine, service}, Health: health, …}
//	err := group.Run(ctx)
//
// Configuration is in node/config, the file that founds a network in node/genesis, a network's directory on disk in node/network,
// and process exit codes in node/exit.
package node
