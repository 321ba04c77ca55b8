package blockwire_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	orderingv1 "github.com/synod-network/synod/api/synod/ordering/v1"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/ordering/blockwire"
)

func TestBlocksArriveAsTheyWereSent(t *testing.T) {
	large := bytes.Repeat([]byte("L"), 5*blockwire.PartSize/2)
	for _, test := range []struct {
		name     string
		payloads []ordering.Payload
		parts    int
	}{
		{"empty", nil, 1},
		{"one request", []ordering.Payload{ordering.Pack([]byte("a"))}, 1},
		{"several payloads in one part", []ordering.Payload{ordering.Pack([]byte("a"), nil), ordering.Pack([]byte("b"))}, 1},
		{"exactly one part", []ordering.Payload{ordering.Pack(large[:blockwire.PartSize-4])}, 1},
		{"a request cut across parts", []ordering.Payload{ordering.Pack([]byte("a"), large), ordering.Pack([]byte("b"))}, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			sent := ordering.Block{Height: 7, Digest: ordering.Digest{1}, Previous: ordering.Digest{2}, Epoch: 3, Time: 1000, Payloads: test.payloads}
			joiner := blockwire.NewJoiner(64 << 20)
			var received []ordering.Block
			parts := 0
			for part := range blockwire.Split(sent) {
				parts++
				size := 0
				for _, data := range part.GetData() {
					size += len(data)
				}
				if size > blockwire.PartSize {
					t.Errorf("a part holds %d bytes", size)
				}
				block, whole, err := joiner.Add(part)
				if err != nil {
					t.Fatal(err)
				}
				if whole {
					received = append(received, block)
				}
			}
			if parts != test.parts || len(received) != 1 {
				t.Fatalf("%d parts made %d blocks, want %d parts and 1 block", parts, len(received), test.parts)
			}
			got := received[0]
			if got.Height != 7 || got.Digest != sent.Digest || got.Previous != sent.Previous || got.Epoch != 3 || got.Time != 1000 {
				t.Errorf("header arrived as %+v", got)
			}
			want := slices.Collect(sent.Requests())
			if !slices.EqualFunc(slices.Collect(got.Requests()), want, func(a, b ordering.Request) bool {
				return a.Index == b.Index && a.Time == b.Time && bytes.Equal(a.Data, b.Data)
			}) {
				t.Error("the requests changed on the way")
			}
		})
	}
}

func TestJoinerRefusesWhatBreaksTheRules(t *testing.T) {
	header := func(size uint64, count uint32) *orderingv1.BlockHeader {
		return &orderingv1.BlockHeader{Height: 1, Digest: make([]byte, 32), PreviousDigest: make([]byte, 32), DataSize: size, RequestCount: count}
	}
	for _, test := range []struct {
		name  string
		parts []*orderingv1.SubscribeResponse
		want  string
	}{
		{"no header", []*orderingv1.SubscribeResponse{{LastPart: true}}, "without a header"},
		{"two headers", []*orderingv1.SubscribeResponse{{Header: header(4, 1)}, {Header: header(4, 1)}}, "before block 1 has ended"},
		{"too large", []*orderingv1.SubscribeResponse{{Header: header(1001, 1)}}, "at most 1000"},
		{"short digest", []*orderingv1.SubscribeResponse{{Header: &orderingv1.BlockHeader{Digest: []byte{1}}}}, "digests of 1 and 0 bytes"},
		{"more than announced", []*orderingv1.SubscribeResponse{{Header: header(3, 1), Data: [][]byte{make([]byte, 4)}}}, "more data"},
		{"less than announced", []*orderingv1.SubscribeResponse{{Header: header(5, 1), Data: [][]byte{make([]byte, 4)}, LastPart: true}}, "ends after 4 bytes"},
		{"wrong count", []*orderingv1.SubscribeResponse{{Header: header(4, 2), Data: [][]byte{make([]byte, 4)}, LastPart: true}}, "2 were announced"},
	} {
		t.Run(test.name, func(t *testing.T) {
			joiner := blockwire.NewJoiner(1000)
			var err error
			for _, part := range test.parts {
				if _, _, err = joiner.Add(part); err != nil {
					break
				}
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want one with %q", err, test.want)
			}
		})
	}
}
