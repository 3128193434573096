package access

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/pool/grpcpool/certs/certstest"
)

// cast is everybody in these tests.
type cast struct {
	policy                 *Policy
	billing, ops, reporter string // bearer tokens; the last is of somebody without permissions
}

func token(name string) (secret string, t Token) {
	secret, _ = NewSecret()
	return secret, Token{Name: name, Hash: HashOf(secret)}
}

func config(t *testing.T) (Config, cast) {
	t.Helper()
	var c cast
	var tokens [3]Token
	c.billing, tokens[0] = token("billing")
	c.ops, tokens[1] = token("ops")
	c.reporter, tokens[2] = token("reporter")
	return Config{
		Identities: []IdentityConfig{
			{Name: "billing", Certificates: []Match{{URI: "spiffe://example.org/billing"}, {DNS: "Billing.example.org"}}},
			{Name: "ops", Certificates: []Match{{CommonName: "ops"}}},
		},
		Permissions: []Permission{
			{Identity: "billing", Namespace: "orders-*", Actions: []Action{Lease, Look}, Quota: 10},
			{Identity: "billing", Namespace: "orders-eu", Actions: []Action{Lease}, Quota: 100},
			{Identity: "billing", Namespace: "orders-eu-*", Actions: []Action{Look, Legacy}},
			{Identity: "billing", Namespace: "orders-eu-2*", Actions: []Action{Lease}, Quota: 20},
			{Identity: "ops", Namespace: "*", Actions: []Action{Look, Manage}},
		},
		Tokens: tokens[:],
	}, c
}

func play(t *testing.T) cast {
	t.Helper()
	conf, c := config(t)
	p, err := New(conf)
	require.NoError(t, err)
	c.policy = p
	return c
}

func TestIdentify(t *testing.T) {
	c, ca := play(t), certstest.NewCA(t, "ca")
	leaf := func(name string, options ...certstest.Option) *x509.Certificate {
		return ca.Client(t, name, options...).Leaf
	}
	uri, dns := certstest.URI, certstest.DNS
	tests := map[string]struct {
		leaf   *x509.Certificate
		bearer string
		want   Identity
		reason string
	}{
		"uri":                      {leaf: leaf("x", uri("spiffe://example.org/billing")), want: Identity{"billing", Certificate}},
		"dns":                      {leaf: leaf("", dns("other.example.org", "billing.EXAMPLE.org")), want: Identity{"billing", Certificate}},
		"common name":              {leaf: leaf("ops"), want: Identity{"ops", Certificate}},
		"two of one":               {leaf: leaf("x", uri("spiffe://example.org/billing"), dns("billing.example.org")), want: Identity{"billing", Certificate}},
		"token":                    {bearer: c.billing, want: Identity{"billing", Bearer}},
		"both":                     {leaf: leaf("ops"), bearer: c.ops, want: Identity{"ops", Both}},
		"both, different":          {leaf: leaf("ops"), bearer: c.billing, reason: "different identities"},
		"certificate of two":       {leaf: leaf("ops", dns("billing.example.org")), reason: "several identities"},
		"nobody's certificate":     {leaf: leaf("somebody"), reason: "nobody known"},
		"the same, with a token":   {leaf: leaf("somebody"), bearer: c.ops, reason: "nobody known"},
		"a name of another kind":   {leaf: leaf("billing.example.org", dns("ops")), reason: "nobody known"},
		"case of a common name":    {leaf: leaf("Ops"), reason: "nobody known"},
		"longer URI":               {leaf: leaf("x", uri("spiffe://example.org/billing/x")), reason: "nobody known"},
		"wildcard":                 {leaf: leaf("x", dns("*.example.org")), reason: "nobody known"},
		"unknown token":            {bearer: "easyflake_x", reason: "token is not known"},
		"part of a token":          {bearer: c.ops[:len(c.ops)-1], reason: "token is not known"},
		"the hash":                 {bearer: HashOf(c.ops).String(), reason: "token is not known"},
		"unknown beside known":     {leaf: leaf("ops"), bearer: "x", reason: "token is not known"},
		"nothing":                  {reason: "show a client certificate"},
		"certificate without name": {leaf: leaf(""), reason: "nobody known"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := c.policy.Identify(test.leaf, test.bearer)
			if test.reason == "" {
				require.NoError(t, err)
				assert.Equal(t, test.want, got)
				return
			}
			require.ErrorIs(t, err, ErrUnauthenticated)
			require.ErrorContains(t, err, test.reason)
			assert.Zero(t, got)
			for _, secret := range []string{c.ops, c.billing, "spiffe:", "billing"} {
				assert.NotContains(t, err.Error(), secret)
			}
		})
	}
}

