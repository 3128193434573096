package main

import (
	"context"

	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/etcdstore"
)

// etcdEngine is etcd.
func etcdEngine() engine {
	return engine{
		schemes: []string{"etcd", "etcds"},
		form:    "etcd://HOST,HOST,HOST",
		valid: func(url string) error {
			_, err := etcdstore.ParseURL(url)
			return err //nolint:wrapcheck // says itself what is wrong
		},
		redacted: func(url string) string {
			u, err := etcdstore.ParseURL(url)
			if err != nil {
				return "etcd:"
			}
			return u.String()
		},
		open: func(ctx context.Context, url string, _ engineHow) (pool.Store, error) {
			return etcdstore.OpenURL(ctx, url)
		},
		clockless: true,
		explain:   func(error, string) string { return "" },
		final:     []error{etcdstore.ErrCredentials, etcdstore.ErrForbidden},
	}
}
