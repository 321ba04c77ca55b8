package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/node/config"
)

// write puts a configuration into a file and returns its path.
func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "node.toml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestMistakesAreOneLineWithPlaceAndFix is what an operator sees; FILE stands for the path.
func TestMistakesAreOneLineWithPlaceAndFix(t *testing.T) {
	for _, tc := range []struct {
		name, content string
		environ       []string
		set           config.Override
		want          string
	}{
		{name: "misspelt key", content: "name = \"a\"\n\n[peer]\nlisten_adress = \"\"\nlistn = \"\"",
			want: `FILE:4: unknown key peer.listen_adress; remove it, or see docs/configuration.md for the keys there are`},
		{name: "nearly right", content: "[storage]\nretain_comits = 5",
			want: `FILE:2: unknown key storage.retain_comits; did you mean storage.retain_commits?`},
		{name: "right key, wrong table", content: "pprof_listen = \"127.0.0.1:1\"",
			want: `FILE:1: unknown key pprof_listen; did you mean admin.pprof_listen?`},
		{name: "key of a peer", content: "[[peers]]\nname = \"b\"\nadress = \"c:1\"",
			want: `FILE:3: unknown key peers.adress; did you mean peers.address?`},
		{name: "number without unit", content: "[shutdown]\ndrain_timeout = \"10\"",
			want: `FILE:2: shutdown.drain_timeout: "10" is no duration; write it like 500ms, 30s or 2h`},
		{name: "decimal unit", content: "[queue]\nbytes = \"64MB\"",
			want: `FILE:2: queue.bytes: "64MB" is no size; write it like 512B, 64KiB, 4MiB or 2GiB`},
		{name: "profiles for everybody", content: "[admin]\npprof_listen = \"0.0.0.0:6060\"",
			want: `FILE:2: admin.pprof_listen: "0.0.0.0:6060" can be reached from other machines and profiles reveal memory contents; listen on 127.0.0.1, or leave it empty`},
		{name: "clear text for everybody", content: "[public]\nlisten = \":7111\"",
			want: `FILE:2: public.listen: ":7111" can be reached from other machines; set public.tls_cert_file and public.tls_key_file, or listen on 127.0.0.1`},
		{name: "one port twice", content: "[admin]\nlisten = \"127.0.0.1:7111\"",
			want: `FILE:2: admin.listen: "127.0.0.1:7111" has the port of public.listen, which is "127.0.0.1:7111"; give each listener its own port`},
		{name: "one port twice, by another name", content: "[admin]\nlisten = \"localhost:7111\"",
			want: `FILE:2: admin.listen: "localhost:7111" has the port of public.listen, which is "127.0.0.1:7111"; give each listener its own port`},
		{name: "one port twice, once everywhere", content: "[admin]\nlisten = \":7112\"",
			want: `FILE:2: admin.listen: ":7112" has the port of peer.listen, which is "127.0.0.1:7112"; give each listener its own port`},
		{name: "a duration that is a number", content: "[shutdown]\ndrain_timeout = 10",
			want: `FILE:2: shutdown.drain_timeout: "10" is no duration; write it like 500ms, 30s or 2h`},
		{name: "a size that is a number", content: "[queue]\nbytes = 67108864",
			want: `FILE:2: queue.bytes: "67108864" is no size; write it like 512B, 64KiB, 4MiB or 2GiB`},
		{name: "a level that is a number", content: "[log]\nlevel = 4",
			want: `FILE:2: log.level: "4" is no level; use debug, info, warn or error`},
		{name: "a number in quotes", content: "[queue]\nrequests = \"5\"",
			want: `FILE:2: queue.requests: "5" is a text; write it without quotes`},
		{name: "a number in words", content: "[queue]\nrequests = \"many\"",
			want: `FILE:2: queue.requests: "many" is no whole number`},
		{name: "part of a request", content: "[queue]\nrequests = 1.5",
			want: `FILE:2: queue.requests: "1.5" is no whole number`},
		{name: "a switch in words", content: "[public]\nordering = \"yes\"",
			want: `FILE:2: public.ordering: "yes" is neither true nor false`},
		{name: "a path that is a number", content: "data_dir = 5",
			want: `FILE:1: data_dir: 5 is no text; write it in quotes`},
		{name: "a digest that is a number", content: "[[peers]]\nkey = 5",
			want: `FILE:2: peers.key: public key "5" has 1 characters`},
		{name: "a list in place of a value", content: "[log]\nlevel = [\"info\"]",
			want: `FILE:2: log.level: is a single value, not a list; write one without brackets`},
		{name: "a table in place of a value", content: "[log.level]\nx = 1",
			want: `FILE:1: log.level: is a single value, not a table; write it as a line in the table above it`},
		{name: "a value in place of a table", content: "queue = 5",
			want: `FILE:1: queue: is a table; write [queue], and its keys below`},
		{name: "a table twice", content: "[[queue]]\nrequests = 5",
			want: `FILE:1: queue: is one table, not a list; write [queue], once`},
		{name: "one peer as a table", content: "[peers]\nname = \"b\"",
			want: `FILE:1: peers: is a list of tables; write [[peers]] above each`},
		{name: "peers as a text", content: "peers = \"b\"",
			want: `FILE:1: peers: is a list of tables; write [[peers]] above each`},
		{name: "in an inline table", content: "\nlog = { level = 4 }",
			want: `FILE:2: log.level: "4" is no level; use debug, info, warn or error`},
		{name: "in a list of inline tables", content: "peers = [\n  { name = \"b\" },\n  { name = 5 },\n]",
			want: `FILE:3: peers.name: 5 is no text; write it in quotes`},
		{name: "judged in an inline table", content: "\nlog = { format = \"xml\" }",
			want: `FILE:2: log.format: "xml" is unknown; use auto, text or json`},
		{name: "a stop without end", content: "[shutdown]\nlame_duck = \"2000000h\"",
			want: `FILE:2: shutdown.lame_duck: 2000000h0m0s would hold up a stop; write 1h or less, a minute is long`},
		{name: "a drain without end", content: "[shutdown]\ndrain_timeout = \"61m\"",
			want: `FILE:2: shutdown.drain_timeout: 1h1m0s would hold up a stop; write 1h or less, 10s suits most nodes`},
		{name: "a queue without bound", content: "[queue]\nbytes = \"2TiB\"",
			want: `FILE:2: queue.bytes: 2TiB is more than any memory holds; write 1TiB or less, 64MiB suits most nodes`},
		{name: "requests without bound", content: "[queue]\nrequests = 9223372036854775807",
			want: `FILE:2: queue.requests: 9223372036854775807 is no bound; write 100000000 or less, 100000 suits most nodes`},
		{name: "registrations without bound", content: "[public]\nregistrations_per_second = 9223372036854775807",
			want: `FILE:2: public.registrations_per_second: 9223372036854775807 is not from 1 to 1000000; 10 suits most networks`},
		{name: "no registration from any host", content: "[public]\nhost_registrations_per_second = 0",
			want: `FILE:2: public.host_registrations_per_second: 0 is not from 1 to 1000000; 2 suits most networks`},
		{name: "trust that is over at once", content: "[trust]\nperiod = \"1ns\"",
			want: `FILE:2: trust.period: 1ns is over before a node has started; write 1s or more, or 0s for no limit`},
		{name: "scores for ever", content: "[peer_trust]\nhalf_life = \"9000h\"",
			want: `FILE:2: peer_trust.half_life: 9000h0m0s is too long; write 8784h, which is a leap year, or less`},
		{name: "a host with a space", content: "[peer]\nlisten = \"bad host:1\"",
			want: `FILE:2: peer.listen: "bad host:1" is no address; write host:port, as 127.0.0.1:7111 or [::1]:7111`},
		{name: "a URL", content: "[admin]\nlisten = \"http://127.0.0.1:1\"",
			want: `FILE:2: admin.listen: "http://127.0.0.1:1" is no address; write host:port, as 127.0.0.1:7111 or [::1]:7111`},
		{name: "half of a certificate", content: "[public]\ntls_cert_file = \"cert.pem\"",
			want: `FILE:2: public.tls_cert_file: and public.tls_key_file go together; set both or neither`},
		{name: "a score in words", content: "[peer_trust]\nlimit_at = \"low\"",
			want: `FILE:2: peer_trust.limit_at: "low" is no score; write a number like -0.5`},
		{name: "a score out of range", content: "[peer_trust]\nlimit_at = \"-0.2\"",
			want: `FILE:2: peer_trust.limit_at: -0.2 is not above -1 and below -0.3`},
		{name: "a probation that would be a ban", content: "[peer_trust]\nprobation = \"-1\"",
			want: `FILE:2: peer_trust.probation: -1 is not above -1 and at most 0`},
		{name: "bans that shrink", content: "[peer_trust]\nfirst_ban = \"2h\"\nlongest_ban = \"1h\"",
			want: `FILE:3: peer_trust.longest_ban: 1h0m0s is outside peer_trust.first_ban, which is 2h0m0s, to 8784h`},
		{name: "bans for ever", content: "[peer_trust]\nlongest_ban = \"9000h\"",
			want: `FILE:2: peer_trust.longest_ban: 9000h0m0s is outside peer_trust.first_ban, which is 5m0s, to 8784h`},
		{name: "no time", content: "[peer_trust]\nhalf_life = \"0s\"",
			want: `FILE:2: peer_trust.half_life: 0s is too short; write 1ms or more`},
		{name: "much jitter", content: "[peer_trust]\nban_jitter = \"0.6\"",
			want: `FILE:2: peer_trust.ban_jitter: 0.6 is not from 0 to 0.5`},
		{name: "everything looks bad", content: "[peer_trust]\nlooks_bad_at = \"0\"",
			want: `FILE:2: peer_trust.looks_bad_at: 0 is not above 0 and at most 2`},
		{name: "nobody remembered", content: "[peer_trust]\nremembered_peers = 0",
			want: `FILE:2: peer_trust.remembered_peers: 0 is not from 1 to 1024`},
		{name: "a file that is no TOML", content: "name = sequencer1",
			want: `FILE:1: `},
		{name: "bad environment", content: "", environ: []string{"SYNOD_QUEUE__REQUESTS=many"},
			want: `environment SYNOD_QUEUE__REQUESTS: queue.requests: "many" is no whole number`},
		{name: "misspelt environment", content: "", environ: []string{"SYNOD_LOG__LEVLE=info"},
			want: `environment SYNOD_LOG__LEVLE: unknown variable; did you mean SYNOD_LOG__LEVEL?`},
		{name: "environment judged after all sources", content: "", environ: []string{"SYNOD_LOG__FORMAT=xml"},
			want: `environment SYNOD_LOG__FORMAT: log.format: "xml" is unknown; use auto, text or json`},
		{name: "bad flag", content: "", set: config.Override{Key: "log.levle", Value: "info", Origin: "flag --set"},
			want: `flag --set: unknown key log.levle; did you mean log.level?`},
		{name: "a list by flag", content: "", set: config.Override{Key: "peers", Value: "x", Origin: "flag --set"},
			want: `flag --set: peers is a list and can be set in the file only`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := write(t, tc.content)
			sources := config.Sources{File: path, Environ: tc.environ}
			if tc.set.Key != "" {
				sources.Overrides = []config.Override{tc.set}
			}
			_, _, err := config.LoadSequencer(sources)
			if err == nil {
				t.Fatal("accepted")
			}
			got := strings.ReplaceAll(err.Error(), path, "FILE")
			if !strings.HasPrefix(got, tc.want) || strings.Contains(got, "\n") {
				t.Fatalf("\ngot  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestStrongerSourcesWin(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("text\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := write(t, "[queue]\nrequests = 2\nbytes = \"2MiB\"\n[log]\nlevel = \"warn\"\n")
	c, loaded, err := config.LoadSequencer(config.Sources{
		File: path,
		Environ: []string{
			"SYNOD_QUEUE__BYTES=3MiB", "SYNOD_LOG__LEVEL=error", "SYNOD_LOG__FORMAT_FILE=" + secret,
			"SYNOD_SEQUENCER1_SERVICE_HOST=10.0.0.1", // what a container platform adds is no mistake
		},
		Overrides: []config.Override{{Key: "log.level", Value: "debug", Origin: "flag --set"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Queue.Requests != 2 || c.Queue.Bytes != 3*config.MiB || c.Log.Level.String() != "debug" || c.Log.Format != "text" {
		t.Fatalf("loaded %+v %+v", c.Queue, c.Log)
	}
	origins := map[string]string{}
	for _, v := range loaded.Values() {
		origins[v.Key] = strings.ReplaceAll(v.Origin, path, "FILE") + " " + v.Value
	}
	for key, want := range map[string]string{
		"queue.requests":       "FILE:2 2",
		"queue.bytes":          `environment SYNOD_QUEUE__BYTES "3MiB"`,
		"log.level":            `flag --set "debug"`,
		"log.format":           `environment SYNOD_LOG__FORMAT_FILE "text"`,
		"storage.segment_size": `default "64MiB"`,
	} {
		if origins[key] != want {
			t.Errorf("%s comes from %s, want %s", key, origins[key], want)
		}
	}
}

// TestFormsOfOneValue: whichever way TOML allows a key to be written, the value and its place are the same.
func TestFormsOfOneValue(t *testing.T) {
	for _, content := range []string{
		"[peer_trust]\n\nlimit_at = \"-0.4\"", "[peer_trust]\n\nlimit_at = -0.4", "\n\npeer_trust.limit_at = -0.4", "\n\npeer_trust = { limit_at = \"-0.4\" }",
	} {
		path := write(t, content)
		c, loaded, err := config.LoadSequencer(config.Sources{File: path})
		if err != nil {
			t.Fatal(err)
		}
		want := config.Value{Key: "peer_trust.limit_at", Value: `"-0.4"`, Origin: path + ":3"}
		if c.PeerTrust.LimitAt != -0.4 || !slices.Contains(loaded.Values(), want) {
			t.Errorf("%q gives %v", content, loaded.Values())
		}
	}
}

func TestRelativePathsStartAtTheFile(t *testing.T) {
	path := write(t, "data_dir = \"/var/lib/synod\"\n")
	c, _, err := config.LoadSequencer(config.Sources{File: path})
	if err != nil {
		t.Fatal(err)
	}
	if c.DataDir != "/var/lib/synod" || c.KeyFile != filepath.Join(filepath.Dir(path), "key.pem") {
		t.Fatalf("data %s, key %s", c.DataDir, c.KeyFile)
	}
	if c.Public.TLSCert != "" {
		t.Fatalf("an empty path became %s", c.Public.TLSCert)
	}
}

// TestRenderedDefaultsParseBack keeps the written file, its documentation and the struct the same thing.
func TestRenderedDefaultsParseBack(t *testing.T) {
	for _, peers := range [][]config.PeerAddress{nil, {{Name: "b", Key: keys.PublicKey{1}, Address: "b:1"}, {Name: "c", Key: keys.PublicKey{2}}}} {
		want := config.DefaultSequencer()
		want.Peers = peers
		text := config.Render(want, "header")
		got := &config.Sequencer{} // nothing may come from a default
		if _, err := config.Load(got, config.Sources{File: write(t, string(text))}); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("\ngot  %+v\nwant %+v", got, want)
		}
	}
}

func TestEveryKeyIsDocumented(t *testing.T) {
	var undocumented func(prefix string, table reflect.Type)
	undocumented = func(prefix string, table reflect.Type) {
		for i := range table.NumField() {
			f := table.Field(i)
			key := f.Tag.Get("toml")
			if doc := f.Tag.Get("doc"); key == "" || !strings.HasSuffix(doc, ".") {
				t.Errorf("%s%s has no key or no sentence: %q", prefix, f.Name, doc)
			}
			inner := f.Type
			if inner.Kind() == reflect.Slice {
				inner = inner.Elem()
			}
			if inner.Kind() == reflect.Struct {
				undocumented(prefix+key+".", inner)
			}
		}
	}
	undocumented("", reflect.TypeFor[config.Sequencer]())
}
