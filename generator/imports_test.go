package generator_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a program takes in with a generator is the standard library, without
// encoding/json, which alone would double it, and these packages. Package
// generatorprom is none of them, nor may they need it: it is for programs that have
// Prometheus already.
func TestImports(t *testing.T) {
	const module = "github.com/easyflake/easyflake/"
	allowed := map[string][]string{
		"layout":                  nil,
		"clock":                   nil,
		"clock/clocktest":         {"clock"},
		"generator":               {"layout", "clock"},
		"generator/generatortest": {"generator", "layout", "clock", "clock/clocktest"},
	}
	for _, platform := range []string{"linux/amd64", "linux/386", "darwin/arm64", "windows/amd64"} {
		for name, others := range allowed {
			for _, dependency := range dependencies(t, platform, module+name) {
				path, standard := strings.CutSuffix(dependency, " true")
				switch {
				case standard:
					assert.NotEqual(t, "encoding/json", path, "%s on %s", name, platform)
				default:
					path = strings.TrimSuffix(path, " false")
					own := strings.TrimPrefix(path, module)
					assert.True(t, own == name || slices.Contains(others, own), "%s imports %s on %s", name, path, platform)
				}
			}
		}
	}
}

// dependencies returns all packages that a package needs, itself included, each
// with whether it is of the standard library.
func dependencies(t *testing.T, platform, path string) []string {
	t.Helper()
	system, processor, _ := strings.Cut(platform, "/")
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{.ImportPath}} {{.Standard}}", path)
	cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+processor, "CGO_ENABLED=0")
	out, err := cmd.Output()
	require.NoError(t, err, "%s", out)
	all := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Greater(t, len(all), 5)
	return all
}

// A program that makes IDs builds nothing of the engines that keep leases, nor of
// gRPC, and is little larger than one that does nothing.
func TestSmallProgram(t *testing.T) {
	const most = 1_000_000
	dir := t.TempDir()
	build := func(name, source string) (path string, size int64) {
		path = filepath.Join(dir, name+".go")
		require.NoError(t, os.WriteFile(path, []byte(source), 0o600))
		cmd := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, name), path)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		return path, info.Size()
	}
	_, empty := build("empty", "package main\n\nfunc main() {}\n")
	path, size := build("small", `package main

import (
	"os"

	"github.com/easyflake/easyflake/generator"
	"github.com/easyflake/easyflake/layout"
)

func main() {
	g, err := generator.NewSharded(layout.Default(), generator.Static(7))
	if err != nil {
		os.Exit(1)
	}
	id, err := g.Next()
	if err != nil {
		os.Exit(1)
	}
	os.Stdout.WriteString(id.String() + "\n")
}
`)
	t.Logf("%d bytes over the %d of an empty one", size-empty, empty)
	assert.Less(t, size-empty, int64(most))
	for _, dependency := range dependencies(t, runtime.GOOS+"/"+runtime.GOARCH, path) {
		if name, foreign := strings.CutSuffix(dependency, " false"); foreign && name != "command-line-arguments" {
			assert.Contains(t, []string{
				"github.com/easyflake/easyflake/clock", "github.com/easyflake/easyflake/generator", "github.com/easyflake/easyflake/layout",
			}, name)
		}
	}
}
