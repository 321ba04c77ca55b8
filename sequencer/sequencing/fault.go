package sequencing

// fault is a rule left out on purpose: what the tests must notice.
type fault uint8

const (
	faultNone fault = iota
	faultAnyKey
	faultDisabledTakePart
	faultExpiredPass
	faultNoDeduplication
	faultAggregateAgain
	faultAggregateEarly
	faultContributeTwice
	faultOverdraw
	faultNoCharge
	faultRefillTwice
	faultPreviousSkipped
	faultTwoEvents
	faultAcknowledgeBack
	faultOldSerial
	faultLonePurchase
	faultSnapshotAliases
	faultDisabledHoldsBack
	faultForgetEarly
	faultGroupsNow
	faultRefusedPasses
	faultLast
)

// broken reports whether a rule is left out. It is false outside of tests.
func (m *Machine) broken(f fault) bool { return m.fault == f }
