package engine

import "github.com/synod-network/synod/daml/value"

// stacks are what most runs need, kept between runs.
type stacks struct {
	values []value.Value
	frames []frame
}

const (
	firstSlots  = 512
	firstFrames = 64
	keepSlots   = 8192 // larger stacks are given back to the system
)

func (m *machine) takeStacks() {
	kept, ok := m.e.stacks.Get().(*stacks)
	if !ok {
		kept = &stacks{make([]value.Value, firstSlots), make([]frame, 0, firstFrames)}
	}
	m.stack, m.frames = kept.values, kept.frames
}

func (m *machine) giveStacks() {
	if len(m.stack) <= keepSlots && cap(m.frames) <= keepSlots {
		clear(m.stack)
		clear(m.frames[:cap(m.frames)])
		m.e.stacks.Put(&stacks{m.stack, m.frames[:0]})
	}
	m.stack, m.frames = nil, nil
}

// push puts an operand on the stack, which has room for it.
func (m *machine) push(v value.Value) {
	m.stack[m.sp] = v
	m.sp++
}

// reserve makes room for more operands.
func (m *machine) reserve(room int) error {
	if m.sp+room <= len(m.stack) {
		return nil
	}
	size := max(2*len(m.stack), m.sp+room, 1024)
	if err := m.checkMemory(int64(size) * slotSize); err != nil {
		if size = m.sp + room + 1024; m.checkMemory(int64(size)*slotSize) != nil {
			return err
		}
	}
	grown := make([]value.Value, size)
	copy(grown, m.stack[:m.sp])
	m.stack = grown
	return nil
}

func (m *machine) checkMemory(stack int64) error {
	if used := stack + int64(len(m.frames))*frameSize + m.measured + m.allocated; used > m.limits.Memory {
		return m.measure()
	}
	return nil
}

func (m *machine) pushFrame(f frame) error {
	if len(m.frames) == cap(m.frames) {
		stacks := int64(2*cap(m.frames))*frameSize + int64(len(m.stack))*slotSize
		if stacks > m.limits.Memory {
			return m.outOfMemory(stacks)
		}
	}
	m.frames = append(m.frames, f)
	return nil
}
