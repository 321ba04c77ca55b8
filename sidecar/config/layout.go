package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Keys at the top of a file that only one layout has.
var (
	only1 = []string{"inbound_channel_size", "outbound_channel_size", "connections", "rest_server", "event_stream_server", "admin_server"}
	only2 = []string{"max_thread_count", "max_blocking_thread_count", "network_name", "sse_server", "rest_api_server", "admin_api_server", "rpc_server"}
)

// layoutOf tells the layout of a file by its keys.
func layoutOf(document []byte) (Layout, error) {
	var top map[string]any
	if err := toml.Unmarshal(document, &top); err != nil {
		return 0, located(err)
	}
	var first, second []string
	for key := range top {
		if slices.Contains(only1, key) {
			first = append(first, key)
		}
		if slices.Contains(only2, key) {
			second = append(second, key)
		}
	}
	slices.Sort(first)
	slices.Sort(second)
	switch {
	case len(first) > 0 && len(second) > 0:
		return 0, fmt.Errorf("mixes two layouts: %s belongs to sidecars 1.x, %s to sidecars 2.x; keep to one, or split the file", first[0], second[0])
	case len(first) > 0:
		return V1, nil
	case len(second) > 0:
		return V2, nil
	}
	if storage, _ := top["storage"].(map[string]any); storage["storage_path"] != nil {
		return V1, nil
	}
	return V2, nil // an empty file too: the newer layout's complaint says what is missing
}

// located puts the line of a TOML error before it.
func located(err error) error {
	var bad *toml.DecodeError
	if !errors.As(err, &bad) {
		return err
	}
	line, _ := bad.Position()
	reason := strings.TrimPrefix(bad.Error(), "toml: ")
	if key := strings.Join(bad.Key(), "."); key != "" && !strings.Contains(reason, key) {
		reason = key + ": " + reason
	}
	return fmt.Errorf("line %d: %s", line, reason)
}
