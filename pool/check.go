package pool

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// CheckError says which namespaces of a pool nothing can be granted in.
type CheckError struct {
	// Namespaces are those concerned, in the order of their names; the others work.
	Namespaces []NamespaceError
}

// NamespaceError says why nothing can be granted in a namespace.
type NamespaceError struct {
	Namespace string
	Err       error
}

// Error names the namespace.
func (e *NamespaceError) Error() string { return fmt.Sprintf("namespace %q: %v", e.Namespace, e.Err) }

// Unwrap returns what is the matter with it.
func (e *NamespaceError) Unwrap() error { return e.Err }

// Error names all of them, in one line.
func (e *CheckError) Error() string {
	texts := make([]string, len(e.Namespaces))
	for i := range e.Namespaces {
		texts[i] = e.Namespaces[i].Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns a [*NamespaceError] each.
func (e *CheckError) Unwrap() []error {
	all := make([]error, len(e.Namespaces))
	for i := range e.Namespaces {
		all[i] = &e.Namespaces[i]
	}
	return all
}

// Check says whether the pool can grant now. It returns nil; the store's failure,
// where that does not answer; or a [*CheckError] that names the namespaces in which
// nothing is granted, with [ErrClockJumped], with a [*RecordError] for a record that
// is not usable, or with a [*layout.LifeError] once the layout's life is over. That
// all nodes are taken, or that there is a floor to wait for, is no failure.
//
// It asks the store for the names of the namespaces, and for its clock once a
// second at most, as requests do; so it can be asked every second. Like them it
// notes the time in the store now and then.
func (p *Local) Check(ctx context.Context) error {
	names, err := p.names(ctx)
	if err != nil {
		return err
	}
	var failed []NamespaceError
	for _, name := range names {
		if err := p.check(ctx, name); err != nil {
			failed = append(failed, NamespaceError{Namespace: name, Err: err})
		}
	}
	if len(failed) > 0 {
		return &CheckError{Namespaces: failed}
	}
	return nil
}

func (p *Local) check(ctx context.Context, name string) error {
	s, err := p.space(ctx, name)
	if err != nil {
		return err
	}
	now, err := s.now(ctx)
	if err != nil {
		return err
	}
	if err := s.current().Layout.Check(time.Unix(0, now)); errors.Is(err, layout.ErrLifeOver) {
		return err //nolint:wrapcheck // says itself what is wrong
	}
	return nil
}

// ClockOffset returns how far the store's clock is ahead of the time that the pool
// goes by in a namespace; less than zero where it is behind, as after it was set
// back while no server ran. It is near zero unless [Local.AcceptClock] has something
// to accept. It reads the clock, also one that has jumped.
func (p *Local) ClockOffset(ctx context.Context, namespace string) (time.Duration, error) {
	s, err := p.space(ctx, namespace)
	if err != nil {
		return 0, err
	}
	if _, err := s.now(ctx); err != nil && !errors.Is(err, ErrClockJumped) {
		return 0, err
	}
	return s.time.offset(ctx)
}
