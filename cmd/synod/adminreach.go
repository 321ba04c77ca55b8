package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/exit"
	"github.com/synod-network/synod/node/network"
)

// all returns how each of the sequencers that the flags name is reached; --node names one of them.
func (r *adminReach) all() (list []adminReach, err error) {
	switch {
	case r.dir != "" && r.readyFile != "", r.address != "" && r.dir+r.readyFile != "":
		return nil, exit.Errorf(exit.Usage, "--admin, --net and --ready-file all name sequencers; write one of them")
	case r.dir != "":
		list, err = r.ofNetwork()
	case r.readyFile != "":
		list, err = r.ofReadyFile()
	case r.address != "":
		return []adminReach{*r}, nil
	}
	if err != nil {
		return nil, err
	}
	if r.node != "" {
		for _, one := range list {
			if one.node == r.node {
				return []adminReach{one}, nil
			}
		}
		var names []string
		for _, one := range list {
			names = append(names, one.node)
		}
		return nil, exit.Errorf(exit.Usage, "no sequencer with a listener for operators is called %q there; name one of %s", r.node, strings.Join(names, ", "))
	}
	if len(list) == 0 {
		return nil, exit.Errorf(exit.Usage, "no sequencer with a listener for operators is named; write --admin host:port, --net DIR or --ready-file FILE")
	}
	return list, nil
}

func (r *adminReach) ofNetwork() (list []adminReach, err error) {
	nodes, err := network.NodesBelow(r.dir)
	if err != nil {
		return nil, exit.Errorf(exit.BadConfig, "--net %s is no directory of a network or of a sequencer: %w", r.dir, err)
	}
	operator := network.OperatorAt(r.dir)
	if _, err := os.Stat(operator.Authority); err != nil {
		return nil, exit.Errorf(exit.BadConfig, "--net %s holds no operator's certificates; name the directory that synod network init or sequencer join wrote, or write --admin, --tls-ca, --tls-cert and --tls-key: %w", r.dir, err)
	}
	for _, at := range nodes {
		c, _, err := config.LoadSequencer(config.Sources{File: at.ConfigFile})
		if err != nil {
			return nil, exit.With(exit.BadConfig, err)
		}
		if c.Admin.GRPC != "" {
			list = append(list, adminReach{
				address: c.Admin.GRPC, node: at.Name, authorities: filepath.Clean(operator.Authority), certificate: operator.Certificate, key: operator.Key,
			})
		}
	}
	return list, nil
}

func (r *adminReach) ofReadyFile() (list []adminReach, err error) {
	ready, err := node.ReadReady(r.readyFile)
	if err != nil {
		return nil, err
	}
	for _, n := range ready.Nodes {
		if address := n.Listeners["admin-grpc"]; address != "" {
			list = append(list, adminReach{address: address, node: n.Name, authorities: r.authorities, certificate: r.certificate, key: r.key})
		}
	}
	return list, nil
}
