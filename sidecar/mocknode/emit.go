package mocknode

import (
	"fmt"
	"time"

	"github.com/synod-network/synod/sidecar/event"
)

// Emit makes the next events at once and returns how many it made: fewer than asked for once the limit is reached.
func (n *Node) Emit(count int) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	made := 0
	for ; made < count && (n.o.Limit == 0 || n.made < n.o.Limit); made++ {
		n.say(n.produceNext(), "")
		n.made++
		n.misbehave()
	}
	if made > 0 {
		n.changed()
	}
	return made
}

func (n *Node) produceNext() Made {
	if len(n.fixtures) == 0 {
		return n.load.Next(n.version)
	}
	next := n.fixtures[0]
	n.fixtures = n.fixtures[1:]
	return next
}

// Say sends one event of the caller's on the stream where nodes of this version have its kind.
func (n *Node) Say(data string) error {
	made, err := Fixture([]byte(data))
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.say(made, "")
	n.made++
	n.changed()
	return nil
}

// Garbage sends the next thing that a node should not send.
func (n *Node) Garbage() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sayGarbage()
	n.changed()
}

// Lie makes the numbers of events jump back, and a little later ahead.
func (n *Node) Lie() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lie()
}

// changed wakes all streams. It wants n.mu, as all below do.
func (n *Node) changed() {
	close(n.wake)
	n.wake = make(chan struct{})
}

func (n *Node) misbehave() {
	f := n.o.Faults
	if due(n.made, f.GarbageEvery) {
		n.sayGarbage()
	}
	if due(n.made, f.LieEvery) {
		n.lie()
	}
	if due(n.made, f.DownEvery) {
		n.down(f.DownFor)
	}
	if f.UpgradeAfter > 0 && n.made == f.UpgradeAfter {
		n.upgrade(f.UpgradeTo, f.DownFor)
	}
}

func due(count, every int) bool { return every > 0 && count%every == 0 }

func (n *Node) say(made Made, fault string) {
	id := n.next
	n.next++
	n.put(Sent{ID: id, HasID: true, Filter: made.Filter, Kind: made.Kind, Data: made.Data, Fault: fault}, fmt.Appendf(nil, "data:%s\nid:%d\n\n", made.Data, id))
}

func (n *Node) sayGarbage() {
	name, data, bytes, numbered := garbage(n.garbage, n.next)
	n.garbage++
	kind := event.Unknown
	if e, err := event.Parse(data); err == nil {
		kind = e.Kind
	}
	sent := Sent{ID: n.next, HasID: numbered, Filter: event.FilterMain, Kind: kind, Data: data, Fault: name}
	if numbered {
		n.next++
	} else {
		sent.ID = 0
	}
	n.put(sent, bytes)
}

func (n *Node) put(sent Sent, bytes []byte) {
	if n.version.OneStream() {
		sent.Filter = event.FilterEvents
	}
	if n.o.Sent != nil {
		n.o.Sent(sent)
	}
	n.ring.add(frame{filter: sent.Filter, id: sent.ID, hasID: sent.HasID, bytes: bytes})
}

func (n *Node) lie() {
	if n.next%2 == 0 {
		n.next /= 2
	} else {
		n.next += 1000
	}
}

// Disconnect cuts all streams.
func (n *Node) Disconnect() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.streams++
	n.cut = n.streams
	n.changed()
}

// Stall makes all streams say nothing for a while, no keep-alive either.
func (n *Node) Stall(span time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stalled = time.Now().Add(span)
	n.changed()
}

// Mute leaves all new requests without an answer for a while, as a half-open connection does.
func (n *Node) Mute(span time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mute = time.Now().Add(span)
	n.changed()
}

// Down makes the event port refuse connections for a while; what is open is cut.
func (n *Node) Down(span time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down(span)
}

func (n *Node) down(span time.Duration) {
	select {
	case n.goDown <- span:
	default: // is going down already
	}
}

// Upgrade stops the node with a Shutdown, and starts it again after a while with another version and nothing to replay.
func (n *Node) Upgrade(to Version, away time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.upgrade(to, away)
	n.changed()
}

func (n *Node) upgrade(to Version, away time.Duration) {
	for _, filter := range n.filters() {
		n.say(Made{Filter: filter, Kind: event.Shutdown, Data: []byte(`"Shutdown"`)}, "")
		break // one, on the first: as a node 1.5 does
	}
	n.streams++
	n.finish = n.streams
	n.upgrading = &to
	n.down(away)
}

func (n *Node) filters() []event.Filter {
	if n.version.OneStream() {
		return []event.Filter{event.FilterEvents}
	}
	return []event.Filter{event.FilterMain, event.FilterDeploys, event.FilterSigs}
}
