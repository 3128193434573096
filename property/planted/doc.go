// Package planted plants bugs, to see that some test catches each.
//
// A file testdata/NAME.bug says in a line what goes wrong, names the tests that must
// notice (in order of preference; the first that fails has caught it), and has the
// edits, whose old text must be there exactly once:
//
//	A lease given back is free one tick too early.
//
//	go test ./property/sim -run TestSim$ -seeds 40 -fresh 0
//	quick
//
//	--- pool/rules.go
//	-	n.Until = r.Last + 1
//	+	n.Until = r.Last
//
// Lines are compared without the white space around them. The source is edited by
// go test -overlay: nothing of this is in the code that is built for anybody else.
// An edit may read a clock where nothing would have been read, or yield, so that
// others have their turn in the middle of what it has torn.
//
//	go test ./property/planted                        # those marked quick
//	go test ./property/planted -v -bug NAME           # one; or a regular expression
//	go test ./property/planted -v -all -timeout 60m   # all
//	go test ./property/planted -all -update -timeout 60m
//
// The last one also writes the table in docs/guarantees.md; without -all, only the
// lines of the bugs that it has planted. It is a failure if a bug is caught by nobody,
// does not build or has no place in the source any more, and if its test fails
// without it, too.
package planted
