// Package pgtest finds PostgreSQL for tests: a server that runs, or one of their own.
package pgtest

import (
	"cmp"
	"context"
	"crypto/rand"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/easyflake/easyflake/pool/pgstore"
)

// Server returns the URL of a database that tests may make schemas in, that of
// EASYFLAKE_TEST_POSTGRES if it is set. Where none answers the test is skipped; in CI it
// fails.
func Server(tb testing.TB) string {
	tb.Helper()
	address := cmp.Or(os.Getenv("EASYFLAKE_TEST_POSTGRES"), "postgres://postgres@127.0.0.1:5432/test")
	ctx, cancel := context.WithTimeout(tb.Context(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		Missing(tb, "no PostgreSQL answers; EASYFLAKE_TEST_POSTGRES can name one: %v", err)
	}
	_ = conn.Close(ctx)
	return address
}

// Missing skips a test that lacks something, or has it fail in CI.
func Missing(tb testing.TB, format string, args ...any) {
	tb.Helper()
	if os.Getenv("CI") == "true" {
		tb.Fatalf(format, args...)
	}
	tb.Skipf(format, args...)
}

// Empty returns the URL of a schema of the test's own on a server, which is not there
// yet. It is dropped in the end.
func Empty(tb testing.TB, server string) string {
	tb.Helper()
	name := "easyflake_test_" + strings.ToLower(rand.Text())
	tb.Cleanup(func() { Exec(tb, server, "DROP SCHEMA IF EXISTS "+name+" CASCADE") })
	return With(server, "easyflake_schema="+name)
}

// Schema returns the URL of a new store on a server.
func Schema(tb testing.TB, server string) string {
	tb.Helper()
	address := Empty(tb, server)
	if _, err := pgstore.CreateSchema(context.Background(), address); err != nil {
		tb.Fatal(err)
	}
	return address
}

// With returns a URL with one more parameter.
func With(address, parameter string) string {
	if strings.Contains(address, "?") {
		return address + "&" + parameter
	}
	return address + "?" + parameter
}

// Exec runs statements on a server.
func Exec(tb testing.TB, server, sql string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing depends on it
	if _, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
}
