package cometbft

import (
	"fmt"
	"net"
)

// loopbackAddresses finds n free addresses. A validator must know its peers'
// ports before it starts, so port 0 will not do.
func loopbackAddresses(n int) ([]string, error) {
	addresses := make([]string, n)
	for i := range addresses {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
		defer l.Close()
		addresses[i] = l.Addr().String()
	}
	return addresses, nil
}
