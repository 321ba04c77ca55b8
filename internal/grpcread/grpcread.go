// Package grpcread reads the messages of gRPC calls on a server and asks, once the length of a message is known and before the rest of it
// is let in, whether there is room for it.
//
// gRPC bounds a message by one number for all methods, and takes it whole before any code of ours runs: whoever sends all but the last byte
// of many large ones fills the memory with them. A client sends no more than the window of its stream until somebody reads, and gRPC
// opens the window for the whole message as soon as its five-byte header is read. So what is asked here is asked in time.
//
// The transport's stream, which a call's context holds, has the two methods for it in every version of gRPC since 1.70, but
// its API does not promise them: a test fails if an update takes them away, and messages are then read as gRPC does.
package grpcread

import (
	"context"
	"encoding/binary"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec that is looked for
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// stream is the transport's stream.
type stream interface {
	ReadMessageHeader(header []byte) error
	Read(n int) (mem.BufferSlice, error)
}

// header is a flag for compression and a length.
const header = 5

// Reader reads the messages of one call. Only one goroutine may.
type Reader struct {
	stream stream
	codec  encoding.CodecV2
	single bool
}

// Of returns a reader of the call with this context, as its handler has it; single says that its client sends one message. It is nil if this
// version of gRPC cannot be read so.
func Of(ctx context.Context, single bool) *Reader {
	s, ok := grpc.ServerTransportStreamFromContext(ctx).(stream)
	codec := encoding.GetCodecV2("proto")
	if !ok || codec == nil {
		return nil
	}
	return &Reader{stream: s, codec: codec, single: single}
}

// Read reads the next message into m. Admit is asked with its length in bytes before more of it is let in than was sent unasked;
// what it returns ends the reading. The end of the messages is [io.EOF].
func (r *Reader) Read(m any, admit func(length int) error) error {
	data, err := r.next(admit)
	if err != nil {
		if errors.Is(err, io.EOF) && r.single {
			return status.Error(codes.Internal, "the call ended before its message")
		}
		return err
	}
	defer data.Free()
	if err := r.codec.Unmarshal(data, m); err != nil {
		return status.Errorf(codes.Internal, "the message cannot be read: %v", err)
	}
	if !r.single {
		return nil
	}
	if _, err := r.next(func(int) error { return errSecond }); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

var errSecond = status.Error(codes.Internal, "the call has one message, and a second one came")

func (r *Reader) next(admit func(length int) error) (mem.BufferSlice, error) {
	var head [header]byte
	if err := r.stream.ReadMessageHeader(head[:]); err != nil {
		return nil, translated(err)
	}
	if head[0] != 0 {
		return nil, status.Error(codes.Unimplemented, "compressed messages are not read here")
	}
	length := binary.BigEndian.Uint32(head[1:])
	if err := admit(int(length)); err != nil {
		return nil, err
	}
	data, err := r.stream.Read(int(length))
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return data, translated(err)
}

// translated is an error of the transport as gRPC tells it.
func translated(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return status.Error(codes.Internal, "the call ended in the middle of a message")
	}
	if _, ok := status.FromError(err); ok || err == nil || err == io.EOF {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return status.FromContextError(err).Err()
	}
	return status.Error(codes.Unavailable, err.Error())
}
