package main

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/redisstore"
)

// redisEngine is Redis, and what speaks its protocol: best effort. It notices by itself
// that records may be lost, which the servers of a new store have to be told about.
func redisEngine() engine {
	return engine{
		schemes: []string{"redis", "rediss", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel"},
		form:    "redis://USER@HOST",
		valid: func(url string) error {
			if _, rest, _ := strings.Cut(url, "://"); rest != "" && redisstore.CheckURL(url) == nil {
				return nil
			}
			return &redisstore.Error{Kind: redisstore.ErrAddress, Text: redisstore.Redacted(url) + " is no URL of a Redis server: it must be redis://USER:PASSWORD@HOST:PORT/DATABASE, or rediss:// for TLS; redis+cluster://USER:PASSWORD@HOST:PORT?addr=HOST:PORT for a cluster; or redis+sentinel://HOST:PORT?master_name=NAME&username=USER&password=PASSWORD; write characters of a password that mean something in a URL as %XX"}
		},
		redacted: redisstore.Redacted,
		open: func(ctx context.Context, url string, how engineHow) (pool.Store, error) {
			opts := []redisstore.Option{redisstore.WithLogger(how.log)}
			if how.fresh {
				opts = append(opts, redisstore.WithFresh())
			}
			return redisstore.Open(ctx, url, opts...)
		},
		explain: func(error, string) string { return "" },
		fresh:   true,
		// A replica may be about to be promoted, and memory or a disk be made free.
		final: []error{
			redisstore.ErrAddress, redisstore.ErrAccess, redisstore.ErrCluster, redisstore.ErrEviction,
			redisstore.ErrUnsupported, redisstore.ErrForeign, redisstore.ErrNewer,
		},
	}
}

// silenceRedis keeps go-redis from writing to stderr on its own: what goes wrong comes
// back as an error. What it logs by is one for the whole process.
func silenceRedis() { redis.SetLogger(silent{}) }

type silent struct{}

// Printf implements what go-redis logs by.
func (silent) Printf(context.Context, string, ...any) {}
