package legacy

import (
	"context"
	"errors"
	"time"

	"github.com/easyflake/easyflake/pool"
)

// number is a node on loan to a stream, and the lease of it. It is used by the
// stream's goroutine alone.
type number struct {
	server *Server
	grant  pool.Grant
	nonce  pool.Token // of the renewal under way, kept for its repetitions
	renew  int64      // when to renew next
	end    int64      // when the stream must have ended, so that the number can rest
}

// Times by the server's own clock; renewals go by what was left of the window when
// the pool granted it, whose clock may be another.
const (
	// requestTimeout bounds each request.
	requestTimeout = 10 * time.Second
	// retryRenewal is how long after a failed renewal it is tried again.
	retryRenewal = time.Second
)

// take leases a number.
func (s *Server) take(ctx context.Context, token pool.Token) (*number, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	asked := s.clock.Now()
	g, err := s.pool.AcquireLegacy(ctx, s.name, token)
	if err != nil {
		return nil, err //nolint:wrapcheck // judged by the caller
	}
	n := &number{server: s}
	n.granted(g, asked)
	return n, nil
}

// granted takes a grant that was asked for at a time.
func (n *number) granted(g pool.Grant, asked int64) {
	s := n.server
	left := s.layout.Time(g.Until).Sub(time.Unix(0, g.Now))
	n.grant, n.nonce = g, pool.NewToken()
	n.renew = asked + int64(s.jitter(left/3))
	n.end = asked + int64(left-s.rest)
}

// jitter makes d shorter by up to a fifth, so that streams that began together do
// not go on together.
func (s *Server) jitter(d time.Duration) time.Duration {
	return d - time.Duration(float64(d)/5*s.random())
}

// extend renews the lease. It returns an error where the number is the stream's no
// more; one that could not be reached is tried again until it is time to end.
func (n *number) extend(ctx context.Context) error {
	s := n.server
	asked := s.clock.Now()
	bounded, cancel := context.WithTimeout(ctx, min(requestTimeout, time.Duration(n.end-asked)))
	defer cancel()
	g, err := s.pool.Renew(bounded, pool.Renewal{
		Namespace: s.name,
		Node:      n.grant.Node,
		Token:     n.grant.Token,
		Revision:  n.grant.Revision,
		Until:     n.grant.Until,
		Nonce:     n.nonce,
	})
	switch {
	case err == nil:
		n.granted(g, asked)
		return nil
	case errors.Is(err, pool.ErrLeaseLost) || errors.Is(err, pool.ErrRevoked):
		return err //nolint:wrapcheck // judged by the caller
	case ctx.Err() == nil:
		s.log.WarnContext(ctx, "cannot renew the lease of a legacy stream's number; trying again", "namespace", s.name, "node", n.grant.Node, "error", err)
	}
	n.renew = s.clock.Now() + int64(s.jitter(retryRenewal))
	return nil
}
