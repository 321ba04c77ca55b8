// Package impure commits every sin that the purity test looks for.
package impure

import (
	"maps"
	"slices"
	"time"

	"github.com/synod-network/synod/keys"
)

func sins(m map[string]int) (sum int, first time.Time) {
	var c chan int
	go func() {}()
	select {
	case <-c:
	default:
	}
	for _, v := range m {
		sum += v
	}
	for _, v := range m { //bft:unordered
		sum += v
	}
	//bft:unordered addition commutes
	for _, v := range m {
		sum += v
	}
	for k := range maps.Keys(m) {
		sum += len(k)
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		sum += len(k)
	}
	return sum, first
}

func reads(path string) keys.Signature {
	key, _ := keys.Load(path)
	return key.Sign(nil)
}
