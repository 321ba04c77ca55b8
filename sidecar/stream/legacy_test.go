package stream

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"

	"github.com/synod-network/synod/sidecar/event"
)

func TestTranslate(t *testing.T) {
	header := `"parent_hash":"p","state_root_hash":"s","body_hash":"b","random_bit":true,"accumulated_seed":"a"`
	tail := `"timestamp":"2024-05-01T00:00:00.000Z","era_id":4,"height":9,"protocol_version":"2.0.0"`
	for _, tc := range []struct{ name, from, want string }{
		{"block of 1.x, wrapped", `{"BlockAdded":{"block_hash":"h","block":{"Version1":{"hash":"h","header":{` + header + `,"era_end":null,` + tail + `},"body":{"proposer":"01","deploy_hashes":["d"],"transfer_hashes":[]},"proofs":[]}}}}`,
			`{"BlockAdded":{"block_hash":"h","block":{"hash":"h","header":{` + header + `,"era_end":null,` + tail + `},"body":{"proposer":"01","deploy_hashes":["d"],"transfer_hashes":[]}}}}`},
		{"block of 2.x", `{"BlockAdded":{"block_hash":"h","block":{"Version2":{"hash":"h","header":{` + header + `,"era_end":{"equivocators":["01e"],"inactive_validators":["01i"],` +
			`"next_era_validator_weights":[{"validator":"01v","weight":"5"}],"rewards":{"02r":["18446744073709551615"],"01r":["3","4"]},"next_era_gas_price":1},` + tail + `,"proposer":"01p","current_gas_price":1,"last_switch_block_hash":"l"},` +
			`"body":{"transactions":{"0":[{"Deploy":"t0"},{"Version1":"x"}],"3":[{"Deploy":"d3"}],"1":[{"Deploy":"d1"},{"Version1":"y"}]},"rewarded_signatures":[[1]]}}}}}`,
			`{"BlockAdded":{"block_hash":"h","block":{"hash":"h","header":{` + header + `,"era_end":{"era_report":{"equivocators":["01e"],"rewards":[{"validator":"01r","amount":7},{"validator":"02r","amount":18446744073709551615}],` +
				`"inactive_validators":["01i"]},"next_era_validator_weights":[{"validator":"01v","weight":"5"}]},` + tail + `},"body":{"proposer":"01p","deploy_hashes":["d1","d3"],"transfer_hashes":["t0"]}}}}`},
		{"a reward beyond 64 bits", `{"BlockAdded":{"block_hash":"h","block":{"Version2":{"hash":"h","header":{` + header + `,"era_end":{"equivocators":[],"inactive_validators":[],"next_era_validator_weights":[],"rewards":{"01r":["18446744073709551615","1"]}},` + tail + `,"proposer":"01p"},"body":{"transactions":{}}}}}}`,
			`{"BlockAdded":{"block_hash":"h","block":{"hash":"h","header":{` + header + `,"era_end":null,` + tail + `},"body":{"proposer":"01p","deploy_hashes":[],"transfer_hashes":[]}}}}`},
		{"accepted deploy", `{"TransactionAccepted":{"Deploy":{"hash":"d","header":{}}}}`, `{"DeployAccepted":{"hash":"d","header":{}}}`},
		{"accepted transaction", `{"TransactionAccepted":{"Version1":{"hash":"d"}}}`, ``},
		{"expired deploy", `{"TransactionExpired":{"transaction_hash":{"Deploy":"d"}}}`, `{"DeployExpired":{"deploy_hash":"d"}}`},
		{"expired transaction", `{"TransactionExpired":{"transaction_hash":{"Version1":"d"}}}`, ``},
		{"signature of 2.x", `{"FinalitySignature":{"V2":{"block_hash":"h","block_height":9,"era_id":4,"chain_name_hash":"c","signature":"s","public_key":"p"}}}`,
			`{"FinalitySignature":{"block_hash":"h","era_id":4,"signature":"s","public_key":"p"}}`},
		{"signature of 1.x", `{"FinalitySignature":{"V1":{"block_hash":"h","era_id":4,"signature":"s","public_key":"p"}}}`,
			`{"FinalitySignature":{"block_hash":"h","era_id":4,"signature":"s","public_key":"p"}}`},
		{"fault", `{"Fault":{"era_id":4,"public_key":"p","timestamp":"t"}}`, `{"Fault":{"era_id":4,"public_key":"p","timestamp":"t"}}`},
		{"step", `{"Step":{"era_id":4,"execution_effects":[]}}`, ``},
		{"sidecar version", `{"SidecarVersion":"1.0.0"}`, ``},
		{"processed deploy, result of 1.x", processed(`{"Deploy":"d"}`, `{"PublicKey":"01a"}`, `{"Version1":{"Success":{"cost":"1"}}}`), legacyOf(`{"Success":{"cost":"1"}}`)},
		{"processed deploy", processed(`{"Deploy":"d"}`, `{"PublicKey":"01a"}`, `{"Version2":{"initiator":{"PublicKey":"01a"},"error_message":null,"limit":"9","consumed":"8","cost":"7","transfers":[{"Version2":{}}],"size_estimate":1,`+
			`"effects":[{"key":"k1","kind":"Identity"},{"key":"k2","kind":{"Write":{"CLValue":{"bytes":"01","cl_type":"U8"}}}},{"key":"k3","kind":{"AddUInt64":8}},{"key":"k4","kind":{"Write":{"Account":{"account_hash":"account-hash-1","named_keys":[]}}}},`+
			`{"key":"k5","kind":{"Write":{"ContractWasm":{}}}},{"key":"k6","kind":{"Write":{"NamedKey":{"named_key":{"parsed":{"Account":"account-hash-2"}},"name":{"parsed":"mine"}}}}},{"key":"k7","kind":{"Prune":"k"}},{"key":"k8","kind":{"Failure":{"Math":"x"}}}]}}`),
			legacyOf(`{"Success":{"effect":{"operations":[],"transforms":[{"key":"k1","transform":"Identity"},{"key":"k2","transform":{"WriteCLValue":{"bytes":"01","cl_type":"U8"}}},{"key":"k3","transform":{"AddUInt64":8}},` +
				`{"key":"k4","transform":{"WriteAccount":"account-hash-1"}},{"key":"k5","transform":"WriteContractWasm"},{"key":"k6","transform":{"AddKeys":[{"name":"mine","key":"account-hash-2"}]}},{"key":"k7","transform":{"Prune":"k"}},` +
				`{"key":"k8","transform":{"Failure":"{\"Math\":\"x\"}"}}]},"transfers":[],"cost":"7"}}`)},
		{"one write that 1.x does not know", processed(`{"Deploy":"d"}`, `{"PublicKey":"01a"}`, `{"Version2":{"error_message":"out of gas","cost":"7","effects":[{"key":"k1","kind":"Identity"},{"key":"k2","kind":{"Write":{"AddressableEntity":{}}}}]}}`),
			legacyOf(`{"Failure":{"effect":{"operations":[],"transforms":[]},"transfers":[],"cost":"7","error_message":"out of gas"}}`)},
		{"processed deploy of an account hash", processed(`{"Deploy":"d"}`, `{"AccountHash":"account-hash-1"}`, `{"Version1":{}}`), ``},
		{"processed transaction", processed(`{"Version1":"d"}`, `{"PublicKey":"01a"}`, `{"Version2":{"effects":[]}}`), ``},
		{"block of a 1.x node", `{"BlockAdded":{"block_hash":"h","block":{"hash":"h","header":{"height":1}}}}`, `{"BlockAdded":{"block_hash":"h","block":{"hash":"h","header":{"height":1}}}}`},
		{"unknown", `{"Fork":{"x":1}}`, `{"Fork":{"x":1}}`},
	} {
		e, err := event.Parse([]byte(tc.from))
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		legacy, ok := translate(&event.Numbered{Event: e})
		if !ok {
			if tc.want != "" {
				t.Errorf("%s: no older form, want %s", tc.name, tc.want)
			}
			continue
		}
		if got := string(legacy.AppendJSON(nil)); !sameJSON(got, tc.want) {
			t.Errorf("%s:\n  got  %s\n  want %s", tc.name, got, tc.want)
		}
	}
}

