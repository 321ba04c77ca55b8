package sidecar

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/synod-network/synod/sidecar/event"
)

// TestPlantedFaultsAreSeen puts a sidecar that does one thing wrong into the place of the real one, and looks whether the stories'
// judge sees it in what a client gets end to end.
func TestPlantedFaultsAreSeen(t *testing.T) {
	n, sent := pretend(t, nil)
	p := configure(t, n)
	p.start()
	n.Emit(300)
	want := sent.on(event.FilterMain)
	const victim = 40 // the place of the event that it goes wrong with
	var used []uint64 // numbers so far
	for name, c := range map[string]struct {
		wrong func(place int, f frame) []frame
		comes int // events
		fault string
	}{
		"nothing": {func(_ int, f frame) []frame { return []frame{f} }, len(want), ""},
		"an event is dropped": {func(place int, f frame) []frame {
			if place == victim {
				return nil
			}
			return []frame{f}
		}, len(want) - 1, "gap: 1 events are missing"},
		"an event comes twice": {func(place int, f frame) []frame {
			if place == victim {
				return []frame{f, f}
			}
			return []frame{f}
		}, len(want), "duplicate: number"},
		"an event comes twice, under two numbers": {func(place int, f frame) []frame {
			f.id *= 2
			if place == victim {
				return []frame{f, {f.data, f.id + 1}}
			}
			return []frame{f}
		}, len(want), "duplicate:"},
		"numbers are used again": {func(place int, f frame) []frame {
			used = append(used, f.id)
			if place >= victim { // as if the counter had not survived
				f.id = used[place-5]
			}
			return []frame{f}
		}, len(want), "reused number"},
		"an event is changed": {func(place int, f frame) []frame {
			if place == victim {
				f.data = strings.Replace(f.data, "0", "1", 1)
			}
			return []frame{f}
		}, len(want), "never sent"},
	} {
		t.Run(name, func(t *testing.T) {
			var s subscriber
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := s.follow(ctx, replace(t, p.events, c.wrong)+"/events/main?start_from=0", c.comes); err != nil {
				t.Fatal(err)
			}
			err := compare(s.got, want)
			if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
				t.Errorf("the judge says %v, want %q", err, c.fault)
			}
		})
	}
}

// frame is one event of a stream.
type frame struct {
	data string
	id   uint64
}

// replace serves a sidecar's stream with something wrong, and returns its URL. It hears of the place of each event, and says what is sent.
func replace(t *testing.T, sidecar string, wrong func(place int, f frame) []frame) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://"+sidecar+r.URL.RequestURI(), nil)
		if err != nil {
			t.Error(err)
			return
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Error(err)
			return
		}
		defer response.Body.Close()
		in, place := bufio.NewScanner(response.Body), 0
		in.Buffer(nil, 16<<20)
		var f frame
		for in.Scan() {
			line := in.Text()
			if data, found := strings.CutPrefix(line, "data:"); found {
				f.data = data
			}
			if id, found := strings.CutPrefix(line, "id:"); found {
				if _, err := fmt.Sscan(id, &f.id); err != nil {
					t.Error(err)
					return
				}
				for _, sent := range wrong(place, f) {
					fmt.Fprintf(w, "data:%s\nid:%d\n\n", sent.data, sent.id)
				}
				place++
				_ = http.NewResponseController(w).Flush() // a client that has gone ends the request
			}
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}
