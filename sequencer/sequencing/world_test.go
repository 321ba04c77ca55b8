package sequencing

import (
	"crypto/sha256"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/synod-network/synod/ordering"
)

var testNetwork = NetworkID{1, 2, 3}

// testTopology is a topology whose transactions are words: "+PAR::x" brings a
// member in, "-PAR::x" takes it out, "&PAR::x" gives it a new key beside the last
// one, "!PAR::x" a new key alone, ">12" says how many recipients there may be, and
// anything else is refused. Members called
// SEQ… are the sequencers, those called MED<n>… are in mediator group n.
type testTopology struct {
	rules   Parameters
	spans   map[MemberID][]span
	names   []MemberID // ascending
	keyed   map[MemberID][]keyChange
	limits  []limitChange
	changed Time // changes up to it are known: a replay does nothing
	outcome map[Time]bool
	free    string // prefix of members that pay nothing
	unread  string // prefix of members that read nothing; empty for none
	lax     bool   // the authority has threshold 0
}

// span is a time of membership: after from, up to to.
type span struct{ from, to Time }

// keyChange is which keys a member has after a time: the newest, of as many changes as
// there were, and maybe the one before.
type keyChange struct {
	from Time
	both bool
}

// limitChange is how many recipients there may be after a time.
type limitChange struct {
	from       Time
	recipients int
}

func testRules() Parameters {
	return Parameters{MaxAhead: 2 * Minute, TopologyTolerance: 30 * Second, MaxBytes: 4096, MaxRecipients: 12, MaxInFlight: 1 << 20,
		Traffic: TrafficRules{Refill: 10 * Second, Base: 4000, Event: 100, Write: 10_000, Factor: 200}}
}

func newTopology(names ...MemberID) *testTopology {
	t := &testTopology{rules: testRules(), spans: map[MemberID][]span{}, keyed: map[MemberID][]keyChange{}, outcome: map[Time]bool{}, free: "SEQ"}
	for _, name := range names {
		t.change(-1, "+"+string(name))
	}
	return t
}

func (t *testTopology) Member(id MemberID, at Time) (Standing, bool) {
	for _, s := range t.spans[id] {
		if s.from < at && at <= s.to {
			return Standing{Keys: t.keys(id, at), Free: strings.HasPrefix(string(id), t.free), Unread: t.unread != "" && strings.HasPrefix(string(id), t.unread)}, true
		}
	}
	return Standing{}, false
}

// keys are those that a member has at a time, the newest first.
func (t *testTopology) keys(id MemberID, at Time) []Key {
	for n := len(t.keyed[id]); n > 0; n-- {
		if c := t.keyed[id][n-1]; c.from < at && c.both {
			return []Key{testKeyOf(id, n), testKeyOf(id, n-1)}
		} else if c.from < at {
			return []Key{testKeyOf(id, n)}
		}
	}
	return []Key{testKey(id)}
}

func (t *testTopology) Group(r Recipient, at Time) (members []MemberID) {
	for _, id := range t.names {
		_, active := t.Member(id, at)
		var in bool
		switch r.Kind {
		case ToAll:
			in = true
		case ToSequencers:
			in = strings.HasPrefix(string(id), "SEQ")
		case ToMediatorGroup:
			in = strings.HasPrefix(string(id), "MED"+string(rune('0'+r.Group)))
		}
		if active && in {
			members = append(members, id)
		}
	}
	return members
}

func (t *testTopology) Authority(at Time) Authority {
	members := t.Group(Recipient{Kind: ToSequencers}, at)
	if t.lax {
		return Authority{Members: members}
	}
	return Authority{Members: members, Threshold: len(members)/2 + 1}
}

func (t *testTopology) Parameters(at Time) Parameters {
	rules := t.rules
	for _, c := range t.limits {
		if c.from < at {
			rules.MaxRecipients = c.recipients
		}
	}
	return rules
}

func (t *testTopology) Change(at Time, transactions []byte) bool {
	if at <= t.changed {
		return t.outcome[at]
	}
	t.changed = at
	t.outcome[at] = t.change(at, string(transactions))
	return t.outcome[at]
}