func TestAnonymousHasToBeAllowed(t *testing.T) {
	conf, c := config(t)
	conf.Permissions = append(conf.Permissions, Permission{Identity: AnonymousName, Namespace: "open", Actions: []Action{Look}})
	p, err := New(conf)
	require.NoError(t, err)
	id, err := p.Identify(nil, "")
	require.NoError(t, err)
	assert.Equal(t, Anonymous(), id)
	require.NoError(t, p.Allow(id, "open", Look))
	require.Error(t, p.Allow(id, "open", Lease))
	_, err = p.Identify(nil, "wrong")
	require.ErrorIs(t, err, ErrUnauthenticated, "who shows something wrong is not nobody")
	require.Error(t, p.Allow(Identity{Name: "reporter", By: Bearer}, "open", Look), "what anonymous may is not for all")
	id, err = p.Identify(nil, c.reporter)
	require.NoError(t, err)
	assert.Equal(t, "reporter", id.Name)
}

// TestCertificatesOfAMesh are of nobody, and do not keep tokens from counting.
func TestCertificatesOfAMesh(t *testing.T) {
	secret, tok := token("billing")
	p, err := New(Config{Tokens: []Token{tok}})
	require.NoError(t, err)
	id, err := p.Identify(certstest.NewCA(t, "mesh").Client(t, "sidecar").Leaf, secret)
	require.NoError(t, err)
	assert.Equal(t, Identity{"billing", Bearer}, id)
}

func TestAllow(t *testing.T) {
	c := play(t)
	tests := []struct {
		identity, namespace string
		allowed             []Action
		quota               int
	}{
		{"billing", "orders-us", []Action{Lease, Look}, 10},
		{"billing", "orders-", []Action{Lease, Look}, 10},
		{"billing", "orders-eu", []Action{Lease, Look}, 100},
		{"billing", "orders-eu-1", []Action{Lease, Look, Legacy}, 10},
		{"billing", "orders-eu-20", []Action{Lease, Look, Legacy}, 20},
		{"billing", "orders", nil, 0},
		{"billing", "", nil, 0},
		{"billing", "xorders-us", nil, 0},
		{"ops", "anything", []Action{Look, Manage}, 0},
		{"reporter", "orders-us", nil, 0},
		{"unknown", "orders-us", nil, 0},
		{"", "orders-us", nil, 0},
		{AnonymousName, "orders-us", nil, 0},
	}
	for _, test := range tests {
		id := Identity{Name: test.identity}
		assert.Equal(t, test.quota, c.policy.Quota(id, test.namespace), "%v", test)
		for a := range numActions + 2 {
			err := c.policy.Allow(id, test.namespace, a)
			assert.Equal(t, slices.Contains(test.allowed, a), err == nil, "%v: %v: %v", test, a, err)
			if err != nil {
				denied, ok := errors.AsType[*DeniedError](err)
				require.True(t, ok)
				assert.Equal(t, DeniedError{test.identity, test.namespace, a.String()}, *denied)
				assert.Contains(t, err.Error(), "ask the server's operator")
			}
		}
	}
	require.NoError(t, c.policy.AllowSomewhere(Identity{Name: "billing"}, Look))
	require.Error(t, c.policy.AllowSomewhere(Identity{Name: "billing"}, Manage))
	require.Error(t, c.policy.AllowSomewhere(Identity{Name: "reporter"}, Look))
	require.Error(t, c.policy.AllowSomewhere(Identity{Name: "ops"}, numActions))
}

func TestOpen(t *testing.T) {
	p := Open()
	id, err := p.Identify(nil, "whatever")
	require.NoError(t, err)
	assert.Equal(t, Anonymous(), id)
	require.NoError(t, p.Allow(id, "any", Manage))
	require.NoError(t, p.AllowSomewhere(id, Look))
	assert.Zero(t, p.Quota(id, "any"))

	p, err = New(Config{})
	require.NoError(t, err)
	_, err = p.Identify(nil, "")
	require.ErrorIs(t, err, ErrUnauthenticated, "an empty configuration is not an open one")
	require.Error(t, p.Allow(Anonymous(), "any", Look))
}

