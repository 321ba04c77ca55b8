package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/synod-network/synod/node/config"
)

// TestBounds: the last value of each kind that is taken, and the first that is not; what is refused names the key that is to be changed.
func TestBounds(t *testing.T) {
	const operators = "admin.tls_cert_file=c admin.tls_key_file=k admin.client_ca_file=a admin.grpc_listen=127.0.0.1:7"
	for _, tc := range []struct {
		settings string // key=value, apart by spaces
		refused  string // how the error goes on after where the value is from; empty if it is taken
	}{
		{"name=" + strings.Repeat("a", 63), ""},
		{"name=" + strings.Repeat("a", 64), "name: "},
		{"name=", "name: "},
		{"name=1a", "name: "},
		{"name=-a", "name: "},
		{"name=Sequencer", "name: "},
		{"name=../../etc", "name: "},
		{"data_dir=", "data_dir: is empty"},
		{"key_file=", "key_file: is empty"},
		{"keys_dir=", "keys_dir: is empty"},
		{"genesis_file=", "genesis_file: is empty"},

		{"public.listen=7111", `public.listen: "7111" is no address`},
		{"public.listen=127.0.0.1:65535", ""},
		{"public.listen=127.0.0.1:65536", "public.listen: port"},
		{"public.listen=127.0.0.1:http", "public.listen: port"},
		{"public.listen=localhost:7", ""},
		{"public.listen=[::1]:7", ""},
		{"public.listen=10.0.0.1:7", "public.listen: "},
		{"public.listen=example.org:7", "public.listen: "},
		{"public.listen=10.0.0.1:7 public.tls_cert_file=c public.tls_key_file=k", ""},
		{"public.tls_key_file=k", "public.tls_cert_file: "},
		{"public.registrations_per_second=0", "public.registrations_per_second: "},
		{"public.host_registrations_per_second=0", "public.host_registrations_per_second: "},
		{"public.connections=-1", "public.connections: "}, {"public.host_connections=-1", "public.connections: "}, {"public.connections=1 public.host_connections=1", ""},
		{"public.large_messages=63MiB", "public.large_messages: "}, {"public.large_messages=64MiB", ""},
		{"public.registrations_per_second=1 public.host_registrations_per_second=1", ""},
		{"peer.listen=7", "peer.listen: "},
		{"peer.advertised=127.0.0.1:7", ""},
		{"peer.advertised=:7", "peer.advertised: "},
		{"peer.advertised=127.0.0.1:0", "peer.advertised: "},
		{"peer.advertised=7", "peer.advertised: "},
		{"admin.listen=7", "admin.listen: "},
		{"admin.pprof_listen=7", "admin.pprof_listen: "},
		{"admin.pprof_listen=", ""},
		{"admin.pprof_listen=10.0.0.1:7", "admin.pprof_listen: "},

		// Operators: no listener without all that tells who they are.
		{operators, ""},
		{operators + " admin.grpc_listen=7", "admin.grpc_listen: "},
		{operators + " admin.tls_cert_file=", "admin.grpc_listen: needs"},
		{operators + " admin.tls_key_file=", "admin.grpc_listen: needs"},
		{operators + " admin.client_ca_file=", "admin.grpc_listen: needs"},

		// Each listener has its own port, unless the system is to choose.
		{"public.listen=127.0.0.1:0 peer.listen=127.0.0.1:0 admin.listen=127.0.0.1:0", ""},
		{"peer.listen=127.0.0.1:7 admin.listen=127.0.0.1:7", `admin.listen: "127.0.0.1:7" has the port of peer.listen`},
		{operators + " admin.pprof_listen=127.0.0.1:7", `admin.pprof_listen: "127.0.0.1:7" has the port of admin.grpc_listen`},

		{"storage.retain_commits=1000", ""},
		{"storage.retain_commits=999", "storage.retain_commits: "},
		{"storage.segment_size=1MiB", ""},
		{"storage.segment_size=1023KiB", "storage.segment_size: "},
		{"storage.segment_size=1GiB", ""},
		{"storage.segment_size=1025MiB", "storage.segment_size: "},
		{"queue.bytes=1MiB", ""},
		{"queue.bytes=1023KiB", "queue.bytes: "},
		{"queue.requests=1", ""},
		{"queue.requests=0", "queue.requests: "},
		{"shutdown.drain_timeout=1ms", ""},
		{"shutdown.drain_timeout=0s", "shutdown.drain_timeout: "},
		{"shutdown.drain_timeout=-1s", "shutdown.drain_timeout: "},
		{"trust.period=0s", ""},
		{"trust.handover=" + strings.Repeat("0a", 32), ""},
		{"trust.handover=" + strings.Repeat("0a", 31), "trust.handover: "},
		{"trust.handover=" + strings.Repeat("0a", 33), "trust.handover: "},
		{"trust.handover=" + strings.Repeat("0g", 32), "trust.handover: "},

		{"peer_trust.half_life=1ms", ""},
		{"peer_trust.half_life=999us", "peer_trust.half_life: "},
		{"peer_trust.first_ban=0s", "peer_trust.first_ban: "},
		{"peer_trust.strike_window=0s", "peer_trust.strike_window: "},
		{"peer_trust.suspect_window=0s", "peer_trust.suspect_window: "},
		{"peer_trust.suspect_for=0s", "peer_trust.suspect_for: "},
		{"peer_trust.quorum_grace=0s", "peer_trust.quorum_grace: "},
		{"peer_trust.first_ban=2h peer_trust.longest_ban=2h", ""},
		{"peer_trust.longest_ban=8784h", ""},
		{"peer_trust.limit_at=-1", "peer_trust.limit_at: "},
		{"peer_trust.limit_at=-0.99", ""},
		{"peer_trust.limit_at=-0.3", "peer_trust.limit_at: "},
		{"peer_trust.limit_at=nan", "peer_trust.limit_at: "},
		{"peer_trust.limit_at=-2.1", `peer_trust.limit_at: "-2.1" is no score`},
		{"peer_trust.probation=0", ""},
		{"peer_trust.probation=0.1", "peer_trust.probation: "},
		{"peer_trust.ban_jitter=0", ""},
		{"peer_trust.ban_jitter=0.5", ""},
		{"peer_trust.ban_jitter=-0.1", "peer_trust.ban_jitter: "},
		{"peer_trust.looks_bad_at=2", ""},
		{"peer_trust.looks_bad_at=2.1", `peer_trust.looks_bad_at: "2.1" is no score`},
		{"peer_trust.remembered_peers=1024", ""},
		{"peer_trust.remembered_peers=1025", "peer_trust.remembered_peers: "},

		{"join.endpoints=127.0.0.1:7,,", ""},
		{"join.endpoints=127.0.0.1", "join.endpoints: "},
		{"join.endpoints=127.0.0.1:0", "join.endpoints: "},
		{"join.endpoints=127.0.0.1:7,example.org:7", "join.tls_ca_file: is empty"},
		{"join.endpoints=example.org:7 join.tls_ca_file=a", ""},

		{"public.ordering=true", ""},
		{"public.ordering=yes", `public.ordering: "yes" is neither true nor false`},
		{"storage.retain_comxxxs=1", "unknown key storage.retain_comxxxs; did you mean storage.retain_commits?"},
		{"storage.retain_coxxxxs=1", "unknown key storage.retain_coxxxxs; remove it"},
		{"peers.adress=c:1", "unknown key peers.adress; did you mean peers.address?"},
		{"log=info", "unknown key log; remove it"},
	} {
		sources := config.Sources{File: write(t, "")}
		for setting := range strings.FieldsSeq(tc.settings) {
			key, value, _ := strings.Cut(setting, "=")
			sources.Overrides = append(sources.Overrides, config.Override{Key: key, Value: value, Origin: "here"})
		}
		_, _, err := config.LoadSequencer(sources)
		if err == nil {
			if tc.refused != "" {
				t.Errorf("%s: taken, want %q", tc.settings, tc.refused)
			}
			continue
		}
		_, why, _ := strings.Cut(err.Error(), ": ")
		if tc.refused == "" || !strings.HasPrefix(why, tc.refused) {
			t.Errorf("%s: %v, want %q", tc.settings, err, tc.refused)
		}
	}
}

