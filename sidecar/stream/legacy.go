package stream

import (
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/synod-network/synod/sidecar/event"
)

// translate gives an event of a 2.x node the form that 1.x nodes had, for clients of the older streams. It reports false for what
// has none: transactions that are not deploys, and steps. Forms are those of the legacy emulation of Casper's sidecar 2.x.
func translate(e *event.Numbered) (*event.Numbered, bool) {
	kind, body, err := translateBody(e.Kind, e.Body)
	if err != nil {
		return nil, false
	}
	legacy := *e
	legacy.Kind, legacy.Body = kind, body
	if kind != event.Unknown {
		legacy.Tag = kind.String()
	}
	return &legacy, true
}

var errNoLegacy = errors.New("has no older form")

func translateBody(kind event.Kind, body []byte) (event.Kind, []byte, error) {
	switch kind {
	case event.BlockAdded:
		legacy, err := legacyBlock(body)
		return kind, legacy, err
	case event.TransactionAccepted:
		deploy, err := variant(body, "Deploy")
		return event.DeployAccepted, deploy, err
	case event.TransactionExpired:
		legacy, err := legacyExpired(body)
		return event.DeployExpired, legacy, err
	case event.TransactionProcessed:
		legacy, err := legacyProcessed(body)
		return event.DeployProcessed, legacy, err
	case event.FinalitySignature:
		legacy, err := legacySignature(body)
		return kind, legacy, err
	case event.Fault, event.Unknown, event.DeployAccepted, event.DeployProcessed, event.DeployExpired:
		return kind, body, nil
	default:
		return kind, nil, errNoLegacy
	}
}

type raw = json.RawMessage

// variant returns what is inside {"name":…}, and errNoLegacy if the object has another name.
func variant(body []byte, names ...string) (raw, error) {
	var object map[string]raw
	if err := json.Unmarshal(body, &object); err != nil || len(object) != 1 {
		return nil, errNoLegacy
	}
	for _, name := range names {
		if inner, found := object[name]; found {
			return inner, nil
		}
	}
	return nil, errNoLegacy
}

func legacyExpired(body []byte) (raw, error) {
	var expired struct {
		Hash raw `json:"transaction_hash"`
	}
	if err := json.Unmarshal(body, &expired); err != nil {
		return nil, errNoLegacy
	}
	hash, err := variant(expired.Hash, "Deploy")
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Hash raw `json:"deploy_hash"`
	}{hash})
}

func legacySignature(body []byte) (raw, error) {
	if inner, err := variant(body, "V1", "V2"); err == nil {
		body = inner
	}
	var signature struct {
		BlockHash raw `json:"block_hash"`
		EraID     raw `json:"era_id"`
		Signature raw `json:"signature"`
		PublicKey raw `json:"public_key"`
	}
	if err := json.Unmarshal(body, &signature); err != nil || signature.BlockHash == nil {
		return nil, errNoLegacy
	}
	return json.Marshal(signature)
}

// headerV1 is a block's header as 1.x nodes give it.
type headerV1 struct {
	ParentHash      raw `json:"parent_hash"`
	StateRootHash   raw `json:"state_root_hash"`
	BodyHash        raw `json:"body_hash"`
	RandomBit       raw `json:"random_bit"`
	AccumulatedSeed raw `json:"accumulated_seed"`
	EraEnd          raw `json:"era_end"`
	Timestamp       raw `json:"timestamp"`
	EraID           raw `json:"era_id"`
	Height          raw `json:"height"`
	ProtocolVersion raw `json:"protocol_version"`
}

// bodyV1 is a block's body as the legacy emulation gives it.
type bodyV1 struct {
	Proposer       raw   `json:"proposer"`
	DeployHashes   []raw `json:"deploy_hashes"`
	TransferHashes []raw `json:"transfer_hashes"`
}

type blockV1 struct {
	Hash   raw      `json:"hash"`
	Header headerV1 `json:"header"`
	Body   bodyV1   `json:"body"`
}

func legacyBlock(body []byte) (raw, error) {
	var added struct {
		Hash  raw `json:"block_hash"`
		Block raw `json:"block"`
	}
	if err := json.Unmarshal(body, &added); err != nil {
		return nil, errNoLegacy
	}
	var block blockV1
	if inner, err := variant(added.Block, "Version1"); err == nil {
		if err := json.Unmarshal(inner, &block); err != nil {
			return nil, errNoLegacy
		}
		block.Body.DeployHashes, block.Body.TransferHashes = present(block.Body.DeployHashes), present(block.Body.TransferHashes)
	} else if inner, err := variant(added.Block, "Version2"); err == nil {
		if block, err = blockOfV2(inner); err != nil {
			return nil, err
		}
	} else {
		return body, nil // of a 1.x node
	}
	return json.Marshal(struct {
		Hash  raw     `json:"block_hash"`
		Block blockV1 `json:"block"`
	}{added.Hash, block})
}

