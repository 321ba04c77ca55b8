package event_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/synod-network/synod/sidecar/event"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		name, data string
		kind       event.Kind
		tag, body  string
	}{
		{"object", `{"DeployExpired":{"deploy_hash":"ab"}}`, event.DeployExpired, "DeployExpired", `{"deploy_hash":"ab"}`},
		{"string value", `{"ApiVersion":"1.5.3"}`, event.APIVersion, "ApiVersion", `"1.5.3"`},
		{"bare string", `"Shutdown"`, event.Shutdown, "Shutdown", ``},
		{"unknown", `{"Fork":[1,{"a":"}"}]}`, event.Unknown, "Fork", `[1,{"a":"}"}]`},
		{"spaces", " { \"Step\" : {\n\"era_id\":\t1} } ", event.Step, "Step", `{"era_id":1}`},
		{"escapes", `{"Fault":"\"}\\"}`, event.Fault, "Fault", `"\"}\\"`},
		{"number", `{"Step":12}`, event.Step, "Step", `12`},
	} {
		got, err := event.Parse([]byte(tc.data))
		if err != nil || got.Kind != tc.kind || got.Tag != tc.tag || string(got.Body) != tc.body {
			t.Errorf("%s: %v %q %q, %v", tc.name, got.Kind, got.Tag, got.Body, err)
		}
	}
	for _, data := range []string{``, ` `, `{}`, `[]`, `1`, `null`, `""`, `{"":1}`, `{"a":1,"b":2}`, `{"a":1}x`, `{"a"`, `"a`, `<html>`} {
		if e, err := event.Parse([]byte(data)); !errors.Is(err, event.ErrMalformed) {
			t.Errorf("%q: %v, %v", data, e, err)
		}
	}
}

func TestKey(t *testing.T) {
	for _, tc := range []struct {
		name, data string
		want       event.Key
	}{
		{"block", `{"BlockAdded":{"block_hash":"b1","block":{"hash":"b1","header":{"era_id":2,"height":7},"body":{}}}}`, event.Key{Hash: "b1", Height: 7}},
		{"block of a 2.x node", `{"BlockAdded":{"block_hash":"b1","block":{"Version2":{"header":{"height":8}}}}}`, event.Key{Hash: "b1", Height: 8}},
		{"accepted", `{"DeployAccepted":{"hash":"d1","header":{"hash":"no"}}}`, event.Key{Hash: "d1"}},
		{"processed", `{"DeployProcessed":{"deploy_hash":"d1"}}`, event.Key{Hash: "d1"}},
		{"expired", `{"DeployExpired":{"deploy_hash":"d1"}}`, event.Key{Hash: "d1"}},
		{"transaction accepted", `{"TransactionAccepted":{"Version1":{"hash":"t1"}}}`, event.Key{Hash: "t1", Variant: "Version1"}},
		{"transaction processed", `{"TransactionProcessed":{"transaction_hash":{"Deploy":"t1"}}}`, event.Key{Hash: "t1", Variant: "Deploy"}},
		{"transaction expired", `{"TransactionExpired":{"transaction_hash":{"Version1":"t1"}}}`, event.Key{Hash: "t1", Variant: "Version1"}},
		{"signature", `{"FinalitySignature":{"block_hash":"b1","era_id":3,"signature":"s","public_key":"p"}}`, event.Key{Hash: "b1", Era: 3, PublicKey: "p"}},
		{"signature of a 2.x node", `{"FinalitySignature":{"V2":{"block_hash":"b1","era_id":3,"public_key":"p"}}}`, event.Key{Hash: "b1", Era: 3, PublicKey: "p"}},
		{"fault in the last era", `{"Fault":{"era_id":18446744073709551615,"public_key":"p"}}`, event.Key{Era: 1<<64 - 1, PublicKey: "p"}},
		{"step", `{"Step":{"era_id":9,"execution_effect":{}}}`, event.Key{Era: 9}},
	} {
		e, err := event.Parse([]byte(tc.data))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := e.Key(); err != nil || got != tc.want {
			t.Errorf("%s: %+v, %v", tc.name, got, err)
		}
	}
	for _, data := range []string{
		`"Shutdown"`, `{"ApiVersion":"1.0.0"}`, `{"Fork":{}}`, `{"Step":{}}`, `{"Step":null}`, `{"Step":{"era_id":-1}}`, `{"Step":{"era_id":"1"}}`,
		`{"DeployExpired":{"deploy_hash":1}}`, `{"BlockAdded":{"block_hash":"x","block":{}}}`, `{"TransactionAccepted":{"Deploy":{},"Version1":{}}}`,
		`{"DeployExpired":{"deploy_hash":"` + strings.Repeat("a", 300) + `"}}`,
	} {
		e, err := event.Parse([]byte(data))
		if err != nil {
			t.Fatal(err)
		}
		if key, err := e.Key(); !errors.Is(err, event.ErrNoKey) {
			t.Errorf("%s: %+v, %v", data, key, err)
		}
	}
}

// FuzzParse checks that whatever is accepted says the same when written again, that the scanner agrees with the decoder of the
// standard library, and that reading keys of anything is safe.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"BlockAdded":{"block_hash":"b","block":{"header":{"height":1}}}}`, `"Shutdown"`, `{"a":"\u0022}"}`, `{"Step":[[],{}]}`, `{"\u0053tep":1}`, `{`, `{"a":1,}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := event.Parse(data)
		if err != nil {
			opaque := event.Opaque(data)
			if strings.ContainsAny(string(opaque.AppendJSON(nil)), "\r\n") {
				t.Fatal("an opaque event has a line break")
			}
			return
		}
		written := e.AppendJSON(nil)
		if strings.ContainsAny(string(written), "\r\n") {
			t.Fatalf("%q has a line break", written)
		}
		again, err := event.Parse(written)
		if err != nil || again.Kind != e.Kind || again.Tag != e.Tag || string(again.Body) != string(e.Body) {
			t.Fatalf("%q parsed as %v, written as %q, parsed as %v, %v", data, e, written, again, err)
		}
		if e.Body != nil {
			var object map[string]json.RawMessage
			if err := json.Unmarshal(data, &object); err != nil || len(object) != 1 {
				t.Fatalf("%q accepted, but the standard library says %v", data, err)
			}
		}
		_, _ = e.Key()
		for _, kind := range event.Kinds() { // as a corrupted row of a database might pretend
			torn := event.Event{Kind: kind, Body: e.Body[:len(e.Body)/2]}
			_, _ = torn.Key()
		}
	})
}
