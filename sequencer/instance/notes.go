package instance

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/members"
)

// Sequencers tell each other in notes over their peer links what need not be ordered.

// noteRevocation is the first byte of a note that holds a revocation of tokens, as JSON.
const noteRevocation = 'r'

// tellRevocation hands a revocation made here to the other sequencers.
func (i *Instance) tellRevocation(r members.Revocation) {
	if encoded, err := json.Marshal(r); err == nil {
		i.replica.Tell(append([]byte{noteRevocation}, encoded...))
	}
}

// heard takes a note of another sequencer.
func (i *Instance) heard(_ keys.PublicKey, note []byte) error {
	if len(note) == 0 || note[0] != noteRevocation {
		return errors.New("a note of an unknown kind")
	}
	var r members.Revocation
	if err := json.Unmarshal(note[1:], &r); err != nil {
		return fmt.Errorf("a note with a malformed revocation: %w", err)
	}
	return i.members.Revoked(r)
}
