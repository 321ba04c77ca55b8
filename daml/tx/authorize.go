package tx

import (
	"fmt"
	"strings"

	"github.com/synod-network/synod/daml/value"
)

// AuthorizationKind says which rule of authorization was broken.
type AuthorizationKind uint8

// The rules of authorization.
const (
	CreateMissing   AuthorizationKind = iota // signatories must authorize a create
	NoSignatories                            // a contract has at least one signatory
	MaintainersOnly                          // maintainers of a key are signatories
	FetchMissing                             // a stakeholder must authorize a fetch
	ExerciseMissing                          // controllers must authorize an exercise
	NoControllers                            // a choice has at least one controller
	QueryMissing                             // maintainers must authorize a query
)

// AuthorizationError says which parties had to authorize an action, and which did.
type AuthorizationError struct {
	Node            NodeID
	Kind            AuthorizationKind
	Template        value.Identifier
	Choice          string
	Required, Given []value.Party
}

func (e *AuthorizationError) Error() string {
	where := fmt.Sprintf("node NodeId(%d) (%s)", e.Node, e.Template)
	switch e.Kind {
	case NoSignatories:
		return where + " has no signatories."
	case NoControllers:
		return where + " has no controllers."
	case MaintainersOnly:
		return fmt.Sprintf("%s has maintainers %s which are not a subset of the signatories %s", where, list(e.Required), list(e.Given))
	case FetchMissing:
		return fmt.Sprintf("%s requires one of the stakeholders %s of the fetched contract to be an authorizer, but authorizers were %s",
			where, list(e.Required), list(e.Given))
	}
	return fmt.Sprintf("%s requires authorizers %s, but only %s were given", where, list(e.Required), list(e.Given))
}

func list(parties []value.Party) string {
	var b strings.Builder
	for i, p := range parties {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(string(p))
	}
	return b.String()
}

func authorizeCreate(n *Create, given []value.Party, id NodeID) error {
	e := &AuthorizationError{Node: id, Template: n.Template, Required: n.Signatories, Given: given}
	switch {
	case !Subset(n.Signatories, given):
		e.Kind = CreateMissing
	case len(n.Signatories) == 0:
		e.Kind = NoSignatories
	case n.Key != nil && !Subset(n.Key.Maintainers, n.Signatories):
		e.Kind, e.Required, e.Given = MaintainersOnly, n.Key.Maintainers, n.Signatories
	default:
		return nil
	}
	return e
}

func authorizeExercise(n *Exercise, given []value.Party, id NodeID) error {
	e := &AuthorizationError{Node: id, Template: n.Template, Choice: n.Choice, Required: n.Actors, Given: given}
	switch {
	case len(n.Actors) == 0:
		e.Kind = NoControllers
	case !Subset(n.Actors, given):
		e.Kind = ExerciseMissing
	default:
		return nil
	}
	return e
}

// NotActiveError says that a contract was archived earlier in the transaction.
type NotActiveError struct {
	ID         value.ContractID
	Template   value.Identifier
	ConsumedBy NodeID
}

func (e *NotActiveError) Error() string {
	return fmt.Sprintf("contract %s of template %s was archived by node NodeId(%d) of the same transaction", e.ID, e.Template, e.ConsumedBy)
}

// NotFoundError says that there is no such contract, or none that may be used.
type NotFoundError struct{ ID value.ContractID }

func (e *NotFoundError) Error() string { return fmt.Sprintf("contract %s could not be found", e.ID) }

// EmptyMaintainersError says that nobody vouches for a key.
type EmptyMaintainersError struct {
	Template value.Identifier
	Create   bool // rather than a query
}

func (e *EmptyMaintainersError) Error() string {
	return fmt.Sprintf("the key of template %s has no maintainers", e.Template)
}

// InconsistentKeyError says that the ledger's answers about a key contradict each other.
type InconsistentKeyError struct{ Key *Key }

func (e *InconsistentKeyError) Error() string {
	return fmt.Sprintf("the ledger's answers about the key %s of template %s contradict each other", e.Key.Hash, e.Key.Template)
}

// EffectfulRollbackError says that a try block which created or archived contracts was to be rolled back.
type EffectfulRollbackError struct{ Nodes []Node }

func (e *EffectfulRollbackError) Error() string {
	var b strings.Builder
	b.WriteString("an exception cannot roll back creates and archivals; it would have to undo")
	for i, n := range e.Nodes {
		if i > 0 {
			b.WriteByte(',')
		}
		switch n := n.(type) {
		case *Create:
			fmt.Fprintf(&b, " the create of %s (%s)", n.ID, n.Template)
		case *Exercise:
			fmt.Fprintf(&b, " the exercise of %s on %s (%s)", n.Choice, n.ID, n.Template)
		}
	}
	return b.String()
}

func (b *Builder) effectfulRollback(undone []effect) error {
	e := &EffectfulRollbackError{}
	for _, u := range undone {
		e.Nodes = append(e.Nodes, b.nodes[u.node])
	}
	return e
}
