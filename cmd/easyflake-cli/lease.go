package main

import (
	"context"
	"fmt"
	"time"

	"github.com/easyflake/easyflake/pool"
)

// leaseCmd is a family of commands about the nodes of a pool.
type leaseCmd struct {
	List   leaseListCmd   `cmd:"" help:"List the nodes that were ever leased, and who has them until when."`
	Revoke leaseRevokeCmd `cmd:"" help:"Take a node away from its holder: it is free when its window is over."`
	Retire leaseRetireCmd `cmd:"" help:"Take a node out of use for good: it is never leased again."`
}

// Help is printed below the usage.
func (*leaseCmd) Help() string {
	return `
A lease is a node together with a window of ticks. Its holder makes IDs in that window only and renews it as long as it runs. A program that crashes leaves its node taken until the window is over, 10 seconds to a minute.

Examples:

    easyflake-cli lease list
    easyflake-cli lease list --pool file:/var/lib/easyflake/nodes --json
    easyflake-cli lease revoke 7 --namespace orders
`
}

// leaseFlags say which namespace a command is for.
type leaseFlags struct {
	poolFlags

	Namespace string `placeholder:"NAME" help:"Namespace. Without it, the only one that there is."`
}

// with opens the pool and finds the namespace.
func (f *leaseFlags) with(ctx context.Context, w *world, do func(*openPool, pool.Namespace) error) error {
	return f.poolFlags.with(ctx, w, false, func(p *openPool) error {
		ns, err := p.named(ctx, f.Namespace)
		if err != nil {
			return err
		}
		return do(p, ns)
	})
}

// leaseOf returns the state of a node, which may never have been leased.
func (p *openPool) leaseOf(ctx context.Context, ns pool.Namespace, node int64) (pool.NodeInfo, error) {
	for info, err := range p.List(ctx, ns.Name) {
		if err != nil {
			return info, p.explain(err)
		}
		if info.Node == node {
			return info, nil
		}
	}
	return pool.NodeInfo{Node: node}, nil
}

// freeAt says when a holder's window is over.
func freeAt(w *world, ns pool.Namespace, info pool.NodeInfo) string {
	now, until := time.Unix(0, w.clock.Now()), ns.Layout.Time(info.Until)
	if info.Holder == "" || info.Expired {
		return "nobody has it"
	}
	return fmt.Sprintf("its holder may make IDs until %s, %s", formatTime(until), relative(until, now))
}

// leaseRevokeCmd takes a node away.
type leaseRevokeCmd struct {
	leaseFlags

	Node string `arg:"" help:"Number of the node."`
}

// Help is printed below the usage.
func (*leaseRevokeCmd) Help() string {
	return `
Its holder can renew no more, and stops when its window is over. Then the node is free for others, and not before. A program that runs on gets another node by itself.

Examples:

    easyflake-cli lease revoke 7
`
}

// Run revokes the lease.
func (c *leaseRevokeCmd) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(p *openPool, ns pool.Namespace) error {
		node, err := parseNode(ns.Layout, c.Node)
		if err != nil {
			return err
		}
		info, err := p.leaseOf(ctx, ns, node)
		switch {
		case err != nil:
			return err
		case info.Holder == "":
			return fmt.Errorf("node %d of %s has no holder: there is nothing to revoke", node, ns.Name)
		}
		if err := p.Revoke(ctx, ns.Name, node); err != nil {
			return p.explain(err)
		}
		if info.Expired {
			return w.print(fmt.Sprintf("node %d of %s is revoked; its window was over, and it is free\n", node, ns.Name))
		}
		return w.print(fmt.Sprintf("node %d of %s is revoked; %s, and it is free then\n", node, ns.Name, freeAt(w, ns, info)))
	})
}

// leaseRetireCmd takes a node out of use.
type leaseRetireCmd struct {
	leaseFlags

	Node string `arg:"" help:"Number of the node."`
}

// Help is printed below the usage.
func (*leaseRetireCmd) Help() string {
	return `
The node is never leased again, as for a number that something outside of the pool has used. There is no way back. A holder can renew no more.

Examples:

    easyflake-cli lease retire 7
`
}

// Run retires the node.
func (c *leaseRetireCmd) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(p *openPool, ns pool.Namespace) error {
		node, err := parseNode(ns.Layout, c.Node)
		if err != nil {
			return err
		}
		if err := p.Retire(ctx, ns.Name, node); err != nil {
			return p.explain(err)
		}
		info, err := p.leaseOf(ctx, ns, node)
		if err != nil {
			return err
		}
		return w.print(fmt.Sprintf("node %d of %s is retired, and never leased again; %s\n", node, ns.Name, freeAt(w, ns, info)))
	})
}
