package grpcpool

import (
	"context"
	"errors"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool/access"
	"github.com/easyflake/easyflake/pool/grpcpool/poolv1"
)

// service is the protocol over a pool. It keeps nothing.
type service struct {
	poolv1.UnimplementedNodePoolServer

	pool    pool.Pool
	manager pool.Manager // nil where the pool is none
	gate    *gate
	failed  func(ctx context.Context, err error) // hears of errors that clients do not
}

var _ poolv1.NodePoolServer = (*service)(nil)

// answer makes a handler's error one that gRPC sends.
func (s *service) answer(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if _, known := refuse(err); !known && ctx.Err() == nil {
		s.failed(ctx, err)
	}
	return toStatus(err)
}

// Acquire implements [poolv1.NodePoolServer].
func (s *service) Acquire(ctx context.Context, r *poolv1.AcquireRequest) (*poolv1.Grant, error) {
	g, err := s.acquire(ctx, r)
	if err != nil {
		return nil, s.answer(ctx, err)
	}
	return grantTo(g), nil
}

func (s *service) acquire(ctx context.Context, r *poolv1.AcquireRequest) (pool.Grant, error) {
	who, err := s.gate.allow(ctx, r.GetNamespace(), access.Lease)
	if err != nil {
		return pool.Grant{}, err
	}
	token, err := tokenOf("token", r.GetToken())
	if err != nil {
		return pool.Grant{}, err
	}
	l, err := layout.Parse(r.GetLayout())
	if err != nil {
		return pool.Grant{}, &layout.FieldError{Field: "layout", Value: r.GetLayout(), Reason: err.Error()}
	}
	reserved, err := s.gate.reserve(who, r.GetNamespace(), token)
	if err != nil {
		return pool.Grant{}, err
	}
	g, err := s.pool.Acquire(ctx, r.GetNamespace(), l, token)
	if err != nil {
		if _, refused := refuse(err); refused {
			reserved.cancel()
		} else {
			reserved.unknown() // it may have been granted
		}
		return pool.Grant{}, err //nolint:wrapcheck // on its way to the client
	}
	reserved.confirm(l, g)
	return g, nil
}

// Renew implements [poolv1.NodePoolServer].
func (s *service) Renew(ctx context.Context, r *poolv1.RenewRequest) (*poolv1.Grant, error) {
	g, err := s.renew(ctx, r)
	if err != nil {
		return nil, s.answer(ctx, err)
	}
	return grantTo(g), nil
}

func (s *service) renew(ctx context.Context, m *poolv1.RenewRequest) (pool.Grant, error) {
	who, err := s.gate.allow(ctx, m.GetNamespace(), access.Lease)
	if err != nil {
		return pool.Grant{}, err
	}
	r, err := renewalFrom(m)
	if err != nil {
		return pool.Grant{}, err
	}
	g, err := s.pool.Renew(s.gate.weigh(ctx, who), r)
	if err != nil {
		// The lease may live on, for a bad renewal changes nothing: it counts until
		// its window is over.
		return pool.Grant{}, err //nolint:wrapcheck // on its way to the client
	}
	s.gate.renewed(ctx, who, g)
	return g, nil
}

// Release implements [poolv1.NodePoolServer].
func (s *service) Release(ctx context.Context, m *poolv1.ReleaseRequest) (*poolv1.ReleaseReply, error) {
	if err := s.release(ctx, m); err != nil {
		return nil, s.answer(ctx, err)
	}
	return &poolv1.ReleaseReply{}, nil
}

func (s *service) release(ctx context.Context, m *poolv1.ReleaseRequest) error {
	who, err := s.gate.allow(ctx, m.GetNamespace(), access.Lease)
	if err != nil {
		return err
	}
	token, err := tokenOf("token", m.GetToken())
	if err != nil {
		return err
	}
	r := pool.Release{Namespace: m.GetNamespace(), Node: m.GetNode(), Token: token, Last: m.GetLast()}
	if err := s.pool.Release(ctx, r); err != nil {
		return err //nolint:wrapcheck // on its way to the client
	}
	s.gate.over(who, r.Namespace, r.Token)
	return nil
}

// listBatch is how many nodes go into one message: small ones, so that a slow
// reader holds little.
const listBatch = 256

