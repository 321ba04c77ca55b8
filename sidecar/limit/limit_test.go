package limit_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/synod-network/synod/sidecar/limit"
)

func TestExcessWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		l := limit.New(limit.Config{MaxConcurrent: 10, MaxPerSecond: 3, MaxWaiting: 50}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				w := httptest.NewRecorder()
				l.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
				if w.Code != http.StatusOK {
					t.Errorf("%d %s", w.Code, w.Body)
				}
			})
		}
		all.Wait()
		if took := time.Since(began); took != 3*time.Second { // 3, 3, 3 and 1
			t.Errorf("10 requests at 3 a second took %s", took)
		}
	})
}

func TestConcurrencyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most := 0, 0
		l := limit.New(limit.Config{MaxConcurrent: 2, MaxPerSecond: 100, MaxWaiting: 50}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Second) // of the bubble's clock: serving takes a second
			mu.Lock()
			now--
			mu.Unlock()
		}))
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() { l.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)) })
		}
		all.Wait()
		if most != 2 {
			t.Errorf("%d at once", most)
		}
	})
}

func TestWaitingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		l := limit.New(limit.Config{MaxConcurrent: 1, MaxPerSecond: 100, MaxWaiting: 1, Timeout: 10 * time.Second}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
		codes := make(chan int, 3)
		ask := func() {
			w := httptest.NewRecorder()
			l.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			codes <- w.Code
		}
		go ask()
		synctest.Wait()
		go ask()
		synctest.Wait()
		go ask() // beyond those who may wait
		if code := <-codes; code != http.StatusServiceUnavailable {
			t.Errorf("the third got %d", code)
		}
		if code := <-codes; code != http.StatusServiceUnavailable { // after ten seconds
			t.Errorf("the second got %d", code)
		}
		close(release)
		if code := <-codes; code != http.StatusOK {
			t.Errorf("the first got %d", code)
		}
	})
}