// TestPeersOfTheFile: each other sequencer once, by a key of its own, where it can be reached.
func TestPeersOfTheFile(t *testing.T) {
	key := func(i byte) string { return fmt.Sprintf("%064x", i) }
	peer := func(name, key, address string) string {
		return fmt.Sprintf("[[peers]]\nname = %q\nkey = %q\naddress = %q\n", name, key, address)
	}
	for name, tc := range map[string]struct{ content, refused string }{
		"two":               {peer("b", key(1), "b:1") + peer("c", key(2), ""), ""},
		"a name":            {peer("B", key(1), "b:1"), `peers: name "B" must begin`},
		"one twice":         {peer("b", key(1), "b:1") + peer("b", key(2), "c:1"), "peers: b is listed twice"},
		"this node":         {peer("sequencer1", key(1), "b:1"), "peers: sequencer1 is listed twice, or is this node"},
		"no key":            {"[[peers]]\nname = \"b\"\n", "peers: b has no key"},
		"one key for two":   {peer("b", key(1), "b:1") + peer("c", key(1), "c:1"), "peers: c has the key of another peer"},
		"no port":           {peer("b", key(1), "b"), `peers: "b" is no address`},
		"any port":          {peer("b", key(1), "b:0"), `peers: "b:0" cannot be connected to`},
		"no host":           {peer("b", key(1), ":1"), `peers: ":1" cannot be connected to`},
		"settings go ahead": {"name = \"a\"\n" + peer("b", key(1), "b:1") + "\n[peer]\nlisten = \"x\"\n", "peer.listen: "},
	} {
		path := write(t, tc.content)
		c, loaded, err := config.LoadSequencer(config.Sources{File: path})
		if tc.refused != "" {
			if err == nil || !strings.Contains(err.Error(), ": "+tc.refused) || !strings.HasPrefix(err.Error(), path+":") {
				t.Errorf("%s: %v, want %q at a line of the file", name, err, tc.refused)
			}
			continue
		}
		if err != nil || len(c.Peers) != 2 {
			t.Fatalf("%s: %v", name, err)
		}
		var shown []string
		for _, v := range loaded.Values() {
			if v.Key == "name" || strings.HasPrefix(v.Key, "peers") {
				shown = append(shown, v.Key+" "+v.Value+" "+strings.TrimPrefix(v.Origin, path))
			}
		}
		want := []string{
			`name "sequencer1" default`,
			fmt.Sprintf(`peers[0] { name = "b", key = %q, address = "b:1" } :1`, key(1)),
			fmt.Sprintf(`peers[1] { name = "c", key = %q, address = "" } :1`, key(2)),
		}
		if !slices.Equal(shown, want) {
			t.Errorf("%s: shown as %q, want %q", name, shown, want)
		}
	}
}

