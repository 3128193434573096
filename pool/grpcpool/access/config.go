package access

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Config is all that a [Policy] is built from. An empty one allows nobody anything.
type Config struct {
	Identities  []IdentityConfig
	Permissions []Permission
	Tokens      []Token
}

// IdentityConfig names those who show any of some certificates. An identity that
// has only tokens need not have one.
type IdentityConfig struct {
	Name         string
	Certificates []Match
}

// Match is what to find in a certificate: one of the three, exactly as it is there,
// but for the case of DNS names.
type Match struct {
	URI        string
	DNS        string
	CommonName string
}

// Permission allows an identity some actions in some namespaces.
type Permission struct {
	// Identity is the name of an identity, or [AnonymousName].
	Identity string
	// Namespace is the name of one, or the beginning of some and an asterisk;
	// an asterisk alone is all of them.
	Namespace string
	Actions   []Action
	// Quota is how many live leases the identity may have in each of these
	// namespaces; 0 for any number.
	Quota int
}

// maxName bounds an identity's name, as that of a namespace.
const maxName = 255

// maxProblems bounds what is reported together.
const maxProblems = 16

// Problems returns what is wrong with the configuration, as much of it as anybody
// wants to read at once.
func (c Config) Problems() []*ConfigError {
	var p problems
	declared := make(map[string]bool)
	c.checkIdentities(&p, declared)
	c.checkTokens(&p, declared)
	c.checkPermissions(&p, declared)
	return p
}

type problems []*ConfigError

func (p *problems) add(part string, index int, field, value, reason string) {
	if len(*p) < maxProblems {
		*p = append(*p, &ConfigError{Part: part, Index: index, Field: field, Value: value, Reason: reason})
	}
}

func (p problems) join() error {
	all := make([]error, len(p))
	for i, e := range p {
		all[i] = e
	}
	return errors.Join(all...)
}

// checkName returns why a name is none; "" if it is one.
func checkName(name string) string {
	switch {
	case name == "" || len(name) > maxName:
		return fmt.Sprintf("must have 1 to %d bytes", maxName)
	case name == AnonymousName:
		return "is the name of those who show no certificate and no token"
	case strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == '*' || r == '#' || r == 0x7f || r == '\ufffd' }):
		return "must not contain spaces, control characters, asterisks or #"
	}
	return ""
}

func (c Config) checkIdentities(p *problems, declared map[string]bool) {
	seen := make(map[Match]string)
	for i, id := range c.Identities {
		switch reason := checkName(id.Name); {
		case reason != "":
			p.add("identity", i, "name", id.Name, reason)
		case declared[id.Name]:
			p.add("identity", i, "name", id.Name, "is given twice; list all its certificates in one place")
		}
		declared[id.Name] = true
		for _, m := range id.Certificates {
			text, reason := m.check()
			if reason == "" {
				if other, taken := seen[m.normal()]; taken {
					reason = fmt.Sprintf("is a certificate of %q already", other)
				}
				seen[m.normal()] = id.Name
			}
			if reason != "" {
				p.add("identity", i, "certificates", text, reason)
			}
		}
	}
}

// check returns the match as text, and why it is none.
func (m Match) check() (text, reason string) {
	given := slices.DeleteFunc([]string{m.URI, m.DNS, m.CommonName}, func(s string) bool { return s == "" })
	text = strings.Join(given, ", ")
	switch {
	case len(given) != 1:
		reason = "must be one of uri, dns and common_name; list each by itself"
	case strings.Contains(text, "*"):
		reason = "must be exact: there are no patterns of certificates"
	case m.URI != "" && !strings.Contains(m.URI, ":"):
		reason = "must be a whole URI, such as spiffe://example.org/billing"
	}
	return text, reason
}

func (m Match) normal() Match {
	m.DNS = strings.ToLower(m.DNS)
	return m
}

func (c Config) checkTokens(p *problems, declared map[string]bool) {
	seen := make(map[Hash]bool)
	for i, t := range c.Tokens {
		switch reason := checkName(t.Name); {
		case reason != "":
			p.add("token", i, "name", t.Name, reason)
		case seen[t.Hash]:
			p.add("token", i, "name", t.Name, "has a token that was given before; each needs one of its own")
		}
		seen[t.Hash] = true
		declared[t.Name] = true
	}
}

func (c Config) checkPermissions(p *problems, declared map[string]bool) {
	type pair struct{ identity, namespace string }
	seen := make(map[pair]bool)
	for i, r := range c.Permissions {
		key := pair{r.Identity, r.Namespace}
		switch {
		case r.Identity != AnonymousName && !declared[r.Identity]:
			p.add("permission", i, "identity", r.Identity, "is unknown: it has no certificate and no token")
		case seen[key]:
			p.add("permission", i, "namespace", r.Namespace, fmt.Sprintf("is given twice for %q; list all actions in one place", r.Identity))
		}
		seen[key] = true
		if r.Namespace == "" || strings.Contains(strings.TrimSuffix(r.Namespace, "*"), "*") {
			p.add("permission", i, "namespace", r.Namespace, "must be a name, or the beginning of names and an asterisk")
		}
		if len(r.Actions) == 0 {
			p.add("permission", i, "actions", "", "must be some of lease, look, manage and legacy")
		}
		for _, a := range r.Actions {
			if a >= numActions {
				p.add("permission", i, "actions", a.String(), "must be lease, look, manage or legacy")
			}
		}
		switch {
		case r.Quota < 0:
			p.add("permission", i, "quota", strconv.Itoa(r.Quota), "must not be negative")
		case r.Quota > 0 && !slices.Contains(r.Actions, Lease):
			p.add("permission", i, "quota", strconv.Itoa(r.Quota), "limits nothing without the action lease")
		}
	}
}
