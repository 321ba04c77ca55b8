package event

// Kind is what an event tells. The numbers are stored in databases: none is ever given another meaning.
type Kind uint8

// The kinds of events of Casper nodes: Deploy* from nodes 1.x, Transaction* from 2.x, the rest from both.
const (
	Unknown Kind = iota
	APIVersion
	SidecarVersion
	BlockAdded
	DeployAccepted
	DeployProcessed
	DeployExpired
	TransactionAccepted
	TransactionProcessed
	TransactionExpired
	FinalitySignature
	Fault
	Step
	Shutdown
	kinds // how many there are
)

var tags = [kinds]string{
	"Unknown", "ApiVersion", "SidecarVersion", "BlockAdded", "DeployAccepted", "DeployProcessed", "DeployExpired",
	"TransactionAccepted", "TransactionProcessed", "TransactionExpired", "FinalitySignature", "Fault", "Step", "Shutdown",
}

// String returns the tag that the kind has in JSON, "Unknown" for those that have none.
func (k Kind) String() string { return tags[k] }

// KindOf returns the kind with a tag, [Unknown] if there is none.
func KindOf(tag string) Kind {
	for kind, known := range tags {
		if known == tag {
			return Kind(kind)
		}
	}
	return Unknown
}

// Kinds returns all kinds, [Unknown] first.
func Kinds() []Kind {
	all := make([]Kind, kinds)
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}