// TestPathsStartAtTheFile: all of them, so that a node does not look for its keys, or for whom it may let in, where it was started.
func TestPathsStartAtTheFile(t *testing.T) {
	path := write(t, `data_dir = "d"
key_file = "k"
keys_dir = "ks"
genesis_file = "g"
public.tls_cert_file = "pc"
public.tls_key_file = "pk"
public.token_file = "pt"
join.tls_ca_file = "jc"
admin.tls_cert_file = "ac"
admin.tls_key_file = "ak"
admin.client_ca_file = "aa"
`)
	c, _, err := config.LoadSequencer(config.Sources{File: path})
	if err != nil {
		t.Fatal(err)
	}
	for want, got := range map[string]string{
		"d": c.DataDir, "k": c.KeyFile, "ks": c.KeysDir, "g": c.GenesisFile, "pc": c.Public.TLSCert, "pk": c.Public.TLSKey, "pt": c.Public.TokenFile,
		"jc": c.Join.TLSCA, "ac": c.Admin.Cert, "ak": c.Admin.Key, "aa": c.Admin.CA,
	} {
		if got != filepath.Join(filepath.Dir(path), want) {
			t.Errorf("%s is looked for at %s", want, got)
		}
	}
}

// TestEnvironment: what nearly names a key is a mistake, a list is the file's, and what is mounted must be there.
func TestEnvironment(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("text\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for variable, refused := range map[string]string{
		"SYNOD_LOG__FORMAT_FILE=" + secret:          "",
		"SYNOD_LOG__FORMAT_FILE=" + secret + ".not": "environment SYNOD_LOG__FORMAT_FILE: open ",
		"SINOD_LOG__FORMAT=loud":                    "", // another program's
		"SYNOD_PEERS=b":                             "environment SYNOD_PEERS: peers is a list and can be set in the file only",
		"SYNOD_PUBLIC__ORDERING=1":                  "",
		"SYNOD_PUBLIC__ORDERING=no":                 `environment SYNOD_PUBLIC__ORDERING: public.ordering: "no" is neither true nor false`,
	} {
		c, _, err := config.LoadSequencer(config.Sources{File: write(t, ""), Environ: []string{variable}})
		if (err == nil) != (refused == "") || err != nil && !strings.HasPrefix(err.Error(), refused) {
			t.Errorf("%s: %v, want %q", variable, err, refused)
		}
		if strings.HasSuffix(variable, "ORDERING=1") && (c == nil || !c.Public.Ordering) {
			t.Errorf("%s: switched off", variable)
		}
	}
}

// TestADigestIsTakenBack: an empty text above one that is set means none.
func TestADigestIsTakenBack(t *testing.T) {
	c, _, err := config.LoadSequencer(config.Sources{File: write(t, "[trust]\nhandover = \""+strings.Repeat("0a", 32)+"\"\n"), Environ: []string{"SYNOD_TRUST__HANDOVER="}})
	if err != nil || c.Trust.Handover != (config.Digest{}) {
		t.Errorf("%v, %v", c, err)
	}
}
