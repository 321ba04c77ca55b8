package archive

import "google.golang.org/protobuf/encoding/protowire"

// A form is a message all of whose fields are required and of a few sorts. The
// string lists them as they are written, each as its number and a letter: r for a
// reference to a definition, c for a reference applied to types, n for an interned
// name, t for a type, e for an expression. Numbers and order are those of the
// Daml-LF 2 format.
type form struct {
	name   string
	fields string
}

// sort gives the sort of a field of the form, 0 if it has none with that number.
func (f form) sort(num protowire.Number) byte {
	for i := 0; i < len(f.fields); i += 2 {
		if protowire.Number(f.fields[i]-'0') == num {
			return f.fields[i+1]
		}
	}
	return 0
}

// maxForm is the highest field number of a form.
const maxForm = 6

// Expressions.
var (
	formRecordProj                  = form{"RecProj", "1c4n3e"}
	formRecordUpd                   = form{"RecUpd", "1c2n3e4e"}
	formVariantCon                  = form{"VariantCon", "1c2n3e"}
	formEnumCon                     = form{"EnumCon", "1r2n"}
	formStructProj                  = form{"StructProj", "1n2e"}
	formStructUpd                   = form{"StructUpd", "1n2e3e"}
	formNil                         = form{"Nil", "1t"}
	formNone                        = form{"OptionalNone", "1t"}
	formSome                        = form{"OptionalSome", "1t2e"}
	formToAny                       = form{"ToAny", "1t2e"}
	formFromAny                     = form{"FromAny", "1t2e"}
	formToAnyException              = form{"ToAnyException", "1t2e"}
	formFromAnyException            = form{"FromAnyException", "1t2e"}
	formThrow                       = form{"Throw", "1t2t3e"}
	formToInterface                 = form{"ToInterface", "1r2r3e"}
	formFromInterface               = form{"FromInterface", "1r2r3e"}
	formCallInterface               = form{"CallInterface", "1r2n3e"}
	formViewInterface               = form{"ViewInterface", "1r2e"}
	formSignatoryInterface          = form{"SignatoryInterface", "1r2e"}
	formObserverInterface           = form{"ObserverInterface", "1r2e"}
	formUnsafeFromInterface         = form{"UnsafeFromInterface", "1r2r3e4e"}
	formToRequiredInterface         = form{"ToRequiredInterface", "1r2r3e"}
	formFromRequiredInterface       = form{"FromRequiredInterface", "1r2r3e"}
	formUnsafeFromRequiredInterface = form{"UnsafeFromRequiredInterface", "1r2r3e4e"}
	formInterfaceTemplateTypeRep    = form{"InterfaceTemplateTypeRep", "1r2e"}
	formChoiceController            = form{"ChoiceController", "1r2n3e4e"}
	formChoiceObserver              = form{"ChoiceObserver", "1r2n3e4e"}
)

// Updates.
var (
	formPure            = form{"Pure", "1t2e"}
	formCreate          = form{"Create", "1r2e"}
	formCreateInterface = form{"CreateInterface", "1r2e"}
	formExercise        = form{"Exercise", "1r6n3e5e"}
	formExerciseByKey   = form{"ExerciseByKey", "1r2n3e4e"}
	formFetch           = form{"Fetch", "1r2e"}
	formFetchInterface  = form{"FetchInterface", "1r2e"}
	formEmbedExpr       = form{"EmbedExpr", "1t2e"}
	formTryCatch        = form{"TryCatch", "1t2e3n4e"}
	formFetchByKey      = form{"RetrieveByKey", "1r"}
	formQueryNByKey     = form{"QueryNByKey", "1r"}
)

// Patterns and parts of definitions.
var (
	formPatVariant = form{"CaseAlt.Variant", "1r2n3n"}
	formPatEnum    = form{"CaseAlt.Enum", "1r2n"}
	formPatCons    = form{"CaseAlt.Cons", "1n2n"}
	formPatSome    = form{"CaseAlt.OptionalSome", "1n"}
	formMethod     = form{"InterfaceInstanceMethod", "1n2e"}
	formKey        = form{"DefKey", "1t4e3e"}
)
