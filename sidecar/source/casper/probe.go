package casper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// standing is what a node's status page says about it.
type standing struct {
	version Version
	build   string
	network string
}

// maxStatus bounds the status page, which lists the node's peers.
const maxStatus = 16 << 20

// errUnusable is the cause of giving a node up at once: trying again cannot help.
var errUnusable = errors.New("the node cannot be used")

// probe asks a node what it is. An error that is errUnusable is final.
func (n *node) probe(ctx context.Context) (standing, error) {
	status, err := n.status(ctx)
	if err != nil {
		return standing{}, fmt.Errorf("ask the node for its version: %w", err)
	}
	raw, found := status["build_version"]
	var build string
	switch {
	case !found:
		return standing{}, n.probeFault(n.named("failed_getting_status_from_payload", "failed_getting_build_version_from_node_status"), "its status page has no build_version")
	case json.Unmarshal(raw, &build) != nil:
		return standing{}, n.probeFault("version_value_not_a_string", fmt.Sprintf("its build_version is not a string: %.40s", raw))
	}
	version, err := buildVersion(build)
	if err != nil {
		return standing{}, n.probeFault("failed_parsing_protocol_version", fmt.Sprintf("its build_version cannot be read: %v", err))
	}
	s := standing{version: version, build: build}
	_ = json.Unmarshal(status["chainspec_name"], &s.network) // empty if the node does not say
	if s.network == "" && n.shared.Minimum == Minimum2 {     // 2.x stores the name with each event
		return s, n.probeFault("failed_getting_chainspec_name_from_node_status", "its status page has no chainspec_name")
	}
	if version.Less(n.shared.Minimum) {
		return s, fmt.Errorf("%w: Node version expected to be >= %s. It is %s", errUnusable, n.shared.Minimum, build)
	}
	if n.shared.Network != "" && s.network != n.shared.Network {
		return s, fmt.Errorf("%w: it belongs to the network %.60q, not to %q", errUnusable, s.network, n.shared.Network)
	}
	return s, nil
}

// named is the name that the generation of sidecars has for a fault.
func (n *node) named(of1x, of2x string) string {
	if n.shared.Minimum == Minimum2 {
		return of2x
	}
	return of1x
}

func (n *node) probeFault(description, text string) error {
	n.observer.Fault("fetching_build_version_for_node", description)
	return errors.New(text)
}

// status reads the status page. Its HTTP status is not looked at: some nodes answer while they are not ready.
func (n *node) status(ctx context.Context) (map[string]json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, n.o.ConnectTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.o.REST+"/status", nil)
	if err != nil {
		return nil, err
	}
	response, err := n.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var status map[string]json.RawMessage
	if err := json.NewDecoder(io.LimitReader(response.Body, maxStatus)).Decode(&status); err != nil {
		return nil, n.probeFault("failed_getting_status_from_payload", fmt.Sprintf("its status page (%s) cannot be read: %v", response.Status, err))
	}
	return status, nil
}
