package replica

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/synod-network/synod/bft"
)

// piecesAtATime bounds the pieces of a snapshot that peers owe at once.
const piecesAtATime = 8

// manifestPlace stands for the manifest where the place of a piece is meant.
const manifestPlace = math.MaxUint32

// transfer fetches a snapshot from peers: the manifest first, which the
// hand-over's state digest proves, then each piece, which the manifest proves.
// No piece is asked for twice, unless whoever owes it is silent, gone or lies.
//
// It is told the time, who is connected and what came, and says whom to ask for
// what. The loop owns it.
type transfer struct {
	fetched
	list    Pieces // nil until the manifest is here
	missing int
	// wanted are the places that nobody owes, asked who owes the others.
	wanted []uint32
	asked  map[uint32]bft.PublicKey
	donors map[bft.PublicKey]*donor
	turn   int
	// patience is how long nothing new may come before the state is given up:
	// the others may have gone on to a newer one. A donor's is a fifth of it.
	patience time.Duration
	// progressed is when something new came last.
	progressed time.Time
}

// donor is a peer as one transfer knows it.
type donor struct {
	owes int
	// heard is when it answered last, or was asked while it owed nothing.
	heard time.Time
	// strikes counts lies and times of silence: who has fewest is asked first.
	strikes int
	lies    int
	// rests is until when it is not asked, after a lie.
	rests time.Time
}

// ask is a question to a peer.
type ask struct {
	to    bft.PublicKey
	place uint32
}

// verdict is what an answer was worth.
type verdict int

const (
	useless verdict = iota // what is here already, or was never wanted
	useful
	wrong // nobody honest says this
)

func newTransfer(h *bft.Handover, patience time.Duration, now time.Time) *transfer {
	return &transfer{
		fetched: fetched{handover: h, pieces: map[bft.Digest][]byte{}}, wanted: []uint32{manifestPlace},
		asked: map[uint32]bft.PublicKey{}, donors: map[bft.PublicKey]*donor{}, patience: patience, progressed: now,
	}
}

// donorPatience is how long a peer that owes pieces may be silent before others
// are asked for them, and how long one that lied is not asked.
func (t *transfer) donorPatience() time.Duration { return t.patience / 5 }

func (t *transfer) complete() bool { return t.list != nil && t.missing == 0 }

// next says whom to ask now.
func (t *transfer) next(now time.Time, up []bft.PublicKey) (asks []ask) {
	for len(t.wanted) > 0 && len(t.asked) < piecesAtATime {
		place := t.wanted[0]
		if t.here(place) {
			t.wanted = t.wanted[1:]
			continue
		}
		to, d := t.pick(now, up)
		if d == nil {
			break
		}
		t.wanted = t.wanted[1:]
		if d.owes == 0 {
			d.heard = now
		}
		d.owes++
		t.asked[place] = to
		asks = append(asks, ask{to, place})
	}
	return asks
}

// pick chooses a peer with the fewest strikes, and of those one that owes least,
// in turn.
func (t *transfer) pick(now time.Time, up []bft.PublicKey) (best bft.PublicKey, found *donor) {
	t.turn++
	for i := range up {
		key := up[(i+t.turn)%len(up)]
		d := t.donor(key)
		if now.Before(d.rests) {
			continue
		}
		if found == nil || d.strikes < found.strikes || d.strikes == found.strikes && d.owes < found.owes {
			best, found = key, d
		}
	}
	return best, found
}

func (t *transfer) donor(key bft.PublicKey) *donor {
	d := t.donors[key]
	if d == nil {
		d = &donor{}
		t.donors[key] = d
	}
	return d
}

func (t *transfer) here(place uint32) bool {
	if place == manifestPlace {
		return t.list != nil
	}
	return t.pieces[t.list.ID(int(place))] != nil
}

// expire takes back what was asked of peers that are gone, or silent for too long.
func (t *transfer) expire(now time.Time, up []bft.PublicKey) {
	for key, d := range t.donors {
		gone := !slices.Contains(up, key)
		if d.owes == 0 || !gone && now.Sub(d.heard) < t.donorPatience() {
			continue
		}
		if !gone {
			d.strikes++
		}
		var back []uint32
		for place, of := range t.asked {
			if of == key {
				back = append(back, place)
				delete(t.asked, place)
			}
		}
		slices.Sort(back)
		t.wanted, d.owes = append(back, t.wanted...), 0
	}
}

// hopeless reports that nothing new has come for too long.
func (t *transfer) hopeless(now time.Time) bool { return now.Sub(t.progressed) >= t.patience }

// take judges what a peer sent, and keeps what is new and proven.
func (t *transfer) take(now time.Time, from bft.PublicKey, m snapshotInput, verify func(bft.Digest, []byte) (Pieces, error)) (verdict, error) {
	place := m.piece
	if m.kind == kindManifest {
		place = manifestPlace
	}
	d := t.donor(from)
	d.heard = now
	owed := t.asked[place] == from
	if owed {
		d.owes--
		delete(t.asked, place)
	}
	fresh, err := t.keep(place, m.data, verify)
	switch {
	case err != nil:
		d.lies++
		d.strikes++
		d.rests = now.Add(t.donorPatience())
		if owed {
			t.wanted = slices.Insert(t.wanted, 0, place)
		}
		return wrong, err
	case !fresh:
		return useless, nil
	}
	t.progressed = now
	return useful, nil
}

// keep keeps a manifest or a piece, if it is missing and right.
func (t *transfer) keep(place uint32, data []byte, verify func(bft.Digest, []byte) (Pieces, error)) (fresh bool, err error) {
	if place == manifestPlace {
		if t.list != nil {
			return false, nil
		}
		list, err := verify(t.handover.State, data)
		if err != nil {
			return false, fmt.Errorf("the manifest of the state after epoch %d: %w", t.handover.Epoch, err)
		}
		t.takeManifest(data, list)
		return true, nil
	}
	if t.list == nil {
		return false, nil
	}
	if int64(place) >= int64(t.list.Count()) {
		return false, fmt.Errorf("piece %d of the state after epoch %d, which has %d", place, t.handover.Epoch, t.list.Count())
	}
	id := t.list.ID(int(place))
	if t.pieces[id] != nil {
		return false, nil
	}
	if len(data) == 0 {
		return false, fmt.Errorf("piece %d of the state after epoch %d is empty", place, t.handover.Epoch)
	}
	if err := t.list.Check(int(place), data); err != nil {
		return false, fmt.Errorf("piece %d of the state after epoch %d: %w", place, t.handover.Epoch, err)
	}
	t.pieces[id] = data
	t.missing--
	return true, nil
}

func (t *transfer) takeManifest(manifest []byte, list Pieces) {
	t.manifest, t.list, t.missing, t.wanted = manifest, list, 0, nil
	for i := range list.Count() {
		if _, twice := t.pieces[list.ID(i)]; !twice {
			t.pieces[list.ID(i)] = nil
			t.missing++
			t.wanted = append(t.wanted, uint32(i))
		}
	}
}
