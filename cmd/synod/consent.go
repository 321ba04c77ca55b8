package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/synod-network/synod/node/exit"
	"github.com/synod-network/synod/sequencer/admin"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// readDecision reads the file of a decision about a member, and says what is in it.
func readDecision(file string) (request []byte, text string, err error) {
	request, err = os.ReadFile(file)
	if err != nil {
		return nil, "", exit.Errorf(exit.Usage, "read the decision: %w", err)
	}
	decoded, err := sequencing.Decode(request)
	if err != nil {
		return nil, "", exit.Errorf(exit.BadConfig, "%s: this is no decision: %w; nothing was signed", file, err)
	}
	what := admin.Describe(decoded)
	if what == "" {
		return nil, "", exit.Errorf(exit.BadConfig, "%s: this request is no decision about a member; nothing was signed", file)
	}
	return request, fmt.Sprintf("%q (signatures so far: %d)", what, len(decoded.Signatures)), nil
}

// consent shows what is about to be signed, and asks at a terminal. Elsewhere nobody can answer, so yes must have been said before.
func consent(in io.Reader, out io.Writer, what string, yes bool) error {
	if _, err := fmt.Fprintf(out, "about to sign: %s\n", what); err != nil || yes {
		return err
	}
	if file, ok := in.(*os.File); !ok || !term.IsTerminal(int(file.Fd())) {
		return exit.Errorf(exit.Usage, "nothing was signed: without a terminal nobody can be asked; read the line above, and write --yes")
	}
	return ask(in, out)
}

func ask(in io.Reader, out io.Writer) error {
	fmt.Fprint(out, "sign it? [y/N] ")
	const longest = 16
	answer, err := bufio.NewReaderSize(io.LimitReader(in, longest), longest).ReadString('\n')
	if err != nil && err != io.EOF {
		return fmt.Errorf("read the answer: %w; nothing was signed", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return exit.Errorf(exit.Failed, "nothing was signed")
}
