package sequencing

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// longNames are names of members so long that nine of them are a large recipient set.
func longNames(n int) (ids []MemberID) {
	for i := range n {
		ids = append(ids, MemberID(fmt.Sprintf("PAR::%0250d", i)))
	}
	return ids
}

// manyWorld is a world of so many members with names of usual length, beside everybody.
func manyWorld(t testing.TB, n int) (w *world, many []MemberID) {
	for i := range n {
		many = append(many, MemberID(fmt.Sprintf("PAR::participant%04d::1220%064d", i, i)))
	}
	topology := newTopology(append(many, everybody().names...)...)
	topology.rules.MaxRecipients, topology.rules.Traffic.Base = 1<<20, 1<<30
	return newWorld(t, topology), many
}

func (w *world) recipients(by MemberID, at Time, set Digest) ([]byte, error) {
	m, ok := w.machine.Member(by)
	if !ok {
		return nil, ErrNotShown
	}
	return w.history.Recipients(m.Index, at, set)
}

// Of a thousand recipients each is told the digest, and may ask for the names.
func TestALargeSetIsToldByItsDigest(t *testing.T) {
	w, many := manyWorld(t, 1000)
	s := send(alice, "m", t0+Minute, to(many...), "hello")
	s.Sets, s.Envelopes, s.Cost = append(s.Sets, to(bob, many[0])), append(s.Envelopes, Envelope{Set: 1, Payload: []byte("two")}), 1<<30
	out := w.apply(t0, signed(s, alice))
	if len(out.Records) != 1 || out.Records[0].Kind != Delivered {
		t.Fatalf("%+v", out)
	}
	large, small := s.Sets[0].Digest(), s.Sets[1].Digest()
	for _, id := range []MemberID{many[0], many[7], many[999]} {
		d := w.read(id)[0]
		if e := d.Envelopes[0]; e.Recipients != nil || e.Set != large || genuine(d) != nil {
			t.Errorf("%s: %d recipients, set %v, %v", id, len(e.Recipients), e.Set, genuine(d))
		}
		if size := len(d.Encode()); size > 700 {
			t.Errorf("%s is told %d bytes", id, size)
		}
		encoded, err := w.recipients(id, t0, large)
		if set, bad := DecodeRecipientSet(encoded); err != nil || bad != nil || !slices.Equal(set, s.Sets[0]) || RecipientSetDigest(encoded) != large {
			t.Errorf("%s asks: %d recipients, %v, %v", id, len(set), err, bad)
		}
	}
	if got := w.read(bob)[0].Envelopes[0]; !slices.Equal(got.Recipients, s.Sets[1]) || got.Set != small {
		t.Errorf("bob is told %v", got.Recipients)
	}
	for _, tc := range []struct {
		by   MemberID
		at   Time
		set  Digest
		want error
	}{
		{alice, t0, large, nil}, {alice, t0, small, nil}, {bob, t0, small, nil}, {many[0], t0, small, nil},
		{many[1], t0, small, ErrNotShown}, {bob, t0, large, ErrNotShown}, {carol, t0, large, ErrNotShown}, {"PAR::nobody", t0, large, ErrNotShown},
		{alice, t0 + 1, large, ErrNotShown}, {alice, 0, large, ErrNotShown}, {alice, t0, Digest{1}, ErrNotShown},
	} {
		if _, err := w.recipients(tc.by, tc.at, tc.set); !errors.Is(err, tc.want) {
			t.Errorf("%s asks for %v at %d: %v, want %v", tc.by, tc.set, tc.at, err, tc.want)
		}
	}
}

// Who sent what was not delivered may ask as well; those who did not get it may not.
func TestRecipientsOfWhatWasNotDelivered(t *testing.T) {
	w := newWorld(t, everybody())
	wait := send(med1, "x", t0+Minute, to(bob), "verdict")
	wait.Aggregation = &Aggregation{Threshold: 2, Eligible: []MemberID{med1, med2}}
	refused := send(alice, "m", t0+Minute, to(bob, "PAR::nobody"), "x")
	w.apply(t0, signed(wait, med1), signed(refused, alice), signed(send(carol, "n", t0+Minute, to(bob), "hi"), carol))
	for _, tc := range []struct {
		by   MemberID
		at   Time
		set  RecipientSet
		want error
	}{
		{med1, t0, wait.Sets[0], nil}, {alice, t0 + 1, refused.Sets[0], nil},
		{bob, t0, wait.Sets[0], ErrNotShown}, {bob, t0 + 1, refused.Sets[0], ErrNotShown}, {med2, t0, wait.Sets[0], ErrNotShown},
	} {
		if encoded, err := w.recipients(tc.by, tc.at, tc.set.Digest()); !errors.Is(err, tc.want) || err == nil && !bytes.Equal(encoded, tc.set.Encode()) {
			t.Errorf("%s asks at %d: %x, %v, want %v", tc.by, tc.at, encoded, err, tc.want)
		}
	}
}

