package grpcpool

import (
	"context"
	"crypto/x509"
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/easyflake/easyflake/clock"
	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool/access"
)

// Where a request carries a secret.
const (
	authorization = "authorization"
	bearerPrefix  = "Bearer "
)

// gate knows who is asking, what they may do and how many leases they have.
type gate struct {
	policy  func() *access.Policy // nil: everybody may do everything
	ledger  *access.Ledger
	clock   clock.Clock
	manager pool.Manager // nil where the pool is none

	mu      sync.Mutex // owns layouts
	layouts map[string]layout.Layout
}

func newGate(policy func() *access.Policy, c clock.Clock, m pool.Manager) *gate {
	return &gate{policy: policy, ledger: access.NewLedger(), clock: c, manager: m, layouts: make(map[string]layout.Layout)}
}

// identify says who a request comes from.
func (g *gate) identify(ctx context.Context) (access.Identity, error) {
	if g.policy == nil {
		return access.Anonymous(), nil
	}
	return identify(ctx, g.policy()) //nolint:wrapcheck // on its way to the client
}

func identify(ctx context.Context, p *access.Policy) (access.Identity, error) {
	return p.Identify(certificate(ctx), secret(ctx)) //nolint:wrapcheck // on its way to the client
}

// allow returns who a request comes from, if it is allowed.
func (g *gate) allow(ctx context.Context, namespace string, a access.Action) (access.Identity, error) {
	if len(namespace) > maxName {
		return access.Identity{}, &layout.FieldError{Field: "namespace", Value: namespace[:16] + "…", Reason: fmt.Sprintf("must have at most %d bytes", maxName)}
	}
	if g.policy == nil {
		return access.Anonymous(), nil
	}
	p := g.policy()
	who, err := identify(ctx, p)
	if err != nil {
		return who, err
	}
	return who, p.Allow(who, namespace, a) //nolint:wrapcheck // on its way to the client
}

// weigh returns the context for a request: what somebody says whom nobody knows is no
// evidence against the store, where others are known.
func (g *gate) weigh(ctx context.Context, who access.Identity) context.Context {
	if g.policy != nil && who.By == access.None && g.policy().Authenticates() {
		return pool.Hearsay(ctx)
	}
	return ctx
}

// maxName is how long a namespace's name can be; see [pool.Namespace.Validate].
const maxName = 255

// mayKnow reports whether somebody may know that there is a namespace, and what
// its layout is: whoever leases has to.
func (g *gate) mayKnow(who access.Identity, namespace string) bool {
	if g.policy == nil {
		return true
	}
	p := g.policy()
	return p.Allow(who, namespace, access.Look) == nil || p.Allow(who, namespace, access.Lease) == nil || p.Allow(who, namespace, access.Manage) == nil
}

// reservation is a lease on its way; nil where nobody counts.
type reservation struct {
	*access.Reservation

	gate *gate
}

// reserve counts a lease before it is granted.
func (g *gate) reserve(who access.Identity, namespace string, token pool.Token) (*reservation, error) {
	if g.policy == nil {
		return nil, nil //nolint:nilnil // nobody counts
	}
	r, err := g.ledger.Reserve(who, namespace, token, g.policy().Quota(who, namespace), g.clock.Now())
	if err != nil {
		return nil, err //nolint:wrapcheck // on its way to the client
	}
	return &reservation{r, g}, nil
}

// unknownFor is how long a lease counts of which nobody knows whether it was granted:
// as long as a first window by default.
const unknownFor = int64(10 * time.Second)

// unknown says that nobody knows what came of it. It counts for a while, lest
// whoever breaks off requests has as many leases as they like.
func (r *reservation) unknown() {
	if r != nil {
		r.Confirm(r.gate.clock.Now() + unknownFor)
	}
}

// cancel says that nothing came of it.
func (r *reservation) cancel() {
	if r != nil {
		r.Cancel()
	}
}

// confirm says that the lease was granted.
func (r *reservation) confirm(l layout.Layout, granted pool.Grant) {
	if r == nil {
		return
	}
	r.gate.mu.Lock()
	r.gate.layouts[granted.Namespace] = l // which never changes
	r.gate.mu.Unlock()
	r.Confirm(l.Time(granted.Until).UnixNano())
}

// renewed notes how far a lease reaches now.
func (g *gate) renewed(ctx context.Context, who access.Identity, granted pool.Grant) {
	if g.policy == nil {
		return
	}
	if l, ok := g.layoutOf(ctx, granted.Namespace); ok {
		g.ledger.Renewed(who, granted.Namespace, granted.Token, l.Time(granted.Until).UnixNano(), g.clock.Now())
	}
}

// over notes that a lease is its holder's no more.
func (g *gate) over(who access.Identity, namespace string, token pool.Token) {
	if g.policy != nil {
		g.ledger.Released(who, namespace, token, g.clock.Now())
	}
}

// layoutOf returns the layout of a namespace in which something was granted, also
// by another server: it is asked for once.
func (g *gate) layoutOf(ctx context.Context, namespace string) (layout.Layout, bool) {
	g.mu.Lock()
	l, ok := g.layouts[namespace]
	g.mu.Unlock()
	if ok || g.manager == nil {
		return l, ok
	}
	all, err := g.manager.Namespaces(ctx)
	if err != nil {
		return l, false // the next renewal asks again
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, n := range all {
		g.layouts[n.Name] = n.Layout
	}
	l, ok = g.layouts[namespace]
	return l, ok
}

// guarded is what a caller has to be allowed for a method.
type guarded struct {
	namespace string
	action    access.Action
}

func (g *gate) guardUnary(methods map[string]guarded) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if need, ok := methods[info.FullMethod]; ok {
			if _, err := g.allow(ctx, need.namespace, need.action); err != nil {
				return nil, toStatus(err)
			}
		}
		return handler(ctx, req)
	}
}

func (g *gate) guardStream(methods map[string]guarded) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		if need, ok := methods[info.FullMethod]; ok {
			if _, err := g.allow(stream.Context(), need.namespace, need.action); err != nil {
				return toStatus(err)
			}
		}
		return handler(srv, stream)
	}
}

// IdentityOf returns a function that says who a request comes from, for logs: empty
// where nobody knows.
func IdentityOf(policy func() *access.Policy) func(context.Context) string {
	return func(ctx context.Context) string {
		who, err := identify(ctx, policy())
		if err != nil {
			return ""
		}
		return who.Name
	}
}

// certificate returns the caller's own, if the connection has verified one.
func certificate(ctx context.Context) *x509.Certificate {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 || len(info.State.VerifiedChains[0]) == 0 {
		return nil
	}
	return info.State.VerifiedChains[0][0]
}

// secret returns the bearer token that a request carries.
func secret(ctx context.Context) string {
	for _, value := range metadata.ValueFromIncomingContext(ctx, authorization) {
		if len(value) >= len(bearerPrefix) && strings.EqualFold(value[:len(bearerPrefix)], bearerPrefix) {
			return value[len(bearerPrefix):]
		}
	}
	return ""
}
