package access

import (
	"errors"
	"fmt"
	"time"
)

// ErrUnauthenticated says that the server does not know who asks. The text around
// it says what was missing or wrong, and nothing of what would have been right.
var ErrUnauthenticated = errors.New("access: not authenticated")

// The ways not to be authenticated.
func unauthenticated(reason string) error {
	return fmt.Errorf("%w: %s", ErrUnauthenticated, reason)
}

// DeniedError says that the server knows who asks, and does not allow it.
type DeniedError struct {
	Identity string
	// Namespace is empty where the action would be denied in any.
	Namespace string
	// Action is "lease", "look", "manage" or "legacy".
	Action string
}

// Error says which permission is missing.
func (e *DeniedError) Error() string {
	if e.Namespace == "" {
		return fmt.Sprintf("access: %q has no permission to %s: ask the server's operator for %[2]q in some namespace", e.Identity, e.Action)
	}
	return fmt.Sprintf("access: %q has no permission to %s in namespace %q: ask the server's operator for %[2]q there", e.Identity, e.Action, e.Namespace)
}

// QuotaError says that an identity has as many live leases in a namespace as it
// may have at this server.
type QuotaError struct {
	Identity  string
	Namespace string
	Limit     int
	// RetryAfter is when the first of them could end.
	RetryAfter time.Duration
}

// Error says when to try again.
func (e *QuotaError) Error() string {
	return fmt.Sprintf("access: %q has all the live leases that its quota allows in namespace %q, %d: try again in %v, release some, or ask the server's operator for more",
		e.Identity, e.Namespace, e.Limit, e.RetryAfter.Round(time.Millisecond))
}

// Reason returns the short name of what was refused here, for counters and
// protocols: "unauthenticated", "denied" or "quota", and "" for any other error and
// for nil.
func Reason(err error) string {
	if errors.Is(err, ErrUnauthenticated) {
		return "unauthenticated"
	}
	if _, ok := errors.AsType[*DeniedError](err); ok {
		return "denied"
	}
	if _, ok := errors.AsType[*QuotaError](err); ok {
		return "quota"
	}
	return ""
}

// ConfigError reports one thing that is wrong with a [Config].
type ConfigError struct {
	// Part is "identity", "permission" or "token", and Index which of them, from 0.
	Part  string
	Index int
	// Field is "name", "certificates", "identity", "namespace", "actions",
	// "quota" or "hash".
	Field  string
	Value  string
	Reason string
}

// Error counts from 1, as people do.
func (e *ConfigError) Error() string {
	return fmt.Sprintf("access: %s %d: %s %q: %s", e.Part, e.Index+1, e.Field, e.Value, e.Reason)
}
