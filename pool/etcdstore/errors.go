package etcdstore

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What can be wrong, to be found by errors.Is.
var (
	// ErrUnreachable says that etcd has not answered in time. Calls succeed again
	// once it does. Where TLS is what fails, it is [ErrTLS].
	ErrUnreachable = errors.New("etcdstore: etcd does not answer; see that a majority of its members run and can be reached, and check the endpoints and whether they want TLS")

	// ErrTLS says that etcd has not answered, and that TLS with a member has just failed:
	// one of the two sides does not accept the other's certificate, for example.
	ErrTLS = errors.New("etcdstore: TLS with etcd fails; check that etcd speaks TLS there, the certificate authority (ca), the name in etcd's certificate (server-name), and the certificate shown to it (cert, key)")

	// ErrCredentials says that etcd wants a user and a password, or others.
	ErrCredentials = errors.New("etcdstore: etcd refuses the user or the password; give those of an etcd user")

	// ErrForbidden says that the user may not do what a store has to.
	ErrForbidden = errors.New("etcdstore: the etcd user lacks a permission; grant it reading and writing below the prefix (etcdctl role grant-permission --prefix=true ROLE readwrite PREFIX)")

	// ErrFull says that etcd writes nothing until somebody makes room.
	ErrFull = errors.New("etcdstore: etcd's database is at its quota; compact and defragment it, then disarm the alarm (etcdctl alarm disarm)")
)

// explain wraps what etcd's client returns in what can be done about it.
func (s *Store) explain(err error) error {
	kind := ErrUnreachable
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("etcdstore: %w", err)
	case is(err, rpctypes.ErrAuthFailed, rpctypes.ErrUserEmpty, rpctypes.ErrUserNotFound, rpctypes.ErrInvalidAuthToken) || code(err) == codes.Unauthenticated:
		kind = ErrCredentials
	case is(err, rpctypes.ErrPermissionDenied):
		return fmt.Errorf("%w: %w (prefix %q)", ErrForbidden, err, s.keys.prefix)
	case is(err, rpctypes.ErrNoSpace):
		kind = ErrFull
	case !transient(err):
		return fmt.Errorf("etcdstore: %w", err)
	default:
		if refused := s.refused.reason(); refused != nil && !answered(err) {
			return fmt.Errorf("%w: %w (%w)", ErrTLS, refused, err)
		}
	}
	return fmt.Errorf("%w: %w", kind, err)
}

// answered reports whether it was etcd that said so.
func answered(err error) bool {
	_, own := errors.AsType[rpctypes.EtcdError](rpctypes.Error(err))
	return own
}

// transient reports whether another attempt may succeed.
func transient(err error) bool {
	switch code(err) {
	case codes.Unavailable, codes.DeadlineExceeded:
		return true
	default:
		// A token that has expired is drawn anew by the client when it hears so.
		return is(err, rpctypes.ErrTooManyRequests, rpctypes.ErrInvalidAuthToken, rpctypes.ErrAuthOldRevision)
	}
}

func is(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) || errors.Is(rpctypes.Error(err), target) {
			return true
		}
	}
	return false
}

func code(err error) codes.Code {
	var own rpctypes.EtcdError
	switch {
	case errors.As(err, &own):
		return own.Code()
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded
	}
	return status.Code(err)
}
