// Package text is the textual form of Daml-LF: [Parse] reads a package, [Print]
// writes one.
//
// It serves where no Daml compiler is at hand: tests and small examples are written
// in it, and it shows what a compiled package says. The syntax is the one in which
// the Daml developers write their own tests of the language, with a header that
// states language version, name and imports, and with backquotes around names that
// are words of the syntax:
//
//	language 2.1
//	metadata ('greeting' : '1.0.0')
//
//	module Main {
//	  record @serializable Greeting = { from: Party, to_: Party, words: Text };
//
//	  template (this: Greeting) = {
//	    signatories Cons @Party [Main:Greeting {from} this] (Nil @Party);
//	    observers Cons @Party [Main:Greeting {to_} this] (Nil @Party);
//	    choice Answer (self) (words: Text): Unit,
//	      controllers Cons @Party [Main:Greeting {to_} this] (Nil @Party)
//	      to upure @Unit ();
//	  };
//	}
//
// docs/daml.md explains it.
//
// Printing is canonical: parsing what was printed gives the same package, and
// printing that gives the same text. The same holds with an archive in between.
package text

import "fmt"

// Error is a fault in a text.
type Error struct {
	Line, Column int // from 1; columns count bytes
	Message      string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Message)
}
