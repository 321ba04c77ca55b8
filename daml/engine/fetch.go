package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/shape"
	"github.com/synod-network/synod/daml/tx"
	"github.com/synod-network/synod/daml/value"
)

// taker goes on once a contract was read and checked.
type taker interface {
	take(m *machine, id value.ContractID, i *info) (value.Value, error)
}

// takeArg gives the argument of the contract.
type takeArg struct{}

func (takeArg) take(_ *machine, _ value.ContractID, i *info) (value.Value, error) { return i.arg, nil }

// takeAny gives the contract as an interface value.
type takeAny struct{}

func (takeAny) take(_ *machine, _ value.ContractID, i *info) (value.Value, error) {
	return &value.Any{Type: i.template.rep, V: i.arg}, nil
}

// insertFetch adds a fetch to the transaction.
type insertFetch struct {
	template *template
	iface    *value.Identifier
	byKey    bool
}

func (f *insertFetch) take(m *machine, id value.ContractID, i *info) (value.Value, error) {
	n := &tx.Fetch{Contract: i.contract(id), Interface: f.iface, ByKey: f.byKey}
	if err := m.builder.Fetch(n); err != nil {
		return nil, failure(err)
	}
	if err := m.checkNodes(); err != nil {
		return nil, err
	}
	if f.iface != nil {
		return &value.Any{Type: i.template.rep, V: i.arg}, nil
	}
	return i.arg, nil
}

// source is a contract as it was created.
type source struct {
	id       value.ContractID
	template value.Identifier
	pkgName  string
	arg      value.Value
	local    *info     // if the transaction created it
	stored   *Contract // if it comes from the ledger or was disclosed
}

// source finds a contract, and checks that it was not archived.
func (m *machine) source(id value.ContractID) (*source, error) {
	if i := m.local[id]; i != nil {
		s := &source{id: id, template: i.template.id, pkgName: i.template.packageName, arg: i.arg, local: i}
		return s, failureOrNil(m.builder.CheckActive(id, s.template))
	}
	c := m.contracts[id]
	if c == nil {
		if m.notFound[id] {
			return nil, failure(&tx.NotFoundError{ID: id})
		}
		return nil, &need{&NeedContract{id}}
	}
	if scheme := id.Suffix(); strings.HasPrefix(scheme, "\xca\x10") || strings.HasPrefix(scheme, "\xca\x11") {
		return nil, &Failure{Code: "INTERPRETATION_UPGRADE_ERROR_AUTHENTICATION_FAILED", Message: fmt.Sprintf(
			"failed to authenticate contract %s of %s: the scheme %x of its id binds a hash older than the typed normal form, "+
				"which is not supported; create the contract anew", id, c.Template, scheme[:2])}
	}
	s := &source{id: id, template: c.Template, pkgName: c.PackageName, arg: c.Arg, stored: c}
	return s, failureOrNil(m.builder.CheckActive(id, s.template))
}

// fetch reads a contract as one of a template, which may be of another version than the one it was created with. By is the
// interface that it is read through, nil if none.
func (m *machine) fetch(id value.ContractID, t *template, by *lf.Ref, next taker) (value.Value, error) {
	s, err := m.source(id)
	if err != nil {
		return nil, err
	}
	if s.local != nil && s.local.template == t {
		return next.take(m, id, s.local)
	}
	if by == nil && s.template.Qualified() != t.id.Qualified() {
		return nil, &Failure{Code: "WRONGLY_TYPED_CONTRACT", Message: fmt.Sprintf(
			"Expected contract of type %s but got %s: contract %s", t.id, s.template, id)}
	}
	if i := m.infos[infoKey{id, t.id.Package}]; i != nil {
		return next.take(m, id, i)
	}
	arg, err := m.importArg(s, t)
	if err != nil {
		return nil, err
	}
	f, err := m.functionOf(t.info)
	if err != nil {
		return nil, err
	}
	return nil, m.call(&validation{s, next}, true, f, arg)
}

