package archive

import (
	"archive/zip"
	"fmt"
	"io"
	"strings"
	"time"
)

// Write writes a .dar file. The same packages always give the same bytes.
func (d *DAR) Write(w io.Writer) error {
	z := zip.NewWriter(w)
	var names []string
	for _, a := range d.Packages {
		pkg, err := a.Decode(Limits{})
		if err != nil {
			return err
		}
		names = append(names, fmt.Sprintf("%s-%s-%s.dalf", pkg.Metadata.Name, pkg.Metadata.Version, a.ID))
	}
	folder := strings.TrimSuffix(names[0], ".dalf")
	for i := range names {
		names[i] = folder + "/" + names[i]
	}
	var m strings.Builder
	for _, line := range [][2]string{
		{"Manifest-Version", "1.0"},
		{"Created-By", "synod"},
		{"Name", folder},
		{"Sdk-Version", d.SDKVersion},
		{"Main-Dalf", names[0]},
		{"Dalfs", strings.Join(names, ", ")},
		{"Format", "daml-lf"},
		{"Encryption", "non-encrypted"},
	} {
		wrapLine(&m, line[0]+": "+line[1])
	}
	if err := writeFile(z, manifestPath, []byte(m.String())); err != nil {
		return err
	}
	for i, a := range d.Packages {
		if err := writeFile(z, names[i], a.DALF()); err != nil {
			return err
		}
	}
	return z.Close()
}

// wrapLine writes a line of a manifest: at most 70 bytes, and then a space and more.
func wrapLine(b *strings.Builder, line string) {
	const most = 70
	for len(line) > most {
		b.WriteString(line[:most] + "\n ")
		line = line[most:]
	}
	b.WriteString(line + "\n")
}

func writeFile(z *zip.Writer, name string, content []byte) error {
	w, err := z.CreateHeader(&zip.FileHeader{
		Name:     name,
		Method:   zip.Deflate,
		Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC), // the format's first
	})
	if err == nil {
		_, err = w.Write(content)
	}
	return err
}
