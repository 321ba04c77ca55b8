package archive

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/synod-network/synod/daml/lf"
)

// Archive is one package as bytes.
type Archive struct {
	ID      lf.PackageID
	Payload []byte // what the id is the hash of
}

// NewArchive names a payload by its hash.
func NewArchive(payload []byte) Archive {
	sum := sha256.Sum256(payload)
	return Archive{ID: lf.PackageID(hex.EncodeToString(sum[:])), Payload: payload}
}

// ReadDALF reads the content of a .dalf file. The archive shares memory with it.
// A hash in the file that is not that of the payload is an error.
func ReadDALF(dalf []byte) (archive Archive, err error) {
	defer recoverFailure(&err)
	d := &decoder{}
	c := d.open("Archive", dalf)
	var payload []byte
	var hash string
	for c.next() {
		switch c.num {
		case 1:
			if f := c.varint(); f != 0 {
				c.failf("hash function %d is unknown; only 0, SHA-256, is supported", f)
			}
		case 3:
			payload = c.bytes()
		case 4:
			hash = string(c.bytes())
		default:
			c.unknown()
		}
	}
	if payload == nil {
		c.failf("there is no payload; is this a .dalf file?")
	}
	a := NewArchive(payload)
	if hash != string(a.ID) {
		c.failf("the file says that the payload's SHA-256 is %q, but it is %s: the file was damaged or changed", hash, a.ID)
	}
	return a, nil
}

// DALF gives the content of a .dalf file.
func (a Archive) DALF() []byte {
	b := make([]byte, 0, len(a.Payload)+80)
	b = protowire.AppendTag(b, 3, protowire.BytesType)
	b = protowire.AppendBytes(b, a.Payload)
	b = protowire.AppendTag(b, 4, protowire.BytesType)
	return protowire.AppendString(b, string(a.ID))
}

// Version gives the language version that the payload states, without decoding
// the package. A version that this package does not know is an error.
func (a Archive) Version() (v lf.Version, err error) {
	defer recoverFailure(&err)
	v, _ = (&decoder{}).payload(a.Payload)
	return v, nil
}

// payload reads the outermost message: the language version and the package.
func (d *decoder) payload(b []byte) (lf.Version, []byte) {
	c := d.open("ArchivePayload", b)
	var minor string
	var pkg []byte
	var patch uint64
	for c.next() {
		switch c.num {
		case 2:
			c.failf("the package is written in Daml-LF 1; only Daml-LF 2 is supported, so compile it with a Daml SDK of version 3")
		case 3:
			minor = string(c.bytes())
		case 4:
			pkg = c.bytes()
		case 5:
			patch = c.varint()
		default:
			c.unknown()
		}
	}
	if pkg == nil {
		c.failf("there is no Daml-LF 2 package in it")
	}
	if patch != 0 {
		c.failf("patch level %d of Daml-LF 2.%s is unknown", patch, minor)
	}
	if v, ok := lf.ParseVersion("2." + minor); ok {
		return v, pkg
	}
	if strings.Contains(minor, "-rc") {
		return lf.V2_Dev, pkg
	}
	c.failf("Daml-LF version 2.%s is unknown; supported are 2.1 to 2.3", minor)
	return 0, nil
}

// Decode decodes the package. It reads 2.dev too, so that such packages can be
// shown; see [lf.Version.Stable].
func (a Archive) Decode(limits Limits) (pkg *lf.Package, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("package %s: %w", a.ID, err)
		}
	}()
	defer recoverFailure(&err)
	d := &decoder{self: a.ID, limits: limits.withDefaults(), uses: map[lf.PackageID]bool{}}
	version, b := d.payload(a.Payload)
	d.version = version
	return d.pkg(b), nil
}

// Unique leaves out packages that came before.
func Unique(list []Archive) []Archive {
	seen := map[lf.PackageID]bool{}
	var unique []Archive
	for _, a := range list {
		if !seen[a.ID] {
			seen[a.ID] = true
			unique = append(unique, a)
		}
	}
	return unique
}