// importArg gives the argument of a contract the type of a template.
func (m *machine) importArg(s *source, t *template) (value.Value, error) {
	if s.local == nil && s.stored.Checked == t.data {
		return s.arg, nil
	}
	arg, err := Import(t.shape, s.arg, FromLedger)
	if _, missing := asMissing(err); missing {
		return nil, asNeed(err)
	}
	if err != nil {
		return nil, &Failure{Code: "INTERPRETATION_UPGRADE_ERROR_TRANSLATION_FAILED", Message: fmt.Sprintf(
			"Failed to translate create argument of contract %s from %s to %s: %v", s.id, s.template, t.id, err)}
	}
	return arg, nil
}

// validation waits for what a template says about a contract, and compares it with what the contract was created with.
type validation struct {
	source *source
	next   taker
}

func (v *validation) resume(m *machine, result value.Value) (value.Value, error) {
	i, s := result.(*info), v.source
	if err := m.builder.CheckActive(s.id, i.template.id); err != nil {
		return nil, failure(err)
	}
	if err := s.check(i); err != nil {
		return nil, err
	}
	m.infos[infoKey{s.id, i.template.id.Package}] = i
	if s.stored != nil && !slices.Contains(m.inputs, s.id) {
		m.inputs = append(m.inputs, s.id)
	}
	return v.next.take(m, s.id, i)
}

// check compares a contract with what a template computes about it. All versions of a template have to agree.
func (s *source) check(i *info) error {
	var before tx.Contract
	if s.local != nil {
		before = s.local.contract(s.id)
	} else {
		before = s.stored.Contract
	}
	after := i.contract(s.id)
	var differences []string
	differ := func(what string, same bool) {
		if !same {
			differences = append(differences, what+" mismatch")
		}
	}
	differ("signatories", slices.Equal(before.Signatories, after.Signatories))
	differ("nonSignatoryStakeholders", slices.Equal(tx.Minus(before.Stakeholders, before.Signatories), tx.Minus(after.Stakeholders, after.Signatories)))
	differ("key", (before.Key == nil) == (after.Key == nil))
	if before.Key != nil && after.Key != nil {
		differ("key maintainers", slices.Equal(before.Key.Maintainers, after.Key.Maintainers))
		differ("key value", before.Key.Hash == after.Key.Hash)
	}
	differ("package name", before.PackageName == after.PackageName)
	if differences != nil {
		return &Failure{Code: "INTERPRETATION_UPGRADE_ERROR_VALIDATION_FAILED", Message: fmt.Sprintf(
			"Validation fails when trying to upgrade the contract %s from %s to %s: %v", s.id, before.Template, after.Template, differences)}
	}
	hash := i.hash
	if s.stored == nil && hash != s.local.hash || s.stored != nil && !s.stored.Authenticate(hash) {
		return &Failure{Code: "INTERPRETATION_UPGRADE_ERROR_AUTHENTICATION_FAILED", Message: fmt.Sprintf(
			"failed to authenticate contract %s of %s as %s", s.id, before.Template, after.Template)}
	}
	return nil
}

// fetchAny reads a contract through an interface, as one of the preferred version of its template.
func (m *machine) fetchAny(id value.ContractID, ref *lf.Ref, insert bool) (value.Value, error) {
	s, err := m.source(id)
	if err != nil {
		return nil, err
	}
	pkg, ok := m.resolution[s.pkgName]
	if !ok {
		return nil, &Failure{Code: "UNRESOLVED_PACKAGE_NAME", Message: fmt.Sprintf("no version of package %s is preferred", s.pkgName)}
	}
	t, err := m.e.template(lf.Ref{Package: lf.PackageID(pkg), Module: lf.DottedName(s.template.Module), Name: lf.DottedName(s.template.Entity)})
	if err != nil {
		return nil, asNeed(err)
	}
	if t.instances[*ref] == nil {
		return nil, &Failure{Code: "CONTRACT_DOES_NOT_IMPLEMENT_INTERFACE", Message: fmt.Sprintf(
			"Contract %s of template %s does not implement interface %s", id, t.id, ref)}
	}
	var next taker = takeAny{}
	if insert {
		iface := shape.Identifier(*ref)
		next = &insertFetch{template: t, iface: &iface}
	}
	return m.fetch(id, t, ref, next)
}

// infoOf returns what is known about a contract that was read.
func (m *machine) infoOf(id value.ContractID, pkg string) *info {
	if i := m.infos[infoKey{id, pkg}]; i != nil {
		return i
	}
	return m.local[id]
}
