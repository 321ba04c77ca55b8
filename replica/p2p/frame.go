package p2p

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// On the wire everything starts with one big-endian uint32: two bits of kind, 30 bits of value.
//
//	kindData   value = length, then the frame
//	kindPing   value = 8, then 8 bytes that the other end sends back
//	kindPong   value = 8, then the bytes of the ping
//	kindSignal value = ready or chosen, nothing follows; only before the first frame. Or banned: see appendNotice
const (
	headerSize = 4
	kindShift  = 30
	maxLength  = 1<<kindShift - 1
	pingSize   = 8
)

type kind uint32

const (
	kindData kind = iota
	kindPing
	kindPong
	kindSignal
)

// The signals by which the two ends settle on a connection; the package comment tells how.
const (
	signalReady  = 1
	signalChosen = 2
	signalBanned = 3 // a notice follows, at any time, and then nothing
)

var (
	errFrameTooLarge = errors.New("frame is larger than the limit")
	errMalformed     = errors.New("malformed frame")
)

func appendHeader(b []byte, k kind, value int) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(k)<<kindShift|uint32(value))
}

func parseHeader(h [headerSize]byte) (kind, int) {
	v := binary.BigEndian.Uint32(h[:])
	return kind(v >> kindShift), int(v & maxLength)
}

// frameReader cuts the stream of a link into frames.
type frameReader struct {
	r        *bufio.Reader
	maxFrame int
}

// The buffer serves headers and small frames. bufio reads whatever is larger straight into its destination.
func newFrameReader(r io.Reader, maxFrame int) *frameReader {
	return &frameReader{r: bufio.NewReaderSize(r, 16<<10), maxFrame: maxFrame}
}

// next returns the next frame or ping. The body of a data frame is a fresh slice of exactly its size. io.EOF means that
// the stream ended between frames.
func (f *frameReader) next() (kind, []byte, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(f.r, header[:]); err != nil {
		return 0, nil, err
	}
	k, value := parseHeader(header)
	switch {
	case k == kindSignal && value == signalBanned:
		return 0, nil, readNotice(f.r)
	case k == kindData && value > f.maxFrame:
		return 0, nil, fmt.Errorf("%w: %d bytes, at most %d are accepted", errFrameTooLarge, value, f.maxFrame)
	case k == kindSignal, k != kindData && value != pingSize:
		return 0, nil, fmt.Errorf("%w: kind %d with value %d", errMalformed, k, value)
	}
	body := make([]byte, value)
	if _, err := io.ReadFull(f.r, body); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, fmt.Errorf("frame of %d bytes: %w", value, err)
	}
	return k, body, nil
}

// sendSignal and awaitSignal are for the time before the frame reader starts, and read not a byte too many.
func sendSignal(w io.Writer, signal int) error {
	_, err := w.Write(appendHeader(nil, kindSignal, signal))
	return err
}

func awaitSignal(r io.Reader, signal int) error {
	var header [headerSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return err
	}
	k, value := parseHeader(header)
	if k == kindSignal && value == signalBanned {
		return readNotice(r)
	}
	if k != kindSignal || value != signal {
		return fmt.Errorf("%w: kind %d with value %d instead of signal %d", errMalformed, k, value, signal)
	}
	return nil
}
