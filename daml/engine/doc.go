// Package engine runs the commands of clients against compiled Daml packages, and makes transactions of them.
//
// It is pure. It starts no goroutine and reads no clock, disk or network; the same input and the same answers give the same transaction,
// byte for byte, at every participant. So it cannot wait for what it lacks: a [Run] asks.
//
//	run := engine.Submit(commands, input)
//	for {
//		question, err := run.Next(ctx)
//		switch q := question.(type) {
//		case *engine.NeedPackage:  // AddPackage or AddCompiled; without it the run fails
//		case *engine.NeedContract: // AnswerContract, with nil for one that is not there
//		case *engine.NeedKeys:     // AnswerKeys: a page of contracts, newest first
//		case nil:                  // err says why not; or run.Result() is the transaction
//		}
//	}
//
// The instruction that asked runs again when the answer is there, so that nothing is kept half done.
//
// # From a package to a transaction
//
// A definition is compiled when it is first used: types are erased, variables become slots of a frame, and code is a flat list of
// instructions (compile.go, code.go). A machine runs it on stacks of its own (machine.go, stacks.go), which hold operands, variables and
// calls: how deep a program calls is bounded by [Limits], never by Go's stack. The ledger actions among the instructions
// (ledger.go, fetch.go, interface.go) check who must authorize what, read contracts, compare versions, and add nodes to a builder of package tx.
//
// [Engine.Submit] begins with commands, [Engine.Reinterpret] with one action of a transaction that somebody else made, [Engine.View]
// with a contract and an interface. Packages are expected to be valid (package validate): no program of valid packages breaks the
// machine, however it fails.
//
// A package can also be kept as bytes, from which code is read when it is needed ([Engine.Compile], [Compiled]).
package engine
