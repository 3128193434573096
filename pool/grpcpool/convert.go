package grpcpool

import (
	"fmt"
	"time"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool/poolv1"
)

// tokenOf reads a token or a nonce.
func tokenOf(field string, b []byte) (t pool.Token, err error) {
	if len(b) != len(t) {
		return t, &layout.FieldError{Field: field, Value: fmt.Sprintf("of %d bytes", len(b)), Reason: fmt.Sprintf("must have %d bytes, drawn at random", len(t))}
	}
	copy(t[:], b)
	return t, nil
}

func grantTo(g pool.Grant) *poolv1.Grant {
	return &poolv1.Grant{Node: g.Node, From: g.From, Until: g.Until, Revision: g.Revision, Now: g.Now}
}

// grantFrom joins a reply with what was asked.
func grantFrom(namespace string, token pool.Token, g *poolv1.Grant) pool.Grant {
	return pool.Grant{
		Namespace: namespace,
		Node:      g.GetNode(),
		Token:     token,
		From:      g.GetFrom(),
		Until:     g.GetUntil(),
		Revision:  g.GetRevision(),
		Now:       g.GetNow(),
	}
}

func renewalTo(r pool.Renewal) *poolv1.RenewRequest {
	return &poolv1.RenewRequest{
		Namespace: r.Namespace,
		Node:      r.Node,
		Token:     r.Token[:],
		Revision:  r.Revision,
		Until:     r.Until,
		Nonce:     r.Nonce[:],
	}
}

func renewalFrom(r *poolv1.RenewRequest) (pool.Renewal, error) {
	token, err := tokenOf("token", r.GetToken())
	if err != nil {
		return pool.Renewal{}, err
	}
	nonce, err := tokenOf("nonce", r.GetNonce())
	if err != nil {
		return pool.Renewal{}, err
	}
	return pool.Renewal{
		Namespace: r.GetNamespace(),
		Node:      r.GetNode(),
		Token:     token,
		Revision:  r.GetRevision(),
		Until:     r.GetUntil(),
		Nonce:     nonce,
	}, nil
}

func infoTo(i pool.NodeInfo, unusable *pool.RecordError) *poolv1.NodeInfo {
	m := &poolv1.NodeInfo{
		Node:     i.Node,
		Holder:   i.Holder,
		From:     i.From,
		Until:    i.Until,
		Renewals: i.Renewals,
		Expired:  i.Expired,
		Revoked:  i.Revoked,
		Retired:  i.Retired,
	}
	if unusable != nil {
		m.Unusable = unusable.Reason
	}
	return m
}

func infoFrom(m *poolv1.NodeInfo) pool.NodeInfo {
	return pool.NodeInfo{
		Node:     m.GetNode(),
		Holder:   m.GetHolder(),
		From:     m.GetFrom(),
		Until:    m.GetUntil(),
		Renewals: m.GetRenewals(),
		Expired:  m.GetExpired(),
		Revoked:  m.GetRevoked(),
		Retired:  m.GetRetired(),
	}
}

func namespaceTo(n pool.Namespace) *poolv1.Namespace {
	m := &poolv1.Namespace{
		Name:   n.Name,
		Layout: n.Layout.String(),
		Terms: &poolv1.Terms{
			Skew:        int64(n.Terms.Skew),
			FirstWindow: int64(n.Terms.FirstWindow),
			Window:      int64(n.Terms.Window),
			Horizon:     int64(n.Terms.Horizon),
		},
		Floor: n.Floor,
	}
	for _, r := range n.Ranges {
		m.Ranges = append(m.Ranges, &poolv1.Range{First: r.First, Last: r.Last, Use: poolv1.Range_Use(r.Use), Floor: r.Floor})
	}
	return m
}

func namespaceFrom(m *poolv1.Namespace) (pool.Namespace, error) {
	l, err := layout.Parse(m.GetLayout())
	if err != nil {
		return pool.Namespace{}, &layout.FieldError{Field: "layout", Value: m.GetLayout(), Reason: "of namespace " + m.GetName() + " cannot be read: " + err.Error()}
	}
	n := pool.Namespace{
		Name:   m.GetName(),
		Layout: l,
		Terms: pool.Terms{
			Skew:        time.Duration(m.GetTerms().GetSkew()),
			FirstWindow: time.Duration(m.GetTerms().GetFirstWindow()),
			Window:      time.Duration(m.GetTerms().GetWindow()),
			Horizon:     time.Duration(m.GetTerms().GetHorizon()),
		},
		Floor: m.GetFloor(),
	}
	for _, r := range m.GetRanges() {
		use := pool.Use(r.GetUse())
		if poolv1.Range_Use(use) != r.GetUse() {
			return pool.Namespace{}, &layout.FieldError{Field: "node range", Value: r.GetUse().String(), Reason: "has an unknown use"}
		}
		n.Ranges = append(n.Ranges, pool.Range{First: r.GetFirst(), Last: r.GetLast(), Use: use, Floor: r.GetFloor()})
	}
	return n, nil
}
