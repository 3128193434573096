package pool

import "context"

// list yields the nodes that were ever leased, in order.
func (s *space) list(ctx context.Context, yield func(NodeInfo, error) bool) {
	now, err := s.now(ctx)
	if err != nil && now == 0 {
		// A clock that has jumped must not keep an operator from looking.
		if now, err = s.pool.store.Now(ctx); err != nil {
			yield(NodeInfo{}, err)
			return
		}
	}
	ns := s.current()
	if s.pool.store.Exclusive() {
		s.listKnown(ns, now, yield)
		return
	}
	// Pages grow where there is little: layouts may have more nodes than anybody
	// could ask for page by page.
	const page = 1024
	most := ns.Layout.MaxNode()
	for first, size := int64(0), int64(page); first <= most; {
		last := first + min(size-1, most-first)
		records, err := s.pool.store.Nodes(ctx, s.name, first, last)
		if err != nil {
			yield(NodeInfo{}, err)
			return
		}
		for _, r := range records {
			n, err := decodeNode(ns, r.Node, r.Value)
			n.Number = r.Node
			if !yield(n.info(ns, now), err) {
				return
			}
		}
		first = last + 1
		switch {
		case len(records) > page/4:
			size = page
		case size <= most:
			size *= 2
		}
	}
}

// listKnown is list for an exclusive store: what is known is more than what is stored.
func (s *space) listKnown(ns *Namespace, now int64, yield func(NodeInfo, error) bool) {
	var next int64
	for page := s.page(0); len(page) > 0; page = s.page(next) {
		for _, e := range page {
			e.mu.Lock()
			n, written := e.node, e.revision != 0
			e.mu.Unlock()
			if written && !yield(n.info(ns, now), nil) {
				return
			}
			next = n.Number + 1
		}
	}
}

func (n *Node) info(ns *Namespace, now int64) NodeInfo {
	i := NodeInfo{
		Node:     n.Number,
		From:     n.From,
		Until:    n.Until,
		Renewals: n.Revision,
		Expired:  n.Until <= roundDown(ns.Layout, now),
		Revoked:  n.Revoked,
		Retired:  n.Retired,
	}
	if !n.Token.IsZero() {
		i.Holder = n.Token.String()
	}
	return i
}
