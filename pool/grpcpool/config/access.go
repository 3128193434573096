package config

import (
	"fmt"
	"strings"

	"github.com/easyflake/easyflake/pool/grpcpool/access"
)

// access reads who may do what. It is there, or it is an error: nothing in its place
// would leave the server open to all.
func (d *decoder) access(n *node, c *Config) *access.Config {
	before := len(d.wrong)
	var (
		conf                    access.Config
		identities, permissions []*node // as they stand in conf
	)
	d.mapping(n, []key{
		{"token_file", func(n *node) { conf.Tokens = d.tokens(n, c) }},
		{"identities", func(n *node) {
			d.list(n, func(_ int, item *node) {
				conf.Identities = append(conf.Identities, d.identity(item))
				identities = append(identities, item)
			})
		}},
		{"permissions", func(n *node) {
			d.list(n, func(_ int, item *node) {
				conf.Permissions = append(conf.Permissions, d.permission(item))
				permissions = append(permissions, item)
			})
		}},
	})
	if len(d.wrong) > before {
		return nil // what is missing would be reported again
	}
	for _, p := range conf.Problems() {
		at := n
		switch p.Part {
		case "identity":
			at = identities[p.Index]
		case "permission":
			at = permissions[p.Index]
		}
		d.failAt(at.Line, at.path, p.Error(), p)
	}
	return &conf
}

func (d *decoder) tokens(n *node, c *Config) []access.Token {
	path, ok := d.text(n)
	if !ok {
		return nil
	}
	path = beside(d.file, path)
	c.Files = append(c.Files, path)
	data, err := d.read(path)
	if err != nil {
		d.failAt(n.Line, n.path, err.Error(), err)
		return nil
	}
	tokens, wrong := access.ParseTokens(data, path)
	for _, w := range wrong {
		d.add(w)
	}
	return tokens
}

func (d *decoder) identity(n *node) (id access.IdentityConfig) {
	seen := d.mapping(n, []key{
		{"name", func(n *node) { id.Name, _ = d.text(n) }},
		{"certificates", func(n *node) {
			d.list(n, func(_ int, item *node) {
				var m access.Match
				d.mapping(item, []key{
					{"uri", func(n *node) { m.URI, _ = d.text(n) }},
					{"dns", func(n *node) { m.DNS, _ = d.text(n) }},
					{"common_name", func(n *node) { m.CommonName, _ = d.text(n) }},
				})
				id.Certificates = append(id.Certificates, m)
			})
		}},
	})
	if seen != nil {
		d.require(n, seen, "name", "certificates")
	}
	return id
}

func (d *decoder) permission(n *node) (p access.Permission) {
	seen := d.mapping(n, []key{
		{"identity", func(n *node) { p.Identity, _ = d.text(n) }},
		{"namespace", func(n *node) { p.Namespace, _ = d.text(n) }},
		{"actions", func(n *node) {
			d.list(n, func(_ int, item *node) {
				text, ok := d.text(item)
				if !ok {
					return
				}
				a, ok := access.ParseAction(text)
				if !ok {
					d.fail(item, fmt.Sprintf("unknown action %q; the nearest is %q", shorten(text), nearest(text, actions())))
				}
				p.Actions = append(p.Actions, a)
			})
		}},
		{"quota", func(n *node) { p.Quota = d.positive(n) }},
	})
	if seen != nil {
		d.require(n, seen, "identity", "namespace", "actions")
	}
	return p
}

func actions() []string {
	return strings.Fields(fmt.Sprintln(access.Lease, access.Look, access.Manage, access.Legacy))
}
