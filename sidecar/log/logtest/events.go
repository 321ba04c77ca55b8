// Package logtest is the suite that every [log.Store] must pass, and makes the events that it and other tests store.
package logtest

import (
	"fmt"
	"strings"
	"time"

	"github.com/synod-network/synod/sidecar/event"
)

// Node is where the events of this package come from.
const Node = "http://127.0.0.1:18101/"

// Parse makes an event of its JSON, as if [Node] had sent it under a number on the filter that nodes 1.x use for its kind.
func Parse(id uint32, data string) event.Event {
	e, err := event.Parse([]byte(data))
	if err != nil {
		panic(err) // a test wrote it
	}
	e.Origin = event.Origin{Node: Node, Filter: filterOf(e.Kind)}
	e.ID, e.HasID = id, e.Kind != event.APIVersion
	e.APIVersion, e.Network, e.Build = "1.5.3", "casper-test", "1.5.3-abcdef012"
	e.Received = time.Unix(1_700_000_000, 0).UTC()
	return e
}

func filterOf(kind event.Kind) event.Filter {
	switch kind {
	case event.DeployAccepted:
		return event.FilterDeploys
	case event.FinalitySignature:
		return event.FilterSigs
	case event.TransactionAccepted, event.TransactionProcessed, event.TransactionExpired:
		return event.FilterEvents
	default:
		return event.FilterMain
	}
}

// Hash is the n-th hash: 64 hexadecimal digits.
func Hash(n int) string { return fmt.Sprintf("%064x", n) }

// PublicKey is the n-th public key: 66 hexadecimal digits.
func PublicKey(n int) string { return fmt.Sprintf("01%064x", n) }

// Block is the BlockAdded event at a height; the event's number is the height.
func Block(height int) event.Event {
	return Parse(uint32(height), fmt.Sprintf(`{"BlockAdded":{"block_hash":"%s","block":{"hash":"%[1]s","header":{"era_id":%d,"height":%d,"timestamp":"2024-01-05T10:00:00.000Z"},`+
		`"body":{"proposer":"%s","deploy_hashes":[],"transfer_hashes":[]},"proofs":[]}}}`, Hash(height), height/10, height, PublicKey(height)))
}

// Accepted is the DeployAccepted event of the n-th deploy, with a payload that makes its JSON about size bytes long.
func Accepted(id uint32, n, size int) event.Event {
	head := fmt.Sprintf(`{"DeployAccepted":{"hash":"%s","header":{"account":"%s","timestamp":"2024-01-05T10:00:00.000Z","ttl":"30m","gas_price":1,"dependencies":[],"chain_name":"casper-test"},`+
		`"payment":{"ModuleBytes":{"module_bytes":"","args":[]}},"session":{"ModuleBytes":{"module_bytes":"`, Hash(n), PublicKey(n))
	tail := `","args":[]}},"approvals":[]}}`
	return Parse(id, head+filler(size-len(head)-len(tail))+tail)
}

func filler(n int) string {
	if n <= 0 {
		return ""
	}
	return strings.Repeat("7", n)
}

// Processed and Expired are the later events of the n-th deploy.
func Processed(id uint32, n int) event.Event {
	return Parse(id, fmt.Sprintf(`{"DeployProcessed":{"deploy_hash":"%s","account":"%s","block_hash":"%s","execution_result":{"Success":{"cost":"1"}}}}`, Hash(n), PublicKey(n), Hash(n)))
}

// Expired is the DeployExpired event of the n-th deploy.
func Expired(id uint32, n int) event.Event {
	return Parse(id, fmt.Sprintf(`{"DeployExpired":{"deploy_hash":"%s"}}`, Hash(n)))
}

// Signature is the signature of the n-th validator on the block at a height.
func Signature(id uint32, height, n int) event.Event {
	return Parse(id, fmt.Sprintf(`{"FinalitySignature":{"block_hash":"%s","era_id":%d,"signature":"01ab","public_key":"%s"}}`, Hash(height), height/10, PublicKey(n)))
}

// Fault is a fault of the n-th validator.
func Fault(id uint32, era uint64, n int) event.Event {
	return Parse(id, fmt.Sprintf(`{"Fault":{"era_id":%d,"public_key":"%s","timestamp":"2024-01-05T10:00:00.000Z"}}`, era, PublicKey(n)))
}

// Step is the step of an era.
func Step(id uint32, era uint64) event.Event {
	return Parse(id, fmt.Sprintf(`{"Step":{"era_id":%d,"execution_effect":{"operations":[],"transforms":[]}}}`, era))
}

// Shutdown is a node's farewell.
func Shutdown(id uint32) event.Event { return Parse(id, `"Shutdown"`) }

// APIVersion is what a node says first.
func APIVersion(version string) event.Event {
	return Parse(0, fmt.Sprintf(`{"ApiVersion":"%s"}`, version))
}

// OfNodes1 is one event of each kind that nodes 1.x send, and two that nobody knows.
func OfNodes1() []event.Event {
	return []event.Event{
		Block(7), Accepted(8, 1, 600), Processed(9, 1), Expired(10, 2), Signature(11, 7, 1), Fault(12, 1<<64-1, 1), Fault(13, 4, 1),
		Step(14, 3), Parse(15, `{"Fork":{"x":[1,2]}}`), Shutdown(16), Parse(17, `{"Step":{"no":"era"}}`), Parse(1<<32-1, `{"Fault":{"era_id":5,"public_key":"01ff"}}`),
	}
}

// OfNodes2 is one event of each kind that nodes 2.x send.
func OfNodes2() []event.Event {
	return []event.Event{
		Parse(1, `{"BlockAdded":{"block_hash":"`+Hash(7)+`","block":{"Version2":{"hash":"`+Hash(7)+`","header":{"Version2":1,"height":7}}}}}`),
		Parse(2, `{"TransactionAccepted":{"Version1":{"hash":"`+Hash(1)+`","payload":{}}}}`),
		Parse(3, `{"TransactionAccepted":{"Deploy":{"hash":"`+Hash(2)+`","header":{}}}}`),
		Parse(4, `{"TransactionProcessed":{"transaction_hash":{"Version1":"`+Hash(1)+`"},"messages":[]}}`),
		Parse(5, `{"TransactionExpired":{"transaction_hash":{"Deploy":"`+Hash(2)+`"}}}`),
		Parse(6, `{"FinalitySignature":{"V2":{"block_hash":"`+Hash(7)+`","era_id":0,"public_key":"`+PublicKey(1)+`"}}}`),
		Parse(7, `{"Step":{"era_id":3,"execution_effects":[]}}`),
		Fault(8, 4, 1), Shutdown(9),
	}
}
