package casper_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/source/casper"
)

// scripted is a node whose streams say what a test wants, and then nothing more. A stream without a text is not there.
func scripted(t *testing.T, streams map[event.Filter]string) casper.Node {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/status" {
			fmt.Fprint(w, `{"build_version":"1.5.3-abc","chainspec_name":"n"}`)
			return
		}
		text, found := streams[event.Filter(strings.Trim(r.URL.Path, "/"))]
		if !found {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, text)
		w.(http.Flusher).Flush()
		if text != "" {
			<-r.Context().Done()
		}
	}))
	t.Cleanup(server.CloseClientConnections)
	t.Cleanup(server.Close)
	address := server.Listener.Addr().String()
	return casper.Node{SSE: address, REST: address, MaxAttempts: 2, RetryDelay: time.Millisecond, ConnectTimeout: 2 * time.Second, CheckEvery: time.Second, Silence: time.Minute}
}

const (
	version  = "data:{\"ApiVersion\":\"1.5.3\"}\n\n"
	expired  = "data:{\"DeployExpired\":{\"deploy_hash\":\"ab\"}}\nid:1\n\n"
	lastWord = "Failed to connect to all filters. Disconnecting from http://"
)

func TestAllStreamsOrNone(t *testing.T) {
	n := scripted(t, map[event.Filter]string{event.FilterMain: version + expired, event.FilterSigs: version + expired})
	sink := newMemory()
	if err := finish(t, sink, n); err == nil || err.Error() != casper.ErrUnavailable.Error() {
		t.Error(err)
	}
	for _, e := range sink.events {
		if e.Kind != event.APIVersion {
			t.Errorf("read %s", e.AppendJSON(nil))
		}
	}
	states := sink.states[n.SSE]
	if last := states[len(states)-1]; last.Status != event.Defunct || !strings.HasPrefix(last.LastError, lastWord) {
		t.Errorf("%+v", last)
	}
}

func TestPartialConnection(t *testing.T) {
	n := scripted(t, map[event.Filter]string{event.FilterMain: version + expired})
	n.Partial = true
	sink := newMemory()
	run(t, sink, nil, n)
	sink.awaitCount(t, 1)
	sink.awaitConnected(t, n.SSE)
}

func TestStreamsThatDoNotBeginAsTheyShould(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "First event was empty",
		expired:                           "Expected first message to be ApiVersion, got: ",
		"data:{\"ApiVersion\":7}\n\n":     "it did not begin with an API version",
		"data:{\"ApiVersion\":\"x\"}\n\n": "it did not begin with an API version",
	} {
		n := scripted(t, map[event.Filter]string{event.FilterMain: text, event.FilterDeploys: text, event.FilterSigs: text})
		sink := newMemory()
		_ = finish(t, sink, n)
		states := sink.states[n.SSE]
		if last := states[len(states)-1]; !strings.Contains(last.LastError, want) || len(sink.events) > 0 {
			t.Errorf("%q: %s", text, last.LastError)
		}
	}
}
