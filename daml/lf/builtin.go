package lf

// Function numbers the builtin functions as the archive format does. The numeric
// functions whose result has a scale of its own take that scale as a first
// argument of type Numeric, a witness: an engine without types at run time reads
// the scale off it.
type Function uint16

const (
	FnTrace                       Function = 0 // ∀a. Text → a → a
	FnError                       Function = 1 // ∀a. Text → a
	FnEqual                       Function = 2 // ∀a. a → a → Bool; so the four below
	FnLessEq                      Function = 3
	FnLess                        Function = 4
	FnGreaterEq                   Function = 5
	FnGreater                     Function = 6
	FnAddInt64                    Function = 7 // Int64 → Int64 → Int64; so the five below
	FnSubInt64                    Function = 8
	FnMulInt64                    Function = 9
	FnDivInt64                    Function = 10
	FnModInt64                    Function = 11
	FnExpInt64                    Function = 12
	FnAddNumeric                  Function = 13 // ∀s. Numeric s → Numeric s → Numeric s
	FnSubNumeric                  Function = 14 // ∀s. Numeric s → Numeric s → Numeric s
	FnMulNumeric                  Function = 15 // ∀s1 s2 s. Numeric s → Numeric s1 → Numeric s2 → Numeric s
	FnDivNumeric                  Function = 16 // ∀s1 s2 s. Numeric s → Numeric s1 → Numeric s2 → Numeric s
	FnRoundNumeric                Function = 17 // ∀s. Int64 → Numeric s → Numeric s
	FnCastNumeric                 Function = 18 // ∀s1 s2. Numeric s2 → Numeric s1 → Numeric s2
	FnShiftNumeric                Function = 19 // ∀s1 s2. Numeric s2 → Numeric s1 → Numeric s2
	FnInt64ToNumeric              Function = 20 // ∀s. Numeric s → Int64 → Numeric s
	FnNumericToInt64              Function = 21 // ∀s. Numeric s → Int64
	FnInt64ToText                 Function = 22
	FnNumericToText               Function = 23 // ∀s. Numeric s → Text
	FnTimestampToText             Function = 25
	FnDateToText                  Function = 26
	FnPartyToText                 Function = 27
	FnTextToParty                 Function = 28 // Text → Optional Party
	FnTextToInt64                 Function = 29 // Text → Optional Int64
	FnTextToNumeric               Function = 30 // ∀s. Numeric s → Text → Optional (Numeric s)
	FnContractIDToText            Function = 31 // ∀a. ContractId a → Optional Text
	FnSHA256Text                  Function = 32
	FnExplodeText                 Function = 33 // Text → List Text
	FnAppendText                  Function = 34 // Text → Text → Text
	FnImplodeText                 Function = 35 // List Text → Text
	FnCodePointsToText            Function = 36 // List Int64 → Text
	FnTextToCodePoints            Function = 37 // Text → List Int64
	FnDateToUnixDays              Function = 38
	FnUnixDaysToDate              Function = 39
	FnTimestampToUnixMicroseconds Function = 40
	FnUnixMicrosecondsToTimestamp Function = 41
	FnCoerceContractID            Function = 42 // ∀a b. ContractId a → ContractId b
	FnFoldl                       Function = 43 // ∀a b. (b → a → b) → b → List a → b
	FnFoldr                       Function = 44 // ∀a b. (a → b → b) → b → List a → b
	FnEqualList                   Function = 45 // ∀a. (a → a → Bool) → List a → List a → Bool
	FnGenMapEmpty                 Function = 52 // ∀k v. GenMap k v
	FnGenMapInsert                Function = 53 // ∀k v. k → v → GenMap k v → GenMap k v
	FnGenMapLookup                Function = 54 // ∀k v. k → GenMap k v → Optional v
	FnGenMapDelete                Function = 55 // ∀k v. k → GenMap k v → GenMap k v
	FnGenMapKeys                  Function = 56 // ∀k v. GenMap k v → List k
	FnGenMapValues                Function = 57 // ∀k v. GenMap k v → List v
	FnGenMapSize                  Function = 58 // ∀k v. GenMap k v → Int64
	FnAnyExceptionMessage         Function = 59 // AnyException → Text
	FnTextMapEmpty                Function = 60 // ∀v. TextMap v
	FnTextMapInsert               Function = 61 // ∀v. Text → v → TextMap v → TextMap v
	FnTextMapLookup               Function = 62 // ∀v. Text → TextMap v → Optional v
	FnTextMapDelete               Function = 63 // ∀v. Text → TextMap v → TextMap v
	FnTextMapToList               Function = 64 // ∀v. TextMap v → List ⟨key: Text, value: v⟩
	FnTextMapSize                 Function = 65 // ∀v. TextMap v → Int64
	FnFailWithStatus              Function = 66 // ∀a. Text → FailureCategory → Text → TextMap Text → a
	FnKeccak256Text               Function = 67 // hexadecimal Text → Text
	FnSecp256k1Bool               Function = 68 // signature → message → public key → Bool
	FnHexToText                   Function = 69
	FnTextToHex                   Function = 70
	FnSHA256Hex                   Function = 71
	FnSecp256k1WithECDSABool      Function = 72 // signature → digest → public key → Bool
	FnSecp256k1ValidateKey        Function = 73 // public key → Bool; since 2.3

	// Of 2.dev.
	FnScaleBigNumeric      Function = 2001
	FnPrecisionBigNumeric  Function = 2002
	FnAddBigNumeric        Function = 2003
	FnSubBigNumeric        Function = 2004
	FnMulBigNumeric        Function = 2005
	FnDivBigNumeric        Function = 2006
	FnShiftRightBigNumeric Function = 2007
	FnBigNumericToNumeric  Function = 2008
	FnNumericToBigNumeric  Function = 2009
	FnBigNumericToText     Function = 2010
	FnTypeRepTyConName     Function = 3011
	FnExternalCall         Function = 5001
)