func TestConfigProblems(t *testing.T) {
	good := Token{Name: "a", Hash: HashOf("1")}
	one := IdentityConfig{Name: "a", Certificates: []Match{{CommonName: "a"}}}
	allow := func(p Permission) Config { return Config{Tokens: []Token{good}, Permissions: []Permission{p}} }
	tests := map[string]Config{
		`identity 1: name "": must have`:                 {Identities: []IdentityConfig{{}}},
		`identity 1: name "a b": must not contain`:       {Identities: []IdentityConfig{{Name: "a b"}}},
		`identity 1: name "anonymous": is the name`:      {Identities: []IdentityConfig{{Name: AnonymousName}}},
		`identity 2: name "a": is given twice`:           {Identities: []IdentityConfig{one, {Name: "a"}}},
		`identity 1: certificates "": must be one of`:    {Identities: []IdentityConfig{{Name: "a", Certificates: []Match{{}}}}},
		`identity 1: certificates "x:y, z": must be one`: {Identities: []IdentityConfig{{Name: "a", Certificates: []Match{{URI: "x:y", DNS: "z"}}}}},
		`certificates "*.example.org": must be exact`:    {Identities: []IdentityConfig{{Name: "a", Certificates: []Match{{DNS: "*.example.org"}}}}},
		`certificates "billing": must be a whole URI`:    {Identities: []IdentityConfig{{Name: "a", Certificates: []Match{{URI: "billing"}}}}},
		`is a certificate of "a" already`: {Identities: []IdentityConfig{
			{Name: "a", Certificates: []Match{{DNS: "x.org"}}}, {Name: "b", Certificates: []Match{{DNS: "X.org"}}},
		}},
		`token 1: name "anonymous"`:                     {Tokens: []Token{{Name: AnonymousName}}},
		`token 2: name "b": has a token that was given`: {Tokens: []Token{good, {Name: "b", Hash: good.Hash}}},
		`permission 1: identity "b": is unknown`:        allow(Permission{Identity: "b", Namespace: "*", Actions: []Action{Look}}),
		`permission 1: namespace "": must be a name`:    allow(Permission{Identity: "a", Actions: []Action{Look}}),
		`permission 1: namespace "a*b": must be a name`: allow(Permission{Identity: "a", Namespace: "a*b", Actions: []Action{Look}}),
		`permission 1: namespace "**": must be a name`:  allow(Permission{Identity: "a", Namespace: "**", Actions: []Action{Look}}),
		`permission 1: actions "": must be some`:        allow(Permission{Identity: "a", Namespace: "*"}),
		`permission 1: actions "Action(4)": must be`:    allow(Permission{Identity: "a", Namespace: "*", Actions: []Action{numActions}}),
		`permission 1: quota "-1": must not`:            allow(Permission{Identity: "a", Namespace: "*", Actions: []Action{Lease}, Quota: -1}),
		`permission 1: quota "1": limits nothing`:       allow(Permission{Identity: "a", Namespace: "*", Actions: []Action{Look}, Quota: 1}),
		`permission 2: namespace "*": is given twice for`: {Tokens: []Token{good}, Permissions: []Permission{
			{Identity: "a", Namespace: "*", Actions: []Action{Look}}, {Identity: "a", Namespace: "*", Actions: []Action{Lease}},
		}},
	}
	for want, conf := range tests {
		p, err := New(conf)
		require.ErrorContains(t, err, want)
		assert.Nil(t, p)
		assert.Len(t, conf.Problems(), 1, want)
		_, ok := errors.AsType[*ConfigError](err)
		assert.True(t, ok)
	}

	_, err := New(Config{Permissions: make([]Permission, 1000)})
	assert.Equal(t, maxProblems, strings.Count(err.Error(), "\n")+1, "bounded")
}

func TestTokens(t *testing.T) {
	secret, hash := NewSecret()
	other, _ := NewSecret()
	assert.NotEqual(t, secret, other)
	h, err := ParseHash(hash)
	require.NoError(t, err)
	assert.Equal(t, HashOf(secret), h)
	assert.Equal(t, hash, h.String())

	file := fmt.Sprintf("# tokens\n\n billing\t%s \r\nbilling %s\n", hash, HashOf(other))
	tokens, wrong := ParseTokens([]byte(file), "tokens")
	assert.Empty(t, wrong)
	assert.Equal(t, []Token{{"billing", HashOf(secret)}, {"billing", HashOf(other)}}, tokens)

	for _, line := range []string{
		secret, "billing", "billing " + secret, "billing sha256:" + secret, "billing " + hash + " x",
		"anonymous " + hash, "a*b " + hash, "billing " + hash[:70], "billing " + strings.ToUpper(hash), "billing sha256:" + strings.Repeat("g", 64),
	} {
		tokens, wrong := ParseTokens([]byte("\n"+line+"\n"), "/etc/tokens")
		assert.Empty(t, tokens, line)
		require.Len(t, wrong, 1, line)
		assert.Equal(t, 2, wrong[0].Line)
		assert.Contains(t, wrong[0].Error(), "/etc/tokens:2: ")
		assert.NotContains(t, wrong[0].Error(), secret, "a secret in a message")
	}
	_, wrong = ParseTokens([]byte(strings.Repeat("x\n", 1000)), "tokens")
	assert.Len(t, wrong, maxProblems)
}

func TestReason(t *testing.T) {
	wrap := func(err error) error { return fmt.Errorf("call: %w", err) }
	assert.Equal(t, "unauthenticated", Reason(wrap(unauthenticated("x"))))
	assert.Equal(t, "denied", Reason(wrap(&DeniedError{})))
	assert.Equal(t, "quota", Reason(wrap(&QuotaError{RetryAfter: time.Second})))
	assert.Empty(t, Reason(wrap(errors.New("x"))))
	assert.Empty(t, Reason(nil))
}

func TestActionsHaveNames(t *testing.T) {
	for a := range numActions {
		got, ok := ParseAction(a.String())
		assert.True(t, ok)
		assert.Equal(t, a, got)
	}
	_, ok := ParseAction(numActions.String())
	assert.False(t, ok)
}
