package p2p

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// Whatever arrives, the reader returns frames within the limit and then one error, and what it returned is exactly what
// was sent.
func FuzzFrameReader(f *testing.F) {
	stream := appendHeader(nil, kindData, 5)
	stream = append(stream, "hello"...)
	stream = appendHeader(stream, kindPing, pingSize)
	stream = append(stream, "12345678"...)
	stream = appendHeader(stream, kindData, 0)
	f.Add(stream, 5)
	f.Add(stream, 4)
	f.Add(stream[:7], 100)
	f.Add(appendHeader(nil, kindData, maxLength), 1<<20)
	f.Add(appendHeader(nil, kindPong, 9), 10)
	f.Add(appendHeader(nil, kindSignal, signalReady), 10)
	f.Fuzz(func(t *testing.T, stream []byte, maxFrame int) {
		maxFrame = min(max(maxFrame, 0), 1<<20)
		reader := newFrameReader(bytes.NewReader(stream), maxFrame)
		var again []byte
		for {
			what, body, err := reader.next()
			if err != nil {
				if errors.Is(err, io.EOF) && !bytes.Equal(again, stream) {
					t.Fatalf("clean end after %x of %x", again, stream)
				}
				break
			}
			if what == kindData && len(body) > maxFrame || what != kindData && len(body) != pingSize || cap(body) > max(2*len(body), 16) {
				t.Fatalf("kind %d with %d bytes, capacity %d, limit %d", what, len(body), cap(body), maxFrame)
			}
			again = append(appendHeader(again, what, len(body)), body...)
		}
		if !bytes.HasPrefix(stream, again) {
			t.Fatalf("read %x from %x", again, stream)
		}
	})
}

// Half a header is a broken stream, not a clean end.
func TestTruncatedStream(t *testing.T) {
	whole := append(appendHeader(nil, kindData, 3), "abc"...)
	for n := 1; n < len(whole); n++ {
		_, _, err := newFrameReader(bytes.NewReader(whole[:n]), 10).next()
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
	reader := newFrameReader(bytes.NewReader(whole), 10)
	if _, body, err := reader.next(); err != nil || string(body) != "abc" {
		t.Errorf("whole frame: %q, %v", body, err)
	}
	if _, _, err := reader.next(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

// Frames are charged for the room they take in the queue as well, so a flood of empty ones is bounded.
func TestQueueBound(t *testing.T) {
	for _, size := range []int{0, 1, 100, 1000} {
		const limit = 10_000
		q := newSendQueue(limit)
		f := frame{parts: [][]byte{make([]byte, size)}, size: size}
		accepted := 0
		for q.put(f) {
			accepted++
		}
		if want := limit / f.cost(); accepted != want || q.queued() > limit {
			t.Errorf("frames of %d: %d accepted, %d bytes queued; want %d", size, accepted, q.queued(), want)
		}
		taken := q.take(nil)
		if len(taken) != accepted || q.put(f) {
			t.Errorf("frames of %d: taken frames left the account before they were written", size)
		}
		for _, f := range taken {
			q.written(f)
		}
		if q.queued() != 0 || !q.put(frame{size: 2 * limit}) || q.put(frame{}) {
			t.Errorf("frames of %d: an empty queue takes one frame of any size and then no more", size)
		}
	}
}
