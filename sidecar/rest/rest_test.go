package rest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/limit"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/logtest"
	"github.com/synod-network/synod/sidecar/log/sqlite"
	"github.com/synod-network/synod/sidecar/rest"
)

// serve returns the REST handler over a database that holds events.
func serve(t testing.TB, layout log.Layout, events ...event.Event) http.Handler {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "db"), Layout: layout, Readers: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Commit(t.Context(), logtest.Entries(events...), 0); err != nil {
		t.Fatal(err)
	}
	return handler(t, s)
}

func handler(t testing.TB, reader log.Reader) http.Handler {
	t.Helper()
	h, err := rest.New(rest.Options{Reader: reader, Limit: limit.Config{MaxConcurrent: 50, MaxPerSecond: 1_000_000, MaxWaiting: 50, Timeout: 10 * time.Second}, Version: "1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func ask(h http.Handler, method, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w
}

const (
	errPath    = `{"code":400,"message":"Invalid request path provided"}`
	errNothing = `{"code":404,"message":"Query returned no results"}`
)

func errHash(got string) string {
	return fmt.Sprintf(`{"code":400,"message":"Invalid parameter in query: Expected hex-encoded hash (64 chars), received: %s (length: %d)"}`, got, len(got))
}

func TestRoutesOf1x(t *testing.T) {
	block, accepted, processed, step := logtest.Block(7), logtest.Accepted(2, 1, 400), logtest.Processed(3, 1), logtest.Step(9, 1<<64-1)
	fault1, fault2, signature := logtest.Fault(6, 1<<64-1, 1), logtest.Fault(7, 3, 1), logtest.Signature(8, 7, 1)
	h := serve(t, log.V1, block, accepted, processed, logtest.Accepted(4, 2, 0), logtest.Expired(5, 2), logtest.Accepted(4, 3, 0), fault1, fault2, signature, step)
	hash := logtest.Hash
	accepted2, accepted3 := logtest.Accepted(4, 2, 0), logtest.Accepted(4, 3, 0)
	for _, tc := range []struct {
		path   string
		status int
		body   string
	}{
		{"/block", 200, string(block.Body)},
		{"/block/", 200, string(block.Body)},
		{"/block/" + hash(7), 200, string(block.Body)},
		{"/block/" + strings.ToUpper(hash(15)), 404, errNothing},
		{"/block/7", 200, string(block.Body)},
		{"/block/8", 404, errNothing},
		{"/block/" + hash(8), 404, errNothing},
		{"/block/notahash", 400, errHash("notahash")},
		{"/block/18446744073709551616", 400, errHash("18446744073709551616")},
		{"/deploy/" + hash(1), 200, `{"deploy_hash":"` + hash(1) + `","deploy_accepted":{"deploy":` + string(accepted.Body) + `},"deploy_processed":` + string(processed.Body) + `,"deploy_expired":false}`},
		{"/deploy/" + hash(2), 200, `{"deploy_hash":"` + hash(2) + `","deploy_accepted":{"deploy":` + string(accepted2.Body) + `},"deploy_processed":null,"deploy_expired":true}`},
		{"/deploy/" + hash(3), 200, `{"deploy_hash":"` + hash(3) + `","deploy_accepted":{"deploy":` + string(accepted3.Body) + `},"deploy_processed":null,"deploy_expired":false}`},
		{"/deploy/" + hash(4), 404, errNothing},
		{"/deploy/xyz", 400, errHash("xyz")},
		{"/deploy/accepted/" + hash(1), 200, `{"deploy":` + string(accepted.Body) + `}`},
		{"/deploy/processed/" + hash(1), 200, string(processed.Body)},
		{"/deploy/expired/" + hash(2), 200, `{"deploy_hash":"` + hash(2) + `"}`},
		{"/deploy/expired/" + hash(1), 404, errNothing},
		{"/deploy/accepted/zz", 400, errHash("zz")},
		{"/faults/" + logtest.PublicKey(1), 200, "[" + string(fault1.Body) + "," + string(fault2.Body) + "]"},
		{"/faults/18446744073709551615", 200, "[" + string(fault1.Body) + "]"},
		{"/faults/4", 404, errNothing},
		{"/faults/" + logtest.PublicKey(2), 404, errNothing},
		{"/faults/abc", 400, `{"code":400,"message":"Invalid parameter in query: Expected hex-encoded public key (66/68 chars), received: abc (length: 3)"}`},
		{"/signatures/" + hash(7), 200, "[" + string(signature.Body) + "]"},
		{"/signatures/" + hash(8), 404, errNothing},
		{"/signatures/x", 400, errHash("x")},
		{"/step/18446744073709551615", 200, string(step.Body)},
		{"/step/1", 404, errNothing},
		{"/step/-1", 400, errPath},
		{"/status", 200, `{"version":"1.0.0"}`},
		{"/other", 400, errPath},
		{"/", 400, errPath},
		{"/block/7/8", 400, errPath},
		{"/transaction/deploy/" + hash(1), 400, errPath},
	} {
		w := ask(h, http.MethodGet, tc.path)
		if w.Code != tc.status || !sameOrder(w.Body.String(), tc.body) || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s\n%s\nwant %d\n%s", tc.path, w.Code, w.Header().Get("Content-Type"), w.Body, tc.status, tc.body)
		}
	}
	if w := ask(h, http.MethodPost, "/block"); w.Code != 400 || w.Body.String() != errPath {
		t.Errorf("POST: %d %s", w.Code, w.Body)
	}
}

// sameOrder compares text, except that lists of faults may come in any order.
func sameOrder(got, want string) bool {
	if got == want {
		return true
	}
	var a, b []json.RawMessage
	if json.Unmarshal([]byte(got), &a) != nil || json.Unmarshal([]byte(want), &b) != nil || len(a) != len(b) {
		return false
	}
	for _, x := range a {
		if !strings.Contains(want, string(x)) {
			return false
		}
	}
	return true
}

func TestRoutesOf2x(t *testing.T) {
	h := serve(t, log.V2, logtest.OfNodes2()...)
	head := `{"header":{"api_version":"1.5.3","network_name":"casper-test"},"payload":`
	accepted := head + `{"transaction":{"Version1":{"hash":"` + logtest.Hash(1) + `","payload":{}}}}}`
	processed := head + `{"transaction_hash":{"Version1":"` + logtest.Hash(1) + `"},"messages":[]}}`
	for _, tc := range []struct {
		path   string
		status int
		body   string
	}{
		{"/transaction/version1/" + logtest.Hash(1), 200, `{"transaction_hash":"` + logtest.Hash(1) + `","transaction_accepted":` + accepted + `,"transaction_processed":` + processed + `,"transaction_expired":false}`},
		{"/transaction/accepted/VERSION1/" + logtest.Hash(1), 200, accepted},
		{"/transaction/processed/version1/" + logtest.Hash(1), 200, processed},
		{"/transaction/expired/deploy/" + logtest.Hash(2), 200, head + `{"transaction_hash":{"Deploy":"` + logtest.Hash(2) + `"}}}`},
		{"/transaction/accepted/deploy/" + logtest.Hash(1), 404, errNothing},
		{"/transaction/accepted/other/" + logtest.Hash(1), 400, errPath},
		{"/transaction/deploy/abc", 400, errHash("abc")},
		{"/step/3", 200, head + `{"era_id":3,"execution_effect":[]}}`},
		{"/signatures/" + logtest.Hash(7), 200, `[` + head + `{"V2":{"block_hash":"` + logtest.Hash(7) + `","era_id":0,"public_key":"` + logtest.PublicKey(1) + `"}}}]`},
		{"/deploy/" + logtest.Hash(1), 400, errPath},
		{"/status", 200, `{"version":"1.0.0"}`},
	} {
		w := ask(h, http.MethodGet, tc.path)
		if w.Code != tc.status || w.Body.String() != tc.body {
			t.Errorf("%s: %d\n%s\nwant %d\n%s", tc.path, w.Code, w.Body, tc.status, tc.body)
		}
	}
}

// broken is a database that fails for one kind of event.
type broken struct {
	log.Reader
	kind event.Kind
}

func (b broken) Deploy(ctx context.Context, kind event.Kind, variant, hash string) (log.Found, error) {
	if kind == b.kind {
		return log.Found{}, errors.New("disk I/O error")
	}
	return log.Found{Raw: []byte(`{}`)}, nil
}

func (broken) Layout() log.Layout { return log.V1 }

// TestDatabaseErrorIsNotTakenForNothing is named after the defect of Casper's sidecar, whose aggregate said "not found" when the
// database failed.
func TestDatabaseErrorIsNotTakenForNothing(t *testing.T) {
	for _, kind := range []event.Kind{event.DeployAccepted, event.DeployProcessed} {
		w := ask(handler(t, broken{kind: kind}), http.MethodGet, "/deploy/"+logtest.Hash(1))
		if want := `{"code":500,"message":"Unhandled error occurred in storage: disk I/O error"}`; w.Code != 500 || w.Body.String() != want {
			t.Errorf("%s fails: %d %s", kind, w.Code, w.Body)
		}
	}
}

func TestOpenAPIDocumentHasEveryRoute(t *testing.T) {
	for layout, paths := range map[log.Layout][]string{
		log.V1: {"/block", "/block/{block_hash_or_height}", "/deploy/{deploy_hash}", "/deploy/accepted/{deploy_hash}", "/deploy/processed/{deploy_hash}", "/deploy/expired/{deploy_hash}",
			"/faults/{public_key_or_era}", "/signatures/{block_hash}", "/step/{era}", "/status", "/api-doc.json"},
		log.V2: {"/transaction/{transaction_type}/{transaction_hash}", "/transaction/accepted/{transaction_type}/{transaction_hash}", "/step/{era}"},
	} {
		w := ask(serve(t, layout), http.MethodGet, "/api-doc.json/")
		var document struct {
			OpenAPI    string                    `json:"openapi"`
			Paths      map[string]map[string]any `json:"paths"`
			Components struct {
				Schemas map[string]any `json:"schemas"`
			} `json:"components"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil || !strings.HasPrefix(document.OpenAPI, "3.") {
			t.Fatalf("%s: %v", layout, err)
		}
		for _, path := range paths {
			if document.Paths[path]["get"] == nil {
				t.Errorf("%s: %s is missing", layout, path)
			}
		}
		text := w.Body.String()
		for at := strings.Index(text, "#/components/schemas/"); at >= 0; at = strings.Index(text, "#/components/schemas/") {
			text = text[at+len("#/components/schemas/"):]
			if name := text[:strings.IndexByte(text, '"')]; document.Components.Schemas[name] == nil {
				t.Errorf("%s: nothing describes %s", layout, name)
			}
		}
	}
}

func TestSwaggerNeedsNoNetwork(t *testing.T) {
	h := serve(t, log.V1)
	if w := ask(h, http.MethodGet, "/swagger-ui"); w.Code != http.StatusFound || w.Header().Get("Location") != "/swagger-ui/" {
		t.Errorf("/swagger-ui: %d %s", w.Code, w.Header().Get("Location"))
	}
	w := ask(h, http.MethodGet, "/swagger-ui/")
	if w.Code != 200 || !strings.Contains(w.Body.String(), "/api-doc.json") || strings.Contains(w.Body.String(), `src="http`) {
		t.Errorf("/swagger-ui/: %d %s", w.Code, w.Body)
	}
	for _, part := range strings.Split(w.Body.String(), `"`) {
		if strings.HasSuffix(part, ".js") || strings.HasSuffix(part, ".css") {
			if !strings.HasPrefix(part, "/") {
				part = "/swagger-ui/" + part
			}
			if got := ask(h, http.MethodGet, part); got.Code != 200 || got.Body.Len() == 0 {
				t.Errorf("%s: %d", part, got.Code)
			}
		}
	}
}

// BenchmarkBlock asks for the newest block over the loopback; the clients share the cores.
func BenchmarkBlock(b *testing.B) {
	server := httptest.NewServer(serve(b, log.V1, logtest.Block(7)))
	defer server.Close()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	b.SetParallelism(8)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		buffer := make([]byte, 4096)
		for pb.Next() {
			resp, err := client.Get(server.URL + "/block")
			if err != nil {
				b.Error(err)
				return
			}
			for {
				if _, err := resp.Body.Read(buffer); err != nil {
					break
				}
			}
			_ = resp.Body.Close()
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}