func (t *testTopology) change(at Time, word string) bool {
	if len(word) < 2 {
		return false
	}
	if n, err := strconv.Atoi(word[1:]); word[0] == '>' && err == nil {
		t.limits = append(t.limits, limitChange{at, n})
		return true
	}
	id := MemberID(word[1:])
	_, active := t.Member(id, max(at, 0)+1)
	switch {
	case word[0] == '+' && !active:
		t.spans[id] = append(t.spans[id], span{at, 1 << 62})
		if i, found := slices.BinarySearch(t.names, id); !found {
			t.names = slices.Insert(t.names, i, id)
		}
		return true
	case word[0] == '-' && active:
		t.spans[id][len(t.spans[id])-1].to = at
		return true
	case (word[0] == '!' || word[0] == '&') && active:
		t.keyed[id] = append(t.keyed[id], keyChange{at, word[0] == '&'})
		return true
	}
	return false
}

// testKey is the first key of a member. Signatures are made by hashing: how one signs
// is not what is tested here.
func testKey(id MemberID) Key { return sha256.Sum256([]byte("key of " + id)) }

// testKeyOf is the key of a member after so many changes.
func testKeyOf(id MemberID, changes int) Key {
	if changes == 0 {
		return testKey(id)
	}
	return testKey(id + MemberID(" "+strconv.Itoa(changes)))
}

func testSignature(key Key, d Digest) (s Signature) {
	h := sha256.Sum256(append(key[:], d[:]...))
	copy(s[:], h[:])
	return s
}

func testVerifier(signed []SignedDigest) []bool {
	valid := make([]bool, len(signed))
	for i, c := range signed {
		valid[i] = c.Signature == testSignature(c.Key, c.Digest)
	}
	return valid
}

// signed makes a request, signed by members.
func signed(body Body, by ...MemberID) Request {
	var keys []Key
	for _, id := range by {
		keys = append(keys, testKey(id))
	}
	return signedWith(body, keys...)
}

// signedWith makes a request, signed with keys.
func signedWith(body Body, keys ...Key) Request {
	r := Request{Body: body}
	d := body.digest(testNetwork, newHasher())
	for _, key := range keys {
		r.Signatures = append(r.Signatures, KeySignature{Key: key, Signature: testSignature(key, d)})
	}
	slices.SortFunc(r.Signatures, func(a, b KeySignature) int { return slices.Compare(a.Key[:], b.Key[:]) })
	return r
}

// world is one machine with its history, fed block by block.
type world struct {
	t       testing.TB
	machine *Machine
	history *MemoryHistory
}

func newWorld(t testing.TB, topology Topology) *world {
	m := New(testNetwork, topology)
	return &world{t: t, machine: m, history: NewMemoryHistory(m)}
}

func block(height ordering.Height, at Time, requests ...[]byte) ordering.Block {
	return ordering.Block{Height: height, Time: int64(at), Payloads: []ordering.Payload{ordering.Pack(requests...)}}
}

// apply orders requests from a time on.
func (w *world) apply(at Time, requests ...Request) *Output {
	w.t.Helper()
	var encoded [][]byte
	for _, r := range requests {
		encoded = append(encoded, r.Encode())
	}
	out, err := w.machine.Apply(Parse(testNetwork, block(w.machine.Height()+1, at, encoded...)).Verify(testVerifier))
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.history.Append(out); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// read returns all events of a member.
func (w *world) read(id MemberID) []Delivery {
	w.t.Helper()
	m, ok := w.machine.Member(id)
	if !ok {
		return nil
	}
	events, _, err := w.history.Read(m.Index, 0, Limit{Events: 1 << 20})
	if err != nil {
		w.t.Fatal(err)
	}
	return events
}

func to(ids ...MemberID) (set RecipientSet) {
	for _, id := range ids {
		set = append(set, Recipient{Kind: ToMember, Member: id})
	}
	return set
}

// send is a submission of one envelope.
func send(sender MemberID, message MessageID, maxTime Time, set RecipientSet, payload string) *Submission {
	return &Submission{Sender: sender, Message: message, MaxTime: maxTime, Cost: 1 << 20,
		Sets: []RecipientSet{set}, Envelopes: []Envelope{{Payload: []byte(payload)}}}
}

func sortedSet(set RecipientSet) RecipientSet {
	slices.SortFunc(set, Recipient.Compare)
	return slices.CompactFunc(set, func(a, b Recipient) bool { return a == b })
}
