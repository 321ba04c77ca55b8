package historytest

import (
	"testing"

	"github.com/synod-network/synod/sequencer/sequencing"
)

func TestMemory(t *testing.T) { Run(t, memory) }

var memory = Subject{Open: func(T) sequencing.History {
	return sequencing.NewMemoryHistory(sequencing.New(Network, world{}))
}}
