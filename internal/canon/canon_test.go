package canon_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/synod-network/synod/internal/canon"
)

func TestRoundTrip(t *testing.T) {
	w := canon.Writer{}
	w.U8(1)
	w.U16(0x0203)
	w.U32(0x04050607)
	w.U64(0x08090a0b0c0d0e0f)
	w.Bool(true)
	w.Bool(false)
	w.Bytes([]byte{7})
	w.Raw("x")
	if want := []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 1, 0, 7, 'x'}; !slices.Equal(w.Buf, want) {
		t.Fatalf("written: % x", w.Buf)
	}
	r := canon.Reader{Buf: w.Buf}
	if r.U8() != 1 || r.U16() != 0x0203 || r.U32() != 0x04050607 || r.U64() != 0x08090a0b0c0d0e0f || !r.Bool() || r.Bool() || string(r.Take(2)) != "\x07x" {
		t.Error("something else is read")
	}
	if err := r.Done(); err != nil {
		t.Error(err)
	}
	for n := range w.Buf { // cut short anywhere
		r := canon.Reader{Buf: w.Buf[:n]}
		r.U8()
		r.U16()
		r.U32()
		r.U64()
		r.Bool()
		r.Bool()
		r.Take(2)
		if err := r.Done(); !errors.Is(err, canon.ErrTruncated) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestWhatIsWrongIsRemembered(t *testing.T) {
	for _, c := range []struct {
		name string
		data []byte
		read func(*canon.Reader)
		want error
	}{
		{"left over", []byte{1, 2}, func(r *canon.Reader) { r.U8() }, canon.ErrTrailing},
		{"no truth value", []byte{2}, func(r *canon.Reader) { r.Bool() }, canon.ErrNotBool},
		{"too many for the limit", make([]byte, 10), func(r *canon.Reader) { r.Count(4, 0, 3, 1) }, canon.ErrTooMany},
		{"too few", make([]byte, 10), func(r *canon.Reader) { r.Count(0, 1, 3, 1) }, canon.ErrTooMany},
		{"more than there is room for", make([]byte, 10), func(r *canon.Reader) { r.Count(4, 0, 10, 3) }, canon.ErrTooMany},
		{"a length that overflows", make([]byte, 10), func(r *canon.Reader) { r.Count(1<<62, 0, 1<<62, 16) }, canon.ErrTooMany},
		{"a negative length", make([]byte, 10), func(r *canon.Reader) { r.Take(-1) }, canon.ErrTruncated},
		{"the first counts", []byte{2}, func(r *canon.Reader) { r.U16(); r.Bool() }, canon.ErrTruncated},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := canon.Reader{Buf: c.data}
			c.read(&r)
			if err := r.Done(); !errors.Is(err, c.want) {
				t.Errorf("%v", err)
			}
			if r.U64() != 0 || r.Take(0) != nil || r.Count(0, 0, 1, 1) != 0 {
				t.Error("it reads on")
			}
		})
	}
	r := canon.Reader{Buf: make([]byte, 12)}
	if r.Count(4, 0, 4, 3) != 4 || r.Err != nil {
		t.Error("a list that fits is refused")
	}
}