// Many envelopes to the same few were an event that no member could read: the set counted for each.
func TestEnvelopesShareTheirSetInAnEvent(t *testing.T) {
	w, many := manyWorld(t, 12)
	s := send(alice, "m", t0+Minute, to(many...), "")
	s.Envelopes, s.Cost = make([]Envelope, MaxEnvelopes), 1<<30
	w.apply(t0, signed(s, alice))
	d := w.read(many[3])[0]
	data := d.Encode()
	got, err := DecodeDelivery(data)
	if err != nil || len(got.Envelopes) != MaxEnvelopes || !slices.Equal(got.Envelopes[99].Recipients, s.Sets[0]) || genuine(*got) != nil {
		t.Fatal(err)
	}
	if most := MaxEnvelopes*(len(Digest{})+8) + MaxShownSet + 500; len(data) > most {
		t.Errorf("the event has %d bytes, want at most %d", len(data), most)
	}
}

// Whatever the sets, an event is the same from memory, from disk and after the wire; its proof holds; the sets that
// are asked for are those that were sent, and no other set or damaged one passes for them.
func TestAnySetsSurvive(t *testing.T) {
	w, many := manyWorld(t, 60)
	serial := 0
	rapid.Check(t, func(r *rapid.T) {
		serial++
		at := w.machine.Time() + Second
		if serial == 1 {
			at = t0
		}
		s := &Submission{Sender: alice, Message: MessageID(fmt.Sprint(serial)), MaxTime: at + Minute, Cost: 1 << 30}
		for i := range rapid.IntRange(1, 5).Draw(r, "sets") {
			n := rapid.SampledFrom([]int{1, 2, 20, 22, 23, 24, 40}).Draw(r, "size") // 90 bytes each: 22 are shown, 23 not
			s.Sets = append(s.Sets, to(rapid.Permutation(many).Draw(r, "who")[:n]...))
			s.Sets[i] = sortedSet(s.Sets[i])
			s.Envelopes = append(s.Envelopes, Envelope{Set: i, Payload: []byte(fmt.Sprint("payload", i))}, Envelope{Set: rapid.IntRange(0, i).Draw(r, "again")})
		}
		out := w.apply(at, signed(s, alice))
		if len(out.Records) != 1 || out.Records[0].Kind != Delivered {
			r.Fatalf("%+v", out)
		}
		record := &out.Records[0]
		data, head := AppendRecord(nil, record)
		stored, err := DecodeHead(data[:head])
		if err != nil {
			r.Fatal(err)
		}
		read := func(at, size int) ([]byte, error) { return slices.Clone(data[head+at : head+at+size]), nil }
		for _, e := range record.Events {
			want := record.Deliver(e.Member)
			got, err := stored.Deliver(e.Member, read)
			if err != nil || !reflect.DeepEqual(normal(got), normal(want)) {
				r.Fatalf("member %d from disk, %v\n got %+v\nwant %+v", e.Member, err, got, want)
			}
			got.Previous = e.Previous
			back, err := DecodeDelivery(got.Encode())
			if err != nil || plain(*back) != plain(got) || genuine(*back) != nil {
				r.Fatalf("member %d after the wire: %v", e.Member, err)
			}
			for _, envelope := range back.Envelopes {
				set := s.Sets[s.Envelopes[envelope.Number].Set]
				if size := len(set.Encode()); (envelope.Recipients == nil) != (size > MaxShownSet) || envelope.Set != set.Digest() {
					r.Fatalf("a set of %d bytes: %d recipients", size, len(envelope.Recipients))
				}
				fromDisk, err := stored.Recipients(e.Member, envelope.Set, read)
				fromMemory, other := record.recipients(e.Member, envelope.Set)
				if err != nil || other != nil || !bytes.Equal(fromDisk, set.Encode()) || !bytes.Equal(fromMemory, fromDisk) {
					r.Fatalf("recipients: %x, %x, want %x; %v, %v", fromDisk, fromMemory, set.Encode(), err, other)
				}
				forged := slices.Clone(fromDisk)
				forged[rapid.IntRange(0, len(forged)-1).Draw(r, "byte")]++
				if RecipientSetDigest(forged) == envelope.Set {
					r.Fatal("a forged set passes")
				}
			}
		}
		if tail := len(data) - 1; !record.Submission.sealed.sets[len(s.Sets)-1].shown() {
			data[tail]++
			if _, err := DecodeRecord(data, head); !errors.Is(err, ErrPayload) {
				r.Fatalf("a damaged set: %v", err)
			}
			if _, err := stored.Recipients(record.Sender, s.Sets[len(s.Sets)-1].Digest(), read); !errors.Is(err, ErrPayload) {
				r.Fatalf("a damaged set is told: %v", err)
			}
		}
	})
}

