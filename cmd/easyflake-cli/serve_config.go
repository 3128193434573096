package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/boltstore"
	"github.com/easyflake/easyflake/pool/grpcpool"
	"github.com/easyflake/easyflake/pool/grpcpool/access"
	"github.com/easyflake/easyflake/pool/grpcpool/certs"
	"github.com/easyflake/easyflake/pool/grpcpool/config"
)

// configuration is what the files say, as last read and taken.
type configuration struct {
	config.Config

	policy *access.Policy
	sum    [sha256.Size]byte // of all files; zero without one
}

// readConfig reads the configuration, an empty one where there is none.
func (s *poolServer) readConfig() (*configuration, error) {
	if s.cmd.Config == "" {
		return &configuration{policy: access.Open()}, nil
	}
	c, sum, err := loadConfig(string(s.cmd.Config))
	if err != nil {
		return nil, err
	}
	for _, ns := range c.Namespaces {
		for _, given := range s.namespaces {
			if ns.Name == given.Name {
				return nil, fmt.Errorf("namespace %q is in %s and on the command line: leave out one of them", ns.Name, s.cmd.Config)
			}
		}
	}
	policy, err := c.Policy()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.cmd.Config, err)
	}
	return &configuration{Config: *c, policy: policy, sum: sum}, nil
}

// loadConfig reads a configuration, and what to tell from that it has changed.
func loadConfig(path string) (*config.Config, [sha256.Size]byte, error) {
	all := sha256.New()
	read := func(path string) ([]byte, error) {
		data, err := config.ReadFile(path)
		one := sha256.Sum256(data)
		_, _ = all.Write(one[:]) // never fails
		return data, err         //nolint:wrapcheck // says itself what is wrong
	}
	data, err := read(path)
	if err != nil {
		return nil, [sha256.Size]byte{}, fmt.Errorf("the configuration: %w", err)
	}
	c, err := config.Parse(data, path, read)
	return c, [sha256.Size]byte(all.Sum(nil)), err //nolint:wrapcheck // names file and line
}

// readCerts reads the certificates, if there are any.
func (s *poolServer) readCerts(configured *configuration) error {
	c := s.cmd
	if c.TLSCert == "" {
		return nil
	}
	options := []certs.Option{certs.WithClock(s.w.clock)}
	if c.GroupKey {
		options = append(options, certs.AllowGroupKey())
	}
	if s.requiresClient(configured) {
		options = append(options, certs.RequireClient())
	}
	var err error
	s.certs, err = certs.Server(certs.Files{Cert: c.TLSCert, Key: c.TLSKey, CA: c.TLSClientCA}, options...)
	return plain(err)
}

// requiresClient reports whether every client has to show a certificate: where there
// are secrets too, they may show one of those.
func (s *poolServer) requiresClient(c *configuration) bool {
	return s.cmd.TLSClientCA != "" && (c.Access == nil || len(c.Access.Tokens) == 0)
}

// advise warns about what is allowed and unwise.
func (s *poolServer) advise(configured *configuration) {
	switch {
	case s.endpoint.Local() || configured.Access != nil:
	case s.cmd.TLSClientCA != "":
		s.log.Info("everybody with a certificate may do everything; --config can say who may do what")
	default:
		s.log.Warn("everybody who reaches this port may do everything; --config can say who may do what")
	}
}

