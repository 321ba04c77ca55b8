package engine

import (
	"crypto/sha256"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"golang.org/x/crypto/sha3"

	"github.com/synod-network/synod/daml/value"
)

// cryptoSteps is what checking a signature is charged, since it takes as long as so many steps.
const cryptoSteps = 20_000

// fromHex reads lower-case hexadecimal.
func fromHex(v value.Value, what string) ([]byte, error) {
	s := string(v.(value.Text))
	if raw, err := hex.DecodeString(s); err == nil && s == strings.ToLower(s) {
		return raw, nil
	}
	return nil, &Failure{Code: "INTERPRETATION_CRYPTO_ERROR_MALFORMED_BYTE_ENCODING", Message: "Malformed byte encoding: " + what + ": " + shorten(s)}
}

func shorten(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

func sha256Text(m *machine, a value.Value) (value.Value, error) {
	m.work64(weight(a))
	digest := sha256.Sum256([]byte(a.(value.Text)))
	return newText(m, hex.EncodeToString(digest[:])), nil
}

func sha256Hex(m *machine, a value.Value) (value.Value, error) {
	raw, err := fromHex(a, "can not parse hex string")
	if err != nil {
		return nil, err
	}
	m.work64(len(raw))
	digest := sha256.Sum256(raw)
	return newText(m, hex.EncodeToString(digest[:])), nil
}

func keccak256Text(m *machine, a value.Value) (value.Value, error) {
	raw, err := fromHex(a, "can not parse hex string")
	if err != nil {
		return nil, err
	}
	m.work64(4 * len(raw))
	h := sha3.NewLegacyKeccak256()
	h.Write(raw)
	return newText(m, hex.EncodeToString(h.Sum(nil))), nil
}

func hexToText(m *machine, a value.Value) (value.Value, error) {
	raw, err := fromHex(a, "can not parse hex string argument")
	if err != nil {
		return nil, err
	}
	return checkedText(m, strings.ToValidUTF8(string(raw), "\uFFFD"))
}

func textToHex(m *machine, a value.Value) (value.Value, error) {
	return newText(m, hex.EncodeToString([]byte(a.(value.Text)))), nil
}

// secp256k1Bool checks a signature of the SHA-256 of a message.
func secp256k1Bool(m *machine, signature, message, key value.Value) (value.Value, error) {
	raw, err := fromHex(message, "can not parse message hex string")
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(raw)
	return verify(m, signature, digest[:], key)
}

// secp256k1WithECDSABool checks a signature of a digest.
func secp256k1WithECDSABool(m *machine, signature, digest, key value.Value) (value.Value, error) {
	if _, err := fromHex(signature, "can not parse signature hex string"); err != nil {
		return nil, err
	}
	raw, err := fromHex(digest, "can not parse message hex string")
	if err != nil {
		return nil, err
	}
	return verify(m, signature, raw, key)
}

func verify(m *machine, signature value.Value, digest []byte, key value.Value) (value.Value, error) {
	m.tick -= cryptoSteps
	der, err := fromHex(signature, "can not parse signature hex string")
	if err != nil {
		return nil, err
	}
	public, err := publicKey(key)
	if err != nil {
		return nil, err
	}
	var parsed struct{ R, S asn1.RawValue }
	if rest, err := asn1.Unmarshal(der, &parsed); err != nil || len(rest) > 0 {
		return nil, &Failure{Code: "INTERPRETATION_CRYPTO_ERROR_MALFORMED_SIGNATURE", Message: "Malformed signature: " + shorten(string(signature.(value.Text)))}
	}
	var r, s secp256k1.ModNScalar
	if !scalar(&r, parsed.R) || !scalar(&s, parsed.S) {
		return value.Bool(false), nil
	}
	return value.Bool(ecdsa.NewSignature(&r, &s).Verify(digest, public)), nil
}

// scalar reads a positive number below the order of the group.
func scalar(to *secp256k1.ModNScalar, from asn1.RawValue) bool {
	b := from.Bytes
	if from.Tag != asn1.TagInteger || len(b) == 0 || b[0]&0x80 != 0 {
		return false
	}
	for len(b) > 0 && b[0] == 0 {
		b = b[1:]
	}
	return len(b) <= 32 && !to.SetByteSlice(b) && !to.IsZero()
}

var (
	oidEC        = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidSecp256k1 = asn1.ObjectIdentifier{1, 3, 132, 0, 10}
	errKey       = errors.New("not the X.509 form of a secp256k1 key")
)

// publicKey reads a key in its X.509 form.
func publicKey(v value.Value) (*secp256k1.PublicKey, error) {
	der, err := fromHex(v, "can not parse DER encoded public key hex string")
	if err != nil {
		return nil, err
	}
	var parsed struct {
		Algorithm struct{ Algorithm, Curve asn1.ObjectIdentifier }
		Key       asn1.BitString
	}
	rest, err := asn1.Unmarshal(der, &parsed)
	if err == nil && (len(rest) > 0 || !parsed.Algorithm.Algorithm.Equal(oidEC) || !parsed.Algorithm.Curve.Equal(oidSecp256k1)) {
		err = errKey
	}
	var key *secp256k1.PublicKey
	if err == nil {
		key, err = secp256k1.ParsePubKey(parsed.Key.Bytes)
	}
	if err != nil {
		return nil, &Failure{Code: "INTERPRETATION_CRYPTO_ERROR_MALFORMED_KEY", Message: "Malformed key: " + shorten(string(v.(value.Text))) + ": " + err.Error(), Cause: err}
	}
	return key, nil
}

// secp256k1ValidateKey says whether a key is a point of the curve; malformed keys fail.
func secp256k1ValidateKey(m *machine, key value.Value) (value.Value, error) {
	m.tick -= cryptoSteps / 10
	_, err := publicKey(key)
	var f *Failure
	if errors.As(err, &f) && errors.Is(err, secp256k1.ErrPubKeyNotOnCurve) {
		return value.Bool(false), nil
	}
	return value.Bool(err == nil), err
}