// TestTranslationsOfCaspersSidecar: testdata/translations.json has what the tests of Casper's sidecar translate, and into what: the values
// of its fixtures, and what its tests build in code. Null stands for no older form.
func TestTranslationsOfCaspersSidecar(t *testing.T) {
	content, err := os.ReadFile("testdata/translations.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name     string
		From, To json.RawMessage
	}
	if err := json.Unmarshal(content, &vectors); err != nil || len(vectors) < 18 {
		t.Fatalf("%d vectors, %v", len(vectors), err)
	}
	for _, v := range vectors {
		e, err := event.Parse(v.From)
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		got := "null"
		if e.Kind == event.APIVersion { // goes to every stream as it is
			got = string(e.AppendJSON(nil))
		} else if legacy, ok := translate(&event.Numbered{Event: e}); ok {
			got = string(legacy.AppendJSON(nil))
		}
		if !sameJSON(got, string(v.To)) {
			t.Errorf("%s:\n  got  %s\n  want %s", v.Name, got, v.To)
		}
	}
}

func processed(hash, initiator, result string) string {
	return `{"TransactionProcessed":{"transaction_hash":` + hash + `,"initiator_addr":` + initiator + `,"timestamp":"t","ttl":"30m","block_hash":"h","execution_result":` + result + `,"messages":[]}}`
}

func legacyOf(result string) string {
	return `{"DeployProcessed":{"deploy_hash":"d","account":"01a","timestamp":"t","ttl":"30m","dependencies":[],"block_hash":"h","execution_result":` + result + `}}`
}

func sameJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// FuzzTranslate: no body makes the translation fail in any other way than having no older form.
func FuzzTranslate(f *testing.F) {
	f.Add(uint8(event.BlockAdded), []byte(`{"block_hash":"h","block":{"Version2":{"header":{"era_end":{"rewards":{"a":["1"]}}},"body":{"transactions":{"0":[{"Deploy":"x"}]}}}}}`))
	f.Add(uint8(event.TransactionProcessed), []byte(processed(`{"Deploy":"d"}`, `{"PublicKey":"01a"}`, `{"Version2":{"effects":[{"key":"k","kind":{"Write":{"NamedKey":{}}}}]}}`)))
	f.Fuzz(func(t *testing.T, kind uint8, body []byte) {
		if int(kind) >= len(event.Kinds()) || !json.Valid(body) {
			return
		}
		if legacy, ok := translate(&event.Numbered{Event: event.Event{Kind: event.Kind(kind), Tag: event.Kind(kind).String(), Body: body}}); ok && !json.Valid(legacy.Body) {
			t.Fatalf("%s became %s", body, legacy.Body)
		}
	})
}
