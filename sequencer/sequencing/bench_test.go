package sequencing

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"testing"

	"github.com/synod-network/synod/ordering"
)

// benchTopology answers from a map, as a topology that caches does.
type benchTopology struct {
	rules   Parameters
	members map[MemberID]Standing
}

func (b *benchTopology) Member(id MemberID, _ Time) (Standing, bool) {
	s, ok := b.members[id]
	return s, ok
}
func (b *benchTopology) Group(Recipient, Time) []MemberID { return nil }
func (b *benchTopology) Authority(Time) Authority         { return Authority{} }
func (b *benchTopology) Parameters(Time) Parameters       { return b.rules }
func (b *benchTopology) Change(Time, []byte) bool         { return false }

const benchMembers = 1000

func newBenchTopology() *benchTopology {
	b := &benchTopology{rules: testRules(), members: map[MemberID]Standing{}}
	b.rules.Traffic.Base = 1 << 40
	for i := range benchMembers {
		b.members[benchMember(i)] = Standing{Keys: []Key{testKey(benchMember(i))}}
	}
	return b
}

func benchMember(i int) MemberID {
	return MemberID(fmt.Sprintf("PAR::participant-%d::1220%064d", i%benchMembers, i%benchMembers))
}

// benchBlocks makes blocks of submissions of 1 KiB to one to three recipients.
// Message ids repeat from pass to pass only where max-sequencing-time passed.
func benchBlocks(blocks, size int) []ordering.Block {
	payload := make([]byte, 1024)
	var made []ordering.Block
	n := 0
	for h := range blocks {
		var requests [][]byte
		at := t0 + Time(h)*Time(size)*10
		for range size {
			var set RecipientSet
			for r := range 1 + n%3 {
				set = append(set, Recipient{Kind: ToMember, Member: benchMember((n*7)%(benchMembers-3) + r)})
			}
			set = sortedSet(set)
			s := send(benchMember(n*13), MessageID("message-"+strconv.Itoa(n)), at+Minute, set, string(payload))
			requests = append(requests, Request{Body: s, Signatures: []KeySignature{{Key: testKey(s.Sender)}}}.Encode())
			n++
		}
		made = append(made, block(ordering.Height(h+1), at, requests...))
	}
	return made
}

func allValid(signed []SignedDigest) []bool {
	valid := make([]bool, len(signed))
	for i := range valid {
		valid[i] = true
	}
	return valid
}

// BenchmarkReplay is the whole way from an ordered block to stored events, on one
// core, without the verification of signatures.
func BenchmarkReplay(b *testing.B) {
	for _, size := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("block=%d", size), func(b *testing.B) {
			blocks := benchBlocks(20000/size, size)
			topology := newBenchTopology()
			b.ReportAllocs()
			b.SetBytes(1024)
			for done := 0; done < b.N; {
				m := New(testNetwork, topology)
				h := NewMemoryHistory(m)
				for i := 0; i < len(blocks) && done < b.N; i++ {
					out, err := m.Apply(Parse(testNetwork, blocks[i]).Verify(allValid))
					if err != nil {
						b.Fatal(err)
					}
					if len(out.Dropped) > 0 || out.Records[size-1].Kind != Delivered {
						b.Fatal(out.Dropped, out.Records[size-1].Refusal)
					}
					if err := h.Append(out); err != nil {
						b.Fatal(err)
					}
					done += size
				}
				if len(m.Digest()) == 0 {
					b.Fatal()
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "submissions/s")
		})
	}
}

// BenchmarkApply is the part that can not be spread over cores.
func BenchmarkApply(b *testing.B) {
	blocks := benchBlocks(20, 1000)
	topology := newBenchTopology()
	var parsed []*Block
	for _, block := range blocks {
		parsed = append(parsed, Parse(testNetwork, block).Verify(allValid))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; {
		m := New(testNetwork, topology)
		for i := 0; i < len(parsed) && done < b.N; i++ {
			if _, err := m.Apply(parsed[i]); err != nil {
				b.Fatal(err)
			}
			done += 1000
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "submissions/s")
}

// BenchmarkMillionRemembered is BenchmarkApply when much is remembered: 20 000
// submissions an operation come while as many are forgotten. An operation takes
// some 70 ms and its preparation a second: run it with -benchtime 10x.
func BenchmarkMillionRemembered(b *testing.B) {
	var parsed []*Block
	for i, block := range benchBlocks(20, 1000) {
		block.Time = int64(t0 + Time(i)*5*Second)
		parsed = append(parsed, Parse(testNetwork, block).Verify(allValid))
	}
	for range b.N {
		b.StopTimer()
		m := New(testNetwork, newBenchTopology())
		m.members.add(memberState{id: benchMember(0)})
		remember(m.inflight, 1_000_000, 200)
		b.StartTimer()
		for _, block := range parsed {
			if _, err := m.Apply(block); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N)*20_000/b.Elapsed().Seconds(), "submissions/s")
}

// remember adds n entries that expire one after the other, some a second.
func remember(f *inflight, n, aSecond int) {
	for i := range n {
		e := entry{maxTime: t0 + Time(i)*Second/Time(aSecond)}
		binary.BigEndian.PutUint64(e.key[:], uint64(i+1)*0x9e3779b97f4a7c15)
		f.add(e)
	}
}

// BenchmarkDigestAndSnapshot is what stands still for a hand-over: a thousand
// changed members and a million remembered submissions.
func BenchmarkDigestAndSnapshot(b *testing.B) {
	m := New(testNetwork, newBenchTopology())
	for i := range 100_000 {
		m.members.add(memberState{id: MemberID(fmt.Sprintf("PAR::participant-%d::1220%064d", i, i))})
	}
	remember(m.inflight, 1_000_000, 200)
	m.Digest()
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		b.StopTimer()
		for j := range 1000 {
			m.members.change(Index((i*7919+j*97)%100_000)).last++
		}
		b.StartTimer()
		s := m.Snapshot()
		if s.Digest() == (Digest{}) {
			b.Fatal()
		}
	}
}
