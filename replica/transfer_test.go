package replica

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/synod-network/synod/bft"
)

// parcels are the pieces of a state in a test: texts, of which some may be the same.
type parcels []string

func (p parcels) Count() int          { return len(p) }
func (p parcels) ID(i int) bft.Digest { return sha256.Sum256([]byte(p[i])) }
func (p parcels) Check(i int, data []byte) error {
	if string(data) != p[i] {
		return errors.New("not the piece")
	}
	return nil
}

func (p parcels) verify(_ bft.Digest, manifest []byte) (Pieces, error) {
	if string(manifest) != "manifest" {
		return nil, errors.New("not the manifest")
	}
	return p, nil
}

// answer is what an honest peer says to a question.
func (p parcels) answer(place uint32) snapshotInput {
	if place == manifestPlace {
		return snapshotInput{kind: kindManifest, data: []byte("manifest")}
	}
	return snapshotInput{kind: kindPiece, piece: place, data: []byte(p[place])}
}

// TestAnyDonors: with one honest peer a state arrives whatever the others do, no piece comes twice, and who lied is known. Without
// one it is given up, after few questions.
func TestAnyDonors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		state := make(parcels, rapid.IntRange(0, 60).Draw(t, "pieces"))
		for i := range state {
			state[i] = fmt.Sprint("piece ", rapid.IntRange(0, 80).Draw(t, "content"))
		}
		behaviours := rapid.SliceOfN(rapid.SampledFrom([]string{"honest", "lies", "silent", "empty", "slow", "comes and goes"}), 1, 6).Draw(t, "peers")
		now := time.Unix(1000, 0)
		tr := newTransfer(&bft.Handover{}, 10*time.Second, now)
		type late struct {
			from bft.PublicKey
			at   time.Time
			m    snapshotInput
		}
		var letters []late
		lied, asked := map[bft.PublicKey]bool{}, 0
		for step := 0; !tr.complete() && !tr.hopeless(now); step++ {
			var up []bft.PublicKey
			for i, b := range behaviours {
				if b != "comes and goes" || step%15 < 10 {
					up = append(up, bft.PublicKey{byte(i + 1)})
				}
			}
			tr.expire(now, up)
			for asks := tr.next(now, up); len(asks) > 0; asks = tr.next(now, up) {
				if len(tr.asked) > piecesAtATime {
					t.Fatalf("%d pieces are owed", len(tr.asked))
				}
				for _, q := range asks {
					asked++
					m := state.answer(q.place)
					switch behaviours[q.to[0]-1] {
					case "lies":
						m.data = append([]byte("not "), m.data...)
						lied[q.to] = true
					case "empty":
						m.data = nil
						lied[q.to] = true
					case "slow":
						letters = append(letters, late{q.to, now.Add(time.Duration(rapid.IntRange(1, 19).Draw(t, "delay")) * 100 * time.Millisecond), m})
						continue
					case "silent", "comes and goes":
						continue
					}
					if verdict, err := tr.take(now, q.to, m, state.verify); verdict == useless {
						t.Fatalf("peer %d was asked for what is here: %+v, %v", q.to[0], q, err)
					}
				}
			}
			now = now.Add(100 * time.Millisecond)
			letters = slices.DeleteFunc(letters, func(l late) bool {
				if l.at.After(now) {
					return false
				}
				if verdict, err := tr.take(now, l.from, l.m, state.verify); verdict != useful {
					t.Fatalf("the slow peer %d answered in time, in vain: %v, %v", l.from[0], verdict, err)
				}
				return true
			})
		}
		if helpful := slices.Contains(behaviours, "honest") || slices.Contains(behaviours, "slow"); tr.complete() != helpful {
			t.Fatalf("of %v: complete %v, %d missing", behaviours, tr.complete(), tr.missing)
		}
		if limit := len(behaviours) * piecesAtATime * 6; !tr.complete() && asked > limit {
			t.Errorf("%d questions in vain, want at most %d", asked, limit)
		}
		for i, p := range state {
			if tr.complete() && string(tr.pieces[state.ID(i)]) != p {
				t.Errorf("piece %d is %q", i, tr.pieces[state.ID(i)])
			}
		}
		for key, d := range tr.donors {
			if lied[key] != (d.lies > 0) {
				t.Errorf("peer %d, which is %s, is found to have lied %d times", key[0], behaviours[key[0]-1], d.lies)
			}
		}
	})
}

// TestAnswersAreJudged: what nobody honest says counts as a lie; what only comes late or unasked does not.
func TestAnswersAreJudged(t *testing.T) {
	state, peer, now := parcels{"one", "two", "one"}, bft.PublicKey{1}, time.Unix(1000, 0)
	empty, beyond, altered := state.answer(1), state.answer(1), state.answer(1)
	empty.data, beyond.piece, altered.data = nil, 3, []byte("zwei")
	for _, tc := range []struct {
		name string
		here []uint32
		m    snapshotInput
		want verdict
	}{
		{"the manifest", nil, state.answer(manifestPlace), useful},
		{"the manifest again", []uint32{manifestPlace}, state.answer(manifestPlace), useless},
		{"another manifest", nil, snapshotInput{kind: kindManifest, data: []byte("mine")}, wrong},
		{"a piece before the manifest", nil, state.answer(1), useless},
		{"a piece", []uint32{manifestPlace}, state.answer(1), useful},
		{"a piece again", []uint32{manifestPlace, 1}, state.answer(1), useless},
		{"the same piece at another place", []uint32{manifestPlace, 2}, state.answer(0), useless},
		{"an altered piece", []uint32{manifestPlace}, altered, wrong},
		{"an empty piece", []uint32{manifestPlace}, empty, wrong},
		{"a piece that is not listed", []uint32{manifestPlace}, beyond, wrong},
	} {
		tr := newTransfer(&bft.Handover{}, 10*time.Second, now)
		for _, place := range tc.here {
			if got, err := tr.take(now, peer, state.answer(place), state.verify); got != useful {
				t.Fatalf("%s: %v, %v", tc.name, got, err)
			}
		}
		missing := tr.missing
		got, err := tr.take(now, peer, tc.m, state.verify)
		if got != tc.want || (err != nil) != (tc.want == wrong) || tr.donors[peer].lies > 0 != (tc.want == wrong) || tc.want != useful && tr.missing != missing {
			t.Errorf("%s: %v, %v, %d lies, %d missing", tc.name, got, err, tr.donors[peer].lies, tr.missing)
		}
	}
}
