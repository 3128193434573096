package grpcpool

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool/access"
)

// domain names the reasons of refusals in a status' details.
const domain = "easyflake.pool"

// Reasons in a status' details; poolv1/pool.proto explains them.
const (
	reasonLeaseLost        = "LEASE_LOST"
	reasonRevoked          = "REVOKED"
	reasonBadSeal          = "BAD_SEAL"
	reasonNotLeasable      = "NOT_LEASABLE"
	reasonExists           = "EXISTS"
	reasonClockJumped      = "CLOCK_JUMPED"
	reasonClosed           = "CLOSED"
	reasonExhausted        = "EXHAUSTED"
	reasonNotYet           = "NOT_YET"
	reasonUnknownNamespace = "UNKNOWN_NAMESPACE"
	reasonLayoutMismatch   = "LAYOUT_MISMATCH"
	reasonBadRecord        = "BAD_RECORD"
	reasonInvalid          = "INVALID"
	reasonLifeOver         = "LIFE_OVER"
	reasonPastEnd          = "PAST_END"
	reasonBeforeEpoch      = "BEFORE_EPOCH"
	reasonUnauthenticated  = "UNAUTHENTICATED"
	reasonDenied           = "DENIED"
	reasonQuota            = "QUOTA"
	reasonStore            = "STORE"
)

// errStore is what a client hears of an error that is none of a pool's: what a
// store says may name files and hosts, and is for the server's log.
var errStore = errors.New("pool: the server's store has failed; its log says how")

// refusal is an error on its way through the network.
type refusal struct {
	code   codes.Code
	reason string
	facts  map[string]string
	retry  time.Duration // zero: not known
}

// sentinels are the errors that have nothing to say beside being themselves. The
// first that fits counts.
func sentinels() []struct {
	err    error
	code   codes.Code
	reason string
} {
	return []struct {
		err    error
		code   codes.Code
		reason string
	}{
		{pool.ErrRevoked, codes.Aborted, reasonRevoked},
		{pool.ErrLeaseLost, codes.Aborted, reasonLeaseLost},
		{pool.ErrBadSeal, codes.OutOfRange, reasonBadSeal},
		{pool.ErrNotLeasable, codes.FailedPrecondition, reasonNotLeasable},
		{pool.ErrExists, codes.AlreadyExists, reasonExists},
		{pool.ErrClockJumped, codes.Unavailable, reasonClockJumped},
		{pool.ErrClosed, codes.Unavailable, reasonClosed},
		{layout.ErrPastEnd, codes.FailedPrecondition, reasonPastEnd},
		{layout.ErrBeforeEpoch, codes.FailedPrecondition, reasonBeforeEpoch},
		{access.ErrUnauthenticated, codes.Unauthenticated, reasonUnauthenticated},
	}
}

// refuse finds out what to tell a client about an error. It returns false for one
// that is none of a pool's or of this package's.
func refuse(err error) (refusal, bool) {
	var (
		exhausted *pool.ExhaustedError
		notYet    *pool.NotYetError
		unknown   *pool.UnknownNamespaceError
		mismatch  *pool.LayoutMismatchError
		record    *pool.RecordError
		denied    *access.DeniedError
		quota     *access.QuotaError
		life      *layout.LifeError
		field     *layout.FieldError
	)
	switch {
	case errors.As(err, &exhausted):
		return refusal{codes.ResourceExhausted, reasonExhausted, map[string]string{
			"namespace": exhausted.Namespace, "nodes": strconv.FormatInt(exhausted.Nodes, 10),
		}, exhausted.RetryAfter}, true
	case errors.As(err, &notYet):
		return refusal{codes.Unavailable, reasonNotYet, nil, notYet.RetryAfter}, true
	case errors.As(err, &unknown):
		return refusal{codes.NotFound, reasonUnknownNamespace, map[string]string{
			"namespace": unknown.Name, "nearest": unknown.Nearest,
		}, 0}, true
	case errors.As(err, &mismatch):
		return refusal{codes.FailedPrecondition, reasonLayoutMismatch, map[string]string{
			"namespace": mismatch.Namespace, "have": mismatch.Have.String(), "want": mismatch.Want.String(),
		}, 0}, true
	case errors.As(err, &record):
		return refusal{codes.DataLoss, reasonBadRecord, map[string]string{"what": record.What, "why": record.Reason}, 0}, true
	case errors.As(err, &denied):
		return refusal{codes.PermissionDenied, reasonDenied, map[string]string{
			"identity": denied.Identity, "namespace": denied.Namespace, "action": denied.Action,
		}, 0}, true
	case errors.As(err, &quota):
		return refusal{codes.ResourceExhausted, reasonQuota, map[string]string{
			"identity": quota.Identity, "namespace": quota.Namespace, "limit": strconv.Itoa(quota.Limit),
		}, quota.RetryAfter}, true
	case errors.As(err, &life):
		return refusal{codes.FailedPrecondition, reasonLifeOver, map[string]string{
			"now": life.Now.UTC().Format(time.RFC3339Nano), "end": life.End.UTC().Format(time.RFC3339Nano), "verdict": verdict(life.Err),
		}, 0}, true
	}
	for _, s := range sentinels() {
		if errors.Is(err, s.err) {
			return refusal{code: s.code, reason: s.reason}, true
		}
	}
	if errors.As(err, &field) {
		return refusal{codes.InvalidArgument, reasonInvalid, map[string]string{
			"field": field.Field, "value": fmt.Sprint(field.Value), "why": field.Reason,
		}, 0}, true
	}
	return refusal{}, false
}

