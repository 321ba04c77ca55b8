package log

import (
	"encoding/json"
	"fmt"

	"github.com/synod-network/synod/sidecar/event"
)

// Origins is what layout V2 says about each event, and V1 did not keep.
type Origins struct {
	APIVersion, Network string
}

// Upgraded is the kind that an event of a 1.x node has in layout V2.
func Upgraded(kind event.Kind) event.Kind {
	switch kind {
	case event.DeployAccepted:
		return event.TransactionAccepted
	case event.DeployProcessed:
		return event.TransactionProcessed
	case event.DeployExpired:
		return event.TransactionExpired
	default:
		return kind
	}
}

// UpgradeRaw rewrites the column raw of an event of a 1.x node as layout V2 has it: the older variant of each thing that 2.x has
// two variants of.
func UpgradeRaw(kind event.Kind, raw []byte) ([]byte, error) {
	switch kind {
	case event.BlockAdded:
		return upgradeBlock(raw)
	case event.DeployAccepted:
		return append(append([]byte(`{"transaction":{"Deploy":`), unwrap(wrapDeploy, raw)...), '}', '}'), nil
	case event.DeployProcessed:
		return upgradeProcessed(raw)
	case event.DeployExpired:
		var expired struct {
			Hash string `json:"deploy_hash"`
		}
		if err := json.Unmarshal(raw, &expired); err != nil {
			return nil, fmt.Errorf("DeployExpired: %w", err)
		}
		return json.Marshal(map[string]any{"transaction_hash": map[string]string{"Deploy": expired.Hash}})
	case event.FinalitySignature:
		return append(append([]byte(`{"V1":`), raw...), '}'), nil
	default:
		return raw, nil
	}
}

func upgradeBlock(raw []byte) ([]byte, error) {
	type block struct {
		Hash   json.RawMessage `json:"hash"`
		Header json.RawMessage `json:"header"`
		Body   json.RawMessage `json:"body"`
	}
	var v1 struct {
		Hash  json.RawMessage `json:"block_hash"`
		Block block           `json:"block"`
	}
	if err := json.Unmarshal(raw, &v1); err != nil {
		return nil, fmt.Errorf("BlockAdded: %w", err)
	}
	return json.Marshal(struct {
		Hash  json.RawMessage  `json:"block_hash"`
		Block map[string]block `json:"block"`
	}{v1.Hash, map[string]block{"Version1": v1.Block}})
}

func upgradeProcessed(raw []byte) ([]byte, error) {
	var v1 struct {
		Hash      json.RawMessage `json:"deploy_hash"`
		Account   json.RawMessage `json:"account"`
		Timestamp json.RawMessage `json:"timestamp"`
		TTL       json.RawMessage `json:"ttl"`
		BlockHash json.RawMessage `json:"block_hash"`
		Result    json.RawMessage `json:"execution_result"`
	}
	if err := json.Unmarshal(raw, &v1); err != nil {
		return nil, fmt.Errorf("DeployProcessed: %w", err)
	}
	return json.Marshal(struct {
		Hash      map[string]json.RawMessage `json:"transaction_hash"`
		Initiator map[string]json.RawMessage `json:"initiator_addr"`
		Timestamp json.RawMessage            `json:"timestamp"`
		TTL       json.RawMessage            `json:"ttl"`
		BlockHash json.RawMessage            `json:"block_hash"`
		Result    map[string]json.RawMessage `json:"execution_result"`
		Messages  []string                   `json:"messages"`
	}{
		map[string]json.RawMessage{"Deploy": v1.Hash}, map[string]json.RawMessage{"PublicKey": v1.Account}, v1.Timestamp, v1.TTL, v1.BlockHash,
		map[string]json.RawMessage{"Version1": v1.Result}, []string{},
	})
}
