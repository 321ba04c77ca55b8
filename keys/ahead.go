package keys

import "sync"

// digestSize is the size of the messages that a verifier remembers with their signatures, in bytes.
const digestSize = 32

// ahead holds signatures that were found valid before they were asked for again, exactly, so that nobody can make one
// pass for another. It keeps two generations: when the young one is full, the old one is forgotten.
type ahead struct {
	most int // in a generation

	mu         sync.Mutex
	young, old map[verified]struct{}
}

type verified struct {
	key       PublicKey
	digest    [digestSize]byte
	signature Signature
}

// aheadMost is how many signatures a generation holds, at about 200 bytes each.
const aheadMost = 8192

func newAhead(most int) *ahead { return &ahead{most: most, young: map[verified]struct{}{}} }

func (a *ahead) add(batch []Signed, valid []bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, s := range batch {
		if !valid[i] || len(s.Message) != digestSize {
			continue
		}
		if len(a.young) >= a.most {
			a.young, a.old = make(map[verified]struct{}, a.most), a.young
		}
		a.young[verified{s.Key, [digestSize]byte(s.Message), s.Signature}] = struct{}{}
	}
}

// take marks as valid what is remembered, and forgets it. It returns the places of the others.
func (a *ahead) take(batch []Signed, valid []bool) (others []int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, s := range batch {
		if len(s.Message) == digestSize {
			v := verified{s.Key, [digestSize]byte(s.Message), s.Signature}
			for _, known := range []map[verified]struct{}{a.young, a.old} {
				if _, valid[i] = known[v]; valid[i] {
					delete(known, v)
					break
				}
			}
		}
		if !valid[i] {
			others = append(others, i)
		}
	}
	return others
}
