// Package directory follows the topology of a network for a client: who the sequencers are and with which keys they sign what they
// deliver, with which keys members sign and are encrypted to.
//
//	d, err := directory.New(directory.Config{Genesis: …, Sequencers: …, Threshold: 2})
//	go d.Run(ctx)
//	c, err := client.New(client.Config{Directory: d, …})
//	batch, err := client.VerifyBatch(network, event.Delivery, d)
//
// # What is believed
//
// Trust begins with the genesis, which whoever joins a network has from its owners: it names the first sequencers and their keys.
// From then on the directory asks sequencers for the digest of the topology, and believes a digest that a threshold of them name
// at a time; with a threshold of f + 1, one of them is true. The topology itself comes from any of them, and is checked against the
// digest and the genesis. It never goes back to an earlier one. Sequencers do not sign what they answer here: who they are is as
// sure as their TLS certificates, so what goes over an open network needs TLS.
//
// A change is in force only some time after it was ordered, which is longer than Every should be: then the directory knows new keys
// before they are used.
package directory
