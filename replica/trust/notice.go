package trust

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Notice tells a banned peer, under the signature of who banned it, why and until when. Times are µs since the epoch on
// the clock of who issued it: what counts for the banned one is how long it lasts.
type Notice struct {
	By     Peer   `json:"by"`
	To     Peer   `json:"to"`
	Issued int64  `json:"issued"`
	Until  int64  `json:"until"`
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"`
}

// MaxNotice bounds an encoded notice, in bytes.
const MaxNotice = 2*32 + 2*8 + 2*2 + 2*maxText

var errNotice = errors.New("malformed notice of a ban")

func (n Notice) validate() error {
	if n.Issued < 0 || n.Until < n.Issued || n.Until-n.Issued > int64(maxBan) {
		return fmt.Errorf("%w: issued at %d, until %d", errNotice, n.Issued, n.Until)
	}
	if len(n.Reason) > maxText || len(n.Detail) > maxText || n.Reason == "" {
		return fmt.Errorf("%w: a reason of %d and a detail of %d bytes", errNotice, len(n.Reason), len(n.Detail))
	}
	if clip(n.Reason) != n.Reason || clip(n.Detail) != n.Detail {
		return fmt.Errorf("%w: a text that is not printable", errNotice)
	}
	return nil
}

// Encode returns what is signed: big-endian, each text after its length.
func (n Notice) Encode() []byte {
	b := append(append([]byte(nil), n.By[:]...), n.To[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(n.Issued))
	b = binary.BigEndian.AppendUint64(b, uint64(n.Until))
	for _, text := range []string{n.Reason, n.Detail} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(text)))
		b = append(b, text...)
	}
	return b
}

// DecodeNotice reads what Encode wrote, and nothing else.
func DecodeNotice(b []byte) (n Notice, err error) {
	if len(b) < 2*32+2*8 || len(b) > MaxNotice {
		return n, errNotice
	}
	n.By, n.To = Peer(b[:32]), Peer(b[32:64])
	n.Issued, n.Until = int64(binary.BigEndian.Uint64(b[64:])), int64(binary.BigEndian.Uint64(b[72:]))
	b = b[80:]
	for _, text := range []*string{&n.Reason, &n.Detail} {
		if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
			return n, errNotice
		}
		end := 2 + int(binary.BigEndian.Uint16(b))
		*text, b = string(b[2:end]), b[end:]
	}
	if len(b) > 0 {
		return n, errNotice
	}
	return n, n.validate()
}
