// Package historytest holds every [sequencing.History] to one promise, whether it
// keeps records in memory or on disk.
//
// A [Story] makes blocks of random requests, the same from the same seed, and applies
// them with a real machine. A [Model] keeps in plain lists, in words, what each member
// must be told, derived from the records alone. [Run] lets a history and the model live
// through the same and compares every page that is read: events, previous times, the
// time up to which a member knows everything, and what is refused because it was
// pruned.
//
// That the suite notices what it is for is shown by planted bugs: histories that break
// one part of the promise each, of which every one must fail.
package historytest
