package access

import (
	"cmp"
	"crypto/subtle"
	"crypto/x509"
	"slices"
	"strings"
)

// Policy decides who somebody is and what is allowed. It is never changed, and safe
// for concurrent use.
type Policy struct {
	open         bool
	certificates map[Match]string
	tokens       map[[8]byte][]Token // by the beginnings of their hashes
	permissions  map[string][]rule   // of each identity, the most specific first
}

type rule struct {
	name    string // or the beginning of names
	prefix  bool
	actions [numActions]bool
	quota   int
}

// Open returns the policy of a server that has none: everybody is anonymous, and
// allowed everything. It is for servers that only their own machine can reach.
func Open() *Policy { return &Policy{open: true} }

// Authenticates reports whether the policy tells anybody apart: [Open] does not.
func (p *Policy) Authenticates() bool { return !p.open }

// New builds a policy. All that is wrong with the configuration is reported
// together: [*ConfigError], joined.
func New(c Config) (*Policy, error) {
	if wrong := c.Problems(); len(wrong) > 0 {
		return nil, problems(wrong).join()
	}
	p := &Policy{
		certificates: make(map[Match]string),
		tokens:       make(map[[8]byte][]Token),
		permissions:  make(map[string][]rule),
	}
	for _, id := range c.Identities {
		for _, m := range id.Certificates {
			p.certificates[m.normal()] = id.Name
		}
	}
	for _, t := range c.Tokens {
		key := [8]byte(t.Hash[:8])
		p.tokens[key] = append(p.tokens[key], t)
	}
	for _, r := range c.Permissions {
		name, prefix := strings.CutSuffix(r.Namespace, "*")
		n := rule{name: name, prefix: prefix, quota: r.Quota}
		for _, a := range r.Actions {
			n.actions[a] = true
		}
		p.permissions[r.Identity] = append(p.permissions[r.Identity], n)
	}
	for _, rules := range p.permissions {
		slices.SortFunc(rules, func(a, b rule) int {
			if a.prefix != b.prefix {
				if b.prefix {
					return -1
				}
				return 1
			}
			return cmp.Compare(len(b.name), len(a.name))
		})
	}
	return p, nil
}

// Identify returns who shows a certificate, which the server has verified, and a
// bearer token; nil and "" for none. Where both are given, both must be of the same
// identity. A certificate means nothing where no identity has one, as where a mesh
// gives everybody one. All errors are [ErrUnauthenticated].
func (p *Policy) Identify(leaf *x509.Certificate, bearer string) (Identity, error) {
	if p.open {
		return Anonymous(), nil
	}
	var byCertificate, byToken string
	if leaf != nil && len(p.certificates) > 0 {
		name, err := p.ofCertificate(leaf)
		if err != nil {
			return Identity{}, err
		}
		byCertificate = name
	}
	if bearer != "" {
		name, ok := p.ofToken(bearer)
		if !ok {
			return Identity{}, unauthenticated("the bearer token is not known; check that it is whole, and meant for this server")
		}
		byToken = name
	}
	switch {
	case byCertificate != "" && byToken != "" && byCertificate != byToken:
		return Identity{}, unauthenticated("the certificate and the bearer token are of different identities; show one of them, or two of the same")
	case byCertificate != "" && byToken != "":
		return Identity{Name: byCertificate, By: Both}, nil
	case byCertificate != "":
		return Identity{Name: byCertificate, By: Certificate}, nil
	case byToken != "":
		return Identity{Name: byToken, By: Bearer}, nil
	case len(p.permissions[AnonymousName]) > 0:
		return Anonymous(), nil
	}
	return Identity{}, unauthenticated("show a client certificate or a bearer token (--tls-cert and --tls-key, or --secret-file)")
}

// ofCertificate returns the one identity that a certificate is of.
func (p *Policy) ofCertificate(leaf *x509.Certificate) (string, error) {
	found := ""
	several := false
	find := func(m Match) {
		if name, ok := p.certificates[m]; ok {
			several = several || found != "" && found != name
			found = name
		}
	}
	for _, u := range leaf.URIs {
		find(Match{URI: u.String()})
	}
	for _, d := range leaf.DNSNames {
		find(Match{DNS: strings.ToLower(d)})
	}
	if cn := leaf.Subject.CommonName; cn != "" {
		find(Match{CommonName: cn})
	}
	switch {
	case several:
		return "", unauthenticated("the client certificate is of several identities; the server's operator has to decide on one")
	case found == "":
		return "", unauthenticated("the client certificate is of nobody known here; ask the server's operator to add it")
	}
	return found, nil
}

// ofToken looks a token up by its hash. What an attacker could learn from the time
// that takes is how a hash begins, which says nothing about the token; the rest is
// compared in constant time.
func (p *Policy) ofToken(bearer string) (string, bool) {
	h := HashOf(bearer)
	name, found := "", false
	for _, t := range p.tokens[[8]byte(h[:8])] {
		if subtle.ConstantTimeCompare(t.Hash[:], h[:]) == 1 {
			name, found = t.Name, true
		}
	}
	return name, found
}

// Allow returns a [*DeniedError] unless the identity may do this in the namespace.
// Whether the namespace exists is not asked: those who may not see it are not to
// learn that.
func (p *Policy) Allow(id Identity, namespace string, action Action) error {
	if p.open || p.allows(id, action, func(r rule) bool { return r.matches(namespace) }) {
		return nil
	}
	return &DeniedError{Identity: id.Name, Namespace: namespace, Action: action.String()}
}

// AllowSomewhere returns a [*DeniedError] unless there can be a namespace in which
// the identity may do this: for calls that have none, such as listing namespaces,
// whose results are then sifted by Allow.
func (p *Policy) AllowSomewhere(id Identity, action Action) error {
	if p.open || p.allows(id, action, func(rule) bool { return true }) {
		return nil
	}
	return &DeniedError{Identity: id.Name, Action: action.String()}
}

func (p *Policy) allows(id Identity, action Action, where func(rule) bool) bool {
	return action < numActions && slices.ContainsFunc(p.permissions[id.Name], func(r rule) bool {
		return r.actions[action] && where(r)
	})
}

// Quota returns how many live leases the identity may have in the namespace, 0 for
// any number: what the most specific permission to lease there says.
func (p *Policy) Quota(id Identity, namespace string) int {
	for _, r := range p.permissions[id.Name] {
		if r.actions[Lease] && r.matches(namespace) {
			return r.quota
		}
	}
	return 0
}

func (r rule) matches(namespace string) bool {
	if r.prefix {
		return strings.HasPrefix(namespace, r.name)
	}
	return namespace == r.name
}
