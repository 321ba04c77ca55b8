package tx

import (
	"errors"
	"strings"
	"testing"

	"github.com/synod-network/synod/daml/value"
)

func parties(names string) (all []value.Party) {
	for name := range strings.FieldsSeq(names) {
		all = append(all, value.Party(name))
	}
	return all
}

func mustHash(t *testing.T, hex string) Hash {
	t.Helper()
	h, err := ParseHash(hex)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func mustID(t *testing.T, hex string) value.ContractID {
	t.Helper()
	id, err := value.ParseContractID(hex)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

const (
	goldenID1 = "0007e7b5534931dfca8e1b485c105bae4e10808bd13ddc8e897f258015f9d921c5"
	goldenID2 = "0059b59ad7a6b6066e77b91ced54b8282f0e24e7089944685cb8f22f32fcbc4e1b"
)

// goldenTransaction is the transaction of the reference implementation's own tests; with keys from version 2 on.
func goldenTransaction(t *testing.T, version Version) *Transaction {
	contract := func(signatories, stakeholders string) Contract {
		c := Contract{
			ID: mustID(t, goldenID1), PackageName: goldenPackage, Template: value.Identifier{Package: "package", Module: "module", Entity: "name"},
			Signatories: parties(signatories), Stakeholders: parties(stakeholders), Version: version,
		}
		if version > V1 {
			c.Key = goldenKey(t)
		}
		return c
	}
	byKey := version > V1
	create := &Create{Contract: contract("alice bob", "alice charlie"), Arg: value.Text("hello")}
	fetch := &Fetch{Contract: contract("alice", "charlie"), Actors: parties("alice bob"), ByKey: byKey}
	exercise := &Exercise{
		Contract: contract("alice", "charlie"), Choice: "choice", Consuming: true, Actors: parties("alice bob"),
		Interface: &value.Identifier{Package: "package", Module: "interface_module", Entity: "interface_name"},
		Arg:       value.Int64(31380), Result: value.Text("result"), Observers: parties("david"), Children: []NodeID{4, 5}, ByKey: byKey,
	}
	seed := mustHash(t, "926bbb6f341bc0092ae65d06c6e284024907148cc29543ef6bff0930f5d52c19")
	return &Transaction{
		Roots: []NodeID{0, 1},
		Nodes: []Node{create, &Rollback{Children: []NodeID{2, 3}}, fetch, exercise, create, fetch},
		Seeds: []Hash{seed, {}, {}, mustHash(t, "a867edafa1277f46f879ab92c373a15c2d75c5d86fec741705cee1eb01ef8c9e"), seed, {}},
	}
}

func goldenKey(t *testing.T) *Key {
	return &Key{
		Template:    value.Identifier{Package: "package", Module: "module_key", Entity: "name"},
		PackageName: "package_name_key", Value: value.Text("hello"), Maintainers: parties("david"),
		Hash: mustHash(t, "4d1741d27564ab1f1e74873034760583a1a71edaa90dbad6be3a78c0bf3eec7c"),
	}
}

func goldenPrepared(t *testing.T, version Version) *Prepared {
	low, high, latest := value.Timestamp(0xaaaa), value.Timestamp(0xbbbb), value.Timestamp(30*86400*1e6)
	input := func(id, party string, days value.Timestamp) Input {
		return Input{days * 86400 * 1e6, &Create{
			Contract: Contract{
				ID: mustID(t, id), PackageName: "PkgName", Template: value.Identifier{Package: "-dummyPkg-", Module: "DummyModule", Entity: "dummyName"},
				Signatories: parties(party), Stakeholders: parties(party), Version: version,
			},
			Arg: mustID(t, "0097a092402108f5593bac7fb3c909cd316910197dd98d603042a45ab85c81e0fd"),
		}}
	}
	return &Prepared{
		Transaction: goldenTransaction(t, version), ActAs: parties("alice bob"), CommandID: "command-id",
		UUID: "4c6471d3-4e09-49dd-addf-6cd90e19c583", Synchronizer: "synchronizer::id", MinTime: &low, MaxTime: &high, MaxRecordTime: &latest,
		Inputs: []Input{input(goldenID1, "alice", 10), input(goldenID2, "bob", 20)},
	}
}

// TestSigningHashesAreThoseOfTheOriginal has the hashes that the Daml reference implementation publishes with its tests. Two more
// public implementations, in Python and in TypeScript, agree with it on the first of them.
func TestSigningHashesAreThoseOfTheOriginal(t *testing.T) {
	for _, tc := range []struct {
		scheme                                                           Scheme
		version                                                          Version
		create, fetch, exercise, rollback, transaction, metadata, signed string
	}{
		{
			SchemeV2, V1,
			"6d2cfe58c2294000592034f4bdfe397fe246901bb8b63e3b9e041bb478e174b7", "c962c6098394f3d11cd6f0c795de9517d32a8e3e1979cec76cd2f66254efc610",
			"070970eb4b2de72561dafb67017ca33850650a8103e5134e16044ba78991f48c", "7264d5da2fd714427453bedc0d1cdb21f52ac7aec8d4bb5ac0598d25c5fcaed9",
			"154f334d24a8a5e4d0ce51ac87d93821b3256f885f21d3f779a1640abf481983", "6e89fcbcc9605179a47919b5e65a864e470e7a133f4f9f39b1e4545b223db769",
			"8c311c848db25d36b36fbd59f9483714a11688c2214e3c7cae3e028763520250",
		},
		{
			SchemeV3, V2,
			"0120d370509f54c07d8209f5af2d23f7f972997deb5fc5e0ebe886354395a3bc", "20437df1980bb7d4d94ad53181dc6005bae37b5990719070c48a3960e8dda3a4",
			"516c4689acabf9d1f0087a02a7dafad884d9080c48112a57a6d20b9f72d4b697", "ea61ab05f9ab9769ab5c91493a601ccad9e784bd4c0b3bc4b7777f0da68eab4d",
			"36f0d1f4e9742a5cf54795fd1633f46b8235fafa93da006dafe10eb358d465c4", "5a4c6aa89bb80d0af05a3f0614ba07bc7469795fff66d7b9e87c876eb0137e0a",
			"db37e4e251b83196260900fd43aacf934e1893b7ac58db4c1bfa8ced432b3b84",
		},
	} {
		prepared := goldenPrepared(t, tc.version)
		nodes, err := hashNodes(prepared.Transaction, tc.scheme)
		if err != nil {
			t.Fatal(err)
		}
		transaction, err1 := hashTransaction(prepared.Transaction, tc.scheme)
		metadata, err2 := hashMetadata(prepared, tc.scheme)
		signed, err3 := SigningHash(prepared, tc.scheme)
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		for _, part := range []struct {
			name string
			got  Hash
			want string
		}{
			{"create", nodes[0], tc.create}, {"rollback", nodes[1], tc.rollback}, {"fetch", nodes[2], tc.fetch},
			{"exercise", nodes[3], tc.exercise}, {"transaction", transaction, tc.transaction}, {"metadata", metadata, tc.metadata},
			{"signed", signed, tc.signed},
		} {
			if part.got.String() != part.want {
				t.Errorf("scheme %d, %s: got %s, want %s", tc.scheme, part.name, part.got, part.want)
			}
		}
	}
}

func TestQueriesByKeyAreSignedUnderScheme3(t *testing.T) {
	n := &QueryByKey{Key: *goldenKey(t), Result: []value.ContractID{mustID(t, goldenID1)}, Exhaustive: true, Version: V2}
	n.Key.Template, n.Key.PackageName = value.Identifier{Package: "package", Module: "module", Entity: "name"}, goldenPackage
	if _, err := hashNode(n, nil, nil, SchemeV2); err == nil {
		t.Error("signed under scheme 2")
	}
	if _, err := hashNode(n, nil, nil, SchemeV3); err != nil {
		t.Error(err)
	}
}

func TestSigningRefuses(t *testing.T) {
	unseeded := goldenPrepared(t, V1)
	unseeded.Transaction.Seeds = nil
	if _, err := SigningHash(unseeded, SchemeV2); !errors.Is(err, errNoSeed) {
		t.Errorf("got %v, want errNoSeed", err)
	}
	if _, err := SigningHash(goldenPrepared(t, V2), SchemeV2); !errors.Is(err, errScheme) {
		t.Errorf("got %v, want errScheme", err)
	}
	if _, err := SigningHash(goldenPrepared(t, V1), 4); err == nil {
		t.Error("signed under an unknown scheme")
	}
}

func TestSignedValues(t *testing.T) {
	name := &value.DataType{ID: value.Identifier{Package: "package", Module: "module", Entity: "name"}, Names: []string{"field1", "field2"}}
	genMap, _ := value.EmptyGenMap().Insert(value.Int64(5), value.Text("five"))
	genMap, _ = genMap.Insert(value.Int64(10), value.Text("ten"))
	textMap, _ := value.EmptyTextMap().Insert(value.Text("foo"), numeric(t, "31380.0"))
	textMap, _ = textMap.Insert(value.Text("bar"), value.Text("1284"))
	for _, tc := range []struct {
		v    value.Value
		want string
	}{
		{value.Unit{}, "00"},
		{value.Bool(true), "0101"},
		{value.Bool(false), "0100"},
		{value.Text("hello world!"), "07" + "0000000c" + "68656c6c6f20776f726c6421"},
		{numeric(t, "125.1002"), "03" + "00000008" + "3132352e31303032"},
		{mustID(t, goldenID2), "08" + "00000021" + goldenID2},
		{&value.Enum{Type: name, Con: "ENUM"}, "0e" + "01" + "00000007" + "7061636b616765" + "00000001" + "00000006" + "6d6f64756c65" +
			"00000001" + "00000004" + "6e616d65" + "00000004" + "454e554d"},
		{value.Int64(10), "02" + "000000000000000a"},
		{&value.Variant{Con: "C", Arg: value.Bool(true)}, "0d" + "00" + "00000001" + "43" + "0101"},
		{value.ListOf(value.Int64(5), value.Bool(true)), "0a" + "00000002" + "020000000000000005" + "0101"},
		{textMap, "0b" + "00000002" + "00000003" + "626172" + "07" + "00000004" + "31323834" + "00000003" + "666f6f" + "03" + "00000007" + "33313338302e30"},
		{genMap, "0f" + "00000002" + "020000000000000005" + "07" + "00000004" + "66697665" + "02000000000000000a" + "07" + "00000003" + "74656e"},
		{value.None(), "0900"},
		{value.Some(value.Text("hello")), "0901" + "07" + "00000005" + "68656c6c6f"},
		{value.Timestamp(1729788226000000), "04" + "0006253bb4bf5480"},
		{value.Date(20020), "05" + "00004e34"},
		{value.Party("alice"), "06" + "00000005" + "616c696365"},
		{&value.Record{Type: name, Fields: []value.Value{value.Bool(true), value.None()}}, "0c" + "01" + "00000007" + "7061636b616765" +
			"00000001" + "00000006" + "6d6f64756c65" + "00000001" + "00000004" + "6e616d65" + "00000001" + "01" + "00000006" + "6669656c6431" + "0101"},
		{&value.Record{Fields: []value.Value{value.Bool(true)}}, "0c" + "00" + "00000001" + "00" + "0101"},
	} {
		got, err := encoder(nil).signed(tc.v, 0)
		if err != nil || hexOf(got) != tc.want {
			t.Errorf("%v: got %s, %v\nwant %s", tc.v, hexOf(got), err, tc.want)
		}
	}
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, c := range b {
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}
