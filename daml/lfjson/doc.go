// Package lfjson writes and reads stored Daml-LF values as JSON, in the form of the ledger's JSON API: whole numbers and numerics as
// strings (numbers are read too), dates and times in ISO 8601, records as objects, variants as {"tag", "value"}, enums as strings,
// an optional as null or its value (as [] or [value] if optionals nest), text maps as objects, other maps as arrays of pairs.
package lfjson
