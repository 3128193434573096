package fuzz

import (
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/easyflake/easyflake/pool/grpcpool/poolv1"
)

// refusals are the reasons for which a pool server refuses, as poolv1/pool.proto has
// them, without those that no server in these targets can have.
func refusals() map[string]codes.Code {
	return map[string]codes.Code{
		"LEASE_LOST":        codes.Aborted,
		"REVOKED":           codes.Aborted,
		"BAD_SEAL":          codes.OutOfRange,
		"NOT_LEASABLE":      codes.FailedPrecondition,
		"LAYOUT_MISMATCH":   codes.FailedPrecondition,
		"LIFE_OVER":         codes.FailedPrecondition,
		"PAST_END":          codes.FailedPrecondition,
		"BEFORE_EPOCH":      codes.FailedPrecondition,
		"UNKNOWN_NAMESPACE": codes.NotFound,
		"EXISTS":            codes.AlreadyExists,
		"EXHAUSTED":         codes.ResourceExhausted,
		"QUOTA":             codes.ResourceExhausted,
		"NOT_YET":           codes.Unavailable,
		"INVALID":           codes.InvalidArgument,
		"UNAUTHENTICATED":   codes.Unauthenticated,
		"DENIED":            codes.PermissionDenied,
	}
}

// method is one of the pool server's.
type method struct {
	name    string
	request func() proto.Message
	// callers are those who may use it; namespaces other than the first are not
	// for strangers.
	callers []uint8
}

func methods() []method {
	all, leasing, managing := []uint8{worker, admin, stranger}, []uint8{worker, admin}, []uint8{admin}
	return []method{
		{poolv1.NodePool_Acquire_FullMethodName, func() proto.Message { return new(poolv1.AcquireRequest) }, leasing},
		{poolv1.NodePool_Renew_FullMethodName, func() proto.Message { return new(poolv1.RenewRequest) }, leasing},
		{poolv1.NodePool_Release_FullMethodName, func() proto.Message { return new(poolv1.ReleaseRequest) }, leasing},
		{poolv1.NodePool_List_FullMethodName, func() proto.Message { return new(poolv1.ListRequest) }, []uint8{admin, stranger}},
		{poolv1.NodePool_Revoke_FullMethodName, func() proto.Message { return new(poolv1.RevokeRequest) }, managing},
		{poolv1.NodePool_Retire_FullMethodName, func() proto.Message { return new(poolv1.RetireRequest) }, managing},
		{poolv1.NodePool_Namespaces_FullMethodName, func() proto.Message { return new(poolv1.NamespacesRequest) }, all},
		{poolv1.NodePool_CreateNamespace_FullMethodName, func() proto.Message { return new(poolv1.CreateNamespaceRequest) }, managing},
		{poolv1.NodePool_AcceptClock_FullMethodName, func() proto.Message { return new(poolv1.AcceptClockRequest) }, managing},
	}
}

// refusedCall makes sure that a pool server has refused as it is documented: with a
// reason, and the reason's code, and without a word of anybody's token.
func (s *site) refusedCall(m method, err error) {
	s.Helper()
	st, ok := status.FromError(err)
	if !ok {
		s.Fatalf("%s: no status: %v", m.name, err)
	}
	var info *errdetails.ErrorInfo
	for _, d := range st.Details() {
		if i, ok := d.(*errdetails.ErrorInfo); ok {
			info = i
		}
	}
	if info == nil || info.GetDomain() != "easyflake.pool" {
		s.Fatalf("%s: no reason: %v", m.name, err)
	}
	code, known := refusals()[info.GetReason()]
	if !known || code != st.Code() {
		s.Fatalf("%s: reason %s with code %v: %v", m.name, info.GetReason(), st.Code(), err)
	}
	for i := range uint8(4) {
		if text, _ := tokenOf(i).MarshalText(); strings.Contains(st.String(), string(text)) {
			s.Fatalf("%s: a token is told: %v", m.name, err)
		}
	}
}
