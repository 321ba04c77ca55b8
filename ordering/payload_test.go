package ordering_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/synod-network/synod/ordering"
)

func TestPackedRequestsComeBackInOrder(t *testing.T) {
	requests := [][]byte{[]byte("one"), {}, []byte("three")}
	payload := ordering.Pack(requests...)

	want := []byte("\x00\x00\x00\x03one\x00\x00\x00\x00\x00\x00\x00\x05three")
	if !bytes.Equal(payload.Data, want) {
		t.Errorf("encoding is %q, want %q", payload.Data, want)
	}
	got := slices.Collect(payload.Requests())
	if !slices.EqualFunc(got, requests, bytes.Equal) {
		t.Errorf("unpacked %q, packed %q", got, requests)
	}
}

func TestParsePayloadAdmitsOnlyTheCanonicalEncoding(t *testing.T) {
	for _, test := range []struct {
		name  string
		count int
		data  string
		fails bool
	}{
		{"empty", 0, "", false},
		{"one empty request", 1, "\x00\x00\x00\x00", false},
		{"two", 2, "\x00\x00\x00\x01a\x00\x00\x00\x02bc", false},
		{"fewer than announced", 2, "\x00\x00\x00\x01a", true},
		{"more than announced", 0, "\x00\x00\x00\x01a", true},
		{"cut within a length", 1, "\x00\x00\x00", true},
		{"cut within a request", 1, "\x00\x00\x00\x02a", true},
		{"length beyond any memory", 1, "\xff\xff\xff\xffa", true},
		{"trailing byte", 1, "\x00\x00\x00\x01ab", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ordering.ParsePayload(test.count, []byte(test.data))
			if failed := err != nil; failed != test.fails {
				t.Errorf("error is %v, want one: %t", err, test.fails)
			}
		})
	}
}

func TestRequestsOfABlockGetConsecutiveTimes(t *testing.T) {
	block := ordering.Block{
		Time:     100,
		Payloads: []ordering.Payload{ordering.Pack([]byte("a"), []byte("b")), ordering.Pack([]byte("c"))},
	}
	var got []ordering.Request
	for request := range block.Requests() {
		got = append(got, request)
	}
	for i, want := range []string{"a", "b", "c"} {
		if got[i].Index != i || got[i].Time != int64(100+i) || string(got[i].Data) != want {
			t.Errorf("request %d is %+v, want %q at time %d", i, got[i], want, 100+i)
		}
	}
	if block.RequestCount() != 3 || block.LastTime() != 102 {
		t.Errorf("count %d, last time %d; want 3, 102", block.RequestCount(), block.LastTime())
	}
	if empty := (ordering.Block{Time: 7}); empty.LastTime() != 7 {
		t.Errorf("an empty block's last time is %d, want its own, 7", empty.LastTime())
	}
}

// FuzzParsePayload: whatever is admitted, unpacks without a panic and packs to
// the same bytes again.
func FuzzParsePayload(f *testing.F) {
	f.Add(2, []byte("\x00\x00\x00\x01a\x00\x00\x00\x02bc"))
	f.Fuzz(func(t *testing.T, count int, data []byte) {
		payload, err := ordering.ParsePayload(count, data)
		if err != nil {
			return
		}
		again := ordering.Pack(slices.Collect(payload.Requests())...)
		if again.Count != count || !bytes.Equal(again.Data, data) {
			t.Errorf("%d requests %x packed again to %d requests %x", count, data, again.Count, again.Data)
		}
	})
}
