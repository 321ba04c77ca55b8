package validate

import (
	"fmt"

	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/text"
)

// signature gives the type of a builtin function.
func (c *checker) signature(f lf.Function) lf.Type {
	t, ok := c.signatures[f]
	if !ok {
		parsed, err := text.ParseType(signatureText(f), lf.V2_Dev)
		if err != nil {
			panic(fmt.Sprintf("signature of %s: %v", f, err)) // a test parses them all
		}
		c.isolated(func() { t = c.star(parsed) })
		c.signatures[f] = t
	}
	return t
}

// signatureText gives the type of a builtin function in the textual form.
func signatureText(f lf.Function) string {
	const nat = "forall (s: nat). "
	switch f {
	case lf.FnTrace:
		return "forall a. Text -> a -> a"
	case lf.FnError:
		return "forall a. Text -> a"
	case lf.FnEqual, lf.FnLessEq, lf.FnLess, lf.FnGreaterEq, lf.FnGreater:
		return "forall a. a -> a -> Bool"
	case lf.FnAddInt64, lf.FnSubInt64, lf.FnMulInt64, lf.FnDivInt64, lf.FnModInt64, lf.FnExpInt64:
		return "Int64 -> Int64 -> Int64"
	case lf.FnAddNumeric, lf.FnSubNumeric:
		return nat + "Numeric s -> Numeric s -> Numeric s"
	case lf.FnMulNumeric, lf.FnDivNumeric:
		return "forall (s1: nat) (s2: nat) (s: nat). Numeric s -> Numeric s1 -> Numeric s2 -> Numeric s"
	case lf.FnRoundNumeric:
		return nat + "Int64 -> Numeric s -> Numeric s"
	case lf.FnCastNumeric, lf.FnShiftNumeric:
		return "forall (s1: nat) (s2: nat). Numeric s2 -> Numeric s1 -> Numeric s2"
	case lf.FnInt64ToNumeric:
		return nat + "Numeric s -> Int64 -> Numeric s"
	case lf.FnNumericToInt64:
		return nat + "Numeric s -> Int64"
	case lf.FnInt64ToText:
		return "Int64 -> Text"
	case lf.FnNumericToText:
		return nat + "Numeric s -> Text"
	case lf.FnTimestampToText:
		return "Timestamp -> Text"
	case lf.FnDateToText:
		return "Date -> Text"
	case lf.FnPartyToText:
		return "Party -> Text"
	case lf.FnTextToParty:
		return "Text -> Optional Party"
	case lf.FnTextToInt64:
		return "Text -> Optional Int64"
	case lf.FnTextToNumeric:
		return nat + "Numeric s -> Text -> Optional (Numeric s)"
	case lf.FnContractIDToText:
		return "forall a. ContractId a -> Optional Text"
	case lf.FnExplodeText:
		return "Text -> List Text"
	case lf.FnAppendText:
		return "Text -> Text -> Text"
	case lf.FnImplodeText:
		return "List Text -> Text"
	case lf.FnCodePointsToText:
		return "List Int64 -> Text"
	case lf.FnTextToCodePoints:
		return "Text -> List Int64"
	case lf.FnDateToUnixDays:
		return "Date -> Int64"
	case lf.FnUnixDaysToDate:
		return "Int64 -> Date"
	case lf.FnTimestampToUnixMicroseconds:
		return "Timestamp -> Int64"
	case lf.FnUnixMicrosecondsToTimestamp:
		return "Int64 -> Timestamp"
	case lf.FnCoerceContractID:
		return "forall a b. ContractId a -> ContractId b"
	case lf.FnFoldl:
		return "forall a b. (b -> a -> b) -> b -> List a -> b"
	case lf.FnFoldr:
		return "forall a b. (a -> b -> b) -> b -> List a -> b"
	case lf.FnEqualList:
		return "forall a. (a -> a -> Bool) -> List a -> List a -> Bool"
	case lf.FnAnyExceptionMessage:
		return "AnyException -> Text"
	case lf.FnFailWithStatus:
		return "forall a. Text -> FailureCategory -> Text -> TextMap Text -> a"
	case lf.FnSHA256Text, lf.FnSHA256Hex, lf.FnKeccak256Text, lf.FnHexToText, lf.FnTextToHex:
		return "Text -> Text"
	case lf.FnSecp256k1Bool, lf.FnSecp256k1WithECDSABool:
		return "Text -> Text -> Text -> Bool"
	case lf.FnSecp256k1ValidateKey:
		return "Text -> Bool"
	}
	if s := mapSignature(f); s != "" {
		return s
	}
	return devSignature(f)
}

func mapSignature(f lf.Function) string {
	switch f {
	case lf.FnGenMapEmpty:
		return "forall k v. GenMap k v"
	case lf.FnGenMapInsert:
		return "forall k v. k -> v -> GenMap k v -> GenMap k v"
	case lf.FnGenMapLookup:
		return "forall k v. k -> GenMap k v -> Optional v"
	case lf.FnGenMapDelete:
		return "forall k v. k -> GenMap k v -> GenMap k v"
	case lf.FnGenMapKeys:
		return "forall k v. GenMap k v -> List k"
	case lf.FnGenMapValues:
		return "forall k v. GenMap k v -> List v"
	case lf.FnGenMapSize:
		return "forall k v. GenMap k v -> Int64"
	case lf.FnTextMapEmpty:
		return "forall v. TextMap v"
	case lf.FnTextMapInsert:
		return "forall v. Text -> v -> TextMap v -> TextMap v"
	case lf.FnTextMapLookup:
		return "forall v. Text -> TextMap v -> Optional v"
	case lf.FnTextMapDelete:
		return "forall v. Text -> TextMap v -> TextMap v"
	case lf.FnTextMapToList:
		return "forall v. TextMap v -> List <key: Text, value: v>"
	case lf.FnTextMapSize:
		return "forall v. TextMap v -> Int64"
	}
	return ""
}

func devSignature(f lf.Function) string {
	switch f {
	case lf.FnScaleBigNumeric, lf.FnPrecisionBigNumeric:
		return "BigNumeric -> Int64"
	case lf.FnAddBigNumeric, lf.FnSubBigNumeric, lf.FnMulBigNumeric:
		return "BigNumeric -> BigNumeric -> BigNumeric"
	case lf.FnDivBigNumeric:
		return "Int64 -> RoundingMode -> BigNumeric -> BigNumeric -> BigNumeric"
	case lf.FnShiftRightBigNumeric:
		return "Int64 -> BigNumeric -> BigNumeric"
	case lf.FnBigNumericToNumeric:
		return "forall (s: nat). Numeric s -> BigNumeric -> Numeric s"
	case lf.FnNumericToBigNumeric:
		return "forall (s: nat). Numeric s -> BigNumeric"
	case lf.FnBigNumericToText:
		return "BigNumeric -> Text"
	case lf.FnTypeRepTyConName:
		return "TypeRep -> Optional Text"
	case lf.FnExternalCall:
		return "Text -> Text -> Text -> Text -> Update Text"
	}
	return ""
}