// List implements [poolv1.NodePoolServer].
func (s *service) List(r *poolv1.ListRequest, stream grpc.ServerStreamingServer[poolv1.ListReply]) error {
	ctx := stream.Context()
	if _, err := s.gate.allow(ctx, r.GetNamespace(), access.Look); err != nil {
		return s.answer(ctx, err)
	}
	batch := make([]*poolv1.NodeInfo, 0, listBatch)
	for info, err := range s.pool.List(ctx, r.GetNamespace()) {
		var unusable *pool.RecordError
		if err != nil && !errors.As(err, &unusable) {
			return s.answer(ctx, err)
		}
		batch = append(batch, infoTo(info, unusable))
		if len(batch) == listBatch {
			if err := stream.Send(&poolv1.ListReply{Nodes: batch}); err != nil {
				return err //nolint:wrapcheck // gRPC's own
			}
			batch = make([]*poolv1.NodeInfo, 0, listBatch)
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return stream.Send(&poolv1.ListReply{Nodes: batch}) //nolint:wrapcheck // gRPC's own
}

// Revoke implements [poolv1.NodePoolServer].
func (s *service) Revoke(ctx context.Context, r *poolv1.RevokeRequest) (*poolv1.RevokeReply, error) {
	_, err := s.gate.allow(ctx, r.GetNamespace(), access.Manage)
	if err == nil {
		err = s.pool.Revoke(ctx, r.GetNamespace(), r.GetNode())
	}
	if err != nil {
		return nil, s.answer(ctx, err)
	}
	return &poolv1.RevokeReply{}, nil
}

// Retire implements [poolv1.NodePoolServer].
func (s *service) Retire(ctx context.Context, r *poolv1.RetireRequest) (*poolv1.RetireReply, error) {
	_, err := s.gate.allow(ctx, r.GetNamespace(), access.Manage)
	if err == nil {
		err = s.pool.Retire(ctx, r.GetNamespace(), r.GetNode())
	}
	if err != nil {
		return nil, s.answer(ctx, err)
	}
	return &poolv1.RetireReply{}, nil
}

// Namespaces implements [poolv1.NodePoolServer].
func (s *service) Namespaces(ctx context.Context, r *poolv1.NamespacesRequest) (*poolv1.NamespacesReply, error) {
	who, err := s.gate.identify(ctx)
	if err != nil {
		return nil, s.answer(ctx, err)
	}
	if s.manager == nil {
		return nil, errNoManager()
	}
	all, err := s.manager.Namespaces(ctx)
	if err != nil {
		return nil, s.answer(ctx, err)
	}
	all = slices.SortedFunc(slices.Values(all), func(a, b pool.Namespace) int { return strings.Compare(a.Name, b.Name) })
	page := pageOf(r)
	for _, n := range all {
		// Whoever may lease in a namespace has to know its layout.
		if n.Name > r.GetAfter() && s.gate.mayKnow(who, n.Name) && !page.add(namespaceTo(n)) {
			break
		}
	}
	return page.reply, nil
}

// mostNamespaces and pageBytes bound a page of namespaces: with what a single one can
// have, a client of ours takes it.
const (
	mostNamespaces = 4096
	pageBytes      = 256 << 10
)

// page is a reply being put together.
type page struct {
	reply *poolv1.NamespacesReply
	most  int // 0: all
	bytes int
}

func pageOf(r *poolv1.NamespacesRequest) *page {
	p := &page{reply: &poolv1.NamespacesReply{}}
	if size := r.GetPageSize(); size > 0 {
		p.most = int(min(size, mostNamespaces))
	}
	return p
}

// add adds a namespace, and reports whether there may be room for more: of one that has
// none it notes that there are more.
func (p *page) add(n *poolv1.Namespace) bool {
	p.bytes += proto.Size(n)
	// A page without any would be the last.
	if have := len(p.reply.GetNamespaces()); p.most > 0 && have > 0 && (have == p.most || p.bytes > pageBytes) {
		p.reply.More = true
		return false
	}
	p.reply.Namespaces = append(p.reply.Namespaces, n)
	return true
}

// CreateNamespace implements [poolv1.NodePoolServer].
func (s *service) CreateNamespace(ctx context.Context, r *poolv1.CreateNamespaceRequest) (*poolv1.CreateNamespaceReply, error) {
	if _, err := s.gate.allow(ctx, r.GetNamespace().GetName(), access.Manage); err != nil {
		return nil, s.answer(ctx, err)
	}
	if s.manager == nil {
		return nil, errNoManager()
	}
	n, err := namespaceFrom(r.GetNamespace())
	if err == nil {
		err = s.manager.CreateNamespace(ctx, n)
	}
	if err != nil {
		return nil, s.answer(ctx, err)
	}
	return &poolv1.CreateNamespaceReply{}, nil
}

// AcceptClock implements [poolv1.NodePoolServer].
func (s *service) AcceptClock(ctx context.Context, r *poolv1.AcceptClockRequest) (*poolv1.AcceptClockReply, error) {
	if _, err := s.gate.allow(ctx, r.GetNamespace(), access.Manage); err != nil {
		return nil, s.answer(ctx, err)
	}
	if s.manager == nil {
		return nil, errNoManager()
	}
	if err := s.manager.AcceptClock(ctx, r.GetNamespace()); err != nil {
		return nil, s.answer(ctx, err)
	}
	return &poolv1.AcceptClockReply{Now: s.gate.clock.Now()}, nil
}

func errNoManager() error {
	return status.Error(codes.Unimplemented, "pool: the server's pool has no namespaces to manage")
}
