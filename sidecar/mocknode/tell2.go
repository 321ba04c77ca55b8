package mocknode

import (
	"fmt"
	"strconv"
)

// teller2 speaks as nodes 2.x do.
type teller2 struct{}

func (teller2) accepted(l *Load, d *deploy) []byte {
	if !d.modern {
		return fmt.Appendf(nil, `{"TransactionAccepted":{"Deploy":%s}}`, deployJSON(l, d))
	}
	target, entry := `"Native"`, `"Transfer"`
	if !d.transfer {
		target, entry = fmt.Sprintf(`{"Stored":{"id":{"ByHash":"%s"},"runtime":"VmCasperV1"}}`, l.hash()), `{"Custom":"vote"}`
	}
	return fmt.Appendf(nil, `{"TransactionAccepted":{"Version1":{"hash":"%s","payload":{"initiator_addr":{"PublicKey":"%s"},"timestamp":"%s","ttl":"30m","chain_name":"%s",`+
		`"pricing_mode":{"Fixed":{"additional_computation_factor":0,"gas_price_tolerance":1}},"fields":{"args":{"Named":[["amount",{"cl_type":"U512","bytes":"0400f90295","parsed":"2500000000"}]]},`+
		`"entry_point":%s,"scheduling":"Standard","target":%s}},"approvals":[{"signer":"%s","signature":"%s"}]}}}`,
		d.hash, d.account, stamp(d.at), l.network, entry, target, d.account, l.signature())
}

func (teller2) added(l *Load, b *block) []byte {
	to := fmt.Appendf(nil, `{"BlockAdded":{"block_hash":"%s","block":{"Version2":{"hash":"%[1]s","header":{"parent_hash":"%s","state_root_hash":"%s","body_hash":"%s","random_bit":%t,"accumulated_seed":"%s","era_end":`,
		b.hash, b.parent, l.hash(), l.hash(), l.random.IntN(2) == 0, l.hash())
	to = eraEnd2(to, b)
	to = fmt.Appendf(to, `,"timestamp":"%s","era_id":%d,"height":%d,"protocol_version":"%s","proposer":"%s","current_gas_price":1,"last_switch_block_hash":"%s"},"body":{"transactions":{`,
		stamp(b.at), b.era, b.height, l.version, b.proposer, l.hash())
	for lane, which := range []func(deploy) bool{lane0: func(d deploy) bool { return d.transfer }, lane3: func(d deploy) bool { return !d.transfer }} {
		if which == nil {
			continue
		}
		if lane > 0 {
			to = append(to, ',')
		}
		to = append(strconv.AppendQuote(to, strconv.Itoa(lane)), ':')
		to = transactions(to, b.deploys, which)
	}
	return append(to, `},"rewarded_signatures":[[240],[0],[0]]}}}}}`...)
}

// Lanes of a block: transfers, and the smaller one of contract calls.
const (
	lane0 = 0
	lane3 = 3
)

func transactions(to []byte, deploys []deploy, which func(deploy) bool) []byte {
	var chosen []deploy
	for _, d := range deploys {
		if which(d) {
			chosen = append(chosen, d)
		}
	}
	return list(to, chosen, func(to []byte, d deploy) []byte { return transactionHash(to, &d) })
}

func transactionHash(to []byte, d *deploy) []byte {
	variant := "Deploy"
	if d.modern {
		variant = "Version1"
	}
	return fmt.Appendf(to, `{"%s":"%s"}`, variant, d.hash)
}

func eraEnd2(to []byte, b *block) []byte {
	if !b.switches {
		return append(to, "null"...)
	}
	to = append(to, `{"equivocators":[],"inactive_validators":[],"next_era_validator_weights":`...)
	to = list(to, b.validators, func(to []byte, v string) []byte {
		return fmt.Appendf(to, `{"validator":"%s","weight":"2000000000"}`, v)
	})
	to = append(to, `,"rewards":{`...)
	for i, v := range b.validators {
		if i > 0 {
			to = append(to, ',')
		}
		to = fmt.Appendf(to, `"%s":["129457537","12"]`, v)
	}
	return append(to, `},"next_era_gas_price":1}`...)
}

func (teller2) processed(l *Load, b *block, d *deploy) []byte {
	message := "null"
	if l.random.IntN(10) == 0 {
		message = `"User error: 1"`
	}
	to := append([]byte(nil), `{"TransactionProcessed":{"transaction_hash":`...)
	to = transactionHash(to, d)
	to = fmt.Appendf(to, `,"initiator_addr":{"PublicKey":"%s"},"timestamp":"%s","ttl":"30m","block_hash":"%s","execution_result":{"Version2":{"initiator":{"PublicKey":"%s"},`+
		`"error_message":%s,"current_price":1,"limit":"100000000","consumed":"100000000","cost":"100000000","refund":"0","transfers":[],"size_estimate":465,"effects":`,
		d.account, stamp(d.at), b.hash, d.account, message)
	to = list(to, make([]struct{}, 3+l.random.IntN(8)), func(to []byte, _ struct{}) []byte { return effect2(l, to) })
	return append(to, `}},"messages":[]}}`...)
}

func effect2(l *Load, to []byte) []byte {
	if l.random.IntN(4) == 0 {
		return fmt.Appendf(to, `{"key":"balance-%s","kind":{"AddUInt512":"%d"}}`, l.hash(), l.random.IntN(1_000_000_000))
	}
	return fmt.Appendf(to, `{"key":"hash-%s","kind":"Identity"}`, l.hash())
}

func (teller2) expired(d *deploy) []byte {
	return append(transactionHash([]byte(`{"TransactionExpired":{"transaction_hash":`), d), "}}"...)
}

func (teller2) signed(l *Load, b *block, validator string) []byte {
	return fmt.Appendf(nil, `{"FinalitySignature":{"V2":{"block_hash":"%s","block_height":%d,"era_id":%d,"chain_name_hash":"%064x","signature":"%s","public_key":"%s"}}}`,
		b.hash, b.height, b.era, len(l.network), l.signature(), validator)
}

func (teller2) step(l *Load, b *block) []byte {
	to := fmt.Appendf(make([]byte, 0, l.shape.StepBytes+256), `{"Step":{"era_id":%d,"execution_effects":[`, b.era)
	to = effect2(l, to)
	for len(to) < l.shape.StepBytes {
		to = effect2(l, append(to, ','))
	}
	return append(to, `]}}`...)
}
