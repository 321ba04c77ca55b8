// Package quorum is the arithmetic on which the safety of ordering rests.
//
// A committee of n members tolerates f of them lying, crashing or being cut
// off. Two quorums share at least f+1 members, hence one honest member that
// never says two different things; and the n-f members that are not faulty
// always form a quorum by themselves. Everything the engine decides is a count
// of distinct members compared with one of the three numbers below.
package quorum

// Faults returns f, the number of faulty members that n members tolerate.
func Faults(n int) int {
	if n < 1 {
		return 0
	}
	return (n - 1) / 3
}

// Size returns q, the number of members that makes a quorum: the smallest
// number for which two quorums share f+1 members.
func Size(n int) int { return (n+Faults(n))/2 + 1 }

// Witness returns f+1, the number of members of whom at least one is honest.
func Witness(n int) int { return Faults(n) + 1 }
