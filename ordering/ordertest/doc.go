// Package ordertest holds an [ordering.Orderer] to its promise.
//
// [Run] is the suite that every backend must pass. It sees a backend as a
// [Cluster]: some nodes, and what can be done to them. A backend that cannot do
// one of the optional things leaves it out, and the cases in need of it are
// skipped by name.
//
// [Memory] is an orderer that lives in one process's memory: correct, quick, and
// able to stall, stop, lose its queue and prune on demand. What stands on
// orderers is tested on it. [Altered] breaks the promise of another orderer in
// chosen ways; this package's own tests use it to show that the suite catches
// each.
package ordertest