// String gives the name that the function has in the textual form, such as
// ADD_INT64.
func (f Function) String() string {
	switch f {
	case FnTrace:
		return "TRACE"
	case FnError:
		return "ERROR"
	case FnEqual:
		return "EQUAL"
	case FnLessEq:
		return "LESS_EQ"
	case FnLess:
		return "LESS"
	case FnGreaterEq:
		return "GREATER_EQ"
	case FnGreater:
		return "GREATER"
	case FnAddInt64:
		return "ADD_INT64"
	case FnSubInt64:
		return "SUB_INT64"
	case FnMulInt64:
		return "MUL_INT64"
	case FnDivInt64:
		return "DIV_INT64"
	case FnModInt64:
		return "MOD_INT64"
	case FnExpInt64:
		return "EXP_INT64"
	case FnAddNumeric:
		return "ADD_NUMERIC"
	case FnSubNumeric:
		return "SUB_NUMERIC"
	case FnMulNumeric:
		return "MUL_NUMERIC"
	case FnDivNumeric:
		return "DIV_NUMERIC"
	case FnRoundNumeric:
		return "ROUND_NUMERIC"
	case FnCastNumeric:
		return "CAST_NUMERIC"
	case FnShiftNumeric:
		return "SHIFT_NUMERIC"
	case FnInt64ToNumeric:
		return "INT64_TO_NUMERIC"
	case FnNumericToInt64:
		return "NUMERIC_TO_INT64"
	case FnInt64ToText:
		return "INT64_TO_TEXT"
	case FnNumericToText:
		return "NUMERIC_TO_TEXT"
	case FnTimestampToText:
		return "TIMESTAMP_TO_TEXT"
	case FnDateToText:
		return "DATE_TO_TEXT"
	case FnPartyToText:
		return "PARTY_TO_TEXT"
	case FnTextToParty:
		return "TEXT_TO_PARTY"
	case FnTextToInt64:
		return "TEXT_TO_INT64"
	case FnTextToNumeric:
		return "TEXT_TO_NUMERIC"
	case FnContractIDToText:
		return "CONTRACT_ID_TO_TEXT"
	case FnSHA256Text:
		return "SHA256_TEXT"
	case FnExplodeText:
		return "EXPLODE_TEXT"
	case FnAppendText:
		return "APPEND_TEXT"
	case FnImplodeText:
		return "IMPLODE_TEXT"
	case FnCodePointsToText:
		return "CODE_POINTS_TO_TEXT"
	case FnTextToCodePoints:
		return "TEXT_TO_CODE_POINTS"
	case FnDateToUnixDays:
		return "DATE_TO_UNIX_DAYS"
	case FnUnixDaysToDate:
		return "UNIX_DAYS_TO_DATE"
	case FnTimestampToUnixMicroseconds:
		return "TIMESTAMP_TO_UNIX_MICROSECONDS"
	case FnUnixMicrosecondsToTimestamp:
		return "UNIX_MICROSECONDS_TO_TIMESTAMP"
	case FnCoerceContractID:
		return "COERCE_CONTRACT_ID"
	case FnFoldl:
		return "FOLDL"
	case FnFoldr:
		return "FOLDR"
	case FnEqualList:
		return "EQUAL_LIST"
	case FnGenMapEmpty:
		return "GENMAP_EMPTY"
	case FnGenMapInsert:
		return "GENMAP_INSERT"
	case FnGenMapLookup:
		return "GENMAP_LOOKUP"
	case FnGenMapDelete:
		return "GENMAP_DELETE"
	case FnGenMapKeys:
		return "GENMAP_KEYS"
	case FnGenMapValues:
		return "GENMAP_VALUES"
	case FnGenMapSize:
		return "GENMAP_SIZE"
	case FnAnyExceptionMessage:
		return "ANY_EXCEPTION_MESSAGE"
	case FnTextMapEmpty:
		return "TEXTMAP_EMPTY"
	case FnTextMapInsert:
		return "TEXTMAP_INSERT"
	case FnTextMapLookup:
		return "TEXTMAP_LOOKUP"
	case FnTextMapDelete:
		return "TEXTMAP_DELETE"
	case FnTextMapToList:
		return "TEXTMAP_TO_LIST"
	case FnTextMapSize:
		return "TEXTMAP_SIZE"
	case FnFailWithStatus:
		return "FAIL_WITH_STATUS"
	case FnKeccak256Text:
		return "KECCAK256_TEXT"
	case FnSecp256k1Bool:
		return "SECP256K1_BOOL"
	case FnHexToText:
		return "HEX_TO_TEXT"
	case FnTextToHex:
		return "TEXT_TO_HEX"
	case FnSHA256Hex:
		return "SHA256_HEX"
	case FnSecp256k1WithECDSABool:
		return "SECP256K1_WITH_ECDSA_BOOL"
	case FnSecp256k1ValidateKey:
		return "SECP256K1_VALIDATE_KEY"
	case FnScaleBigNumeric:
		return "SCALE_BIGNUMERIC"
	case FnPrecisionBigNumeric:
		return "PRECISION_BIGNUMERIC"
	case FnAddBigNumeric:
		return "ADD_BIGNUMERIC"
	case FnSubBigNumeric:
		return "SUB_BIGNUMERIC"
	case FnMulBigNumeric:
		return "MUL_BIGNUMERIC"
	case FnDivBigNumeric:
		return "DIV_BIGNUMERIC"
	case FnShiftRightBigNumeric:
		return "SHIFT_RIGHT_BIGNUMERIC"
	case FnBigNumericToNumeric:
		return "BIGNUMERIC_TO_NUMERIC"
	case FnNumericToBigNumeric:
		return "NUMERIC_TO_BIGNUMERIC"
	case FnBigNumericToText:
		return "BIGNUMERIC_TO_TEXT"
	case FnTypeRepTyConName:
		return "TYPE_REP_TYCON_NAME"
	case FnExternalCall:
		return "EXTERNAL_CALL"
	}
	return ""
}

