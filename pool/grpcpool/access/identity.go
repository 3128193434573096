package access

import "fmt"

// Method says how somebody was identified.
type Method uint8

const (
	// None means that nobody was identified.
	None Method = iota
	// Certificate is a client certificate.
	Certificate
	// Bearer is a bearer token.
	Bearer
	// Both are a certificate and a token of the same identity.
	Both
)

// String returns "none", "certificate", "bearer" or "certificate and bearer".
func (m Method) String() string {
	switch m {
	case None:
		return "none"
	case Certificate:
		return "certificate"
	case Bearer:
		return "bearer"
	case Both:
		return "certificate and bearer"
	}
	return fmt.Sprintf("Method(%d)", uint8(m))
}

// Identity is who somebody is to the server.
type Identity struct {
	Name string
	By   Method
}

// AnonymousName is the name of those who show neither certificate nor token. No
// other identity can have it.
const AnonymousName = "anonymous"

// Anonymous returns the identity of those who show neither certificate nor token.
func Anonymous() Identity { return Identity{Name: AnonymousName} }

// Action is something that can be allowed.
type Action uint8

const (
	// Lease is to acquire, renew and release leases.
	Lease Action = iota
	// Look is to list nodes and namespaces.
	Look
	// Manage is to revoke leases, retire nodes, create namespaces and accept a
	// clock that jumped.
	Manage
	// Legacy is to take a number by a stream of EasyFlake for Python.
	Legacy

	numActions
)

// String returns "lease", "look", "manage" or "legacy".
func (a Action) String() string {
	switch a {
	case Lease:
		return "lease"
	case Look:
		return "look"
	case Manage:
		return "manage"
	case Legacy:
		return "legacy"
	}
	return fmt.Sprintf("Action(%d)", uint8(a))
}

// ParseAction reads what [Action.String] returns.
func ParseAction(s string) (Action, bool) {
	for a := range numActions {
		if a.String() == s {
			return a, true
		}
	}
	return 0, false
}