// mintLane is the lane of a block's transactions that holds native transfers.
const mintLane = "0"

func blockOfV2(inner raw) (block blockV1, err error) {
	var v2 struct {
		Hash   raw `json:"hash"`
		Header struct {
			headerV1
			Proposer raw `json:"proposer"`
		} `json:"header"`
		Body struct {
			Transactions map[string][]raw `json:"transactions"`
		} `json:"body"`
	}
	if err := json.Unmarshal(inner, &v2); err != nil {
		return block, errNoLegacy
	}
	block.Hash, block.Header, block.Body.Proposer = v2.Hash, v2.Header.headerV1, v2.Header.Proposer
	block.Header.EraEnd = legacyEraEnd(block.Header.EraEnd)
	block.Body.DeployHashes, block.Body.TransferHashes = []raw{}, []raw{}
	for _, lane := range slices.Sorted(maps.Keys(v2.Body.Transactions)) {
		for _, transaction := range v2.Body.Transactions[lane] {
			hash, err := variant(transaction, "Deploy")
			if err != nil {
				continue
			}
			if lane == mintLane {
				block.Body.TransferHashes = append(block.Body.TransferHashes, hash)
			} else {
				block.Body.DeployHashes = append(block.Body.DeployHashes, hash)
			}
		}
	}
	return block, nil
}

func present(list []raw) []raw {
	if list == nil {
		return []raw{}
	}
	return list
}

// legacyEraEnd rebuilds the report of an era's end. It is null if the block ends none, or if a reward does not fit 64 bits.
func legacyEraEnd(eraEnd raw) raw {
	var v2 *struct {
		Equivocators raw                     `json:"equivocators"`
		Inactive     raw                     `json:"inactive_validators"`
		Weights      raw                     `json:"next_era_validator_weights"`
		Rewards      map[string][]rewardInV2 `json:"rewards"`
	}
	if json.Unmarshal(eraEnd, &v2) != nil || v2 == nil {
		return raw("null")
	}
	type reward struct {
		Validator string `json:"validator"`
		Amount    uint64 `json:"amount"`
	}
	rewards := []reward{}
	for _, validator := range slices.Sorted(maps.Keys(v2.Rewards)) {
		sum := new(big.Int)
		for i := range v2.Rewards[validator] {
			sum.Add(sum, &v2.Rewards[validator][i].Int)
		}
		if !sum.IsUint64() {
			return raw("null")
		}
		rewards = append(rewards, reward{validator, sum.Uint64()})
	}
	type report struct {
		Equivocators raw      `json:"equivocators"`
		Rewards      []reward `json:"rewards"`
		Inactive     raw      `json:"inactive_validators"`
	}
	legacy, err := json.Marshal(struct {
		Report  report `json:"era_report"`
		Weights raw    `json:"next_era_validator_weights"`
	}{report{v2.Equivocators, rewards, v2.Inactive}, byValidator(v2.Weights)})
	if err != nil {
		return raw("null")
	}
	return legacy
}

// byValidator puts weights into the order of their validators, which is how 1.x gives them.
func byValidator(weights raw) raw {
	type weight struct {
		Validator string `json:"validator"`
		Weight    raw    `json:"weight"`
	}
	var list []weight
	if json.Unmarshal(weights, &list) != nil || list == nil {
		return weights
	}
	slices.SortStableFunc(list, func(a, b weight) int { return strings.Compare(a.Validator, b.Validator) })
	sorted, err := json.Marshal(list)
	if err != nil {
		return weights
	}
	return sorted
}

// rewardInV2 is an amount of up to 512 bits, as a string or a number.
type rewardInV2 struct{ big.Int }

// maxAmount is the length of the largest amount of 512 bits, in digits.
const maxAmount = 155

func (r *rewardInV2) UnmarshalJSON(data []byte) error {
	if len(data) >= 2 && data[0] == '"' {
		data = data[1 : len(data)-1]
	}
	if len(data) > maxAmount {
		return errNoLegacy
	}
	if _, ok := r.SetString(string(data), 10); !ok {
		return errNoLegacy
	}
	return nil
}
