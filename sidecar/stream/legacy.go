package stream

import "github.com/synod-network/synod/sidecar/event"

func translate(e *event.Numbered) (*event.Numbered, bool) { return e, true }
