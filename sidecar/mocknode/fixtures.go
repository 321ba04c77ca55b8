package mocknode

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/synod-network/synod/sidecar/event"
)

// Fixture makes an event of its JSON, on the stream where nodes 1.x have its kind.
func Fixture(data []byte) (Made, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return Made{}, fmt.Errorf("read a fixture: %w", err)
	}
	e, err := event.Parse(compact.Bytes())
	if err != nil {
		return Made{}, fmt.Errorf("read a fixture: %w", err)
	}
	made := Made{Filter: event.FilterMain, Kind: e.Kind, Data: compact.Bytes()}
	switch e.Kind {
	case event.DeployAccepted, event.TransactionAccepted:
		made.Filter = event.FilterDeploys
	case event.FinalitySignature:
		made.Filter = event.FilterSigs
	}
	return made, nil
}

// Fixtures reads events, one JSON value after the other.
func Fixtures(from io.Reader) ([]Made, error) {
	var all []Made
	decoder := json.NewDecoder(bufio.NewReader(from))
	for {
		var raw json.RawMessage
		switch err := decoder.Decode(&raw); {
		case err == io.EOF:
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("read fixture %d: %w", len(all)+1, err)
		}
		made, err := Fixture(raw)
		if err != nil {
			return nil, err
		}
		all = append(all, made)
	}
}
