package text_test

import (
	"testing"

	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/text"
)

// TestStablePackagesHaveTheirIDs compares with the ids under which the whole Daml
// world knows these packages.
func TestStablePackagesHaveTheirIDs(t *testing.T) {
	want := []lf.PackageID{
		"5aee9b21b8e9a4c4975b5f4c4198e6e6e8469df49e2010820e792f393db870f4", // DA.Types
		"9e70a8b3510d617f8a136213f33d6a903a10ca0eeec76bb06ba55d1ed9680f69", // DA.Internal.Template
		"ee33fb70918e7aaa3d3fc44d64a399fb2bf5bcefc54201b1690ecd448551ba88", // DA.Exception.ArithmeticError
		"6da1f43a10a179524e840e7288b47bda213339b0552d92e87ae811e52f59fc0e", // DA.Exception.AssertionFailed
		"f181cd661f7af3a60bdaae4b0285a2a67beb55d6910fc8431dbae21a5825ec0f", // DA.Exception.GeneralError
		"91e167fa7a256f21f990c526a0a0df840e99aeef0e67dc1f5415b0309486de74", // DA.Exception.PreconditionFailed
	}
	list, err := text.StablePackages()
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range list {
		if a.ID != want[i] || !lf.IsStablePackage(a.ID) {
			t.Errorf("package %d has id %s, want %s", i, a.ID, want[i])
		}
	}
}