// What a member is told of a large set does not grow with it.
func TestWhatIsToldOfALargeSetDoesNotGrow(t *testing.T) {
	w, many := manyWorld(t, 2000)
	size := func(n int, at Time) int {
		s := send(alice, MessageID(fmt.Sprint(n)), at+Minute, to(many[:n]...), "hello")
		s.Cost = 1 << 30
		w.apply(at, signed(s, alice))
		events := w.read(many[0])
		return len(events[len(events)-1].Encode())
	}
	if hundred, all := size(100, t0), size(2000, t0+Second); all > hundred+2 {
		t.Errorf("100 recipients: %d bytes, 2000: %d", hundred, all)
	}
}

// A delivery has one form: sets that differ, in order of use, none too large, all used.
func TestDeliveriesHaveOneForm(t *testing.T) {
	base := func() *Delivery {
		return &Delivery{Kind: Delivered, Time: 5, Proof: Proof{Envelopes: make([]Digest, 3)}, Signers: []Signer{{Sender: alice, Message: "m"}},
			Envelopes: []Received{{0, to(bob).Digest(), to(bob), nil}, {1, Digest{9}, nil, nil}, {2, to(bob).Digest(), to(bob), nil}}}
	}
	data := base().Encode()
	if got, err := DecodeDelivery(data); err != nil || plain(*got) != plain(*base()) {
		t.Fatalf("%+v, %v", got, err)
	}
	shown := slices.Concat([]byte{0, 1}, []byte{1, byte(len(bob))}, []byte(bob))
	digest := append([]byte{0, 0}, append([]byte{9}, make([]byte, 31)...)...)
	place := func(number, set byte) []byte { return []byte{0, number, 0, set, 0, 0, 0, 0} }
	sets := slices.Concat([]byte{0, 2}, shown, digest)
	envelopes := slices.Concat([]byte{0, 3}, place(0, 0), place(1, 1), place(2, 0))
	if !bytes.Contains(data, slices.Concat(sets, envelopes)) {
		t.Fatalf("%x has not %x", data, slices.Concat(sets, envelopes))
	}
	var long RecipientSet
	for i := range MaxShownSet {
		long = append(long, Recipient{Kind: ToMediatorGroup, Group: uint32(i)})
	}
	for name, changed := range map[string][]byte{
		"a set twice":      slices.Concat([]byte{0, 2}, shown, shown, envelopes),
		"sets not in use":  slices.Concat([]byte{0, 2}, shown, digest, []byte{0, 3}, place(0, 0), place(1, 0), place(2, 0)),
		"another order":    slices.Concat(sets, []byte{0, 3}, place(0, 1), place(1, 0), place(2, 0)),
		"no such set":      slices.Concat(sets, []byte{0, 3}, place(0, 0), place(1, 1), place(2, 2)),
		"too large a set":  slices.Concat([]byte{0, 2}, long.Encode(), digest, envelopes),
		"more than places": slices.Concat([]byte{0, 4}, shown, digest, []byte{0, 0}, bytes.Repeat([]byte{1}, 32), []byte{0, 0}, bytes.Repeat([]byte{2}, 32), envelopes),
	} {
		if got, err := DecodeDelivery(bytes.Replace(data, slices.Concat(sets, envelopes), changed, 1)); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// FuzzDecodeRecipientSet: whatever decodes is encoded to the same bytes, and has the digest of these bytes.
func FuzzDecodeRecipientSet(f *testing.F) {
	f.Add(to(alice, bob).Encode())
	f.Add(RecipientSet{{Kind: ToMember, Member: bob}, {Kind: ToMediatorGroup, Group: 3}, {Kind: ToSequencers}, {Kind: ToAll}}.Encode())
	f.Add([]byte{0, 0})
	f.Add([]byte(strings.Repeat("\xff", 40)))
	f.Fuzz(func(t *testing.T, input []byte) {
		var set RecipientSet
		var err error
		bounded(t, input, func() { set, err = DecodeRecipientSet(input) })
		if err == nil && (!bytes.Equal(set.Encode(), input) || set.Digest() != RecipientSetDigest(input)) {
			t.Errorf("accepted %x, which encodes to %x", input, set.Encode())
		}
	})
}
