package peers

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/mod/modfile"
)

// TestMain says in the output of benchmarks what was measured, for the report, and
// fails where a goroutine of ours outlives the tests.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.bench"); f != nil && f.Value.String() != "" {
		describe(os.Stdout)
	}
	goleak.VerifyTestMain(m)
}

// modules returns the modules that this one requires itself, as path@version; a
// program made by go test does not know them. The folder of the package has their
// list, with the very versions that are linked, for it has no more than is needed.
func modules() []string {
	data, err := os.ReadFile("go.mod")
	if err != nil {
		return nil // run elsewhere, as a program of its own
	}
	file, err := modfile.Parse("go.mod", data, nil)
	if err != nil {
		return nil
	}
	var list []string
	for _, m := range file.Require {
		if !m.Indirect {
			list = append(list, m.Mod.String())
		}
	}
	return list
}

// TestModules holds that the output names the peers.
func TestModules(t *testing.T) {
	list := strings.Join(modules(), " ")
	require.Regexp(t, `github\.com/bwmarrin/snowflake@v\d`, list)
	require.Regexp(t, `github\.com/sony/sonyflake/v2@v2\.`, list)
}
