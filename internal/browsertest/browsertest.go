// Package browsertest looks at pages with headless Chromium, without any network but this machine's.
//
//	page := browsertest.Open(t, server.URL)
//	page.Shows("the title", `document.title === "Event sidecar"`)
//
// Where Chromium is not installed, tests that need it are skipped with a hint, unless SYNOD_REQUIRE_CHROMIUM is set.
package browsertest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// patience bounds each wait. Nothing takes so long unless it is broken.
const patience = time.Minute

// Page is an open page. It is closed, and its browser ended, when the test ends.
type Page struct {
	t   testing.TB
	ctx context.Context
}

// Open starts a browser and lets it load a page.
func Open(t testing.TB, url string) *Page {
	t.Helper()
	path, err := find()
	if err != nil {
		if os.Getenv("SYNOD_REQUIRE_CHROMIUM") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"))
	allocator, end := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(end)
	ctx, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(closeTab)
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		t.Fatalf("open %s in a browser: %v", url, err)
	}
	return &Page{t: t, ctx: ctx}
}

// Missing says why no page can be opened on this machine; it is nil if one can.
func Missing() error {
	_, err := find()
	return err
}

func find() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no Chromium is installed: run tools/install-test-tools.sh as root, or apt-get install chromium")
}

// Shows waits until a script, which is asked again and again, is true.
func (p *Page) Shows(what, script string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !Value[bool](p, script); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("the page does not show %s:\n%s", what, Value[string](p, `document.body.innerText`))
		}
	}
}

// Value returns what a script evaluates to.
func Value[T any](p *Page, script string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](script))
	if err != nil {
		p.t.Fatalf("evaluate %.100s in a browser: %v", script, err)
	}
	return value
}
