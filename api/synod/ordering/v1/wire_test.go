package orderingv1_test

import (
	"encoding/hex"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	orderingv1 "github.com/synod-network/synod/api/synod/ordering/v1"
)

// Bytes that clients in the field send and expect. A change here breaks them:
// add fields, never change these lines.
var goldenMessages = []struct {
	name    string
	message proto.Message
	wire    string
}{
	{"submit", &orderingv1.SubmitRequest{Requests: [][]byte{[]byte("a"), {}, []byte("bc")}},
		"0a0161" + "0a00" + "0a026263"},
	{"submitted", &orderingv1.SubmitResponse{}, ""},
	{"batch", &orderingv1.SubmitStreamRequest{Sequence: 300, RequestCount: 2, Data: []byte("\x00\x00\x00\x01a\x00\x00\x00\x00")},
		"08ac02" + "1002" + "1a09000000016100000000"},
	{"accepted", &orderingv1.SubmitStreamResponse{Sequence: 7}, "0807"},
	{"rejected", &orderingv1.SubmitStreamResponse{Sequence: 8, Rejection: &orderingv1.Rejection{
		Reason: orderingv1.Rejection_REASON_OVERLOADED, Message: "full", RetryAfter: durationpb.New(1500 * time.Millisecond)}},
		"0808" + "1212" + ("0801" + "120466756c6c" + "1a08" + ("0801" + "1080cab5ee01"))},
	{"subscribe", &orderingv1.SubscribeRequest{FromHeight: 9}, "0809"},
	{"first part", &orderingv1.SubscribeResponse{Header: &orderingv1.BlockHeader{
		Height: 9, Digest: []byte{0xd1}, PreviousDigest: []byte{0xd0}, Epoch: 2, TimeMicros: 1_000_000, RequestCount: 3, DataSize: 15},
		Data: [][]byte{[]byte("x"), []byte("y")}},
		"0a12" + ("0809" + "1201d1" + "1a01d0" + "2002" + "28c0843d" + "3003" + "380f") + "120178" + "120179"},
	{"last part", &orderingv1.SubscribeResponse{Data: [][]byte{[]byte("z")}, LastPart: true}, "12017a" + "1801"},
	{"status wanted", &orderingv1.GetStatusRequest{}, ""},
	{"status", &orderingv1.GetStatusResponse{HeadHeight: 5, LowestHeight: 2, Epoch: 1, TimeMicros: 3, Ready: true, NotReadyReason: "r"},
		"0805" + "1002" + "1801" + "2003" + "2801" + "320172"},
}

func TestWireBytesAreThoseThatClientsKnow(t *testing.T) {
	for _, golden := range goldenMessages {
		t.Run(golden.name, func(t *testing.T) {
			wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(golden.message)
			if err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(wire); got != golden.wire {
				t.Errorf("encodes to %s, clients know %s", got, golden.wire)
			}
			known, err := hex.DecodeString(golden.wire)
			if err != nil {
				t.Fatal(err)
			}
			decoded := golden.message.ProtoReflect().New().Interface()
			if err := proto.Unmarshal(known, decoded); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(decoded, golden.message) {
				t.Errorf("known bytes decode to %v, want %v", decoded, golden.message)
			}
		})
	}
}

func TestNamesThatClientsCallStayTheSame(t *testing.T) {
	for got, want := range map[string]string{
		orderingv1.OrderingService_Submit_FullMethodName:       "/synod.ordering.v1.OrderingService/Submit",
		orderingv1.OrderingService_SubmitStream_FullMethodName: "/synod.ordering.v1.OrderingService/SubmitStream",
		orderingv1.OrderingService_Subscribe_FullMethodName:    "/synod.ordering.v1.OrderingService/Subscribe",
		orderingv1.OrderingService_GetStatus_FullMethodName:    "/synod.ordering.v1.OrderingService/GetStatus",
	} {
		if got != want {
			t.Errorf("method is called %s, clients call %s", got, want)
		}
	}
}