// Functions lists all builtin functions in the order of their numbers.
func Functions() []Function {
	var all []Function
	for f := Function(0); f <= FnExternalCall; f++ {
		if f.String() != "" {
			all = append(all, f)
		}
	}
	return all
}

// Since gives the first version of the language that has the function.
func (f Function) Since() Version {
	switch {
	case f >= FnScaleBigNumeric:
		return V2_Dev
	case f == FnSecp256k1ValidateKey:
		return V2_3
	}
	return V2_1
}

// String gives the name that the type has in the textual form, such as Int64.
func (b BuiltinType) String() string {
	switch b {
	case TypeUnit:
		return "Unit"
	case TypeBool:
		return "Bool"
	case TypeInt64:
		return "Int64"
	case TypeDate:
		return "Date"
	case TypeTimestamp:
		return "Timestamp"
	case TypeNumeric:
		return "Numeric"
	case TypeParty:
		return "Party"
	case TypeText:
		return "Text"
	case TypeContractID:
		return "ContractId"
	case TypeOptional:
		return "Optional"
	case TypeList:
		return "List"
	case TypeGenMap:
		return "GenMap"
	case TypeAny:
		return "Any"
	case TypeAnyException:
		return "AnyException"
	case TypeTypeRep:
		return "TypeRep"
	case TypeArrow:
		return "Arrow"
	case TypeUpdate:
		return "Update"
	case TypeFailureCategory:
		return "FailureCategory"
	case TypeTextMap:
		return "TextMap"
	case TypeBigNumeric:
		return "BigNumeric"
	case TypeRoundingMode:
		return "RoundingMode"
	}
	return ""
}

