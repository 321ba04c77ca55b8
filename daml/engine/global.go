package engine

import "github.com/synod-network/synod/daml/value"

// force evaluates a top-level value, and puts it into returning, or pushes the frame that computes it.
func (m *machine) force(g *global) error {
	p, err := m.e.compiled(&g.code)
	if err != nil {
		return m.missing(err)
	}
	if g.function {
		var v value.Value = &function{code: p}
		g.value.Store(&v)
		m.returning = v
		return nil
	}
	// What a top-level value costs is charged to nobody, since it is computed once for all runs; but it has to be within limits.
	if err := m.pushFrame(frame{kont: &store{g, m.steps + m.tick}, base: int32(m.sp)}); err != nil {
		return err
	}
	m.steps, m.tick = m.limits.Steps, 0
	return m.enter(&function{code: p}, 0)
}

// store keeps a top-level value.
type store struct {
	g     *global
	steps int64 // that the program had left
}

func (s *store) resume(m *machine, v value.Value) (value.Value, error) {
	s.g.value.Store(&v)
	m.steps, m.tick = s.steps, 0
	return v, nil
}

// failed charges a top-level value that could not be computed to the program, which will compute it again the next time.
func (s *store) failed(m *machine) { m.steps, m.tick = s.steps-(m.limits.Steps-m.steps-m.tick), 0 }

// functionOf returns the function that a global is.
func (m *machine) functionOf(g *global) (*function, error) {
	if v := g.value.Load(); v != nil {
		return (*v).(*function), nil
	}
	p, err := m.e.compiled(&g.code)
	if err != nil {
		return nil, m.missing(err)
	}
	var v value.Value = &function{code: p}
	g.value.Store(&v)
	return v.(*function), nil
}

// missing turns the lack of a package into a question.
func (m *machine) missing(err error) error { return asNeed(err) }
