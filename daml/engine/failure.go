package engine

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/synod-network/synod/daml/shape"
	"github.com/synod-network/synod/daml/tx"
	"github.com/synod-network/synod/daml/value"
)

// Failure says why a transaction cannot be. It has the form that applications of the ledger parse: a code, the category of the code,
// and a cause in words.
type Failure struct {
	Code     string
	Category int // 0: that of the code
	Message  string
	StatusID string // of a failure that the program chose itself
	Metadata map[string]string
	Cause    error
}

// damlFailure is the code of failures that programs choose themselves; they give the category.
const damlFailure = "DAML_FAILURE"

// The categories of the ledger's errors that interpretation uses.
const (
	contention    = 2
	internal      = 4
	invalidAlways = 8
	stateOther    = 9
	stateMissing  = 11
)

// Categories has the category of each code, but of those whose category the program chooses.
var Categories = map[string]int{
	"COMMAND_PREPROCESSING_FAILED":                        invalidAlways,
	"CONTRACT_DOES_NOT_IMPLEMENT_INTERFACE":               invalidAlways,
	"CONTRACT_DOES_NOT_IMPLEMENT_REQUIRING_INTERFACE":     invalidAlways,
	"CONTRACT_ID_COMPARABILITY":                           invalidAlways,
	"CONTRACT_ID_IN_CONTRACT_KEY":                         invalidAlways,
	"CONTRACT_KEY_NOT_FOUND":                              stateMissing,
	"CONTRACT_NOT_ACTIVE":                                 stateMissing,
	"CONTRACT_NOT_FOUND":                                  stateMissing,
	"CREATE_EMPTY_CONTRACT_KEY_MAINTAINERS":               invalidAlways,
	"DAML_AUTHORIZATION_ERROR":                            invalidAlways,
	"DAML_EFFECTFUL_ROLLBACK_ERROR":                       invalidAlways,
	"DAML_INTERPRETATION_ERROR":                           stateOther,
	"FETCH_EMPTY_CONTRACT_KEY_MAINTAINERS":                invalidAlways,
	"INCONSISTENT_CONTRACT_KEY":                           stateOther,
	"INTERPRETATION_BUDGET_EXCEEDED":                      stateOther,
	"INTERPRETATION_CRYPTO_ERROR_MALFORMED_BYTE_ENCODING": stateOther,
	"INTERPRETATION_CRYPTO_ERROR_MALFORMED_KEY":           stateOther,
	"INTERPRETATION_CRYPTO_ERROR_MALFORMED_SIGNATURE":     stateOther,
	"INTERPRETATION_UPGRADE_ERROR_AUTHENTICATION_FAILED":  invalidAlways,
	"INTERPRETATION_UPGRADE_ERROR_TRANSLATION_FAILED":     invalidAlways,
	"INTERPRETATION_UPGRADE_ERROR_VALIDATION_FAILED":      invalidAlways,
	"INTERPRETATION_USER_ERROR":                           stateOther,
	"LEDGER_API_INTERNAL_ERROR":                           internal,
	"MALFORMED_TEXT":                                      invalidAlways,
	"NON_COMPARABLE_VALUES":                               invalidAlways,
	"PACKAGE_NOT_FOUND":                                   stateMissing,
	"TEMPLATE_PRECONDITION_VIOLATED":                      invalidAlways,
	"UNRESOLVED_PACKAGE_NAME":                             stateMissing,
	"VALUE_NESTING":                                       invalidAlways,
	"WRONGLY_TYPED_CONTRACT":                              stateOther,
}

// ErrSteps, ErrMemory and ErrNodes are causes of failures that say which limit a program went over.
var (
	ErrSteps  = errors.New("the program takes more steps than a transaction may")
	ErrMemory = errors.New("the program takes more memory than a transaction may")
	ErrNodes  = errors.New("the transaction has more actions than a transaction may")
)

// CategoryNumber is the number of the failure's category.
func (f *Failure) CategoryNumber() int {
	if f.Category != 0 {
		return f.Category
	}
	return Categories[f.Code]
}

// Text is the cause in words, as applications see it behind the code.
func (f *Failure) Text() string {
	if f.StatusID != "" {
		return fmt.Sprintf("Interpretation error: Error: User failure: %s (error category %d): %s", f.StatusID, f.CategoryNumber(), f.Message)
	}
	return "Interpretation error: Error: " + f.Message
}

// Error is the form in which ledgers show errors, without a correlation id.
func (f *Failure) Error() string { return f.Format("0") }

// Format is the form in which ledgers show errors: CODE(category,correlation): cause.
func (f *Failure) Format(correlation string) string {
	return fmt.Sprintf("%s(%d,%s): %s", f.Code, f.CategoryNumber(), correlation, f.Text())
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Cause }

// failure gives errors of other packages their code.
func failure(err error) error {
	f := &Failure{Message: err.Error(), Cause: err}
	var (
		authorization *tx.AuthorizationError
		notActive     *tx.NotActiveError
		notFound      *tx.NotFoundError
		maintainers   *tx.EmptyMaintainersError
		rollback      *tx.EffectfulRollbackError
		inconsistent  *tx.InconsistentKeyError
		ids           *value.IncomparableIDError
	)
	switch {
	case errors.As(err, &authorization):
		f.Code = "DAML_AUTHORIZATION_ERROR"
	case errors.As(err, &notActive):
		f.Code = "CONTRACT_NOT_ACTIVE"
	case errors.As(err, &notFound):
		f.Code = "CONTRACT_NOT_FOUND"
	case errors.As(err, &maintainers) && maintainers.Create:
		f.Code = "CREATE_EMPTY_CONTRACT_KEY_MAINTAINERS"
	case errors.As(err, &maintainers):
		f.Code = "FETCH_EMPTY_CONTRACT_KEY_MAINTAINERS"
	case errors.As(err, &inconsistent):
		f.Code = "INCONSISTENT_CONTRACT_KEY"
	case errors.As(err, &rollback):
		f.Code = "DAML_EFFECTFUL_ROLLBACK_ERROR"
	case errors.As(err, &ids):
		f.Code = "CONTRACT_ID_COMPARABILITY"
	case errors.Is(err, value.ErrNotComparable):
		f.Code = "NON_COMPARABLE_VALUES"
	case errors.Is(err, value.ErrNesting):
		f.Code = "VALUE_NESTING"
	default:
		f.Code = "DAML_INTERPRETATION_ERROR"
	}
	return f
}

func failureOrNil(err error) error {
	if err == nil {
		return nil
	}
	return failure(err)
}

// internalError is what a panic of the machine becomes: either a package is ill-typed and was not validated, or the engine is wrong.
func internalError(r any) error {
	stack := strings.Split(string(debug.Stack()), "\n")
	return &Failure{Code: "LEDGER_API_INTERNAL_ERROR", Cause: ErrInternal,
		Message: fmt.Sprintf("the machine broke, which no validated package may cause: %v\n%s", r, strings.Join(stack[:min(len(stack), 24)], "\n"))}
}

// ErrInternal is the cause of failures that are the engine's own, or those of a package that was not validated.
var ErrInternal = errors.New("internal error of the engine")

func asMissing(err error) (*shape.MissingPackageError, bool) {
	var missing *shape.MissingPackageError
	found := errors.As(err, &missing)
	return missing, found
}

// asNeed turns the lack of a package into a question.
func asNeed(err error) error {
	if missing, ok := asMissing(err); ok {
		return &need{&NeedPackage{string(missing.ID)}}
	}
	return err
}