// reload reads the files again, upon SIGHUP. What is wrong changes nothing.
func (s *poolServer) reload(ctx context.Context) error {
	var errs []error
	if s.certs != nil {
		if err := s.certs.Reload(); err != nil {
			errs = append(errs, err)
		} else {
			s.log.Info("read the certificates again")
		}
	}
	if s.cmd.Config != "" {
		if err := s.reconfigure(ctx, true); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// reconfigure takes the configuration, if it has changed or always is set.
func (s *poolServer) reconfigure(ctx context.Context, always bool) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	c, err := s.readConfig()
	if err != nil {
		return err
	}
	changed := c.sum != s.configured.sum
	if !changed && !always {
		return nil
	}
	if len(legacyOf(c.Namespaces)) > 0 && !slices.Equal(legacyOf(c.Namespaces), legacyOf(s.configured.Namespaces)) {
		return fmt.Errorf("%s: which namespace has legacy nodes is decided when the server starts: restart it", s.cmd.Config)
	}
	switch {
	case c.Access == nil && s.configured.Access != nil:
		// As of a file that is being written, or cut off.
		return fmt.Errorf("%s no longer has 'access': to let everybody do everything, restart the server", s.cmd.Config)
	case s.requiresClient(c) != s.requiresClient(s.configured):
		return fmt.Errorf("%s: whether clients without a certificate may come is decided when the server starts, by whether there are secrets: restart it", s.cmd.Config)
	}
	for _, ns := range c.Namespaces {
		if err := s.ensure(ctx, s.pool, ns); err != nil {
			return err
		}
	}
	s.policy.Store(c.policy)
	s.configured = c
	s.log.Info("read the configuration again", "file", s.cmd.Config, "changed", changed)
	return nil
}

func legacyOf(all []pool.Namespace) []string {
	var names []string
	for _, ns := range all {
		if slices.ContainsFunc(ns.Ranges, func(r pool.Range) bool { return r.Use == pool.Legacy }) {
			names = append(names, ns.Name)
		}
	}
	return names
}

// legacyNamespace returns the namespace with nodes for EasyFlake for Python, if one
// was asked for.
func (s *poolServer) legacyNamespace() (name string, ok bool, err error) {
	names := legacyOf(slices.Concat(s.namespaces, s.configured.Namespaces))
	switch len(names) {
	case 0:
		return "", false, nil
	case 1:
		return names[0], true, nil
	}
	return "", false, fmt.Errorf("namespaces %q have legacy nodes: Python's client cannot say which it wants, so only one of them can", names)
}

// watch looks after files that change, and ends the server once its store has
// failed: it answers nothing more until it is opened again, and whoever looks after
// the process starts it again. It returns when ctx ends.
func (s *poolServer) watch(ctx context.Context, server *grpcpool.Server, fail func(error)) {
	var parts sync.WaitGroup
	defer parts.Wait()
	if s.certs != nil {
		parts.Go(func() {
			s.certs.Watch(ctx, s.w.clock, changesEvery, func(err error) {
				if err != nil {
					s.log.Error("going on with the old certificates", "error", err)
				} else {
					s.log.Info("took the certificates that have changed")
				}
			})
		})
	}
	if s.cmd.Config != "" {
		parts.Go(func() { s.watchConfig(ctx) })
	}
	if s.cmd.Store.database != nil {
		parts.Go(func() { s.watchNamespaces(ctx) })
	}
	for s.w.clock.Wait(ctx, s.w.clock.Now()+int64(time.Second)) == nil {
		if err := server.Health(); errors.Is(err, boltstore.ErrFailed) {
			fail(err)
			return
		}
	}
}

// watchNamespaces creates again what is gone from an engine that has lost its data
// while the server runs. The pool lets no window begin in it before those that may be
// lost are over, where the store is in doubt.
func (s *poolServer) watchNamespaces(ctx context.Context) {
	trouble := ""
	for s.w.clock.Wait(ctx, s.w.clock.Now()+int64(changesEvery)) == nil {
		err := s.ensureAll(ctx)
		switch {
		case err == nil:
			trouble = ""
		case err.Error() != trouble && ctx.Err() == nil:
			trouble = err.Error()
			s.log.Error("a namespace cannot be looked at", "error", err)
		}
	}
}

// ensureAll creates the namespaces that are missing.
func (s *poolServer) ensureAll(ctx context.Context) error {
	s.reloading.Lock()
	all := slices.Concat(s.namespaces, s.configured.Namespaces)
	s.reloading.Unlock()
	names, err := s.pool.Namespaces(ctx)
	if err != nil {
		return plain(err)
	}
	for _, ns := range all {
		if slices.ContainsFunc(names, func(n pool.Namespace) bool { return n.Name == ns.Name }) {
			continue
		}
		s.log.Error("a namespace is gone from the store, which must have lost its data: creating it again", "namespace", ns.Name)
		if err := s.pool.CreateNamespace(ctx, ns); err != nil && !errors.Is(err, pool.ErrExists) { // another server's
			return plain(err)
		}
	}
	return nil
}

func (s *poolServer) watchConfig(ctx context.Context) {
	trouble := ""
	for s.w.clock.Wait(ctx, s.w.clock.Now()+int64(changesEvery)) == nil {
		err := s.reconfigure(ctx, false)
		switch {
		case err == nil:
			trouble = ""
		case err.Error() != trouble && ctx.Err() == nil:
			trouble = err.Error()
			s.log.Error("going on with the old configuration", "error", err)
		}
	}
}

// policyBox holds the policy in force.
func policyBox(p *access.Policy) *atomic.Pointer[access.Policy] {
	box := new(atomic.Pointer[access.Policy])
	box.Store(p)
	return box
}
