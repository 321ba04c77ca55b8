package engine

import (
	"fmt"

	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/value"
)

// thrown is an exception of the program on its way to a handler.
type thrown struct{ exception *value.Any }

func (t *thrown) Error() string { return "exception " + t.exception.Type.Name }

// unwind looks for a handler for an exception, closing what it passes.
func (m *machine) unwind(exception *value.Any) error {
	m.returning = nil
	for len(m.frames) > 0 {
		f := m.frames[len(m.frames)-1]
		if f.prevent {
			break
		}
		m.frames = m.frames[:len(m.frames)-1]
		m.sp = int(f.base)
		if f.exercise {
			m.builder.EndExercise(nil)
		}
		switch k := f.kont.(type) {
		case *try:
			if err := m.builder.RollbackTry(); err != nil {
				return failure(err)
			}
			if k.handler == nil { // everything is caught
				m.returning = value.Unit{}
				return nil
			}
			return m.call(&handle{exception}, false, k.handler, exception)
		case *store:
			k.failed(m)
		case *converting:
			return &Failure{Code: damlFailure, Category: stateOther, StatusID: unhandled(k.exception),
				Message: fmt.Sprintf("<Failed to calculate message as %s was thrown during conversion>", exception.Type.Con.Qualified())}
		}
	}
	return m.unhandled(exception)
}

// try waits for an update that may throw.
type try struct{ handler *function }

func (*try) resume(m *machine, v value.Value) (value.Value, error) {
	m.builder.EndTry()
	return v, nil
}

// handle waits for what a handler makes of an exception: an update, or nothing.
type handle struct{ exception *value.Any }

func (h *handle) resume(m *machine, v value.Value) (value.Value, error) {
	o := v.(*value.Optional)
	if o.V == nil {
		return nil, &thrown{h.exception}
	}
	m.push(token)
	return nil, m.enter(o.V.(*function), 1)
}

func unhandled(exception value.Identifier) string {
	return "UNHANDLED_EXCEPTION/" + exception.Qualified()
}

// unhandled turns an exception that nothing caught into a failure of the transaction, whose message the exception computes.
func (m *machine) unhandled(exception *value.Any) error {
	m.frames, m.sp = m.frames[:0], 0
	id := *exception.Type.Con
	if id == arithmeticError {
		text := exception.V.(*value.Record).Fields[0].(value.Text)
		return &Failure{Code: damlFailure, Category: stateOther, StatusID: unhandled(id), Message: string(text)}
	}
	message, err := m.e.exceptionMessage(id)
	if err != nil {
		return err
	}
	f, err := m.functionOf(message)
	if err != nil {
		return err
	}
	return m.call(&converting{id}, false, f, exception.V)
}

// converting waits for the message of an exception that nothing caught.
type converting struct{ exception value.Identifier }

func (c *converting) resume(_ *machine, v value.Value) (value.Value, error) {
	return nil, &Failure{Code: damlFailure, Category: stateOther, StatusID: unhandled(c.exception), Message: string(v.(value.Text))}
}

func (m *machine) throwArithmetic(operation string, operands ...value.Value) error {
	text := "ArithmeticError while evaluating (" + operation
	for _, v := range operands {
		text += " " + literalText(v)
	}
	text += ")."
	return &thrown{&value.Any{Type: m.e.arithmeticRep, V: &value.Record{Type: m.e.arithmeticData, Fields: []value.Value{value.Text(text)}}}}
}

var arithmeticRef = lf.Ref{
	Package: "ee33fb70918e7aaa3d3fc44d64a399fb2bf5bcefc54201b1690ecd448551ba88", Module: "DA.Exception.ArithmeticError", Name: "ArithmeticError",
}

var arithmeticError = value.Identifier{
	Package: string(arithmeticRef.Package), Module: string(arithmeticRef.Module), Entity: string(arithmeticRef.Name),
}
