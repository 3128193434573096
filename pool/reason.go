package pool

import (
	"errors"

	"github.com/easyflake/easyflake/layout"
)

// Reason returns the short name of what a pool refused with, for counters and
// protocols: "ok" for nil, one of the words below for an error of this package,
// and "other" for anything else, of which it is not known whether it was carried
// out.
//
//	ok  lease_lost  revoked  bad_seal  not_leasable  exists  clock_jumped  closed
//	exhausted  not_yet  unknown_namespace  layout_mismatch  bad_record  clock_off
//	invalid  life_over  no_legacy_nodes
//	ranges_mismatch  terms_mismatch  other
func Reason(err error) string {
	if err == nil {
		return "ok"
	}
	var (
		exhausted *ExhaustedError
		notYet    *NotYetError
		unknown   *UnknownNamespaceError
		mismatch  *LayoutMismatchError
		record    *RecordError
		clockOff  *ClockOffError
		field     *layout.FieldError
		life      *layout.LifeError
		noLegacy  *NoLegacyNodesError
		ranges    *RangesMismatchError
		terms     *TermsMismatchError
	)
	switch {
	case errors.Is(err, ErrRevoked):
		return "revoked"
	case errors.Is(err, ErrLeaseLost):
		return "lease_lost"
	case errors.Is(err, ErrBadSeal):
		return "bad_seal"
	case errors.Is(err, ErrNotLeasable):
		return "not_leasable"
	case errors.Is(err, ErrExists):
		return "exists"
	case errors.Is(err, ErrClockJumped):
		return "clock_jumped"
	case errors.Is(err, ErrClosed):
		return "closed"
	case errors.As(err, &exhausted):
		return "exhausted"
	case errors.As(err, &notYet):
		return "not_yet"
	case errors.As(err, &unknown):
		return "unknown_namespace"
	case errors.As(err, &mismatch):
		return "layout_mismatch"
	case errors.As(err, &record):
		return "bad_record"
	case errors.As(err, &clockOff):
		return "clock_off"
	case errors.As(err, &field):
		return "invalid"
	case errors.As(err, &life), errors.Is(err, layout.ErrLifeOver):
		return "life_over"
	case errors.As(err, &noLegacy):
		return "no_legacy_nodes"
	case errors.As(err, &ranges):
		return "ranges_mismatch"
	case errors.As(err, &terms):
		return "terms_mismatch"
	}
	return "other"
}
