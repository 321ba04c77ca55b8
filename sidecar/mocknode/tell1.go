package mocknode

import "fmt"

// teller1 speaks as nodes 1.x do.
type teller1 struct{}

func (teller1) accepted(l *Load, d *deploy) []byte {
	return fmt.Appendf(nil, `{"DeployAccepted":%s}`, deployJSON(l, d))
}

// deployJSON is a deploy as both versions write it.
func deployJSON(l *Load, d *deploy) []byte {
	to := fmt.Appendf(nil, `{"hash":"%s","header":{"account":"%s","timestamp":"%s","ttl":"30m","gas_price":1,"body_hash":"%s","dependencies":[],"chain_name":"%s"},`,
		d.hash, d.account, stamp(d.at), l.hash(), l.network)
	to = append(to, `"payment":{"ModuleBytes":{"module_bytes":"","args":[["amount",{"cl_type":"U512","bytes":"0400f90295","parsed":"2500000000"}]]}},"session":`...)
	target := l.hash()
	if d.transfer {
		to = fmt.Appendf(to, `{"Transfer":{"args":[["amount",{"cl_type":"U512","bytes":"0400f90295","parsed":"2500000000"}],`+
			`["target",{"cl_type":{"ByteArray":32},"bytes":"%s","parsed":"%[1]s"}],["id",{"cl_type":{"Option":"U64"},"bytes":"010100000000000000","parsed":1}]]}}`, target)
	} else {
		to = fmt.Appendf(to, `{"StoredContractByHash":{"hash":"%s","entry_point":"vote","args":[["proposal",{"cl_type":"U64","bytes":"0700000000000000","parsed":7}]]}}`, target)
	}
	return fmt.Appendf(to, `,"approvals":[{"signer":"%s","signature":"%s"}]}`, d.account, l.signature())
}

func (teller1) added(l *Load, b *block) []byte {
	return fmt.Appendf(nil, `{"BlockAdded":{"block_hash":"%s","block":%s}}`, b.hash, block1(l, b))
}

func block1(l *Load, b *block) []byte {
	to := fmt.Appendf(nil, `{"hash":"%s","header":{"parent_hash":"%s","state_root_hash":"%s","body_hash":"%s","random_bit":%t,"accumulated_seed":"%s","era_end":`,
		b.hash, b.parent, l.hash(), l.hash(), l.random.IntN(2) == 0, l.hash())
	to = eraEnd1(to, b)
	to = fmt.Appendf(to, `,"timestamp":"%s","era_id":%d,"height":%d,"protocol_version":"%s"},"body":{"proposer":"%s","deploy_hashes":`,
		stamp(b.at), b.era, b.height, l.version, b.proposer)
	to = hashes(to, b.deploys, func(d deploy) bool { return !d.transfer })
	to = append(to, `,"transfer_hashes":`...)
	to = hashes(to, b.deploys, func(d deploy) bool { return d.transfer })
	return append(to, `},"proofs":[]}`...)
}

func eraEnd1(to []byte, b *block) []byte {
	if !b.switches {
		return append(to, "null"...)
	}
	to = append(to, `{"era_report":{"equivocators":[],"rewards":`...)
	to = list(to, b.validators, func(to []byte, v string) []byte { return fmt.Appendf(to, `{"validator":"%s","amount":129457537}`, v) })
	to = append(to, `,"inactive_validators":[]},"next_era_validator_weights":`...)
	to = list(to, b.validators, func(to []byte, v string) []byte {
		return fmt.Appendf(to, `{"validator":"%s","weight":"2000000000"}`, v)
	})
	return append(to, '}')
}

func (teller1) processed(l *Load, b *block, d *deploy) []byte {
	return fmt.Appendf(nil, `{"DeployProcessed":{"deploy_hash":"%s","account":"%s","timestamp":"%s","ttl":"30m","dependencies":[],"block_hash":"%s","execution_result":%s}}`,
		d.hash, d.account, stamp(d.at), b.hash, result1(l))
}

func result1(l *Load) []byte {
	failed := l.random.IntN(10) == 0
	outcome := "Success"
	if failed {
		outcome = "Failure"
	}
	to := fmt.Appendf(nil, `{"%s":{"effect":{"operations":[],"transforms":`, outcome)
	to = list(to, make([]struct{}, 3+l.random.IntN(8)), func(to []byte, _ struct{}) []byte { return transform1(l, to) })
	to = fmt.Appendf(to, `},"transfers":["transfer-%s"],"cost":"%d"`, l.hash(), 100_000_000+l.random.IntN(1_000_000))
	if failed {
		to = append(to, `,"error_message":"User error: 1"`...)
	}
	return append(to, "}}"...)
}

func transform1(l *Load, to []byte) []byte {
	if l.random.IntN(4) == 0 {
		return fmt.Appendf(to, `{"key":"balance-%s","transform":{"AddUInt512":"%d"}}`, l.hash(), l.random.IntN(1_000_000_000))
	}
	return fmt.Appendf(to, `{"key":"hash-%s","transform":"Identity"}`, l.hash())
}

func (teller1) expired(d *deploy) []byte {
	return fmt.Appendf(nil, `{"DeployExpired":{"deploy_hash":"%s"}}`, d.hash)
}

func (teller1) signed(l *Load, b *block, validator string) []byte {
	return fmt.Appendf(nil, `{"FinalitySignature":{"block_hash":"%s","era_id":%d,"signature":"%s","public_key":"%s"}}`, b.hash, b.era, l.signature(), validator)
}

func (teller1) step(l *Load, b *block) []byte {
	to := fmt.Appendf(make([]byte, 0, l.shape.StepBytes+256), `{"Step":{"era_id":%d,"execution_effect":{"operations":[],"transforms":[`, b.era)
	to = transform1(l, to)
	for len(to) < l.shape.StepBytes {
		to = transform1(l, append(to, ','))
	}
	return append(to, `]}}}`...)
}
