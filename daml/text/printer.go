package text

import (
	"strings"
	"unicode/utf8"

	"github.com/synod-network/synod/daml/lf"
)

// width is where lines are broken if they can be.
const width = 110

// printer lays text out. A group is written on one line if it fits; otherwise its
// breaks become line ends.
type printer struct {
	b      strings.Builder
	column int
	indent int

	flat bool // within a group that is tried on one line
	over bool // it does not fit
	line strings.Builder

	self        lf.PackageID // written as no package at all
	flatVersion bool         // of the language: applications nest
}

func (p *printer) write(parts ...string) {
	for _, s := range parts {
		if p.flat {
			if p.over = p.over || p.column+utf8.RuneCountInString(s) > width; p.over {
				return
			}
			p.line.WriteString(s)
		} else {
			p.b.WriteString(s)
		}
		p.column += utf8.RuneCountInString(s)
	}
}

// brk is a blank, or a line end in a group that does not fit on a line.
func (p *printer) brk() {
	if p.flat {
		p.write(" ")
	} else {
		p.newline()
	}
}

// soft is nothing, or a line end in a group that does not fit on a line.
func (p *printer) soft() {
	if !p.flat {
		p.newline()
	}
}

func (p *printer) newline() {
	if p.flat {
		p.over = true
		return
	}
	p.b.WriteByte('\n')
	for range p.indent {
		p.b.WriteByte(' ')
	}
	p.column = p.indent
}

// group writes on one line if that fits.
func (p *printer) group(write func()) {
	if p.flat {
		if !p.over {
			write()
		}
		return
	}
	column := p.column
	p.flat, p.over = true, false
	p.line.Reset()
	write()
	p.flat = false
	if !p.over {
		p.b.WriteString(p.line.String())
		return
	}
	p.column = column
	write()
}

// nest indents what is written within by two more columns.
func (p *printer) nest(write func()) {
	p.indent += 2
	write()
	p.indent -= 2
}
