package bench

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain says in the output of benchmarks what was measured, and fails where a
// goroutine outlives the tests.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.bench"); f != nil && f.Value.String() != "" {
		describe(os.Stdout)
	}
	goleak.VerifyTestMain(m)
}

// TestCommit holds that what is measured has the name of its commit only as long as
// nothing that is compiled has changed.
func TestCommit(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		require.NotEqual(t, "true", os.Getenv("CI"), "there is no git: install it")
		t.Skip("there is no git")
	}
	t.Chdir(t.TempDir())
	require.Empty(t, commit(t.Context()))
	git := func(args ...string) {
		t.Helper()
		args = append([]string{"-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"}, args...)
		out, err := exec.CommandContext(t.Context(), "git", args...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	write := func(name, text string) { require.NoError(t, os.WriteFile(name, []byte(text), 0o600)) }
	write("a.go", "package a\n")
	git("init", "-q")
	git("add", ".")
	git("commit", "-q", "-m", "first")
	clean := commit(t.Context())
	require.Regexp(t, `^[0-9a-f]{12}$`, clean)

	write("README.md", "words\n")
	git("add", ".")
	git("commit", "-q", "-m", "words")
	write("bench.txt", "output\n")
	require.NoError(t, os.Mkdir("sub", 0o700))
	t.Chdir("sub")
	require.Equal(t, clean, commit(t.Context()))
	write(filepath.Join("..", "b.go"), "package a\n")
	require.Equal(t, clean+", with changes", commit(t.Context()))
	require.NoError(t, os.Remove(filepath.Join("..", "b.go")))
	write(filepath.Join("..", "a.go"), "package b\n")
	require.Equal(t, clean+", with changes", commit(t.Context()))
}

// TestDescribe holds that each line is one that benchmark output may have.
func TestDescribe(t *testing.T) {
	var out strings.Builder
	describe(&out)
	for line := range strings.Lines(out.String()) {
		require.Regexp(t, `^[a-z]+: \S.*\n$`, line)
	}
	require.Contains(t, out.String(), "go: go")
}
