package stream

import (
	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
)

// render encodes an event for each path that carries it.
func (s *Stream) render(e *event.Numbered) (to [paths]*frame) {
	if s.o.Layout == log.V1 {
		s.renderV1(e, &to)
	} else {
		s.renderV2(e, &to)
	}
	return to
}

// renderV1 serves the streams of a 1.x sidecar. Events of a 2.x node are translated, since whoever reads these streams expects
// the older forms.
func (s *Stream) renderV1(e *event.Numbered, to *[paths]*frame) {
	shown := e
	if e.Origin.Filter == event.FilterEvents && e.Kind != event.APIVersion && e.Kind != event.Shutdown {
		legacy, ok := translate(e)
		if !ok {
			return
		}
		shown = legacy
	}
	put(to, s.frameOf(shown), whereV1(shown.Kind, shown.Origin.Filter)...)
}

// renderV2 serves everything on /events and, where older streams are emulated, its translation there.
func (s *Stream) renderV2(e *event.Numbered, to *[paths]*frame) {
	f := s.frameOf(e)
	if e.Kind == event.Shutdown && e.Origin.Filter == "" {
		put(to, f, pathSidecar) // the sidecar's own
		return
	}
	to[pathEvents] = f
	if e.Kind == event.Shutdown {
		to[pathSidecar] = f
	}
	if !s.o.Legacy {
		return
	}
	switch e.Kind {
	case event.APIVersion, event.Shutdown:
		put(to, f, pathMain, pathDeploys, pathSigs)
	case event.Step:
		// has no older form
	default:
		if legacy, ok := translate(e); ok {
			lf := f
			if string(legacy.Body) != string(e.Body) || legacy.Tag != e.Tag {
				lf = s.frameOf(legacy)
			}
			for _, p := range whereV1(legacy.Kind, "") {
				if p != pathEvents && p != pathSidecar {
					to[p] = lf
				}
			}
		}
	}
}

func put(to *[paths]*frame, f *frame, on ...path) {
	for _, p := range on {
		to[p] = f
	}
}

// frameOf encodes an event, on disk if it is large.
func (s *Stream) frameOf(e *event.Numbered) *frame {
	p := cut(e)
	if p.size() < s.o.SpillAt {
		return p.encode()
	}
	onDisk, err := spill(s.o.SpillDir, p)
	if err != nil {
		s.o.Log.Warn("a large event stays in memory", "err", err)
		return p.encode()
	}
	s.spilled.Add(1)
	return onDisk
}
