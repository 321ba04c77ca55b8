package stream

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// legacyProcessed turns TransactionProcessed of a deploy into DeployProcessed.
func legacyProcessed(body []byte) (raw, error) {
	var processed struct {
		Hash      raw `json:"transaction_hash"`
		Initiator raw `json:"initiator_addr"`
		Timestamp raw `json:"timestamp"`
		TTL       raw `json:"ttl"`
		BlockHash raw `json:"block_hash"`
		Result    raw `json:"execution_result"`
	}
	if err := json.Unmarshal(body, &processed); err != nil {
		return nil, errNoLegacy
	}
	hash, err := variant(processed.Hash, "Deploy")
	if err != nil {
		return nil, err
	}
	account, err := variant(processed.Initiator, "PublicKey")
	if err != nil {
		return nil, err
	}
	result, err := legacyResult(processed.Result)
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Hash         raw   `json:"deploy_hash"`
		Account      raw   `json:"account"`
		Timestamp    raw   `json:"timestamp"`
		TTL          raw   `json:"ttl"`
		Dependencies []raw `json:"dependencies"`
		BlockHash    raw   `json:"block_hash"`
		Result       raw   `json:"execution_result"`
	}{hash, account, processed.Timestamp, processed.TTL, []raw{}, processed.BlockHash, result})
}

// effectV1 is what an execution changed.
type effectV1 struct {
	Operations []raw         `json:"operations"` // always empty: nothing in 2.x corresponds
	Transforms []transformV1 `json:"transforms"`
}

type transformV1 struct {
	Key       raw `json:"key"`
	Transform any `json:"transform"`
}

func legacyResult(result raw) (raw, error) {
	if v1, err := variant(result, "Version1"); err == nil {
		return v1, nil
	}
	inner, err := variant(result, "Version2")
	if err != nil {
		return nil, err
	}
	var v2 struct {
		Error   *string `json:"error_message"`
		Cost    raw     `json:"cost"`
		Effects []struct {
			Key  raw `json:"key"`
			Kind raw `json:"kind"`
		} `json:"effects"`
	}
	if err := json.Unmarshal(inner, &v2); err != nil {
		return nil, errNoLegacy
	}
	type outcome struct {
		Effect    effectV1 `json:"effect"`
		Transfers []raw    `json:"transfers"`
		Cost      raw      `json:"cost"`
		Error     *string  `json:"error_message,omitempty"`
	}
	legacy := outcome{effectV1{[]raw{}, []transformV1{}}, []raw{}, v2.Cost, v2.Error}
	for _, effect := range v2.Effects {
		transform, ok := legacyTransform(effect.Kind)
		if !ok { // a part of the effects would be taken for all of them
			legacy.Effect.Transforms = []transformV1{}
			break
		}
		legacy.Effect.Transforms = append(legacy.Effect.Transforms, transformV1{effect.Key, transform})
	}
	name := "Success"
	if v2.Error != nil {
		name = "Failure"
	}
	return json.Marshal(map[string]outcome{name: legacy})
}

// legacyTransform translates one change, and reports false if 1.x has no word for it.
func legacyTransform(kind raw) (any, bool) {
	if len(kind) > 0 && kind[0] == '"' {
		return kind, true // "Identity"
	}
	var object map[string]raw
	if json.Unmarshal(kind, &object) != nil || len(object) != 1 {
		return nil, false
	}
	for name, value := range object {
		switch name {
		case "Write":
			return legacyWrite(value)
		case "AddInt32", "AddUInt64", "AddUInt128", "AddUInt256", "AddUInt512", "Prune":
			return kind, true
		case "AddKeys":
			keys, ok := legacyKeys(value)
			return map[string]any{"AddKeys": keys}, ok
		case "Failure":
			return map[string]any{"Failure": asText(value)}, true
		}
	}
	return nil, false
}

// asText returns a JSON string as it is, and any other JSON as the text that it is.
func asText(value raw) any {
	if len(value) > 0 && value[0] == '"' {
		return value
	}
	return string(bytes.TrimSpace(value))
}

// written are the stored values that 1.x shows whole, with the names that it gives to writing them.
var written = map[string]string{
	"CLValue": "WriteCLValue", "Transfer": "WriteTransfer", "LegacyTransfer": "WriteTransfer", "DeployInfo": "WriteDeployInfo", "EraInfo": "WriteEraInfo",
	"Bid": "WriteBid", "Withdraw": "WriteWithdraw", "Unbonding": "WriteUnbonding",
}

func legacyWrite(stored raw) (any, bool) {
	var object map[string]raw
	if json.Unmarshal(stored, &object) != nil || len(object) != 1 {
		return nil, false
	}
	for name, value := range object {
		if legacy, whole := written[name]; whole {
			return map[string]any{legacy: value}, true
		}
		switch name {
		case "ContractWasm", "Contract", "ContractPackage":
			return "Write" + name, true
		case "Account":
			var account struct {
				Hash raw `json:"account_hash"`
			}
			if json.Unmarshal(value, &account) != nil || account.Hash == nil {
				return nil, false
			}
			return map[string]any{"WriteAccount": account.Hash}, true
		case "NamedKey":
			return legacyNamedKey(value)
		}
	}
	return nil, false
}

type namedKey struct {
	Name raw `json:"name"`
	Key  raw `json:"key"`
}

func legacyNamedKey(value raw) (any, bool) {
	var v2 struct {
		Name struct {
			Parsed raw `json:"parsed"`
		} `json:"name"`
		Key struct {
			Parsed raw `json:"parsed"`
		} `json:"named_key"`
	}
	if json.Unmarshal(value, &v2) != nil || len(v2.Name.Parsed) == 0 || v2.Name.Parsed[0] != '"' {
		return nil, false
	}
	key := v2.Key.Parsed
	if len(key) > 0 && key[0] == '{' { // {"Account":"account-hash-…"}
		var object map[string]raw
		if json.Unmarshal(key, &object) != nil || len(object) != 1 {
			return nil, false
		}
		for _, inner := range object {
			key = inner
		}
	}
	if len(key) == 0 || key[0] != '"' {
		return nil, false
	}
	return map[string]any{"AddKeys": []namedKey{{v2.Name.Parsed, key}}}, true
}

// legacyKeys takes named keys as a list of names and keys, or as an object.
func legacyKeys(value raw) ([]namedKey, bool) {
	list := []namedKey{}
	if json.Unmarshal(value, &list) == nil {
		return list, true
	}
	var object map[string]raw
	if json.Unmarshal(value, &object) != nil {
		return nil, false
	}
	list = []namedKey{}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		quoted, err := json.Marshal(name)
		if err != nil {
			return nil, false
		}
		list = append(list, namedKey{quoted, object[name]})
	}
	return list, true
}
