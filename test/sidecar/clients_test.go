package sidecar

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/synod-network/synod/sidecar/event"
)

// client starts a real client of an URL from a number on, -1 for none. It prints lines "id kind hash", or the stream as it is.
type client func(url string, from int) *exec.Cmd

// TestJavaScriptSDKs needs node, and the SDKs where tools/install-test-tools.sh puts them.
func TestJavaScriptSDKs(t *testing.T) {
	for _, sdk := range []string{"2", "5"} {
		t.Run(sdk, func(t *testing.T) { followThroughKills(t, javaScript(t, sdk)) })
	}
}

// javaScript returns a client that runs on a pinned JavaScript SDK, and skips the test if that is not installed.
func javaScript(t *testing.T, sdk string) client {
	t.Helper()
	modules, err := pinnedModules()
	if err != nil {
		t.Skip(err)
	}
	return func(url string, from int) *exec.Cmd {
		command := exec.Command("node", "js/subscribe.js", sdk, url, strconv.Itoa(from))
		command.Env = append(os.Environ(), "NODE_PATH="+modules)
		return command
	}
}

// pinnedModules returns the folder where what js/package-lock.json pins is installed.
func pinnedModules() (string, error) {
	cache := os.Getenv("SYNOD_TEST_CACHE")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(home, ".cache", "synod-test")
	}
	pinned, err := os.ReadFile("js/package-lock.json")
	if err != nil {
		return "", err
	}
	installed, err := os.ReadFile(filepath.Join(cache, "js", "package-lock.json"))
	if _, noNode := exec.LookPath("node"); err != nil || noNode != nil || !bytes.Equal(pinned, installed) {
		return "", errors.New("node or the pinned SDKs are not installed: run tools/install-test-tools.sh")
	}
	return filepath.Join(cache, "js", "node_modules"), nil
}

// TestGoSDKs builds the clients of a module of its own, whose dependencies must be reachable.
func TestGoSDKs(t *testing.T) {
	client := filepath.Join(t.TempDir(), "gosdk")
	build := exec.Command("go", "build", "-o", client, ".")
	build.Dir = "gosdk"
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("cannot build the SDKs: %v\n%s", err, out)
	}
	for _, sdk := range []string{"1", "2"} {
		t.Run(sdk, func(t *testing.T) {
			followThroughKills(t, func(url string, from int) *exec.Cmd { return exec.Command(client, sdk, url, strconv.Itoa(from)) })
		})
	}
}

func TestCurl(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	followThroughKills(t, func(url string, from int) *exec.Cmd {
		if from >= 0 {
			url += "?start_from=" + strconv.Itoa(from)
		}
		return exec.Command("curl", "-sN", url)
	})
}

// followThroughKills lets a client follow blocks and processed deploys while the sidecar is killed again and again. The client starts
// again after the last number that it saw.
func followThroughKills(t *testing.T, start client) {
	n, sent := pretend(t, nil)
	p := configure(t, n)
	var got []string
	last := -1
	for round := range 4 {
		p.start()
		n.Emit(150)
		want := told(sent)
		if round < 3 {
			want = want[:len(want)-10] // the kill comes in the middle
		}
		follow(t, start("http://"+p.events+"/events/main", last+1), len(want), &got, &last)
		p.kill()
	}
	want := told(sent)
	if len(got) < len(want) {
		t.Fatalf("%d of %d events came", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("event %d is %s, want %s", i, got[i], want[i])
		}
	}
}

// follow reads a client's lines until there are want in all, and ends it.
func follow(t *testing.T, command *exec.Cmd, want int, got *[]string, last *int) {
	t.Helper()
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = t.Output()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	impatient := time.AfterFunc(patience, func() { _ = command.Process.Kill() })
	defer func() {
		impatient.Stop()
		_ = command.Process.Kill()
		out.Close()
		_ = command.Wait()
	}()
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	var data string
	for len(*got) < want && lines.Scan() {
		line := lines.Text()
		if value, found := strings.CutPrefix(line, "data:"); found { // curl shows the stream as it is
			data = value
			continue
		}
		if id, found := strings.CutPrefix(line, "id:"); found {
			line = id + " " + summary([]byte(data))
		}
		id, rest, _ := strings.Cut(line, " ")
		if !strings.HasPrefix(rest, "BlockAdded ") && !strings.HasPrefix(rest, "DeployProcessed ") {
			continue
		}
		number, err := strconv.Atoi(id)
		if err != nil || number <= *last {
			t.Fatalf("number %q after %d", id, *last)
		}
		*last = number
		*got = append(*got, rest)
	}
	if len(*got) < want {
		t.Fatalf("the client ended after %d of %d events", len(*got), want)
	}
}

// told is what a client reports of what was sent.
func told(j *journal) (all []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.sent {
		if text := summary(s.Data); text != "" {
			all = append(all, text)
		}
	}
	return all
}

// summary is what a client reports of one event; empty if it is of another kind than those that the stories follow.
func summary(data []byte) string {
	e, err := event.Parse(data)
	if err != nil || e.Kind != event.BlockAdded && e.Kind != event.DeployProcessed {
		return ""
	}
	key, err := e.Key()
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s %s", e.Kind, key.Hash)
}
