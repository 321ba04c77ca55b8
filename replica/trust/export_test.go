package trust

// Planted names a rule that a ledger leaves out, for tests that must notice.
type Planted = planted

// Plant leaves rules out.
func (l *Ledger) Plant(p Planted) { l.planted = p }

// Plants lists every rule that can be left out, by name.
func Plants() map[string]Planted {
	return map[string]Planted{
		"time may go back":               {clockRuns: true},
		"scores leave their bounds":      {unbounded: true},
		"nothing makes room":             {hoards: true},
		"members are banned beyond f":    {noGuard: true},
		"bans stay while a quorum lacks": {noHold: true},
		"never suspects itself":          {confident: true},
		"unban leaves strikes and score": {halfUnban: true},
		"strikes do not survive":         {shortState: true},
	}
}
