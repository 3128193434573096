package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// doubtRecord is the name under which a store keeps when it was last in doubt, in
// Unix nanoseconds. No namespace can be called so.
const doubtRecord = "."

// names returns the names of the namespaces.
func (p *Local) names(ctx context.Context) ([]string, error) {
	if err := p.usable(); err != nil {
		return nil, err
	}
	names, err := p.store.Namespaces(ctx)
	if err != nil {
		return nil, fmt.Errorf("pool: reading the namespaces: %w", err)
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == doubtRecord }), nil
}

// noteDoubt notes that the store is in doubt now.
func (p *Local) noteDoubt(ctx context.Context) error {
	if err := p.usable(); err != nil {
		return err
	}
	for range floorAttempts {
		at, revision, err := p.doubted(ctx)
		if err != nil {
			return err
		}
		now, err := p.store.Now(ctx)
		if err != nil {
			return fmt.Errorf("pool: reading the store's clock: %w", err)
		}
		_, err = p.store.Write(ctx, Write{
			Namespace: doubtRecord, NamespaceRevision: revision, OfNamespace: true,
			Value: strconv.AppendInt(nil, max(at, now), 10),
		})
		if !errors.Is(err, ErrConflict) {
			return err //nolint:wrapcheck // a store's errors say themselves what is wrong
		}
	}
	return fmt.Errorf("pool: noting that the store is in doubt: %w", ErrConflict)
}

// doubted returns when the store was last in doubt, 0 if never.
func (p *Local) doubted(ctx context.Context) (at int64, revision uint64, err error) {
	r, err := p.store.Namespace(ctx, doubtRecord)
	if err != nil {
		return 0, 0, fmt.Errorf("pool: reading when the store was in doubt: %w", err)
	}
	if r.Revision == 0 {
		return 0, 0, nil
	}
	at, err = strconv.ParseInt(string(r.Value), 10, 64)
	if err != nil || at < 0 {
		return 0, 0, &RecordError{"the store's last doubt", "not Unix nanoseconds"}
	}
	return at, r.Revision, nil
}

// floorAfterDoubt returns the floor that a namespace needs because the store may
// have lost an earlier one of that name: a horizon after the doubt.
func (p *Local) floorAfterDoubt(ctx context.Context, n *Namespace) (int64, error) {
	at, _, err := p.doubted(ctx)
	if err != nil || at == 0 {
		return n.Floor, err
	}
	return max(n.Floor, roundUp(n.Layout, later(at, max(n.Terms.Horizon, 2*time.Minute)))), nil
}
