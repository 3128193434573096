package pool

import (
	"fmt"

	"github.com/easyflake/easyflake/layout"
)

// The functions NodeFrom… find a node's number where there is no pool, for
// generator.Static. Nobody keeps such numbers apart but whoever gives them out
// (A4 of the guarantee): each number must have one live source at a time, and no
// pool may lease it. And nobody remembers what was stamped (A5): after a restart
// the clock must be past it. Package statefile remembers it in a file; it cannot
// know of a second machine.

// NodeSourceError says that no node number is where it was looked for, or none
// that can be used.
type NodeSourceError struct {
	// Source is where: "environment variable NAME", "host name" or "private
	// IPv4 address".
	Source string
	// Value is what was there.
	Value string
	// Reason says what is wrong with it, and what to do.
	Reason string
}

// Error returns "pool: no node number from SOURCE VALUE: REASON", with the value in
// quotes.
func (e *NodeSourceError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("pool: no node number from %s: %s", e.Source, e.Reason)
	}
	return fmt.Sprintf("pool: no node number from %s %q: %s", e.Source, e.Value, e.Reason)
}

// number returns a node that is written in decimal, in the one way that a number
// has: what is written differently was perhaps not meant as one, and 010 and 10
// would be one node.
func number(source, value, digits string, l layout.Layout) (int64, error) {
	fail := func(reason string) (int64, error) { return 0, &NodeSourceError{source, value, reason} }
	if digits == "" {
		return fail("there is no number")
	}
	if digits[0] == '0' && len(digits) > 1 {
		return fail("the number has a leading zero, by which two writings could mean one node; write it without")
	}
	var n int64
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return fail(fmt.Sprintf("%q is not a number of decimal digits", digits))
		}
		if n = 10*n + int64(c-'0'); n > l.MaxNode() {
			return fail(fmt.Sprintf("the layout's highest node is %d: use lower numbers, or a layout with more than %d node bits", l.MaxNode(), l.NodeBits()))
		}
	}
	return n, nil
}