// BuiltinTypes lists all builtin types in the order of their numbers.
func BuiltinTypes() []BuiltinType {
	var all []BuiltinType
	for b := BuiltinType(0); b <= TypeRoundingMode; b++ {
		if b.String() != "" {
			all = append(all, b)
		}
	}
	return all
}

// Kind gives the kind of the type constructor.
func (b BuiltinType) Kind() Kind {
	star := Kind(KindStar{})
	switch b {
	case TypeNumeric:
		return &KindArrow{Param: KindNat{}, Result: star}
	case TypeContractID, TypeOptional, TypeList, TypeUpdate, TypeTextMap:
		return &KindArrow{Param: star, Result: star}
	case TypeArrow, TypeGenMap:
		return &KindArrow{Param: star, Result: &KindArrow{Param: star, Result: star}}
	}
	return star
}

// Since gives the first version of the language that has the type.
func (b BuiltinType) Since() Version {
	if b >= TypeBigNumeric {
		return V2_Dev
	}
	return V2_1
}

// Con is a constructor of a builtin type.
type Con uint8

const (
	ConUnit  Con = 0
	ConFalse Con = 1
	ConTrue  Con = 2
)

// String gives "()", "False" or "True".
func (c Con) String() string {
	switch c {
	case ConUnit:
		return "()"
	case ConFalse:
		return "False"
	case ConTrue:
		return "True"
	}
	return ""
}

// FailureCategory says what a failure with status means for whoever submitted.
type FailureCategory uint8

const (
	InvalidIndependentOfSystemState     FailureCategory = 0
	InvalidGivenCurrentSystemStateOther FailureCategory = 1
)

// String gives the name that the category has in the textual form.
func (c FailureCategory) String() string {
	switch c {
	case InvalidIndependentOfSystemState:
		return "INVALID_INDEPENDENT_OF_SYSTEM_STATE"
	case InvalidGivenCurrentSystemStateOther:
		return "INVALID_GIVEN_CURRENT_SYSTEM_STATE_OTHER"
	}
	return ""
}

// ErrorCategory gives the number of the ledger's error category: 8 or 9.
func (c FailureCategory) ErrorCategory() int { return 8 + int(c) }

// RoundingMode belongs to 2.dev.
type RoundingMode uint8

// String gives the name that the mode has in the textual form.
func (m RoundingMode) String() string {
	names := [...]string{"ROUNDING_UP", "ROUNDING_DOWN", "ROUNDING_CEILING", "ROUNDING_FLOOR",
		"ROUNDING_HALF_UP", "ROUNDING_HALF_DOWN", "ROUNDING_HALF_EVEN", "ROUNDING_UNNECESSARY"}
	if int(m) < len(names) {
		return names[m]
	}
	return ""
}
