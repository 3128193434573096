package pgstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// What can be wrong, to be found by errors.Is.
var (
	ErrURL         = errors.New("pgstore: the URL is wrong")
	ErrUnreachable = errors.New("pgstore: the database cannot be reached") // or the connection broke
	ErrConnections = errors.New("pgstore: the server has no connection left")
	ErrCredentials = errors.New("pgstore: the server refuses this user") // or the password
	ErrNoDatabase  = errors.New("pgstore: the server has no such database")
	ErrMissing     = errors.New("pgstore: the database has no such schema") // or no tables of ours in it
	ErrForeign     = errors.New("pgstore: the schema is something else")    // has tables that are not ours
	ErrNewer       = errors.New("pgstore: the schema is of a newer version")
	ErrPermission  = errors.New("pgstore: the database does not allow this user to do so")
	ErrReadOnly    = errors.New("pgstore: the server is read-only")                      // a standby, for example
	ErrUnsafe      = errors.New("pgstore: the server may lose what it has acknowledged") // fsync is off
	ErrIsolation   = errors.New("pgstore: transactions are not read committed")
	ErrDoubtful    = errors.New("pgstore: the server has committed, and warns of it") // no standby has it yet
)

// advice is what to do about an error, with the schema's name.
func advice(kind error, schema string) string {
	switch {
	case errors.Is(kind, ErrUnreachable):
		return "check host and port, and that PostgreSQL runs there"
	case errors.Is(kind, ErrConnections):
		return "raise max_connections, or the limit of the role or the database; or lower pool_max_conns in the URLs of those who use it"
	case errors.Is(kind, ErrCredentials):
		return "check user and password, and the server's pg_hba.conf"
	case errors.Is(kind, ErrNoDatabase):
		return "create it, or name another one"
	case errors.Is(kind, ErrMissing):
		return fmt.Sprintf("create schema %q with 'easyflake-cli store init URL', or name another one with %s=NAME", schema, schemaParameter)
	case errors.Is(kind, ErrForeign):
		return fmt.Sprintf("schema %q is left as it is; name another one with %s=NAME", schema, schemaParameter)
	case errors.Is(kind, ErrNewer):
		return fmt.Sprintf("schema %q is left as it is; use a newer EasyFlake", schema)
	case errors.Is(kind, ErrPermission):
		return "grant it what the documentation of package pgstore says"
	case errors.Is(kind, ErrReadOnly):
		return "name the primary or, with several hosts, add target_session_attrs=read-write"
	case errors.Is(kind, ErrUnsafe):
		return "fsync is off: set it on"
	case errors.Is(kind, ErrIsolation):
		return "set default_transaction_isolation of the role or the database to read committed"
	case errors.Is(kind, ErrDoubtful):
		return "see to the synchronous standbys, and try again"
	}
	return ""
}

// kindOf classifies what a server has answered, nil for anything else.
func kindOf(code string) error {
	switch code {
	case "53300":
		return ErrConnections
	case "28000", "28P01":
		return ErrCredentials
	case "3D000":
		return ErrNoDatabase
	case "3F000", "42P01":
		return ErrMissing
	case "42703", "42804", "42809", "42883":
		return ErrForeign // columns and types are others
	case "42501":
		return ErrPermission
	case "25006":
		return ErrReadOnly
	case "25001":
		return ErrIsolation // see lockStatement
	}
	if strings.HasPrefix(code, "08") || strings.HasPrefix(code, "57P") {
		return ErrUnreachable // starting up, or going down
	}
	return nil
}

// explain makes an error of pgx one of this package.
func explain(ctx context.Context, err error, schema string) error {
	if err == nil {
		return nil
	}
	if known(err) {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("pgstore: %w (%w)", ctx.Err(), lineError{err})
	}
	kind := ErrUnreachable
	if _, misread := errors.AsType[pgx.ScanArgError](err); misread {
		kind = ErrForeign
	} else if server, answered := errors.AsType[*pgconn.PgError](err); answered {
		kind = kindOf(server.Code)
	}
	if kind == nil {
		return fmt.Errorf("pgstore: %w", lineError{err})
	}
	return fmt.Errorf("%w: %s (%w)", kind, advice(kind, schema), lineError{err})
}

// known reports whether an error is of this package already.
func known(err error) bool {
	for _, kind := range []error{
		ErrURL, ErrUnreachable, ErrConnections, ErrCredentials, ErrNoDatabase, ErrMissing, ErrForeign, ErrNewer, ErrPermission,
		ErrReadOnly, ErrUnsafe, ErrIsolation, ErrDoubtful,
	} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// lineError is an error of pgx, which writes one line for each address tried.
type lineError struct{ err error }

func (e lineError) Error() string {
	var all []string
	for line := range strings.Lines(e.err.Error()) {
		if line = strings.TrimSpace(line); !slices.Contains(all, line) { // tried with TLS and without
			all = append(all, line)
		}
	}
	return strings.Join(all, " ")
}

func (e lineError) Unwrap() error { return e.err }
