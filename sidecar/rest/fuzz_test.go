package rest_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/logtest"
)

// FuzzTargets asks servers of both generations for anything. Whatever it is, nothing breaks, the answer is what Casper's sidecar
// answers, word for word, and it is no fault of the server.
func FuzzTargets(f *testing.F) {
	one := serve(f, log.V1, logtest.Block(7), logtest.Accepted(2, 1, 0), logtest.Fault(6, 1<<64-1, 1), logtest.Signature(8, 7, 1), logtest.Step(9, 1<<64-1))
	two := serve(f, log.V2, logtest.OfNodes2()...)
	for _, seed := range []string{
		"/block", "/block/", "/block//", "/block/7", "/block/007", "/block/+7", "/block/-0", "/block/18446744073709551615", "/block/18446744073709551616",
		"/block/9223372036854775808", "/block/" + logtest.Hash(7), "/block/" + strings.ToUpper(logtest.Hash(7)), "/block/" + logtest.Hash(7)[1:], "/block/" + logtest.Hash(7) + "0",
		"/deploy/" + logtest.Hash(1), "/deploy/accepted", "/deploy/accepted/" + logtest.Hash(1), "/deploy/%00", "/deploy/a%2Fb", "/deploy/%ff%fe", "/deploy/'%20OR%201=1--",
		"/faults/01", "/faults/" + logtest.PublicKey(1), "/faults/" + logtest.PublicKey(1) + "00", "/faults/%F0%9F%98%80", "/signatures/" + logtest.Hash(7), "/signatures/x",
		"/step/18446744073709551615", "/step/9999999999999999999999", "/step/0x1", "/step/1_0", "/transaction/deploy/" + logtest.Hash(2), "/transaction/VERSION1/" + logtest.Hash(1),
		"/transaction/accepted/version2/" + logtest.Hash(1), "/transaction/version1/x", "/status", "/status?x=1", "/api-doc.json", "/api-doc.json/../block", "/block/../x", "/%2e%2e/block",
		"//", "/", "*", "/block?start_from=%zz", "/block;a=b", "/block#x", "http://elsewhere/block", "/block/" + strings.Repeat("a", 5000),
	} {
		f.Add("GET", seed)
	}
	f.Add("POST", "/block")
	f.Add("HEAD", "/block/7")
	f.Add("OPTIONS", "*")
	f.Add("BREW", "/deploy/x")
	f.Fuzz(func(t *testing.T, method, target string) {
		request := func() *http.Request { // as a server reads it from a connection
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(method + " " + target + " HTTP/1.1\r\nHost: x\r\n\r\n")))
			if err != nil {
				t.Skip(err) // refused before it comes to us
			}
			return r
		}
		if strings.HasPrefix(request().URL.Path, "/swagger-ui") {
			t.Skip("the pages of Swagger")
		}
		for name, h := range map[string]http.Handler{"1.x": one, "2.x": two} {
			w := httptest.NewRecorder()
			r := request()
			h.ServeHTTP(w, r)
			if problem := wrong(r, w); problem != "" {
				t.Errorf("%s: %s %q: %s: %d %s", name, method, target, problem, w.Code, w.Body)
			}
		}
	})
}

var textsOf400 = regexp.MustCompile(`(?s)^Invalid parameter in query: Expected hex-encoded (hash \(64 chars\)|public key \(66/68 chars\)), received: (.*) \(length: (\d+)\)$`)

// wrong says what is wrong with an answer.
func wrong(r *http.Request, w *httptest.ResponseRecorder) string {
	if w.Header().Get("Content-Type") != "application/json" || !json.Valid(w.Body.Bytes()) {
		return "no JSON"
	}
	if w.Code == http.StatusOK {
		return ""
	}
	var body struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Code != w.Code {
		return "not the form of an error"
	}
	if w.Code == http.StatusNotFound && body.Message == "Query returned no results" || w.Code == http.StatusBadRequest && body.Message == "Invalid request path provided" {
		return ""
	}
	text := textsOf400.FindStringSubmatch(body.Message)
	if w.Code != http.StatusBadRequest || text == nil {
		return "not an answer of Casper's sidecar"
	}
	segments := strings.Split(strings.TrimSuffix(r.URL.Path, "/"), "/")
	last := segments[len(segments)-1]
	if shown := strings.ToValidUTF8(last, "\ufffd"); len([]rune(shown)) == len([]rune(last)) && text[2] != string([]rune(last)) || text[3] != fmt.Sprint(len(last)) {
		return "not what was asked for"
	}
	return ""
}