// The verdicts on a layout's life as they pass the network.
func verdicts() map[string]error {
	return map[string]error{
		"over":             layout.ErrLifeOver,
		"under-year":       layout.ErrLifeUnderYear,
		"under-three-year": layout.ErrLifeUnderThreeYears,
		"before-epoch":     layout.ErrBeforeEpoch,
	}
}

func verdict(err error) string {
	for name, v := range verdicts() {
		if errors.Is(err, v) {
			return name
		}
	}
	return ""
}

// toStatus makes an error of a pool one that gRPC sends.
func toStatus(err error) error {
	if err == nil {
		return nil
	}
	r, ok := refuse(err)
	if !ok {
		switch {
		case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
			return status.FromContextError(err).Err() //nolint:wrapcheck // this is the last one to say something
		}
		r, err = refusal{code: codes.Unavailable, reason: reasonStore}, errStore
	}
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: r.reason, Domain: domain, Metadata: validText(r.facts)}}
	if r.retry > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(r.retry)})
	}
	st := status.New(r.code, strings.ToValidUTF8(err.Error(), "\uFFFD"))
	if detailed, err := st.WithDetails(details...); err == nil {
		st = detailed
	}
	return st.Err() //nolint:wrapcheck // this is the last one to say something
}

// validText makes facts fit a message: those of a client's request may be
// anything.
func validText(facts map[string]string) map[string]string {
	for k, v := range facts {
		facts[k] = strings.ToValidUTF8(v, "\uFFFD")
	}
	return facts
}

// serverError is an error of a server in its own words, that is one of this
// program's.
type serverError struct {
	text string
	err  error
}

func (e *serverError) Error() string { return e.text }

func (e *serverError) Unwrap() error { return e.err }

// fromStatus makes what gRPC has received the error that it was. Of an error that
// was none of a pool's it returns what it is given.
func fromStatus(err error) error {
	st, ok := status.FromError(err)
	if err == nil || !ok {
		return err
	}
	reason, facts, retry := read(st)
	switch reason {
	case reasonExhausted:
		nodes, _ := strconv.ParseInt(facts["nodes"], 10, 64) // 0 of a server that does not say how many
		return &pool.ExhaustedError{Namespace: facts["namespace"], Nodes: nodes, RetryAfter: retry}
	case reasonNotYet:
		return &pool.NotYetError{RetryAfter: retry}
	case reasonUnknownNamespace:
		return &pool.UnknownNamespaceError{Name: facts["namespace"], Nearest: facts["nearest"]}
	case reasonLayoutMismatch:
		have, errHave := layout.Parse(facts["have"])
		want, errWant := layout.Parse(facts["want"])
		if errHave != nil || errWant != nil { // of a server that knows more layouts
			return err
		}
		return &pool.LayoutMismatchError{Namespace: facts["namespace"], Have: have, Want: want}
	case reasonBadRecord:
		return &pool.RecordError{What: facts["what"], Reason: facts["why"]}
	case reasonInvalid:
		return &layout.FieldError{Field: facts["field"], Value: facts["value"], Reason: facts["why"]}
	case reasonLifeOver:
		if life, ok := readLife(facts); ok {
			return &serverError{st.Message(), life}
		}
		return err
	case reasonDenied:
		return &access.DeniedError{Identity: facts["identity"], Namespace: facts["namespace"], Action: facts["action"]}
	case reasonQuota:
		limit, _ := strconv.Atoi(facts["limit"]) // as above
		return &access.QuotaError{Identity: facts["identity"], Namespace: facts["namespace"], Limit: limit, RetryAfter: retry}
	}
	for _, s := range sentinels() {
		if s.reason == reason {
			if st.Message() == s.err.Error() {
				return s.err
			}
			return &serverError{st.Message(), s.err}
		}
	}
	return err
}

// read returns what a status' details say, if they are of this protocol.
func read(st *status.Status) (reason string, facts map[string]string, retry time.Duration) {
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() == domain {
				reason, facts = d.GetReason(), d.GetMetadata()
			}
		case *errdetails.RetryInfo:
			retry = d.GetRetryDelay().AsDuration()
		}
	}
	return reason, facts, retry
}

func readLife(facts map[string]string) (*layout.LifeError, bool) {
	verdict, ok := verdicts()[facts["verdict"]]
	now, errNow := time.Parse(time.RFC3339Nano, facts["now"])
	end, errEnd := time.Parse(time.RFC3339Nano, facts["end"])
	ok = ok && errNow == nil && errEnd == nil
	return &layout.LifeError{Now: now, End: end, Left: end.Sub(now), Err: verdict}, ok
}
