package mocknode

import (
	"fmt"
	"time"
)

// Faults are what goes wrong, by itself, every so many events. Zero means never.
type Faults struct {
	DisconnectEvery int // each stream is cut after so many events on it
	StallEvery      int // all streams say nothing for StallFor after so many events on one of them, no keep-alive either
	StallFor        time.Duration
	GarbageEvery    int // after so many events something follows that is not an event as it should be
	LieEvery        int // after so many events the numbers of events jump
	DownEvery       int // the event port refuses connections for DownFor after so many events
	DownFor         time.Duration
	UpgradeAfter    int // the node says Shutdown, restarts and runs UpgradeTo after so many events
	UpgradeTo       Version
}

// garbage is the n-th thing that a node should not send: frame gets the number that it would have.
func garbage(n int, id uint32) (name string, data []byte, frame []byte, numbered bool) {
	plain := func(text string) []byte { return fmt.Appendf(nil, "data:%s\nid:%d\n\n", text, id) }
	switch n % 8 {
	case 0:
		data = []byte(`{"BlockAdded":{"block_hash":`)
		return "undecodable", data, plain(string(data)), true
	case 1:
		data = fmt.Appendf(nil, `{"Prophecy":{"about":%d}}`, id)
		return "unknown", data, plain(string(data)), true
	case 2:
		data = fmt.Appendf(nil, `{"DeployExpired":{"deploy_hash":"%064x"}}`, 1<<40+n)
		return "without id", data, fmt.Appendf(nil, "data:%s\n\n", data), false
	case 3:
		data = fmt.Appendf(nil, `{"BlockAdded":{"nothing":%d}}`, id)
		return "without fields", data, plain(string(data)), true
	case 4:
		data = fmt.Appendf(nil, `{"DeployExpired":{"deploy_hash":"%064x"}}`, 1<<41+n)
		return "in two lines", data, fmt.Appendf(nil, "event: x\r\nretry: 5\nunheard: of\ndata: {\"DeployExpired\":\ndata:{\"deploy_hash\":\"%064x\"}}\r\nid: %d\n\n", 1<<41+n, id), true
	case 5:
		data = []byte("\xff\xfe not text")
		return "not text", data, plain(string(data)), true
	case 6:
		data = []byte(`{"DeployExpired":{"deploy_hash":"00","deploy_hash":"11"},"Step":{}}`)
		return "two tags", data, plain(string(data)), true
	default:
		return "comment", nil, []byte(": a comment\n\nid: 7\n\n"), false
	}
}
